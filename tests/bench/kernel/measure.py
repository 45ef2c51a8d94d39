#!/usr/bin/python3
"""Measures how the kernel's truth is followed: by connexad, by a bare receive loop, and by others.

measure.py CONNEXAD BARE_LOOP PACKAGES FOLDER: each result is a line of JSON. Every subject has a network namespace
of its own with the same links; they take turns, so that each has the machine for itself.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import measures  # noqa: E402
import pollers  # noqa: E402
import truth  # noqa: E402
from connexad import Connexad  # noqa: E402
from figures import cpu_ms, cpu_ns, ms, rounds, tell, wake_ups  # noqa: E402
from subjects import BareLoop, IpMonitor, Networkd, NetworkManager, Pyroute2, Unfit, Zebra  # noqa: E402
from versions import tell_versions  # noqa: E402
from world import World  # noqa: E402

LISTENERS = (Connexad, BareLoop, IpMonitor, Pyroute2, Networkd, Zebra, NetworkManager)
POLLERS = (pollers.EverySecond, pollers.EveryHalfMinute)
RUNS, IDLE_S, LOOKS = 10, 60, 10
# The daemon looks at a changed database for half a minute; the threads for it end after ten seconds more.
REST_S = 45
MIDDLE, MOST, SIZES = 1000, 10_000, 3
# When the last measure is to begin no more runs, counted from the start.
ALL_S = 735


class Group:
    """Subjects that can be measured with so many links, each in its own world."""

    def __init__(self, links, folder, tools, kinds=LISTENERS, **options):
        self.links, self.subjects, self.storms, self.born = links, [], {}, time.monotonic()
        for kind in kinds:
            more = options if kind is Connexad else {}
            subject = kind(World(links, with_nodes=kind is not Connexad), folder, tools, **more)
            try:
                ready = subject.start()
            except Unfit as reason:
                tell("unfit", who=subject.name, links=links, why=str(reason))
                self.end(subject)
                continue
            computed = cpu_ns(subject.pid)
            self.subjects.append(subject)
            # A daemon that records is another one.
            if kind not in POLLERS and not options:
                measures.size(subject, links, ready, computed)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for subject in self.subjects:
            self.end(subject)

    @staticmethod
    def end(subject):
        subject.stop()
        subject.world.close()

    @property
    def daemon(self):
        return next(subject for subject in self.subjects if isinstance(subject, Connexad))

    def each(self, seconds, measure):
        """In every run each subject once, beginning with another one each time; returns how many runs there were."""
        run = 0
        for run in rounds(RUNS, seconds):
            turn = run % len(self.subjects)
            for subject in self.subjects[turn:] + self.subjects[:turn]:
                try:
                    measure(subject, self.links)
                except Unfit as reason:
                    tell("unfit", who=subject.name, links=self.links, why=str(reason))
        return run + 1

    def events(self, seconds):
        for subject in self.subjects:
            subject.tell(True)
        self.each(seconds, measures.event_to_state)
        for subject in self.subjects:
            subject.tell(False)

    def storm(self, subject, links):
        self.storms.setdefault(subject.name, measures.Storm(subject)).run(links)

    def of_daemon(self, measure, runs=RUNS):
        for _ in range(runs):
            measure(self.daemon, self.links)


def polls(links, folder, tools):
    """The one of every second is measured; how long a look takes tells what the other one would need."""
    with Group(links, folder, tools, kinds=POLLERS[:1]) as group:
        group.each(5, pollers.event_to_state)
        for _ in range(LOOKS):
            tell("look", links=links, ms=pollers.look_ms(group.subjects[0].world))


def sizes(links, folder, tools):
    """Again from the start, all of them; with the most links, where that takes a minute, the daemon alone."""
    for _ in range(SIZES - 1):
        with Group(links, folder, tools, kinds=LISTENERS if links < MOST else (Connexad,)):
            pass


def idle(group, folder, tools):
    """All at once: each sleeps, so that none is in another's way. The pollers are not idle, and are shown for that."""
    with Group(group.links, folder, tools, kinds=POLLERS) as more:
        time.sleep(max(1, REST_S + group.born - time.monotonic()))
        all_of_them = group.subjects + more.subjects
        before = [figures(subject, subject in more.subjects) for subject in all_of_them]
        time.sleep(IDLE_S)
        for subject, (woken, computed) in zip(all_of_them, before):
            now_woken, now_computed = figures(subject, subject in more.subjects)
            tell("idle", who=subject.name, links=group.links, seconds=IDLE_S, wake_ups=now_woken - woken,
                 cpu_ms=round(now_computed - computed, 2))


def figures(subject, with_children):
    """Wake-ups, and milliseconds computed; a script computes by its children."""
    computed = cpu_ms(subject.pid, True) if with_children else ms(cpu_ns(subject.pid))
    return wake_ups(subject.pid), computed


def main():
    connexad, bare_loop, packages, folder = map(os.path.abspath, sys.argv[1:])
    tools = {"connexad": connexad, "bare_loop": bare_loop, "packages": packages}
    began = time.monotonic()
    tell_versions(packages)
    for links in (10, MIDDLE, MOST):
        with Group(links, folder, tools) as group:
            group.events(25)
            group.of_daemon(measures.resync)
            if links == MIDDLE:
                group.each(50, measures.foreign)
                group.each(70, measures.steady)
                group.of_daemon(measures.status_in_storm)
                group.each(100, group.storm)
                idle(group, folder, tools)
        polls(links, folder, tools)
        sizes(links, folder, tools)
    with Group(MIDDLE, folder, tools, record=True) as group:
        runs = group.each(began + ALL_S - time.monotonic(), truth.after_loss)
        group.of_daemon(truth.after_loss, RUNS - runs)


main()
