#!/usr/bin/python3
"""The results of sections/kernel-truth as Markdown: targets first, then every measure.

report.py FILE: a JSON object a line.
"""
import sys

from results import Results, count, mib, percentile, spread, table, us
from targets import MISSED, MONITOR, SIZES, US, cpu_target, targets

HALF_MINUTE, RUNS = "`ip -j` every 30 s, as v7.4.6", 10
MEASURES = {
    "event": "event to state", "steady": "4,000 flips a second", "storm": "flips held", "foreign": "a foreign link",
    "size": "memory and CPU to know them", "resync": "full resync", "status": "status in a storm",
    "truth": "truth after a loss", "idle": "idle minute",
}


def events(results):
    """p50: the median of the runs' and their spread. p99: of all events of all runs."""
    for who in results.whos("event"):
        cells = []
        for links in SIZES:
            times = results.of("event", "us", who=who, links=links)
            runs = results.runs("event", "us", 50, who=who, links=links)
            cells += [spread(runs, us), us(percentile(times, 99))] if times else ["–", "–"]
        yield who, *cells
    cells = []
    for links in SIZES:
        look = results.median("look", "ms", links=links) * 1000
        cells += [f"{us(15e6 + look)}, reckoned", f"{us(29.7e6 + look)}, reckoned"]
    yield HALF_MINUTE, *cells


def storms(results):
    for who in results.whos("storm"):
        rates = results.of("storm", "a_second", who=who)
        most = results.of("storm", "most", who=who)
        least = "at least " if most and all(most) else ""
        yield (who, "none that was tried" if not any(rates) else least + spread(rates, count),
               *(spread(results.of(measure, "cpu_us", who=who, links=1000), us) for measure in ("event", "steady", "storm", "foreign")))


def sizes(results):
    for who in results.whos("size"):
        cells = []
        for links in SIZES:
            rss, pss, cpu = (results.of("size", key, who=who, links=links) for key in ("rss_kb", "pss_kb", "cpu_ms"))
            cells += [f"{spread(rss, mib)}, {spread(pss, mib)}", spread([ms * 1000 for ms in cpu], us)] if rss else ["–", "–"]
        yield who, *cells


def truths(results):
    for who in results.whos("truth"):
        ends, zero = results.of("truth", "at_last", who=who), results.of("truth", "zero_ms", who=who)
        lost = results.of("truth", "lost", who=who)
        yield (who, f"{sum(lost)} of {len(lost)}", *(spread([end[key] for end in ends], count) for key in ("ghosts", "missing")),
               f"{len(zero)} of {len(ends)}", spread([ms * 1000 for ms in zero], us))


def idles(results):
    for who in results.whos("idle"):
        yield who, *(str(results.of("idle", key, who=who)[0]) for key in ("wake_ups", "cpu_ms"))


def two_of_each(*what):
    return [f"{what_each}, {links:,} links" for links in SIZES for what_each in what]


def left_out(results):
    seen = [(row["who"], row["links"], row["why"]) for row in results.rows if row["measure"] == "unfit"]
    if any(row["measure"] == "incomplete" for row in results.rows):
        yield "**Incomplete**: a part of this failed or ran out of time."
        yield ""
    for who, links, why in dict.fromkeys(seen):
        yield f"Left out: {who} with {links:,} links: {why}."
        yield ""
    fewer = list(fewer_runs(results))
    if fewer:
        yield "Ten runs of each, but for want of time fewer of:"
        yield ""
        yield from fewer
        yield ""


def fewer_runs(results):
    """Each measure of which some subject has fewer than ten runs, and how many those have."""
    for measure, what in MEASURES.items():
        sizes = {}
        for links in SIZES:
            if said := few(results.runs_of(measure, links)):
                sizes.setdefault(said, []).append(f"{links:,}")
        for said, links in sizes.items():
            yield f"- {what}, {' and '.join(links)} links: {said}"


def few(runs):
    whos = {}
    for who, number in runs.items():
        whos.setdefault(number, []).append(who)
    if len(whos) == 1 < len(runs):
        return "".join(f"{number} of each" for number in whos if number < RUNS)
    return "; ".join(f"{number} of {', '.join(names)}" for number, names in sorted(whos.items()) if number < RUNS)


def status(results):
    runs = results.runs("status", "us", 99)
    asked = len(results.of("status", "us"))
    return (f"`GET /v1/status` during a storm, ten nodes and 1,000 links, {count(asked)} queries: "
            f"p50 {spread(results.runs('status', 'us', 50), us)}, p99 {spread(runs, us)}.")


def resyncs(results):
    parts = [f"{spread([ms * 1000 for ms in results.of('resync', 'ms', links=links)], us)} with {links:,} links"
             for links in SIZES]
    return f"Full resync of connexad after one lost message, until the state that only it could show: {', '.join(parts)}."


def reasons(missed):
    """Where the time goes, of the targets that are missed and no others."""
    explained = [target for target in missed if target in PROFILE]
    if explained:
        yield (f"Where the time goes, seen with `perf record -g` and `strace -c` on the daemon of commit {PROFILED} during the "
               "same flips:")
        yield ""
        yield from (f"- *{target}*: {PROFILE[target]}" for target in explained)
        yield ""
    if len(explained) < len(missed):
        yield f"Missed and not profiled: {'; '.join(target for target in missed if target not in PROFILE)}."
        yield ""


def text(results):
    yield ("Ten tunnels of nodes and otherwise tun links without a process, on this host's own kernel, which has no PPP; a "
           "stand-in for pppd holds the tunnels. Each subject has a network namespace of its own with the same links, and "
           "they take turns within each run. Each of these links has an address.")
    yield ""
    yield from left_out(results)
    rows = list(targets(results))
    yield from table(("target", "measured", "limit", "met"), rows)
    yield from reasons([target for target, *_, met in rows if met == MISSED])
    yield "A node's link goes up, until the subject tells of it:"
    yield ""
    yield from table(("subject", *two_of_each("p50", "p99")), events(results))
    yield "1,000 links, ten of them flipped up and down in turn:"
    yield ""
    yield from table(("subject", "flips a second held", "CPU per event, each by itself", "at 4,000 a second", "at the rate held",
                      "of a foreign link"), storms(results))
    yield from table(("subject", *two_of_each("RSS, PSS", "CPU to know them")), sizes(results))
    yield resyncs(results)
    yield ""
    yield status(results)
    yield ""
    yield "Truth after a loss, with 1,000 links: what is wrong in the end, and how long it was:"
    yield ""
    yield from table(("subject", "lost messages", "ghosts", "missing", "all true again", "after"), truths(results))
    yield "A minute with everything up, all of them side by side:"
    yield ""
    yield from table(("subject", "wake-ups", "CPU, ms"), idles(results))
    yield from METHOD
    yield ""
    versions = zip(results.of("version", "who"), results.of("version", "version"))
    yield f"Versions: {'; '.join(f'{who}: {version}' for who, version in versions)}."


# What the daemon was doing where a target is missed, by target; the build of which it was seen.
PROFILED = "95e8625"
PROFILE = {
    cpu_target("at the fastest rate each holds", MONITOR):
        "two thirds are the kernel putting the loop to sleep and waking it for each message: tokio registers sockets "
        "edge-triggered, so each arrival ends a wait, also while the daemon leaves messages unread for a millisecond; "
        "`ip monitor` sleeps in `recvmsg`, which is one cheaper switch. Reading is a seventh, decoding and the state "
        "machine a tenth.",
    cpu_target("each by itself", MONITOR):
        "an event ends three waits (its arrival, a look at the socket before the loop rests, and a timer that wakes the "
        "loop as it is set) and writes up to two lines to the log; a fifth is those switches, a tenth the log, and not "
        "quite half is the daemon's own code on a cold cache: decoding, the state machine, the words of the lines.",
    cpu_target("at 4,000 a second", MONITOR):
        "for 2,000 flips it makes some 400 waits, 4,400 reads, 1,000 lines of the log, and 900 requests, which remove the "
        "kernel's route to the peer of each tunnel that is up again. A quarter is waiting and reading, a tenth the "
        "requests, a fifth the log and waking the thread that writes it; not quite half is the daemon's own code and "
        "memory, spread thin (seen with commit a5b9468).",
}
METHOD = (
    "How it is measured. *Event to state*: the link was down for 5 ms; the time runs from right before the system call "
    "that sets it up to the moment at which the bench has read the subject's line about it (connexad's `✅` line, which "
    "the loop writes after its core has taken the change in, so that a status query from then on shows it; networkd's "
    "`Gained carrier`; debug lines of zebra and NetworkManager, which are off in all other measures). CPU of an event each "
    "by itself comes from this, and includes these lines; zebra and NetworkManager, whose debug lines are many, are left "
    "out of that target. The bare loop, in C, tells when its `recv` returned, and so is spared the way to the bench. The "
    "half-minute poll is reckoned from its period and the time of a look. *Flips held*: for 1.3 s, by one thread; nothing "
    "was dropped by the kernel (Drops in `/proc/net/netlink`), and all was read half as long after the end; rates are tried "
    "downwards from as fast as the thread can. CPU is the scheduler's own figure of each thread (`schedstat`); at the "
    "fastest rate held it is of another rate for each, and so all have it at 4,000 flips a second too, half a second long. "
    "*Foreign*: a veth changes, which connexad's socket filter drops in the kernel, on the account of "
    "whoever made the change. *Truth*: the subject is stopped (SIGSTOP), 50 links come, ten flip until its receive buffer has "
    "overrun, 350 links go in one batch, 50 others come, and it goes on; its table (connexad's as its recording tells, "
    "state files of networkd, `vtysh` and `nmcli`, or the lines printed so far) is compared with `ip -j link` until "
    "nothing differs or all has rested for a second. networkd's receive buffer of 128 MiB, which this storm does not fill, "
    "is made as large as connexad's for it. *Full resync*: the daemon's buffer is made tiny while it is stopped, so that "
    "the change is lost and nothing else waits to be read.",
    "",
    "The others are Debian's packages, unpacked and not installed, each in a mount namespace with its own D-Bus and "
    "without udev; networkd has no `.network` file, NetworkManager is told to manage no device, and zebra has an empty "
    "configuration: what they cost here is what listening alone costs them. A daemon that manages links does more.",
)


print("\n".join(text(Results(sys.argv[1]))))
