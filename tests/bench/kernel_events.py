"""What the kernel tells of links, addresses and processes, with the time of each.

Links and addresses come by rtnetlink(7) and bear the time at which they were read here, which is at once: nothing
else is done while something is waited for. Processes come by the process connector (linux/cn_proc.h) and bear the
kernel's own time. Both are CLOCK_MONOTONIC, in nanoseconds.
"""
import collections
import select
import socket
import struct
import time
from typing import NamedTuple

SOL_SOCKET_RCVBUFFORCE = 33
NETLINK_CONNECTOR, CN_IDX_PROC, PROC_CN_MCAST_LISTEN = 11, 1, 1
PROC_EVENT_EXEC, PROC_EVENT_EXIT = 0x2, 0x80000000
RTMGRP_LINK, RTMGRP_IPV4_IFADDR = 0x1, 0x10
RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR = 16, 17, 20, 21
IFLA_IFNAME, IFA_ADDRESS, IFA_LOCAL = 3, 1, 2
UP = 0x1 | 0x10000  # IFF_UP and IFF_LOWER_UP


class Seen(NamedTuple):
    """One event: `exec` and `exit` have a process, the others a link."""

    what: str  # exec, exit, link, link gone, address, address gone
    at: int
    pid: int = 0
    words: tuple = ()  # the command line of an exec
    index: int = 0
    name: str = ""
    flags: int = 0
    tunnel: bool = False  # the address has a peer of its own


class Kernel:
    """Listens from its making on."""

    def __init__(self, enter_network=lambda: None):
        # Processes are told of in the first network namespace only.
        self.processes = listen(NETLINK_CONNECTOR, CN_IDX_PROC)
        body = struct.pack("=IIIIHHI", CN_IDX_PROC, 1, 0, 0, 4, 0, PROC_CN_MCAST_LISTEN)
        self.processes.send(struct.pack("=IHHII", 16 + len(body), 3, 0, 0, 0) + body)
        enter_network()
        self.links = listen(socket.NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_IPV4_IFADDR)
        self.flags, self.addresses, self.unread = {}, set(), collections.deque()

    @staticmethod
    def now():
        return time.monotonic_ns()

    def forget(self):
        """Throws away what nobody has waited for."""
        while self.read(0):
            pass
        while self.unread:
            self.take_in(self.unread.popleft())

    def events(self, seconds):
        """Events as they come."""
        end = time.monotonic() + seconds
        while True:
            while self.unread:
                seen = self.unread.popleft()
                self.take_in(seen)
                yield seen
            if time.monotonic() >= end:
                raise TimeoutError(f"nothing of what was waited for within {seconds} s")
            self.read(max(0, end - time.monotonic()))

    def wait(self, wish, seconds=60):
        """The first event that is as wished."""
        return next(seen for seen in self.events(seconds) if wish(seen))

    def settle(self, seconds=0.7):
        """Until nothing happened for so long: the machine has nothing more to do with the last call."""
        try:
            while True:
                self.wait(lambda seen: True, seconds)
        except TimeoutError:
            pass

    def wait_up(self, count=1, seconds=60):
        """When so many links more came up: IFF_UP and IFF_LOWER_UP, and an address with a peer."""
        up = set()
        for seen in self.events(seconds):
            if self.is_up(seen.index):
                up.add(seen.index)
                if len(up) == count:
                    return seen.at

    def is_up(self, index):
        return index in self.addresses and self.flags.get(index, 0) & UP == UP

    def read(self, seconds):
        """Takes in what the kernel has told, waiting for it so long; whether there was anything."""
        ready = select.select([self.links, self.processes], [], [], seconds)[0]
        at = time.monotonic_ns()
        # Links first: a process has the kernel's own time and can wait.
        if self.links in ready:
            self.unread += map_messages(self.links.recv(1 << 16), at, route_event)
        if self.processes in ready:
            self.unread += map_messages(self.processes.recv(1 << 16), at, process_event)
        return bool(ready)

    def take_in(self, seen):
        if seen.what == "link":
            self.flags[seen.index] = seen.flags
        elif seen.what == "link gone":
            self.flags.pop(seen.index, None)
            self.addresses.discard(seen.index)
        elif seen.what == "address" and seen.tunnel:
            self.addresses.add(seen.index)
        elif seen.what == "address gone" and seen.tunnel:
            self.addresses.discard(seen.index)


def listen(protocol, groups):
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, protocol)
    sock.setsockopt(socket.SOL_SOCKET, SOL_SOCKET_RCVBUFFORCE, 16 << 20)
    sock.bind((0, groups))
    return sock


def map_messages(data, at, read):
    """The events of one datagram."""
    events = []
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        event = read(kind, data[16:length], at)
        if event:
            events.append(event)
        data = data[(length + 3) & ~3:]
    return events


def attributes(data):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind] = data[4:length]
        data = data[(length + 3) & ~3:]
    return found


def route_event(kind, body, at):
    if kind in (RTM_NEWLINK, RTM_DELLINK):
        index, flags = struct.unpack_from("=4xiI", body)
        # The bridge tells of its ports in messages of its own family.
        if body[0] != socket.AF_UNSPEC:
            return None
        name = attributes(body[16:]).get(IFLA_IFNAME, b"").rstrip(b"\0").decode()
        return Seen("link" if kind == RTM_NEWLINK else "link gone", at, index=index, name=name, flags=flags)
    if kind in (RTM_NEWADDR, RTM_DELADDR):
        index = struct.unpack_from("=4xI", body)[0]
        found = attributes(body[8:])
        tunnel = IFA_LOCAL in found and found[IFA_LOCAL] != found.get(IFA_ADDRESS)
        return Seen("address" if kind == RTM_NEWADDR else "address gone", at, index=index, tunnel=tunnel)
    return None


def process_event(_kind, body, _at):
    if len(body) < 44:
        return None
    what, at, thread, pid = struct.unpack_from("=20xI4xQII", body)
    if what == PROC_EVENT_EXEC:
        return Seen("exec", at, pid=pid, words=command_line(pid))
    if what == PROC_EVENT_EXIT and thread == pid:
        return Seen("exit", at, pid=pid)
    return None


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return tuple(word.decode(errors="replace") for word in file.read().split(b"\0")[:-1])
    except OSError:
        return ()


def calls(name, pppd="/usr/sbin/pppd"):
    """A wish: this pppd was started to call NAME; one that is a script stands behind its interpreter."""
    def called(words):
        return (pppd, "call", name) in zip(words, words[1:], words[2:])
    return lambda seen: seen.what == "exec" and called(seen.words)
