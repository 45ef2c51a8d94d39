#!/usr/bin/python3
"""The results of sections/one-server as Markdown.

one_server_report.py FILE: a JSON object a line.
"""
import json
import statistics
import sys

SHARE = 0.6

with open(sys.argv[1], encoding="utf-8") as file:
    rows = [row for row in map(json.loads, file) if row["measure"] == "one_server"]
nodes = rows[0]["nodes"]
times = {n: [row["to_all_up_ms"] / 1000 for row in rows if row["at_once"] == n] for n in (1, 4)}
failed = {n: sum(row["failed"] for row in rows if row["at_once"] == n) for n in (1, 4)}
share = statistics.median(times[4]) / statistics.median(times[1])

print(f"{nodes} nodes of one pptpd with MS-CHAPv2 and MPPE, in the emulated lab, where every step takes about ten times "
      "as long: the figures compare with each other only. From the daemon's start to all up.")
print()
print("| target | measured | limit | met |")
print("| --- | --- | --- | --- |")
print(f"| four dials at once, as a share of one by one | {share:.2f} | at most {SHARE} | "
      f"{'yes' if share <= SHARE else '**missed**'} |")
print(f"| nodes whose dial failed | {sum(failed.values())} | none | {'yes' if not sum(failed.values()) else '**missed**'} |")
print()
print("| `tunnel.dial_concurrency_per_server` | median | least … most | runs |")
print("| --- | --- | --- | --- |")
for n, taken in times.items():
    print(f"| {n} | {statistics.median(taken):.1f} s | {min(taken):.1f} s … {max(taken):.1f} s | {len(taken)} |")
