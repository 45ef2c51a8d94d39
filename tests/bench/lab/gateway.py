"""The lab's gateway as the measures use it: the nodes' database, the daemon, pppds by hand."""
import contextlib
import glob
import os
import signal
import sqlite3
import subprocess
import time

PEERS, SECRETS, RUN = "/etc/ppp/peers", "/etc/ppp/chap-secrets", "/run"
ALPHA = "10.9.0.2"
# Five nodes on each of ten servers.
FLEET = [(100 + n, f"10.9.1.{1 + n % 10}") for n in range(50)]


class Database:
    def __init__(self):
        self.connection = sqlite3.connect("/app/backend/connexa.db", isolation_level=None, timeout=5)

    def insert(self, nodes):
        """Adds (id, ip) rows that are to be dialled; returns the time right before the commit."""
        self.connection.execute("BEGIN")
        rows = [(number, ip, "admin", "secret", "speed_ok") for number, ip in nodes]
        self.connection.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?)", rows)
        at = time.monotonic_ns()
        self.connection.execute("COMMIT")
        return at

    def clear(self):
        self.connection.execute("DELETE FROM nodes")


def systemctl(*words):
    return subprocess.run(["systemctl", *words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def daemon_pid():
    return int(systemctl("show", "-p", "MainPID", "--value", "connexad"))


@contextlib.contextmanager
def daemon_asleep():
    """What pppd does by hand must cost the daemon nothing, and it must not interfere."""
    pid = daemon_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def copy_peer(name, *more, of=2):
    """The daemon's own peer file of a node under another name, for a call by hand."""
    with open(f"{PEERS}/connexa-node-{of}", encoding="utf-8") as file:
        text = file.read().replace(f"connexa-node-{of}", name)
    with open(f"{PEERS}/{name}", "w", encoding="utf-8") as file:
        file.write("\n".join([text, *more, ""]))
    with open(SECRETS, "a", encoding="utf-8") as file:
        file.write(f'"admin" {name} "secret" *\n')


def pid_file(name):
    """The process and the link of a call that is made."""
    with open(f"{RUN}/ppp-{name}.pid", encoding="utf-8") as file:
        pid, link = file.read().split()
    return int(pid), link


def pppd(name, how="nodetach"):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(["/usr/sbin/pppd", "call", name, how], **quiet)


def end_calls(kernel, names="connexa-node-*"):
    """Ends these calls and waits until all have ended."""
    pids = {int(open(path, encoding="utf-8").readline()) for path in glob.glob(f"{RUN}/ppp-{names}.pid")}
    kernel.forget()
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    while pids:
        pids.discard(kernel.wait(lambda seen: seen.what == "exit").pid)


def children(parent):
    """The processes that a process has started, and those below them."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=", "-o", "ppid=", "-o", "comm="], check=True, stdout=subprocess.PIPE, text=True)
    lines = [line.split(None, 2) for line in listed.stdout.splitlines()]
    below, more = {parent}, True
    while more:
        found = {int(pid) for pid, ppid, _ in lines if int(ppid) in below} - below
        more = bool(found)
        below |= found
    return {int(pid): comm for pid, _, comm in lines if int(pid) in below - {parent}}
