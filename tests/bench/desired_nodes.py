#!/usr/bin/python3
"""Tables of many rows, of which one changes: when connexad has acted on it, and what it has touched.

desired_nodes.py CONNEXAD FOLDER: files lie in FOLDER, which is best in memory, so that no disk is measured. No
pppd is there, so that all nodes wait and nothing else happens.
"""
import os
import re
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/kernel")

from figures import cpu_ns, ms, of_the_unit, pss_kb, tell
from output import Output

SIZES, MODES, ROUNDS, SECONDS = (10, 1000, 10_000), ("delete", "wal"), 20, 60
# Longer than the second look at a database in WAL mode, shorter than the third.
REST_S = 0.7
READ = re.compile(r"Database read in ([0-9.]+)(µs|ms|s)\b")
UNITS_MS = {"µs": 1e-3, "ms": 1, "s": 1e3}


class Table:
    """Its rows can all be dialled."""

    def __init__(self, path, mode, rows):
        for suffix in ("", "-wal", "-shm", "-journal"):
            if os.path.exists(path + suffix):
                os.unlink(path + suffix)
        self.database = sqlite3.connect(path, isolation_level=None, timeout=30)
        self.database.execute(f"PRAGMA journal_mode = {mode}")
        self.database.execute(
            "CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, status TEXT)")
        self.database.execute("BEGIN")
        self.database.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?)", (
            (n, self.server(n), f"user{n}", f"secret{n}", "speed_ok") for n in range(1, rows + 1)))
        self.database.execute("COMMIT")

    @staticmethod
    def server(node):
        return f"10.{node >> 16}.{node >> 8 & 255}.{node & 255}"

    def move(self, node, ip):
        """Returns the time right before the commit."""
        self.database.execute("BEGIN IMMEDIATE")
        self.database.execute("UPDATE nodes SET ip = ? WHERE id = ?", (ip, node))
        at = time.monotonic_ns()
        self.database.execute("COMMIT")
        return at


class Daemon:
    def __init__(self, connexad, folder, database):
        for name in ("ppp/peers", "run", "control"):
            os.makedirs(f"{folder}/{name}", exist_ok=True)
        self.folder = folder
        config = f"{folder}/connexad.toml"
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""
database.path = "{database}"
log.level = "debug"
outage.interval = "1h"
selection.absence_grace = "0s"
control.socket = "{folder}/control/connexad.sock"
[paths]
ppp_dir = "{folder}/ppp"
run_dir = "{folder}/run"
pppd = "{folder}/no-pppd"
pptp = "/bin/true"
""")
        os.makedirs(f"{folder}/log", exist_ok=True)
        self.output = Output(f"{folder}/log/connexad")
        self.output.listen(True)
        self.process = subprocess.Popen([connexad, "--config", config], env=of_the_unit(), stdin=subprocess.DEVNULL,
                                        stdout=self.output.file, stderr=self.output.file)

    def wait(self, text):
        at = self.output.wait(re.compile(text.encode()), SECONDS)
        if at is None:
            raise SystemExit(f"connexad does not say: {text}")
        return at

    def files(self):
        """Every file of pppd's, by what changes when it is written anew."""
        peers = f"{self.folder}/ppp/peers"
        return {(entry.name, entry.inode()) for entry in os.scandir(peers)}

    def settled(self):
        """Waits until the files are as wanted; returns them."""
        before = None
        while before != (before := self.files()):
            time.sleep(REST_S)
        return before

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.output.close()


def read_times(lines):
    """Of whole reads, in milliseconds."""
    return [float(found[1]) * UNITS_MS[found[2]] for line in lines if (found := READ.search(line))]


def changes(daemon, table, rows, mode):
    """One row at a time, spread over the table, to an address that can't be dialled and back."""
    for number in range(ROUNDS):
        node = 1 + number * (rows - 1) // ROUNDS
        before, computed = daemon.settled(), cpu_ns(daemon.process.pid)
        daemon.output.forget()
        start = table.move(node, "0.0.0.0")
        told = daemon.wait(f"Node {node} can't be dialled")
        time.sleep(REST_S)
        computed = cpu_ns(daemon.process.pid) - computed
        after = daemon.files()
        touched = {name for name, _ in before ^ after}
        tell("change", mode=mode, rows=rows, told_ms=ms(told - start), cpu_ms=ms(computed), touched=len(touched),
             right=touched == {f"connexa-node-{node}"})
        daemon.output.forget()
        table.move(node, Table.server(node))
        time.sleep(REST_S)
        for taken in read_times(daemon.output.lines()):
            tell("read", mode=mode, rows=rows, ms=taken)


def main():
    connexad, folder = map(os.path.abspath, sys.argv[1:])
    for mode in MODES:
        for rows in SIZES:
            # A folder of its own for the database: what else is written beside it would be looked at, too.
            place = f"{folder}/{mode}-{rows}"
            os.makedirs(f"{place}/database")
            path = f"{place}/database/nodes.db"
            table = Table(path, mode, rows)
            start = time.monotonic_ns()
            daemon = Daemon(connexad, place, path)
            try:
                tell("start", mode=mode, rows=rows, ms=ms(daemon.wait("Database read in ") - start))
                daemon.settled()
                changes(daemon, table, rows, mode)
                tell("memory", mode=mode, rows=rows, pss_kb=pss_kb(daemon.process.pid))
            finally:
                daemon.end()
                table.database.close()


main()
