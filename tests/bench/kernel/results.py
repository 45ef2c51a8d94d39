"""The results of a run of measure.py, and how figures and tables are written."""
import collections
import json
import math
import statistics


class Results:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.rows = [json.loads(line) for line in file]

    def of(self, measure, key, **where):
        """All figures of this kind, in order; those that are lists as one."""
        wanted = {"measure": measure} | where
        found = [row[key] for row in self.rows if row.get(key) is not None and wanted.items() <= row.items()]
        return [figure for part in found for figure in part] if found and isinstance(found[0], list) else found

    def runs(self, measure, key, percent, **where):
        """This percentile of each run."""
        wanted = {"measure": measure} | where
        return [percentile(row[key], percent) for row in self.rows if wanted.items() <= row.items()]

    def runs_of(self, measure, links):
        """How many there were of each subject; what has none is connexad's alone."""
        return collections.Counter(row.get("who", "connexad") for row in self.rows
                                   if row["measure"] == measure and row["links"] == links)

    def whos(self, measure, **where):
        return list(dict.fromkeys(self.of(measure, "who", **where)))

    def median(self, *what, **where):
        return statistics.median(self.of(*what, **where) or [math.nan])


def percentile(figures, percent):
    """The nearest rank: a figure that was measured."""
    return sorted(figures)[max(0, math.ceil(len(figures) * percent / 100) - 1)] if figures else math.nan


def spread(figures, write):
    """The median, with the least and the most."""
    if not figures:
        return "–"
    if len(figures) == 1:
        return write(figures[0])
    return f"{write(statistics.median(figures))} [{write(min(figures))} … {write(max(figures))}]"


def us(value):
    """Microseconds, with three figures."""
    if value != value:
        return "not measured"
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} µs"


def count(value):
    return f"{value:,.0f}"


def mib(kb):
    return f"{kb / 1024:.1f} MiB"


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""
