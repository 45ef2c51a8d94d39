"""What is measured: a process that listens to rtnetlink in a world, and how it tells what it knows."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

from figures import cpu_ns
from output import Output
from world import libc

PIDFD_GETFD = 438  # asm-generic/unistd.h
HERE = os.path.dirname(os.path.abspath(__file__))


class Unfit(Exception):
    """It can't be measured here, for this reason."""


class Subject:
    """One that needs nothing around it; others say what they do otherwise."""

    name, command, environment = "", [], {}
    # It writes this when a link is up; NAME stands for the link's.
    up = r"\bNAME\b"
    # Whether its table is one of indexes, or one of names.
    by_name = False
    # The longest it may take to be ready.
    patience = 20

    def __init__(self, world, folder, tools):
        self.world, self.tools, self.process = world, tools, None
        self.folder = tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-", dir=folder)
        self.output = Output(f"{self.folder}/output")

    def start(self):
        """Until it knows the links."""
        clean = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "PYTHONDONTWRITEBYTECODE")}
        with self.world.inside():
            self.process = subprocess.Popen(self.command, env=clean | self.environment, stdin=subprocess.DEVNULL,
                                            stdout=self.output.file, stderr=self.output.file, start_new_session=True)
        began = asked = time.monotonic()
        while not self.is_ready():
            if self.process.poll() is not None:
                raise Unfit(f"it ended at once: {self.last_words()}")
            now = time.monotonic()
            if now - began > self.patience:
                raise Unfit(f"not ready within {now - began:.0f} s, of which it computed {cpu_ns(self.pid) / 1e9:.1f} s")
            # To be asked is work for some.
            time.sleep(min(0.02 + 2 * (now - asked), max(0, began + self.patience - now)))
            asked = time.monotonic()
        self.settle()
        return time.monotonic() - began

    def kill(self):
        """With what it has started."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self):
        self.kill()
        self.output.close()

    @property
    def pid(self):
        return self.process.pid

    def last_words(self):
        with open(self.output.path, encoding="utf-8", errors="replace") as file:
            return " ".join((file.readlines() or ["(nothing was said)"])[-1].split())[-200:]

    def is_ready(self):
        return any(row["groups"] for row in self.sockets())

    def sockets(self):
        """Its netlink sockets of the routing family that listen."""
        mine = set()
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{self.pid}/fd"):
                with contextlib.suppress(OSError):
                    mine.add(os.readlink(f"/proc/{self.pid}/fd/{number}"))
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/net/netlink", encoding="utf-8") as file:
            for row in [line.split() for line in file.readlines()[1:]]:
                if row[1] == "0" and int(row[3], 16) & 1 and f"socket:[{row[9]}]" in mine:
                    yield {"groups": int(row[3], 16), "unread": int(row[4]), "drops": int(row[8]), "inode": row[9]}

    def event_row(self):
        """The netlink socket that it hears links and addresses by: others of the daemon's hear of routes or rules, too."""
        return min(self.sockets(), key=lambda row: row["groups"])

    def lost(self):
        """Messages that this one has lost."""
        return self.event_row()["drops"]

    def event_socket(self):
        """The same, shared with it."""
        inode = self.event_row()["inode"]
        number = next(int(fd) for fd in os.listdir(f"/proc/{self.pid}/fd")
                      if os.readlink(f"/proc/{self.pid}/fd/{fd}") == f"socket:[{inode}]")
        pidfd = os.pidfd_open(self.pid)
        try:
            return socket.socket(fileno=libc.syscall(PIDFD_GETFD, pidfd, number, 0))
        finally:
            os.close(pidfd)

    def drops(self):
        return sum(row["drops"] for row in self.sockets())

    def settle(self, seconds=5):
        """Until it is at rest; whether it came so far."""
        end, before = time.monotonic() + seconds, None
        while time.monotonic() < end:
            now = self.state()
            if now == before and not now[1]:
                return True
            before = now
            time.sleep(0.01)
        return False

    def state(self):
        """What it has computed, and what is unread: at rest the one stays and the other is nothing."""
        return cpu_ns(self.pid), sum(row["unread"] for row in self.sockets())

    def tell(self, on):
        """Whether it is to tell of changes; for those that only do so when asked."""

    def table(self):
        """What it takes for there, of indexes or names; asked again and again after `expect`."""
        for line in self.output.lines():
            if found := self.row.match(line):
                (self.known.discard if found["gone"] else self.known.add)(int(found["index"]))
        return self.known

    def expect(self, links):
        """From here on its table is asked for; the kernel has these links now."""
        self.output.forget()
        self.output.unread, self.known = b"", set(links)


class BareLoop(Subject):
    name = "bare loop"
    up = r"(?P<at>\d+) \d+: NAME up\n"
    row = re.compile(r"\d+ (?P<index>\d+): \S+ (?:(?P<gone>gone)|.*)")
    loud = False

    def __init__(self, *around):
        super().__init__(*around)
        self.command = [self.tools["bare_loop"]]

    def tell(self, on):
        if on != self.loud:
            self.loud = on
            os.kill(self.pid, signal.SIGUSR1)

    def expect(self, links):
        super().expect(links)
        self.tell(True)


class IpMonitor(Subject):
    name = "`ip monitor`"
    command = ["ip", "monitor", "link", "address"]
    up = r"\d+: NAME: <[^>\n]*LOWER_UP"
    row = re.compile(r"(?P<gone>Deleted )?(?P<index>\d+): \S+: <")


class Pyroute2(Subject):
    name = "pyroute2 loop"
    up = r"\d+: NAME up\n"
    row = re.compile(r"(?P<index>\d+): \S+ (?:(?P<gone>gone)|up|down)")

    def __init__(self, *around):
        super().__init__(*around)
        self.command = [sys.executable, "-u", f"{HERE}/pyroute2_loop.py"]
        self.environment = {"PYTHONPATH": f"{self.tools['packages']}/usr/lib/python3/dist-packages"}


class Networkd(Subject):
    name = "systemd-networkd"
    up = r"(?m)^NAME: Gained carrier"

    def __init__(self, *around):
        super().__init__(*around)
        self.command = [f"{HERE}/view", self.tools["packages"], "/lib/systemd/systemd-networkd"]
        self.environment = {"SYSTEMD_LOG_TARGET": "console", "SYSTEMD_LOG_LEVEL": "info"}

    def is_ready(self):
        return self.world.links().keys() <= self.table()

    def table(self):
        try:
            return {int(name) for name in os.listdir(f"/proc/{self.pid}/root/run/systemd/netif/links") if name.isdigit()}
        except FileNotFoundError:
            return set()

    def expect(self, links):
        pass


class Asked(Subject):
    """Its table is asked for by another program."""

    by_name = True

    def is_ready(self):
        return set(self.world.links().values()) <= self.table()

    def ask(self, *command):
        try:
            done = subprocess.run(["nsenter", "--mount", "--target", str(self.pid), *command], check=False, text=True,
                                  timeout=self.patience, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout

    def expect(self, links):
        pass


class Zebra(Asked):
    name = "FRR's zebra"
    up = r"Intf NAME\(\d+\) has come UP"

    def __init__(self, *around):
        super().__init__(*around)
        self.command = [f"{HERE}/view", self.tools["packages"], "/usr/lib/frr/zebra", "-u", "frr", "-g", "frr",
                        "--log", "stdout", "-f", "/dev/null"]

    def table(self):
        return set(re.findall(r'^  "([^"]+)":\{', self.ask("vtysh", "-c", "show interface brief json"), re.M))

    def tell(self, on):
        self.ask("vtysh", "-c", f"{'' if on else 'no '}debug zebra kernel")


class NetworkManager(Asked):
    name = "NetworkManager"
    patience = 45
    up = r"\(NAME\) signal: link +changed: [^\n]*LOWER_UP"

    def __init__(self, *around):
        super().__init__(*around)
        self.command = [f"{HERE}/view", self.tools["packages"], "/usr/sbin/NetworkManager", "--debug"]

    def table(self):
        return set(self.ask("nmcli", "-t", "-f", "DEVICE", "device").split())

    def tell(self, on):
        self.ask("nmcli", "general", "logging", "level", "DEBUG" if on else "INFO",
                 "domains", "PLATFORM" if on else "ALL")
