"""connexad with ten nodes, whose tunnels come up at once by the stand-in for pppd."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import time

from figures import of_the_unit
from subjects import HERE, Subject
from world import NODES

CONFIG = """
database.path = "{folder}/database/nodes.db"
outage.interval = "1h"
control.socket = "{folder}/control/connexad.sock"
log.format = "text"
[paths]
ppp_dir = "{folder}/ppp"
run_dir = "{folder}/run"
pppd = "{folder}/bin/pppd"
pptp = "/bin/true"
"""


class Connexad(Subject):
    name = "connexad"
    up = r"is UP on NAME "

    def __init__(self, *around, record=False):
        super().__init__(*around)
        for name in ("bin", "shell", "database", "ppp/peers", "run", "control"):
            os.makedirs(f"{self.folder}/{name}")
        os.symlink(f"{os.path.dirname(HERE)}/stand_in_pppd.py", f"{self.folder}/bin/pppd")
        shutil.copy("/bin/sh", f"{self.folder}/shell/pppd")
        with open(f"{self.folder}/connexad.toml", "w", encoding="utf-8") as file:
            file.write(CONFIG.format(folder=self.folder))
        with contextlib.closing(sqlite3.connect(f"{self.folder}/database/nodes.db")) as database, database:
            database.execute("CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, status TEXT)")
            rows = [(n, f"10.9.{n}.1", "admin", "secret", "speed_ok") for n in range(1, NODES + 1)]
            database.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?)", rows)
        self.environment = of_the_unit()
        self.command = [self.tools["connexad"], "--config", f"{self.folder}/connexad.toml"]
        self.recording, self.recorded = f"{self.folder}/recording", 0
        if record:
            self.command += ["--record", self.recording]

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.status()["counts"].get("up") == NODES
        return False

    def stop(self):
        """With its tunnels, which would outlive it."""
        super().stop()
        for name in os.listdir(f"{self.folder}/run"):
            with contextlib.suppress(OSError, ValueError), open(f"{self.folder}/run/{name}", encoding="utf-8") as file:
                os.kill(int(file.readline()), signal.SIGKILL)

    def status(self):
        return json.loads(self.ask_status())

    def ask_status(self):
        connection = http.client.HTTPConnection("connexad", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(f"{self.folder}/control/connexad.sock")
            connection.request("GET", "/v1/status")
            return connection.getresponse().read()
        finally:
            connection.close()

    def query_ns(self):
        start = time.monotonic_ns()
        self.ask_status()
        return time.monotonic_ns() - start

    def expect(self, links):
        """Its table, as the recording tells what it was told."""

    def table(self):
        if not self.recorded:
            self.known, self.unread = set(), b""
        with open(self.recording, "rb") as file:
            file.seek(self.recorded)
            text = file.read()
        self.recorded += len(text)
        *lines, self.unread = (self.unread + text).split(b"\n")
        for event in [json.loads(line).get("input", {}).get("event") for line in lines]:
            for change in event.get("links", {}).get("changes", ()) if isinstance(event, dict) else ():
                (self.known.add if change["link"] else self.known.discard)(change["index"])
        return self.known
