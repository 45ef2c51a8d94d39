#!/usr/bin/python3
"""The results of sections/engines as Markdown.

engines_report.py FILE: a JSON object a line.
"""
import json
import statistics
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]


def of(measure, key, engine, **more):
    """The values of an engine."""
    wanted = {"measure": measure, "engine": engine} | more
    return [row[key] for row in rows if wanted.items() <= row.items()]


def share(measure, key, paced=False, **more):
    """The kernel engine's median as a share of pppd's, with a pace or without."""
    ours, theirs = (statistics.median(of(measure, key, engine, **more | where))
                    for engine, where in (("kernel", {"server": "paced"} if paced else {}), ("pppd", {})))
    return ours / theirs if theirs else 0.0


def shown(values, unit, digits):
    middle = f"{statistics.median(values):.{digits}f} {unit}".strip()
    return middle if len(values) < 2 else f"{middle} [{min(values):.{digits}f} … {max(values):.{digits}f}]"


def target(what, measured, limit, met):
    print(f"| {what} | {measured} | {limit} | {'yes' if met else '**missed**'} |")


nodes = of("many", "nodes", "kernel")[0]
print("MS-CHAPv2 and MPPE of 128 bit, in the emulated lab, where every step takes about ten times as long: figures of the "
      "two engines compare with each other only. pptpd carries packets in user space; the *kernel's server* is the "
      "server's side of the unit tests, whose packets go through the kernel as ours do. There both ends share the "
      f"machine's processors. {nodes} tunnels at once go to eight pptpds in another machine: what is measured of them is "
      "this end's alone.")
print()
print("| target | measured | limit | met |")
print("| --- | --- | --- | --- |")
times = share("one", "to_up_ms")
target("row to tunnel up, as a share of pppd's", f"{times:.2f}", "at most 0.5", times <= 0.5)
processes, in_kernel = (of("memory", key, "kernel")[0] for key in ("processes_kb", "kernel_kb"))
target(f"memory a tunnel, {nodes} tunnels: processes and kernel", f"{processes:.1f} kB and {in_kernel:.1f} kB",
       "at most 100 kB in all", processes + in_kernel <= 100)
user = statistics.median(of("carry", "user_ms_mib", "kernel", server="pptpd"))
target("computed in user space a MiB", f"{user:.1f} ms", "none", user == 0)
for way in ("up", "down"):
    rate = share("carry", "mib_s", server="pptpd", way=way)
    target(f"throughput to pptpd, {way}, as a share of pppd's", f"{rate:.2f}", "at least 0.75", rate >= 0.75)
    rate = share("carry", "mib_s", server="pptpd", way=way, paced=True)
    target("the same with a pace", f"{rate:.2f}", "at least 0.75", rate >= 0.75)
for way in ("up", "down"):
    rate = share("carry", "mib_s", server="kernel", way=way)
    target(f"throughput to a kernel's server, {way}, as a share of pppd's", f"{rate:.2f}", "at least 2", rate >= 2)
failed = sum(of("many", "failed", "kernel"))
target("nodes whose dial failed", failed, "none", failed == 0)
print()
print("The kernel sends as fast as data comes, and pptpd reads by a program: *packets lost* are those that its socket had no "
      "room for (`/proc/net/raw`). pptpd holds back for a while what comes after a packet that is lost. With a pace, which `tc` "
      "gives the link by a hook ([operations.md](operations.md#the-kernel-engine)) at a rate found by trying "
      "(`tests/bench/lab/engines_with.sh`), fewer are lost. pppd's pace is that of pptp, a program like pptpd.")
print()
print("| measure | pppd and pptp | kernel engine |")
print("| --- | --- | --- |")
lines = [
    ("row committed to tunnel up", ("one", "to_up_ms"), {}, "ms", 0),
    (f"{nodes} rows committed to all up", ("many", "to_all_up_ms"), {}, "ms", 0),
    ("computed for that, this end's kernel and all", ("many", "computed_ms"), {}, "ms", 0),
    ("nodes whose dial failed meanwhile", ("many", "failed"), {}, "", 0),
    ("processes' memory a tunnel", ("memory", "processes_kb"), {}, "kB", 1),
    ("kernel's memory a tunnel", ("memory", "kernel_kb"), {}, "kB", 1),
    (f"processes, {nodes} tunnels", ("memory", "processes"), {}, "", 0),
    *((f"{what}, {name}, {way}", ("carry", key), {"server": server, "way": way}, unit, digits)
      for server, name in (("pptpd", "pptpd"), ("paced", "pptpd with a pace"), ("kernel", "kernel's server"))
      for what, key, unit, digits in (
          ("throughput", "mib_s", "MiB/s", 2),
          ("computed in user space a MiB", "user_ms_mib", "ms", 0),
          ("computed a MiB by kernel and server and all", "all_ms_mib", "ms", 0))
      for way in ("up", "down")),
    *((f"packets lost a MiB, {name}, {way}", ("carry", "lost_mib"), {"server": server, "way": way}, "", 1)
      for server, name in (("pptpd", "pptpd"), ("paced", "pptpd with a pace")) for way in ("up", "down")),
    (f"wake-ups of the processes in an idle minute, {nodes} tunnels", ("idle", "wake_ups"), {}, "", 0),
    (f"{nodes} rows gone to all links gone", ("hang_up", "all_gone_ms"), {}, "ms", 0),
    ("computed for that, this end's kernel and all", ("hang_up", "computed_ms"), {}, "ms", 0),
]
for what, (measure, key), more, unit, digits in lines:
    values = [of(measure, key, engine, **more) for engine in ("pppd", "kernel")]
    cells = [shown(cell, unit, digits) if cell else "—" for cell in values]
    print(f"| {what} | {' | '.join(cells)} |")
print()


def largest(sizes):
    """The largest parts, each with its kB."""
    parts = sorted(sizes.items(), key=lambda part: -part[1])
    return ", ".join(f"{name} {kb:.1f}" for name, kb in parts[:8] if kb >= 0.5)


for engine, name in (("kernel", "kernel engine"), ("pppd", "pppd and pptp")):
    kernels, slabs = (of("memory", key, engine)[0] for key in ("kernels", "slabs"))
    print(f"The kernel's memory a tunnel, {name}, in kB: {largest(kernels)}; of the slabs: {largest(slabs)}.")
    print()
print("*Processes' memory*: the Pss of `/proc/PID/smaps_rollup`, in which a page that several share counts once, of the daemon, "
      "what keeps its tunnels, pppd and pptp, less what it was with no node. *The kernel's*: Slab, KernelStack, PageTables "
      "and Percpu of `/proc/meminfo`, once its caches were dropped, less the same. *Wake-ups*: voluntary context switches of "
      "all their threads; LCP echoes go every ten seconds.")
