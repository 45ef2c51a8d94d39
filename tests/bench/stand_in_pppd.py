#!/usr/bin/python3 -IS
"""A tunnel that costs next to nothing, for measures of the daemon alone: `pppd call NAME nodetach` with a tun link.

It makes a link as pppd does, says what pppd says, and becomes a shell that waits, holds the link, and keeps its
command line. The shell is a copy of that name: by the file that a process runs the daemon knows pppd.
Found by its own place: SANDBOX/bin/pppd writes SANDBOX/run/ppp-NAME.pid and becomes SANDBOX/shell/pppd.
"""
import fcntl
import os
import socket
import struct
import sys

# linux/if_tun.h, linux/sockios.h, linux/if_arp.h
TUNSETIFF, TUNSETLINK, IFF_TUN, IFF_NO_PI, ARPHRD_PPP = 0x400454CA, 0x400454CD, 1, 0x1000, 512
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFDSTADDR, IFF_UP = 0x8914, 0x8916, 0x8918, 1

name = sys.argv[2]
tun = os.open("/dev/net/tun", os.O_RDWR)
made = fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"ppp%d", IFF_TUN | IFF_NO_PI))
link = made[:16].rstrip(b"\0")
fcntl.ioctl(tun, TUNSETLINK, ARPHRD_PPP)
os.set_inheritable(tun, True)
os.write(1, b"Using interface %s\nConnect: %s <--> /dev/pts/0\n" % (link, link))
sandbox = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))
with open(f"{sandbox}/run/ppp-{name}.pid", "w", encoding="utf-8") as file:
    file.write(f"{os.getpid()}\n{link.decode()}\n")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", link, IFF_UP))
    for number, address in (SIOCSIFADDR, "10.50.0.100"), (SIOCSIFDSTADDR, "10.50.0.1"):
        form = struct.pack("16sH2x4s16x", link, socket.AF_INET, socket.inet_aton(address))
        fcntl.ioctl(sock, number, form)
os.write(1, b"local  IP address 10.50.0.100\nremote IP address 10.50.0.1\n")
# Nothing is ever written into this pipe, whose other end is held as well.
nothing, held = os.pipe()
os.dup2(nothing, 0)
os.set_inheritable(held, True)
os.execv(f"{sandbox}/shell/pppd", ["sh", "-c", "read nothing", *sys.argv])
