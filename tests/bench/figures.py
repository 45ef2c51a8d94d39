"""Figures of a process, and how a result is told: a line of JSON."""
import json
import os
import re
import time


def tell(measure, **values):
    print(json.dumps({"measure": measure} | values), flush=True)


def ms(nanoseconds):
    return round(nanoseconds / 1e6, 2)


def cpu_ms(pid):
    """Time that the process itself has computed, of user and kernel; in steps of a clock tick."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def pss_kb(pid):
    """Its memory, of what it shares its part: smaps_rollup, proc(5)."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M)[1])


def rounds(most, seconds):
    """So many, and fewer where time is short: no round begins after so many seconds but the first three."""
    end = time.monotonic() + seconds
    for number in range(most):
        if number >= 3 and time.monotonic() > end:
            return
        yield number
