"""Truth after a loss: the subject is stopped while links go and come until the kernel has dropped messages; then it
goes on, and its table is compared with the kernel's until nothing differs, or until it has rested for a while.
"""
import os
import signal
import time

from figures import tell
from measures import BUFFER_SIZE, FORCE_BUFFER

DOOMED, NEW, REST_S, PATIENCE_S = 300, 50, 1, 15
MOST_FLIPS = 60_000
# The daemon's own receive buffer, in bytes as asked for.
BUFFER = 16 << 20
# Links that are not point-to-point: not all subjects care for them. The first three of each world.
OTHERS = {"lo", "veth0", "veth1", 1, 2, 3}
GROUP_DOOMED, GROUP_NEW = 7, 8


def make(world, prefix, count, group):
    names = [f"{prefix}{n}" for n in range(count)]
    with world.inside():
        world.ip([command for name in names
                  for command in (f"tuntap add mode tun name {name}", f"link set {name} group {group}")])


def remove(world, group):
    with world.inside():
        world.ip([f"link del group {group}"])


def after_loss(subject, links):
    """300 links that it knows and 50 that it was never told of go; 50 others come."""
    world = subject.world
    make(world, "old", DOOMED, GROUP_DOOMED)
    subject.settle()
    before = world.links()
    subject.expect(before)
    differing(subject, before)
    shrunk = shrink(subject)
    before_it = subject.lost()
    os.kill(subject.pid, signal.SIGSTOP)
    try:
        make(world, "unseen", NEW, GROUP_DOOMED)
        flips = 0
        while subject.lost() == before_it and flips < MOST_FLIPS:
            world.storm(1000)
            flips += 1000
        dropped = subject.lost() > before_it
        remove(world, GROUP_DOOMED)
        make(world, "new", NEW, GROUP_NEW)
        truth = world.links()
        start = time.monotonic()
    finally:
        os.kill(subject.pid, signal.SIGCONT)
    first, last, looks = differing(subject, truth)
    zero = not last["ghosts"] and not last["missing"]
    tell("truth", who=subject.name, links=links, lost=dropped, shrunk=shrunk, looks=looks, at_first=first, at_last=last,
         zero_ms=round((time.monotonic() - start) * 1000, 1) if zero else None)
    remove(world, GROUP_NEW)
    if zero:
        subject.settle()
    else:
        subject.kill()
        subject.start()
    subject.output.forget()


def shrink(subject):
    """A buffer that never overruns here is made as large as the daemon's; whether it was."""
    with subject.event_socket() as sock:
        larger = sock.getsockopt(*BUFFER_SIZE) > 2 * BUFFER
        if larger:
            sock.setsockopt(*FORCE_BUFFER, BUFFER)
    return larger


def differing(subject, links):
    """What differs at the first look and at the last one, which is when nothing does or when all has rested."""
    first, looks, still, before = None, 0, 0, None
    start = moved = time.monotonic()
    while True:
        last, state, now = compare(subject, links), subject.state(), time.monotonic()
        first, looks, still = first or last, looks + 1, still + 1
        # What it computes says nothing where to be asked keeps it busy.
        seen = last, None if subject.by_name else state[0]
        if state[1] or seen != before:
            moved, still = now, 0
        before = seen
        if not any(last.values()) or (still >= 3 and now - moved > REST_S) or now - start > PATIENCE_S:
            return first, last, looks
        time.sleep(0.002)


def compare(subject, links):
    """Ghosts are links that it takes for there and the kernel has not."""
    there = set(links.values()) if subject.by_name else links.keys()
    table = subject.table() - OTHERS
    return {"ghosts": len(table - there), "missing": len(there - table)}
