"""Fifty nodes on ten servers, from the start to all up: connexad, and a loop that waits for each call; and the
daemon's memory with no node, with one and with all.

fleet.py SECONDS: both are done again while there seems to be time.
"""
import sys
import time

from figures import cpu_ms, ms, pss_kb, tell
from gateway import FLEET, Database, daemon_pid, end_calls, pppd, systemctl
from kernel_events import Kernel

MOST_ROUNDS = 10
# Threads for file work end after 10 s without any.
REST_S = 12
end = time.monotonic() + int(sys.argv[1])
kernel, database = Kernel(), Database()


def memory(nodes):
    time.sleep(REST_S)
    tell("memory", nodes=nodes, pss_kb=pss_kb(daemon_pid()))


def with_few():
    systemctl("start", "connexad")
    memory(0)
    database.insert(FLEET[:1])
    kernel.wait_up()
    memory(1)
    systemctl("stop", "connexad")
    end_calls(kernel)
    database.insert(FLEET[1:])


def by_daemon():
    kernel.forget()
    systemctl("start", "--no-block", "connexad")
    start = kernel.wait(lambda seen: seen.what == "exec" and seen.words[:1] == ("/usr/local/sbin/connexad",)).at
    up = kernel.wait_up(len(FLEET), 180)
    tell("fleet", who="connexad", to_all_up_ms=ms(up - start), cpu_ms=cpu_ms(daemon_pid()))
    memory(len(FLEET))
    systemctl("stop", "connexad")


def by_loop():
    kernel.forget()
    start = kernel.now()
    for number, _ in FLEET:
        if time.monotonic() > end:
            tell("incomplete")
            return
        pppd(f"connexa-node-{number}", "updetach").wait()
    tell("fleet", who="loop", to_all_up_ms=ms(kernel.wait_up(len(FLEET), 5) - start))


with_few()
for _ in range(MOST_ROUNDS):
    began = time.monotonic()
    by_daemon()
    end_calls(kernel)
    by_loop()
    now = time.monotonic()
    # The last calls end with the machine.
    if now + 1.2 * (now - began) > end:
        break
    end_calls(kernel)
