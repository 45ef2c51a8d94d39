"""A network namespace of its own with many links, and what the kernel says of them.

It is held by this process alone and goes with it.
"""
import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import time

CLONE_NEWNET = 0x40000000
# linux/if_tun.h, linux/sockios.h, linux/if_arp.h
TUNSETIFF, TUNSETLINK, IFF_TUN, IFF_NO_PI, ARPHRD_PPP = 0x400454CA, 0x400454CD, 1, 0x1000, 512
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFDSTADDR, IFF_UP, IFF_ALLMULTI = 0x8914, 0x8916, 0x8918, 1, 0x200
NODES = 10
POINT_TO_POINT = "POINTOPOINT"
libc = ctypes.CDLL(None, use_errno=True)
home = os.open("/proc/self/ns/net", os.O_RDONLY)


def enter(namespace):
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "can't enter a network namespace; this needs root")


class World:
    """`links` point-to-point links, each with an address, of which ten are or will be tunnels of nodes; and two foreign
    ones, a veth pair."""

    def __init__(self, links, with_nodes=True):
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "can't make a network namespace; this needs root")
        try:
            self.namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
            self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            # IPv6 would answer each flip with messages of its own.
            with contextlib.suppress(OSError), open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w", encoding="utf-8") as file:
                file.write("1")
            others = range(links - NODES)
            self.ip(["link set lo up", "link add veth0 type veth peer name veth1"]
                    + [f"tuntap add mode tun name p{n}" for n in others]
                    + [f"address add 10.60.{n >> 8}.{n & 255} peer 10.50.0.1 dev p{n}" for n in others])
            self.tuns = [self.tunnel(b"ppp%d" % n) for n in range(NODES)] if with_nodes else []
        finally:
            enter(home)

    @contextlib.contextmanager
    def inside(self):
        """What is started meanwhile lives in here."""
        enter(self.namespace)
        try:
            yield
        finally:
            enter(home)

    def close(self):
        """The kernel takes it down in the background."""
        for tun in self.tuns:
            os.close(tun)
        self.control.close()
        os.close(self.namespace)

    def tunnel(self, name):
        """As a pppd's link is when it is up."""
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name, IFF_TUN | IFF_NO_PI))
        fcntl.ioctl(tun, TUNSETLINK, ARPHRD_PPP)
        self.flip(name, IFF_UP)
        for number, address in (SIOCSIFADDR, "10.50.0.100"), (SIOCSIFDSTADDR, "10.50.0.1"):
            fcntl.ioctl(self.control, number, struct.pack("16sH2x4s16x", name, socket.AF_INET, socket.inet_aton(address)))
        return tun

    def flip(self, name, flags):
        fcntl.ioctl(self.control, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags))

    def storm(self, flips, rate=None, foreign=False):
        """So many flips, at most `rate` a second; returns how many seconds they took. It ends with all links up."""
        names = [b"veth0"] if foreign else [b"ppp%d" % n for n in range(NODES)]
        states = (IFF_ALLMULTI, 0) if foreign else (0, IFF_UP)
        requests = [struct.pack("16sH22x", name, state) for state in states for name in names]
        flips -= flips % len(requests)
        control, ioctl, kinds, start = self.control.fileno(), fcntl.ioctl, len(requests), time.monotonic()
        for number in range(flips):
            if rate and not number % 10:
                time.sleep(max(0, start + number / rate - time.monotonic()))
            ioctl(control, SIOCSIFFLAGS, requests[number % kinds])
        return time.monotonic() - start

    def ip(self, commands):
        """From inside."""
        subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)

    def links(self):
        """The point-to-point ones: index to name."""
        with self.inside():
            listed = subprocess.run(["ip", "-j", "link"], check=True, stdout=subprocess.PIPE)
        return {link["ifindex"]: link["ifname"] for link in json.loads(listed.stdout) if POINT_TO_POINT in link["flags"]}
