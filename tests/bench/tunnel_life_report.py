#!/usr/bin/python3
"""The results of sections/tunnel-life as Markdown: targets first, then every measure.

tunnel_life_report.py FILE: a JSON object a line.
"""
import json
import statistics
import sys

MORE_THAN_BARE_MS, REDIAL_MS, NODE_KB, ADOPT_MS = 20, 10, 6, 1000


class Results:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.rows = [json.loads(line) for line in file]

    def of(self, measure, key, **where):
        """All figures of this kind, in order."""
        wanted = {"measure": measure} | where
        return [row[key] for row in self.rows if key in row and wanted.items() <= row.items()]

    def median(self, *what, **where):
        return statistics.median(self.of(*what, **where) or [float("nan")])

    def kb_a_node(self, measure):
        """From one node to the most there were."""
        most = max(self.of(measure, "nodes"), default=0)
        grown = self.median(measure, "pss_kb", nodes=most) - self.median(measure, "pss_kb", nodes=1)
        return most, grown / max(most - 1, 1)


def difference(ones, others):
    """How far apart two medians are, and how far that may be from the truth: two standard errors of a median,
    with the spread taken from the middle half of the figures."""
    if min(len(ones), len(others)) < 2:
        return float("nan"), float("nan")
    squares = 0
    for figures in (ones, others):
        low, _, high = statistics.quantiles(figures, method="inclusive")
        squares += (1.25 * (high - low) / 1.35) ** 2 / len(figures)
    return statistics.median(ones) - statistics.median(others), 2 * squares ** 0.5


def time_text(value):
    if value != value:
        return "not measured"
    return f"{value / 1000:.2f} s" if abs(value) >= 1000 else f"{value:.1f} ms"


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def targets(results):
    more, stray = difference(*(results.of("row_to_up", "to_up_ms", who=who) for who in ("connexad", "bare pppd")))
    begun = [results.median("row_to_up", "to_pppd_ms", who=who) for who in ("connexad", "bare pppd")]
    lab, alone = (results.median(measure, "to_redial_ms", **who)
                  for measure, who in (("redial", {"who": "connexad"}), ("alone_redial", {})))
    native = results.median("alone_row", "to_pppd_ms") - results.median("alone_hand", "to_pppd_ms")

    def row(what, value, text, limit, limit_text, stray=0):
        verdict = "yes" if value <= limit else "**missed**"
        if value != value:
            verdict = "not measured"
        elif abs(value - limit) < stray:
            verdict = "too close to tell here"
        return what, text, limit_text, verdict

    limit = f"at most {MORE_THAN_BARE_MS} ms"
    yield row("row to tunnel up, more than a bare pppd; lab", more,
              f"{time_text(more)} ± {time_text(stray)}", MORE_THAN_BARE_MS, limit, stray)
    yield row("row to the start of pppd, more than by hand; lab", begun[0] - begun[1],
              time_text(begun[0] - begun[1]), MORE_THAN_BARE_MS, limit)
    yield row("the same; daemon alone", native, time_text(native), MORE_THAN_BARE_MS, limit)
    limit = f"under {REDIAL_MS} ms"
    yield row("link death to redial, less the back-off; lab", lab, time_text(lab), REDIAL_MS, limit)
    yield row("the same; daemon alone", alone, time_text(alone), REDIAL_MS, limit)
    nodes, adopted = max(results.of("alone_adopt", "nodes"), default=0), results.median("alone_adopt", "ms")
    yield row(f"{nodes} running tunnels adopted after kill -9; daemon alone", adopted, time_text(adopted), ADOPT_MS,
              f"under {ADOPT_MS} ms")
    for measure, where in (("memory", "lab"), ("alone_memory", "daemon alone")):
        nodes, kb = results.kb_a_node(measure)
        line = row(f"memory a node, up to {nodes} nodes; {where}", kb, f"{kb:.1f} kB", NODE_KB, f"under {NODE_KB} kB")
        # What was read at the start, such as the program's own pages, is given back under pressure.
        yield (*line[:3], "can't tell: other memory was given back") if kb < 0 else line


def measures(results):
    def row(what, measure, key, **where):
        figures = results.of(measure, key, **where)
        if not figures:
            return what, "not measured", "", "0"
        return (what, time_text(statistics.median(figures)), f"{time_text(min(figures))} … {time_text(max(figures))}",
                str(len(figures)))

    yield row("lab: row committed to tunnel up, connexad", "row_to_up", "to_up_ms", who="connexad")
    yield row("lab: `pppd call` to tunnel up, by hand", "row_to_up", "to_up_ms", who="bare pppd")
    yield row("lab: row committed to pppd's start, connexad", "row_to_up", "to_pppd_ms", who="connexad")
    yield row("lab: command to pppd's start, by hand", "row_to_up", "to_pppd_ms", who="bare pppd")
    yield row("lab: link death to redial, connexad, less 100 ms of back-off", "redial", "to_redial_ms", who="connexad")
    yield row("lab: of that, until the dead pppd has ended (kernel)", "redial", "to_exit_ms", who="connexad")
    yield row("lab: of that, from there to the next pppd (daemon)", "redial", "daemon_ms", who="connexad")
    yield row("lab: link death to redial, pppd `persist`, `holdoff 1`", "redial", "to_redial_ms", who="persist")
    yield row("lab: link death to redial, v7.4.6's poll every 30 s", "redial", "to_redial_ms", who="poll")
    yield row("lab: 50 nodes on 10 servers, start to all up, connexad", "fleet", "to_all_up_ms", who="connexad")
    yield row("lab: the daemon's computing meanwhile", "fleet", "cpu_ms", who="connexad")
    yield row("lab: the same nodes by `pppd call … updetach`, one after the other", "fleet", "to_all_up_ms", who="loop")
    yield row("alone: row committed to pppd's start", "alone_row", "to_pppd_ms")
    yield row("alone: starting a program, for comparison", "alone_hand", "to_pppd_ms")
    yield row("alone: link death to redial, less 100 ms of back-off", "alone_redial", "to_redial_ms")
    yield row("alone: of that, until the dead process has ended (kernel)", "alone_redial", "to_exit_ms")
    yield row("alone: of that, from there to the next pppd (daemon)", "alone_redial", "daemon_ms")
    for nodes in results.of("alone_grow", "nodes"):
        more = f"alone: {nodes} more {'node' if nodes == 1 else 'nodes'}, rows committed to all up"
        yield row(more, "alone_grow", "to_all_up_ms", nodes=nodes)
        yield row("alone: the daemon's computing meanwhile", "alone_grow", "cpu_ms", nodes=nodes)
    for nodes in sorted(set(results.of("alone_adopt", "nodes"))):
        yield row(f"alone: start to {nodes} running tunnels adopted", "alone_adopt", "ms", nodes=nodes)


def memory(results):
    for measure, where in (("memory", "lab"), ("alone_memory", "alone")):
        for nodes in sorted(set(results.of(measure, "nodes"))):
            figures = results.of(measure, "pss_kb", nodes=nodes)
            yield where, str(nodes), f"{statistics.median(figures):.0f} kB", str(len(figures))


def why(results):
    ended, daemon = (results.median("alone_redial", key) for key in ("to_exit_ms", "daemon_ms"))
    if ended == ended:
        yield (f"A redial waits until the dead pppd has ended, for a node never has two: {time_text(ended)} of it, which "
               f"the kernel needs to tear down its link; the daemon then takes {time_text(daemon)}. Before a new row is "
               "dialled its two files are on disk (fsync). By heaptrack, half of a node's memory is what follows its call: what hears it, and the runtime's "
               "registrations of its end, its output and its log.")
        yield ""


def text(results):
    machine = next((row for row in results.rows if row["measure"] == "machine"), {})
    virtual = {"qemu": "fully emulated by QEMU", "kvm": "a KVM guest"}.get(machine.get("where"), machine.get("where"))
    yield (f"**Lab**: real pppd, pptp and pptpd with MS-CHAPv2 and MPPE on Linux {machine.get('kernel')}, "
           f"{machine.get('cpus')} CPUs, {virtual}. **Alone**: the daemon on the host's own kernel, with a stand-in "
           "for pppd that has its link up at once and needs no memory.")
    if machine.get("where") == "qemu":
        yield ""
        yield "Emulated, every step takes about ten times as long: figures of the lab compare with each other only."
    if any(row["measure"] == "incomplete" for row in results.rows):
        yield ""
        yield "**Incomplete**: a part of this failed or ran out of time."
    yield ""
    yield from table(("target", "measured", "limit", "met"), targets(results))
    yield from why(results)
    yield from table(("measure", "median", "least … most", "runs"), measures(results))
    yield from table(("PSS of the daemon", "nodes up", "median", "runs"), memory(results))
    yield ("A link is up when it is IFF_UP and IFF_LOWER_UP and has its address and its peer's. A row's time begins "
           "right before its commit. Links are killed with their pppd (SIGKILL); with `persist`, which that would "
           "end, with its pptp, and the redial is the next pptp. v7.4.6 is a model: a look at `ip link` every 30 s, "
           "then `pppd call` for each that is missing, with deaths spread evenly over one round. Starts and ends of "
           "processes bear the kernel's own time.")


print("\n".join(text(Results(sys.argv[1]))))
