#!/usr/bin/python3
"""The daemon's own share, on this host's kernel: a stand-in for pppd comes up at once and needs no memory.

stand_in.py CONNEXAD FOLDER: in a network namespace of its own; FOLDER is where the daemon's files lie meanwhile.
"""
import ctypes
import datetime
import glob
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from figures import cpu_ms, ms, of_the_unit, pss_kb, tell
from kernel_events import Kernel, calls

ROUNDS, BACKOFF_MS, REST_S = 20, 100, 12
CLONE_NEWNET = 0x40000000
SIZES = (1, 50, 1000)
ADOPTIONS = 5
NODE = "connexa-node-1"


def enter_network():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "can't make a network namespace; this needs root")


class Sandbox:
    def __init__(self, folder, connexad):
        self.folder, self.connexad, self.pppd = folder, connexad, f"{folder}/bin/pppd"
        for name in ("bin", "shell", "ppp/peers", "run", "control"):
            os.makedirs(f"{folder}/{name}")
        here = os.path.dirname(os.path.abspath(__file__))
        os.symlink(f"{here}/stand_in_pppd.py", self.pppd)
        shutil.copy("/bin/sh", f"{folder}/shell/pppd")
        with open(f"{folder}/connexad.toml", "w", encoding="utf-8") as file:
            file.write(f"""
database.path = "{folder}/nodes.db"
tunnel.backoff = {{ min = "{BACKOFF_MS}ms", max = "{BACKOFF_MS}ms", jitter = 0.0 }}
outage.interval = "1h"
selection.absence_grace = "0s"
control.socket = "{folder}/control/connexad.sock"
[paths]
ppp_dir = "{folder}/ppp"
run_dir = "{folder}/run"
pppd = "{self.pppd}"
pptp = "/bin/true"
""")
        self.database = sqlite3.connect(f"{folder}/nodes.db", isolation_level=None, timeout=5)
        self.database.execute(
            "CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, status TEXT)")

    def insert(self, first, last):
        """Rows for these nodes, each with a server of its own; returns the time right before the commit."""
        rows = [(n, f"10.{n // 250}.{n % 250}.2", "admin", "secret", "speed_ok") for n in range(first, last + 1)]
        self.database.execute("BEGIN")
        self.database.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?)", rows)
        at = time.monotonic_ns()
        self.database.execute("COMMIT")
        return at

    def start(self):
        log = open(f"{self.folder}/log", "ab")
        command = [self.connexad, "--config", f"{self.folder}/connexad.toml"]
        return subprocess.Popen(command, env=of_the_unit(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def pid_of(self, node):
        with open(f"{self.folder}/run/ppp-{node}.pid", encoding="utf-8") as file:
            return int(file.readline())


def exited(pid):
    return lambda seen: seen.what == "exit" and seen.pid == pid


def rest(kernel):
    """The host's other processes never rest, so the wait is for a time."""
    time.sleep(0.3)
    kernel.forget()


def row_to_pppd(kernel, sandbox):
    for _ in range(ROUNDS):
        rest(kernel)
        start = sandbox.insert(1, 1)
        dialled = kernel.wait(calls(NODE, sandbox.pppd)).at
        kernel.wait_up()
        tell("alone_row", to_pppd_ms=ms(dialled - start))
        pid = sandbox.pid_of(NODE)
        sandbox.database.execute("DELETE FROM nodes")
        kernel.wait(exited(pid))


def hand_to_pppd(kernel, sandbox):
    """What the start of a program costs by itself."""
    for _ in range(ROUNDS):
        rest(kernel)
        start = kernel.now()
        process = subprocess.Popen(["/bin/sleep", "60"])
        executed = kernel.wait(lambda seen: seen.what == "exec" and seen.pid == process.pid)
        tell("alone_hand", to_pppd_ms=ms(executed.at - start))
        process.kill()
        process.wait()


def death_to_redial(kernel, sandbox):
    sandbox.insert(1, 1)
    kernel.wait_up()
    for _ in range(ROUNDS):
        rest(kernel)
        pid = sandbox.pid_of(NODE)
        os.kill(pid, signal.SIGKILL)
        death = kernel.wait(lambda seen: seen.what == "link gone" and seen.name.startswith("ppp")).at
        exit_ = kernel.wait(exited(pid)).at
        redial = kernel.wait(calls(NODE, sandbox.pppd)).at
        kernel.wait_up()
        backoff = BACKOFF_MS * 1_000_000
        tell("alone_redial", to_exit_ms=ms(exit_ - death), daemon_ms=ms(redial - exit_ - backoff),
             to_redial_ms=ms(redial - death - backoff))


def grow(kernel, sandbox, daemon):
    """More and more nodes: time and computing until all are up, memory once all is still."""
    time.sleep(REST_S)
    tell("alone_memory", nodes=0, pss_kb=pss_kb(daemon.pid))
    before = 0
    for size in SIZES:
        computed = cpu_ms(daemon.pid)
        start = sandbox.insert(before + 1, size)
        up = kernel.wait_up(size - before, 180)
        computed = cpu_ms(daemon.pid) - computed
        tell("alone_grow", nodes=size - before, to_all_up_ms=ms(up - start), cpu_ms=computed)
        time.sleep(REST_S)
        tell("alone_memory", nodes=size, pss_kb=pss_kb(daemon.pid))
        before = size


def adopt(kernel, sandbox, daemon):
    """The daemon is killed while all are up, and started anew: until it has told of each that it is adopted."""
    nodes = SIZES[-1]
    for _ in range(ADOPTIONS):
        daemon.kill()
        daemon.wait()
        with open(f"{sandbox.folder}/log", "rb") as log:
            log.seek(0, os.SEEK_END)
            start, text = time.time(), b""
            daemon.take(sandbox.start())
            end = time.monotonic() + 60
            while text.count(b", adopted") < nodes:
                if time.monotonic() > end:
                    raise TimeoutError(f"of {nodes} tunnels only {text.count(b', adopted')} were adopted within a minute")
                time.sleep(0.05)
                text += log.read()
        last = [line for line in text.split(b"\n") if line.endswith(b", adopted")][-1]
        told = datetime.datetime.fromisoformat(last.split()[0].decode())
        tell("alone_adopt", nodes=nodes, ms=round((told.timestamp() - start) * 1000, 1))


class Daemon:
    """The one that runs; its log goes on over restarts."""

    def __init__(self, process):
        self.take(process)

    def take(self, process):
        self.pid, self.kill, self.wait, self.terminate = process.pid, process.kill, process.wait, process.terminate


def with_daemon(kernel, sandbox, *parts):
    """A daemon that begins with no node; its calls end with it."""
    sandbox.database.execute("DELETE FROM nodes")
    daemon = Daemon(sandbox.start())
    try:
        time.sleep(1)
        for part in parts:
            part(kernel, sandbox, *([daemon] if part in (grow, adopt) else []))
    finally:
        daemon.terminate()
        daemon.wait()
        # What the daemon keeps for itself stays: by it the next one knows its socket.
        for name in glob.glob("ppp-*.pid", root_dir=f"{sandbox.folder}/run"):
            node = name.removeprefix("ppp-").removesuffix(".pid")
            try:
                os.kill(sandbox.pid_of(node), signal.SIGKILL)
            except (OSError, ValueError):
                pass
            os.unlink(f"{sandbox.folder}/run/{name}")


def main():
    connexad, folder = map(os.path.abspath, sys.argv[1:])
    os.makedirs(folder, exist_ok=True)
    folder = tempfile.mkdtemp(dir=folder)
    try:
        kernel, sandbox = Kernel(enter_network), Sandbox(folder, connexad)
        with_daemon(kernel, sandbox, hand_to_pppd, row_to_pppd)
        with_daemon(kernel, sandbox, death_to_redial)
        with_daemon(kernel, sandbox, grow, adopt)
    except Exception:
        with open(f"{folder}/log", encoding="utf-8") as file:
            sys.stderr.write("".join(file.readlines()[-20:]))
        raise
    finally:
        shutil.rmtree(folder)


main()
