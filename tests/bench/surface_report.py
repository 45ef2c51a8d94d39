#!/usr/bin/python3
"""The results of sections/surface as Markdown.

surface_report.py FILE: a JSON object a line.
"""
import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/kernel")

from results import Results, count, percentile, spread, table, us

ANSWER_MS, TIMES = 50, 2


def text(results):
    bad = results.of("query", "us", who="beside bad clients")
    failed = sum(results.of("query", "failed", who="beside bad clients"))
    alone, followed = results.of("event", "us", followers=0), results.of("event", "us", followers=100)
    answer, limit = percentile(bad, 99), TIMES * percentile(alone, 99)
    yield "A thousand nodes whose tunnels are up, in one daemon:"
    yield ""
    yield from table(("target", "measured", "limit", "met"), (
        (f"`GET /v1/status` beside 1,000 bad clients, the 99th percentile of {count(len(bad))}; without an answer: "
         f"{count(failed)}", us(answer), f"under {ANSWER_MS} ms, and all are answered",
         "yes" if answer < ANSWER_MS * 1000 and not failed else "**missed**"),
        (f"link up to shown by a query in a storm of 4,000 link events a second, beside 100 followers, the 99th percentile of "
         f"{count(len(followed))}", us(percentile(followed, 99)), f"under {us(limit)} = {TIMES} × without followers",
         "yes" if percentile(followed, 99) < limit else "**missed**")))
    yield from table(("measure", "alone", "beside them"), (
        ("`GET /v1/status`", spread(results.of("query", "us", who="alone"), us), spread(bad, us)),
        ("link up to shown, in the storm", spread(alone, us), spread(followed, us))))
    program, daemon = (us(results.median("top", who) * 1000) for who in ("program_ms", "daemon_ms"))
    yield f"`connexactl top` on a terminal of 80x24, with its rates: {program} of computing a second, and {daemon} of the daemon."
    yield ""
    yield ("*Bad clients*: as many of each that say nothing, half a request, bytes that are no HTTP, a header of 200 kB, "
           "and that read no answer; whoever is hung up on comes again at once. *Followers*: of `GET /v1/events`, ten of "
           f"which read nothing until the end: each of these was told then how many it had lost, at least "
           f"{count(min(results.of('event', 'lost', followers=100)))} in all; of the others one was told so "
           f"{count(max(results.of('event', 'lagged_of_readers', followers=100)))} times at most in a run. The storm, its followers and the daemon share the machine's processors.")


print("\n".join(text(Results(sys.argv[1]))))
