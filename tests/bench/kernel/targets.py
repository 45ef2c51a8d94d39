"""The targets of kernel-truth: what was measured against what is allowed."""
import math

from results import mib, percentile, us

US, SIZES, MOST = "connexad", (10, 1000, 10_000), 10_000
MONITOR, MISSED = "`ip monitor`", "**missed**"
RIVALS = ("systemd-networkd", "FRR's zebra", "NetworkManager")
HELD = ("steady", "storm")
MORE_THAN_BARE_US, MEMORY_MIB, RESYNC_MS = 1000, 32, 100


def verdict(met, known=True):
    return "yes" if met and known else MISSED if known else "not measured"


def targets(results):
    for links in SIZES:
        yield event_to_state(results, links)
    # The other two write debug lines of each event there.
    yield from cpu(results, "each by itself", "event", RIVALS[:1])
    yield from cpu(results, "at 4,000 a second", "steady", RIVALS)
    yield from cpu(results, "at the fastest rate each holds", "storm", RIVALS)
    yield from cpu(results, "of a foreign link", "foreign", RIVALS)
    sizes = results.of("size", "rss_kb", who=US, links=MOST)
    memory = max(sizes, default=math.nan)
    yield f"resident with {MOST:,} links, the most of {len(sizes)}", mib(memory), f"at most {MEMORY_MIB} MiB", verdict(
        memory <= MEMORY_MIB * 1024, memory == memory)
    times = results.of("resync", "ms", links=MOST)
    worst = max(times, default=math.nan)
    yield f"full resync of {MOST:,} links, the longest of {len(times)}", us(worst * 1000), f"under {RESYNC_MS} ms", verdict(
        worst < RESYNC_MS, bool(times))
    yield from growth(results)
    woken = results.of("idle", "wake_ups", who=US)
    yield "wake-ups in an idle minute", str(sum(woken)) if woken else "not measured", "none", verdict(sum(woken) == 0, bool(woken))
    ghosts = [end["ghosts"] + end["missing"] for end in results.of("truth", "at_last", who=US)]
    lost = all(results.of("truth", "lost", who=US))
    yield (f"ghosts and missing links after {len(ghosts)} losses", str(sum(ghosts)) if ghosts else "not measured", "none",
           verdict(sum(ghosts) == 0, bool(ghosts) and lost))


def event_to_state(results, links):
    own, bare = (percentile(results.of("event", "us", who=who, links=links), 99) for who in (US, "bare loop"))
    limit = 2 * bare + MORE_THAN_BARE_US
    return (f"event to state, p99, {links:,} links", us(own), f"at most {us(limit)} (bare loop: {us(bare)})",
            verdict(own <= limit, own == own and bare == bare))


def cpu_target(what, against):
    return f"CPU time per event, {what}, against {against}"


def cpu(results, what, measure, rivals, links=1000):
    def of(who):
        return results.median(measure, "cpu_us", who=who, links=links)

    own, monitor = of(US), of(MONITOR)
    yield (cpu_target(what, MONITOR), us(own), f"at most {us(1.5 * monitor)} (1.5 × {us(monitor)})",
           verdict(own <= 1.5 * monitor, own == own and monitor == monitor))
    others = [of(who) for who in rivals]
    # One that does not hold the flips has no figure, and no advantage.
    least = min((value for value in others if value == value), default=math.nan)
    against, least_of = ("the three daemons", ", the least of theirs") if len(rivals) > 1 else (rivals[0], "")
    yield (cpu_target(what, against), us(own), f"under {us(least)}{least_of}",
           verdict(own < least, own == own and (least == least if measure in HELD else all(value == value for value in others))))


def growth(results):
    """Whether a link costs as much from 1,000 to 10,000 links as from 10 to 1,000, or less; within half as much again."""
    for what, measure, key, scale, where in (("memory", "size", "rss_kb", 1, {"who": US}), ("resync", "resync", "ms", 1000, {})):
        few, middle, many = (results.median(measure, key, links=links, **where) for links in SIZES)
        first, second = (middle - few) / 990 * scale, (many - middle) / 9000 * scale
        write = (lambda value: f"{value:.2f} kB") if key == "rss_kb" else us
        yield (f"{what} for each more link, from 10 to 1,000 and from there to 10,000", f"{write(first)}, {write(second)}",
               "a straight line: the second not above 1.5 × the first", verdict(second <= 1.5 * first, first == first and second == second))
