"""Figures of a process, and how a result is told: a line of JSON."""
import json
import os
import re
import time


def tell(measure, **values):
    print(json.dumps({"measure": measure} | values), flush=True)


def ms(nanoseconds):
    return round(nanoseconds / 1e6, 2)


def cpu_ms(pid, with_children=False):
    """Time that the process itself has computed, of user and kernel; in steps of a clock tick."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    ticks = sum(map(int, fields[11:15] if with_children else fields[11:13]))
    return ticks * 1000 // os.sysconf("SC_CLK_TCK")


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


def cpu_ns(pid):
    """Time that it has computed, threads that ended included: its CPU clock (clock_getcpuclockid(3))."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def wake_ups(pid):
    """How often its threads went to sleep of themselves: each time something woke them before."""
    return sum(int(fields[fields.index("voluntary_ctxt_switches:") + 1]) for fields in threads(pid, "status"))


def threads(pid, name):
    """The words of this file of each thread."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/{name}", encoding="utf-8") as file:
                yield file.read().split()
        except FileNotFoundError:
            pass  # it has ended


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M)[1])


def of_the_unit():
    """The environment that the daemon's unit gives it, and where programs are."""
    unit = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../systemd/connexad.service")
    with open(unit, encoding="utf-8") as lines:
        settings = [line.strip().removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    plain = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG")}
    return plain | dict(setting.split("=", 1) for setting in settings)
