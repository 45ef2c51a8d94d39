#!/usr/bin/python3
"""The results of sections/desired-nodes as Markdown.

desired_nodes_report.py FILE: a JSON object a line.
"""
import os
import statistics
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/kernel")

from results import Results, count, percentile, spread, table, us

# The wait for a burst's end, and how many times a full read and that wait a changed row may take.
BURST_MS, TIMES, SLOWEST, READ_MS = 2, 1.3, 2, 100
ROW_KB = 2
MODES = {"delete": "rollback journal", "wal": "write-ahead log"}


def in_us(figures):
    return [figure * 1000 for figure in figures]


def targets(results, rows):
    least = min(results.of("start", "rows"))
    for mode, name in MODES.items():
        told, read = (results.of(*what, mode=mode, rows=rows) for what in (("change", "told_ms"), ("read", "ms")))
        right = results.of("change", "right", mode=mode, rows=rows)
        change = TIMES * (statistics.median(read) + BURST_MS)
        reckoned = f"{TIMES} × (the median full read + {BURST_MS} ms)"
        for what, taken, times, limit, why in (
                ("a changed row is acted on, the median", statistics.median(told), told, change, f" = {reckoned}"),
                ("a changed row is acted on, the slowest", max(told), told, SLOWEST * change, f" = {SLOWEST} × that"),
                ("a full read, the slowest", max(read), read, READ_MS, "")):
            yield (f"{what} of {len(times)}; {name}", us(taken * 1000), f"under {us(limit * 1000)}{why}",
                   "yes" if taken < limit else "**missed**")
        per_row = (results.median("memory", "pss_kb", mode=mode, rows=rows)
                   - results.median("memory", "pss_kb", mode=mode, rows=least)) / (rows - least)
        yield (f"memory a row, after {len(told)} changes; {name}", f"{per_row:.1f} kB", f"at most {ROW_KB} kB",
               "yes" if per_row <= ROW_KB else "**missed**")
        yield (f"changes that touched their node's file and no other; {name}", f"{sum(right)} of {len(right)}",
               "all", "yes" if all(right) and right else "**missed**")


def measures(results):
    for mode, name in MODES.items():
        for rows in sorted(set(results.of("start", "rows"))):
            where = {"mode": mode, "rows": rows}
            told = in_us(results.of("change", "told_ms", **where))
            yield (name, count(rows), spread(told, us), us(percentile(told, 99)),
                   spread(in_us(results.of("read", "ms", **where)), us),
                   spread(in_us(results.of("change", "cpu_ms", **where)), us),
                   us(results.median("start", "ms", **where) * 1000),
                   f"{results.median('memory', 'pss_kb', **where) / 1024:.1f} MiB")


def text(results):
    rows = max(results.of("start", "rows"))
    yield f"With {count(rows)} rows that can all be dialled, of which one changes:"
    yield ""
    yield from table(("target", "measured", "limit", "met"), targets(results, rows))
    yield from table(("journal", "rows", "commit to acted on", "p99", "full read", "computed for a change", "start to read",
                      "PSS"), measures(results))
    yield ("*Commit to acted on*: from right before the commit of one row's new address, which can't be dialled, to the "
           "line of the log about it, which the loop writes as its core takes the change in; 2 ms of it are the wait for "
           "the end of a burst. *Full read*: by the daemon's own clock (`Database read in …`, level debug): open, "
           "columns, all rows, close. *Computed for a change*: all of its threads, until 0.7 s after; with a write-ahead "
           "log two more looks are in it. *Start to read*: from the start of the process. All files lie in memory "
           "(tmpfs). No pppd is there, so that every node waits.")


print("\n".join(text(Results(sys.argv[1]))))
