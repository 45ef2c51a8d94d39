"""Scripts that look at `ip -j` every so many seconds."""
import random
import re
import subprocess
import time

from figures import tell
from subjects import Subject
from world import IFF_UP, NODES


class Poll(Subject):
    up = r'"ifname":"NAME","flags":\[[^\]]*"LOWER_UP"'
    period = 1

    def __init__(self, *around):
        super().__init__(*around)
        self.command = ["sh", "-c", f"while :; do ip -j link | tr -d '\\n'; echo; sleep {self.period}; done"]

    def is_ready(self):
        return bool(self.output.lines())

    def settle(self, seconds=5):
        return True


class EverySecond(Poll):
    name = "`ip -j` every second"


class EveryHalfMinute(Poll):
    name = "`ip -j` every 30 s, as v7.4.6"
    period = 30


def event_to_state(poll, links):
    """All nodes' links come up, each at another time of two rounds of the script."""
    world, starts, times = poll.world, {}, []
    for number in range(NODES):
        world.flip(b"ppp%d" % number, 0)
    poll.output.forget()
    for number in range(NODES):
        end = time.monotonic() + random.uniform(0, 2 * poll.period / NODES)
        while time.monotonic() < end:
            times += seen(poll, starts)
        starts[f"ppp{number}"] = time.monotonic_ns()
        world.flip(b"ppp%d" % number, IFF_UP)
    while starts:
        times += seen(poll, starts)
    tell("event", who=poll.name, links=links, us=times, cpu_us=None)


def seen(poll, starts):
    """The times of those links that the looks of the last few milliseconds show as up."""
    times = []
    for look in poll.output.lines():
        at = time.monotonic_ns()
        up = [name for name in starts if re.search(poll.up.replace("NAME", name), look)]
        times += [round((at - starts.pop(name)) / 1000, 1) for name in up]
    time.sleep(0.005)
    return times


def look_ms(world):
    """How long one look takes."""
    with world.inside():
        start = time.monotonic_ns()
        subprocess.run(["ip", "-j", "link"], stdout=subprocess.DEVNULL, check=True)
        return (time.monotonic_ns() - start) / 1e6
