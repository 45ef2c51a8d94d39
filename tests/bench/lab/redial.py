"""From the death of a link to the next call: connexad, pppd's own `persist`, and v7.4.6's poll every 30 s."""
import contextlib
import os
import signal
import subprocess
import time

from figures import ms, rounds, tell
from gateway import ALPHA, Database, children, copy_peer, end_calls, pid_file, pppd, systemctl
from kernel_events import Kernel, calls

ROUNDS, POLLED, PERSISTED = 10, 5, 6
BACKOFF_MS = 100  # in the daemon's configuration
HOLDOFF_S, POLL_S = 1, 30
NODE = "connexa-node-2"
kernel, database = Kernel(), Database()


def gone(link):
    return lambda seen: seen.what == "link gone" and seen.name == link


def with_connexad():
    kernel.settle()
    kernel.forget()
    pid, link = pid_file(NODE)
    os.kill(pid, signal.SIGKILL)
    death = kernel.wait(gone(link)).at
    exit_ = kernel.wait(lambda seen: seen.what == "exit" and seen.pid == pid).at
    redial = kernel.wait(calls(NODE)).at
    kernel.wait_up()
    backoff = BACKOFF_MS * 1_000_000
    tell("redial", who="connexad", to_exit_ms=ms(exit_ - death), daemon_ms=ms(redial - exit_ - backoff),
         to_redial_ms=ms(redial - death - backoff))


def with_persist(pid):
    """pppd outlives its link here, so the link dies with pptp, and the redial is the next pptp."""
    kernel.settle()
    kernel.forget()
    [pptp] = [child for child, name in children(pid).items() if name == "pptpgw"]
    link = pid_file("persist")[1]
    os.kill(pptp, signal.SIGKILL)
    death = kernel.wait(gone(link)).at
    redial = kernel.wait(lambda seen: seen.what == "exec" and seen.words[:1] == ("/usr/sbin/pptp",)).at
    kernel.wait_up()
    tell("redial", who="persist", to_redial_ms=ms(redial - death))


def with_poll(names):
    """All tunnels within one round of the poll, each death at another time of it."""
    dials = {name: pid_file(name) for name in names}
    kernel.forget()
    links = [f"{name}={link}" for name, (_, link) in dials.items()]
    here = os.path.dirname(os.path.abspath(__file__))
    poll = subprocess.Popen(["/usr/bin/python3", f"{here}/poll_model.py", str(POLL_S), *links])
    names_of, deaths, redials = {link: name for name, (_, link) in dials.items()}, {}, {}

    def listen(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and len(redials) < len(names):
            with contextlib.suppress(TimeoutError):
                seen = kernel.wait(lambda seen: seen.what in ("exec", "link gone"), end - time.monotonic())
                if seen.what == "link gone" and seen.name in names_of:
                    deaths.setdefault(names_of[seen.name], seen.at)
                for name in names:
                    if name in deaths and calls(name)(seen):
                        redials.setdefault(name, seen.at)

    step = POLL_S / len(names)
    listen(step / 2)
    for pid, _ in dials.values():
        os.kill(pid, signal.SIGKILL)
        listen(step)
    listen(60)
    for name, redial in redials.items():
        tell("redial", who="poll", to_redial_ms=ms(redial - deaths[name]))
    poll.wait()


database.insert([(2, ALPHA)])
kernel.wait_up()
for _ in rounds(ROUNDS, 35):
    with_connexad()
polled = [f"poll{n}" for n in range(POLLED)]
for peer in polled:
    copy_peer(peer)
copy_peer("persist", "persist", "maxfail 0", f"holdoff {HOLDOFF_S}")
last = pid_file(NODE)[0]
database.clear()
kernel.wait(lambda seen: seen.what == "exit" and seen.pid == last)
systemctl("stop", "connexad")

process = pppd("persist")
kernel.wait_up()
for _ in rounds(PERSISTED, 25):
    with_persist(process.pid)
process.terminate()
process.wait()

for peer in polled:
    pppd(peer, "updetach").wait()
with_poll(polled)
kernel.settle(3)
end_calls(kernel, "poll*")
for peer in [*polled, "persist"]:
    os.unlink(f"/etc/ppp/peers/{peer}")
