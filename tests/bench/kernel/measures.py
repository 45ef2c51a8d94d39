"""The measures themselves: of one subject at a time, in a world where nothing else happens."""
import os
import random
import re
import signal
import time

from figures import cpu_ns, ms, pss_kb, rss_kb, tell
from subjects import Unfit
from world import IFF_UP, NODES

SAMPLES, STORM_S, FLIPS, STEADY_RATE = 30, 1.3, 2000, 4000
# A loss this soon after a full read waits for the end of the daemon's cool-down, which is 0.1 s.
COOL_DOWN_S = 0.15
# Flips a second that are tried, from the most down; 0 is as fast as one thread can.
RATES = (0, 8000, 4000, 2000, 1000, 500, 250)


def event_to_state(subject, links):
    """A node's link goes up; the time from right before that until the subject has told of it. Half as many events
    more are the links' going down, which is not timed."""
    world, times = subject.world, []
    subject.output.listen(True)
    subject.settle()
    computed = cpu_ns(subject.pid)
    for number in range(SAMPLES):
        name = b"ppp%d" % (number % NODES)
        world.flip(name, 0)
        # Long enough for all to have seen it; not always the same, lest something keep step with it.
        time.sleep(random.uniform(0.004, 0.006))
        subject.output.forget()
        start = time.monotonic_ns()
        world.flip(name, IFF_UP)
        seen = subject.output.wait(pattern(subject, name), 2)
        times.append((seen or start + 2_000_000_000) - start)
    computed = cpu_ns(subject.pid) - computed
    subject.output.listen(False)
    tell("event", who=subject.name, links=links, us=[round(time / 1000, 1) for time in times],
         cpu_us=round(computed / 1000 / (2 * SAMPLES), 1))


def pattern(subject, name):
    return re.compile(subject.up.replace("NAME", name.decode()).encode())


class Storm:
    """Flips a second that the subject holds: nothing is lost, and what is unread at the end is read within half as
    long again. Begins a step above what was held the last time."""

    def __init__(self, subject):
        self.subject, self.step = subject, 0

    def run(self, links):
        subject, held = self.subject, None
        for step in range(max(0, self.step - 1), len(RATES)):
            subject.settle()
            flips = int(STORM_S * (RATES[step] or 1 / flip_seconds(subject.world)))
            drops, computed = subject.drops(), cpu_ns(subject.pid)
            took = subject.world.storm(flips, RATES[step])
            drained = subject.settle(STORM_S / 2)
            subject.settle()
            computed = cpu_ns(subject.pid) - computed
            if subject.drops() == drops and drained:
                held, self.step = flips / took, step
                break
        subject.output.forget()
        tell("storm", who=subject.name, links=links, a_second=round(held or 0), most=RATES[self.step] == 0,
             cpu_us=round(computed / 1000 / flips, 2) if held else None)


def flip_seconds(world):
    """How long a flip takes where nobody is in a hurry."""
    return world.storm(400) / 400


def steady(subject, links):
    """What an event costs at a rate that all hold. One that loses some after all has no figure."""
    drops = subject.drops()
    computed = flips_cpu_us(subject, rate=STEADY_RATE)
    tell("steady", who=subject.name, links=links, cpu_us=computed if subject.drops() == drops else None)


def foreign(subject, links):
    """What changes of a link cost that is none of the nodes'."""
    tell("foreign", who=subject.name, links=links, cpu_us=flips_cpu_us(subject, foreign=True))


def flips_cpu_us(subject, **how):
    subject.settle()
    computed = cpu_ns(subject.pid)
    subject.world.storm(FLIPS, **how)
    subject.settle()
    subject.output.forget()
    return round((cpu_ns(subject.pid) - computed) / 1000 / FLIPS, 3)


def size(subject, links, ready_s, computed):
    """What it needs for so many links: memory, and what it computed until it knew them."""
    tell("size", who=subject.name, links=links, rss_kb=rss_kb(subject.pid), pss_kb=pss_kb(subject.pid),
         ready_ms=round(ready_s * 1000), cpu_ms=ms(computed))


def status_in_storm(daemon, links):
    """Queries one after the other while another process flips links as fast as it can."""
    daemon.settle()
    flipper = os.fork()
    if not flipper:
        end = time.monotonic() + STORM_S
        while time.monotonic() < end:
            daemon.world.storm(200)
        os._exit(0)
    times = []
    while os.waitpid(flipper, os.WNOHANG)[0] == 0:
        times.append(daemon.query_ns())
    daemon.settle()
    daemon.output.forget()
    tell("status", links=links, us=[round(time / 1000) for time in times])


def resync(daemon, links):
    """One message is lost, with nothing unread but a few: the time until what only a full read could show is told."""
    time.sleep(COOL_DOWN_S)
    daemon.settle()
    world, sock = daemon.world, daemon.event_socket()
    size = sock.getsockopt(*BUFFER_SIZE) // 2
    world.flip(b"ppp0", 0)
    daemon.settle()
    daemon.output.forget()
    before = daemon.lost()
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        sock.setsockopt(*FORCE_BUFFER, 1)
        world.storm(4 * NODES)
        world.flip(b"ppp0", IFF_UP)
        sock.setsockopt(*FORCE_BUFFER, size)
        was_lost = daemon.lost() > before
        daemon.output.listen(True)
        start = time.monotonic_ns()
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    seen = daemon.output.wait(pattern(daemon, b"ppp0"), 5)
    daemon.output.listen(False)
    sock.close()
    if not was_lost or not seen:
        raise Unfit("the lost message was not lost, or nothing was told of it")
    tell("resync", links=links, ms=ms(seen - start))


# asm-generic/socket.h: SO_RCVBUF, SO_RCVBUFFORCE
BUFFER_SIZE, FORCE_BUFFER = (1, 8), (1, 33)
