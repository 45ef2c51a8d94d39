"""From a row committed to the tunnel up, against a bare pppd with the same peer file. The two take turns."""
import os
import signal

from figures import ms, rounds, tell
from gateway import ALPHA, Database, copy_peer, daemon_asleep, pid_file, pppd
from kernel_events import Kernel, calls

ROUNDS, TIME_S = 12, 90
NODE = "connexa-node-2"
kernel, database = Kernel(), Database()


def lap(start, name):
    """The times from `start`: pppd is executed, the tunnel is up."""
    began = kernel.wait(calls(name)).at
    up = kernel.wait_up()
    return {"to_pppd_ms": ms(began - start), "to_up_ms": ms(up - start)}


def by_daemon():
    kernel.forget()
    times = lap(database.insert([(2, ALPHA)]), NODE)
    pid, _ = pid_file(NODE)
    database.clear()
    kernel.wait(lambda seen: seen.what == "exit" and seen.pid == pid)
    kernel.settle()
    return times


def by_hand():
    with daemon_asleep():
        kernel.forget()
        start = kernel.now()
        process = pppd("bare")
        times = lap(start, "bare")
        process.send_signal(signal.SIGTERM)
        process.wait()
    kernel.settle()
    return times


database.insert([(2, ALPHA)])
kernel.wait_up()
copy_peer("bare")
pid = pid_file(NODE)[0]
database.clear()
kernel.wait(lambda seen: seen.what == "exit" and seen.pid == pid)
kernel.settle()
for turn in rounds(ROUNDS, TIME_S):
    pair = [("connexad", by_daemon), ("bare pppd", by_hand)]
    for who, run in pair if turn % 2 else reversed(pair):
        tell("row_to_up", who=who, **run())
os.unlink("/etc/ppp/peers/bare")
