#!/usr/bin/python3 -IS
"""pppd for kernels without PPP: the same files in, the same lines, ioctls and exit codes out.

Called as pppd is: `pppd call NAME [nodetach]`. It finds everything from its own place, SANDBOX/bin/pppd:
  SANDBOX/ppp/peers/NAME, SANDBOX/ppp/chap-secrets  what the daemon under test wrote, read as pppd reads them
  SANDBOX/run/ppp-LINKNAME.pid, SANDBOX/run/IFNAME.pid  process and, in the first, interface
  SANDBOX/servers/IP.json                           how the PPTP server at IP behaves; no file: nobody is there
  SANDBOX/no-ppp                                    while it exists, the kernel has no PPP
  SANDBOX/dials.log                                 one JSON object for each start, up and end of a call

Keys of a server's file, all optional:
  answer          accept (default), gone (also ends calls that are up), silent (until it is something else),
                  talk (says all, does nothing)
  exit            a code to exit with at once, saying nothing
  password        the one that is accepted (default "secret")
  local, remote   addresses given (default 10.50.0.100 and 10.50.0.1); remote null: none
  carries         true: its end answers ICMP echoes and refuses TCP connections, for whatever address
  advertises      an IPv6 address of this host, which is told again and again that the other end is its router
  redirects       three addresses: the first, a router, tells this end again and again to reach the second by the third
  talk_ms         how long negotiation takes (default 20)
  dies_after_ms   the connection breaks so long after the call is up
  ignores_term    true: only SIGKILL ends it
  noise           true: says a megabyte of binary garbage first
  mute            true: says nothing and does nothing
  pty             true: really runs the peer file's pty command, without using what it says
"""
import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time

SANDBOX = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))
HANGUP, AUTH_TOPEER_FAILED, OPTION_ERROR, FATAL, NO_KERNEL_SUPPORT = 16, 19, 2, 1, 4

# linux/if_tun.h, linux/sockios.h, linux/if_arp.h
TUNSETIFF, TUNGETIFF, TUNSETLINK, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x800454D2, 0x400454CD, 1, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFDSTADDR = 0x8913, 0x8914, 0x8916, 0x8918
SIOCSIFNETMASK, SIOCSIFMTU, SIOCSIFNAME, IFF_UP, ARPHRD_PPP = 0x891C, 0x8922, 0x8923, 1, 512

# A command that ends in pptp itself, whatever comes before it.
PTY = re.compile(
    r"(?:PATH=\S+; )?exec (?:unshare --mount sh -c '[^']*&& exec )?"
    r"(?P<pptp>[\w./-]+) (?P<server>\d+(?:\.\d+){3}) --nolaunchpppd(?: --\w+)*'?"
)

# Options that a peer file may have, and how many values each takes.
OPTIONS = {
    "pty": 1, "name": 1, "remotename": 1, "linkname": 1, "ipparam": 1, "ifname": 1, "mtu": 1, "mru": 1,
    "lcp-echo-interval": 1, "lcp-echo-failure": 1, "noauth": 0, "refuse-pap": 0, "refuse-eap": 0,
    "refuse-chap": 0, "refuse-mschap": 0, "require-mppe-128": 0, "nomppe": 0, "nobsdcomp": 0, "nodeflate": 0,
    "novj": 0, "noccp": 0, "noipdefault": 0, "noipv6": 0, "nodefaultroute": 0, "defaultroute": 0, "usepeerdns": 0, "debug": 0,
    # What takes back the host's own options.
    "user": 1, "password": 1, "allow-number": 1, "allow-ip": 1, "nomppe-40": 0, "nomppe-stateful": 0,
    "nopredictor1": 0, "noreplacedefaultroute": 0, "noproxyarp": 0, "ipcp-accept-local": 0, "ipcp-accept-remote": 0,
    "nomp": 0, "nopersist": 0, "idle": 1, "maxconnect": 1, "maxoctets": 1, "logfd": 1, "kdebug": 1, "connect": 1,
    "disconnect": 1, "init": 1, "welcome": 1, "connect-delay": 1, "child-timeout": 1, "nocrtscts": 0, "datarate": 1,
    "lcp-restart": 1, "lcp-max-terminate": 1, "lcp-max-configure": 1, "lcp-max-failure": 1, "chap-timeout": 1,
    "ipcp-restart": 1, "ipcp-max-terminate": 1, "ipcp-max-configure": 1, "ipcp-max-failure": 1, "unset": 1,
}


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", 0xFFFF - total)


def answer(packet):
    """What the other end of a tunnel says to an IPv4 packet without options, if anything."""
    protocol, source, target, data = packet[9], packet[12:16], packet[16:20], packet[20:]
    if packet[0] == 0x45 and protocol == socket.IPPROTO_ICMP and data[0] == 8:
        data = bytes(4) + data[4:]
        data = data[:2] + checksum(data + bytes(len(data) % 2)) + data[4:]
    elif packet[0] == 0x45 and protocol == socket.IPPROTO_TCP and data[13] == 2:  # SYN
        number = (int.from_bytes(data[4:8], "big") + 1) % 2**32
        data = data[2:4] + data[:2] + struct.pack("!IIBBHHH", 0, number, 5 << 4, 0x14, 0, 0, 0)  # RST and ACK
        pseudo = target + source + struct.pack("!BBH", 0, protocol, len(data))
        data = data[:16] + checksum(pseudo + data) + data[18:]
    else:
        return None
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, 64, protocol, 0) + target + source
    return header[:10] + checksum(header) + header[12:] + data


def advertisement(target):
    """A router advertisement with a prefix (RFC 4861), from the link-local address fe80::1."""
    ends = socket.inet_pton(socket.AF_INET6, "fe80::1") + socket.inet_pton(socket.AF_INET6, target)
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + socket.inet_pton(socket.AF_INET6, "2001:db8:1::")
    data = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    pseudo = ends + struct.pack("!II", len(data), socket.IPPROTO_ICMPV6)
    data = data[:2] + checksum(pseudo + data) + data[4:]
    return struct.pack("!IHBB", 6 << 28, len(data), socket.IPPROTO_ICMPV6, 255) + ends + data


def ipv4(source, target, protocol, data):
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, 64, protocol, 0)
    header += socket.inet_aton(source) + socket.inet_aton(target)
    return header[:10] + checksum(header) + header[12:] + data


def redirect(here, router, target, gateway):
    """Told by a router: packets to that target are better sent to that gateway (RFC 792)."""
    # Of an echo reply: of those the kernel needs no socket to believe it.
    data = struct.pack("!BBH4s", 5, 1, 0, socket.inet_aton(gateway)) + ipv4(here, target, 1, bytes(8))
    return ipv4(router, here, socket.IPPROTO_ICMP, data[:2] + checksum(data) + data[4:])


def words(text):
    """The words of each line, split as pppd's getword() does."""
    escapes = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "s": " ", "t": "\t"}
    lines, line, word, quote, at = [], [], None, None, 0
    while at <= len(text):
        c = text[at:at + 1]
        at += 1
        if quote and c and c == quote:
            quote = None
        elif c == "\\":
            octal = re.match(r"[0-7]{1,3}", text[at:])
            code = octal[0] if octal else text[at:at + 1]
            at += len(code)
            word = (word or "") + (chr(int(code, 8)) if octal else "" if code == "\n" else escapes.get(code, code))
        elif c and (quote or c not in " \t\n#\"'"):
            word = (word or "") + c
        elif c and c in "\"'":
            quote, word = c, word or ""
        else:
            if word is not None:
                line.append(word)
                word = None
            if c == "#":
                c, at = "\n", (text + "\n").index("\n", at) + 1
            if c in "\n":
                lines.append(line)
                line = []
    return lines


def say(*lines):
    try:
        for line in lines:
            os.write(1, (line if isinstance(line, bytes) else line.encode()) + b"\n")
    except OSError:
        pass  # the reader may be gone; pppd ignores SIGPIPE


def fail(code, *lines):
    say(*lines)
    sys.exit(code)


def read(path, missing):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        fail(OPTION_ERROR, missing)


def peer_options(name):
    path = f"{SANDBOX}/ppp/peers/{name}"
    text = read(path, f"{sys.argv[0]}: Can't open options file {path}: No such file or directory")
    options, given = {}, [word for line in words(text) for word in line]
    while given:
        option = given.pop(0)
        if option not in OPTIONS:
            fail(OPTION_ERROR, f"{sys.argv[0]}: In file {path}: unrecognized option '{option}'")
        if len(given) < OPTIONS[option]:
            fail(OPTION_ERROR, f"{sys.argv[0]}: In file {path}: too few parameters for option {option}")
        options[option] = given.pop(0) if OPTIONS[option] else True
    if not PTY.fullmatch(options.get("pty", "")):
        fail(OPTION_ERROR, f"{sys.argv[0]}: no device specified and stdin is not a tty")
    if "noauth" not in options:  # Debian's /etc/ppp/options has auth
        fail(FATAL, f"{sys.argv[0]}: The remote system is required to authenticate itself")
    return options


def secret(client, server):
    """The best match of chap-secrets; of equals the first."""
    best, found = -1, None
    path = f"{SANDBOX}/ppp/chap-secrets"
    for line in words(read(path, f"Can't open chap secret file {path}: No such file or directory")):
        if len(line) < 3 or line[0] not in (client, "*") or line[1] not in (server, "*"):
            continue
        score = 2 * (line[0] == client) + (line[1] == server)
        if score > best:
            best, found = score, line[2]
    # A path behind an @ is that of a file with the secret; here there are none.
    return None if found and found.startswith("@/") else found


def server_of(ip):
    try:
        with open(f"{SANDBOX}/servers/{ip}.json", encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"answer": "gone"}


class Link:
    """A tun link with a PPP link's names, types and order of events."""

    def __init__(self, ifname):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(self.tun, TUNSETIFF, struct.pack("16sH22x", b"tun%d", IFF_TUN | IFF_NO_PI))
        self.learn_name()
        fcntl.ioctl(self.tun, TUNSETLINK, ARPHRD_PPP)
        self.rename("ppp%d")  # the kernel takes the first free number
        say(f"Using interface {self.name}")
        if ifname:
            say(f"Renamed interface {self.name} to {ifname}")
            self.rename(ifname)

    def ioctl(self, number, form, *values):
        return fcntl.ioctl(self.socket, number, struct.pack("16s" + form, self.name.encode(), *values))

    def rename(self, name):
        self.ioctl(SIOCSIFNAME, "16s8x", name.encode())
        self.learn_name()

    def learn_name(self):
        self.name = fcntl.ioctl(self.tun, TUNGETIFF, bytes(40))[:16].split(b"\0")[0].decode()

    def set_up(self):
        flags = struct.unpack("16xH22x", self.ioctl(SIOCGIFFLAGS, "24x"))[0]
        self.ioctl(SIOCSIFFLAGS, "H22x", flags | IFF_UP)

    def set_addresses(self, local, remote):
        for number, address in ((SIOCSIFADDR, local), (SIOCSIFDSTADDR, remote), (SIOCSIFNETMASK, "255.255.255.255")):
            if address:
                self.ioctl(number, "H2x4s16x", socket.AF_INET, socket.inet_aton(address))


class Call:
    def __init__(self, name, options):
        self.name, self.options = name, options
        self.pptp, self.ip = PTY.fullmatch(options["pty"]).group("pptp", "server")
        self.link, self.pty, self.pid_files, self.signalled = None, None, [], None
        self.woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.on_signal)

    def on_signal(self, number, _frame):
        if not server_of(self.ip).get("ignores_term"):
            self.signalled = int(number)

    def log(self, what):
        line = {"at": time.monotonic(), "what": what, "name": self.name, "ip": self.ip, "pid": os.getpid()}
        with open(f"{SANDBOX}/dials.log", "ab", buffering=0) as file:
            file.write(json.dumps(line).encode() + b"\n")

    def wait(self, seconds=None):
        """Until then, or until a signal or the server ends the call."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            if self.signalled:
                self.end(HANGUP, f"Terminating on signal {self.signalled}", "Connection terminated.")
            if server_of(self.ip).get("answer") == "gone":
                self.end(HANGUP, "LCP terminated by peer", "Connection terminated.", "Modem hangup")
            left = 0.05 if end is None else min(0.05, end - time.monotonic())
            if left <= 0:
                return
            tun = [self.link.tun] if self.link else []
            if tun and "advertises" in server_of(self.ip):
                self.write(advertisement(server_of(self.ip)["advertises"]))
            if tun and "redirects" in server_of(self.ip):
                local = server_of(self.ip).get("local", "10.50.0.100")
                self.write(redirect(local, *server_of(self.ip)["redirects"]))
            ready = select.select([self.woken, *tun], [], [], left)[0]
            if self.woken in ready:
                os.read(self.woken, 64)
            if tun and tun[0] in ready:
                self.carry()

    def carry(self):
        """Takes a packet from the link, and answers it where the server does."""
        try:
            said = answer(os.read(self.link.tun, 2048))
            if said and server_of(self.ip).get("carries"):
                self.write(said)
        except OSError:
            pass  # the link is down, or gone

    def write(self, packet):
        try:
            os.write(self.link.tun, packet)
        except OSError:
            pass  # the link is down, or gone

    def end(self, code, *lines):
        say(*lines[:-1])
        if self.link:
            os.close(self.link.tun)
        say(*lines[-1:])
        for path in self.pid_files:
            if os.path.lexists(path):
                os.unlink(path)
        self.log("end")
        sys.exit(code)

    def run(self):
        server = server_of(self.ip)
        self.log("start")
        if server.get("noise"):
            say(bytes(range(11, 256)) * 4096)
        if "exit" in server:
            self.end(server["exit"])
        self.write_pid_files()
        if server.get("mute"):
            self.wait()
        if server.get("pty"):
            self.pty = subprocess.Popen(["sh", "-c", self.options["pty"]], stdin=subprocess.PIPE)
        self.make_link()
        if not os.access(self.pptp, os.X_OK):
            self.end(HANGUP, f"sh: 1: exec: {self.pptp}: not found", "Modem hangup", "Connection terminated.")
        if server.get("answer") == "gone":
            self.end(HANGUP, "anon warn[open_inetsock:pptp_callmgr.c:352]: connect: No route to host",
                     f"anon fatal[callmgr_main:pptp_callmgr.c:133]: Could not open control connection to {self.ip}",
                     "Modem hangup", "Connection terminated.")
        while server.get("answer") == "silent":
            self.wait(0.05)
            server = server_of(self.ip)
        self.wait(server.get("talk_ms", 20) / 1000)
        self.authenticate(server)
        self.come_up(server)
        self.wait(server["dies_after_ms"] / 1000 if "dies_after_ms" in server else None)
        self.end(HANGUP, "Modem hangup", "Connection terminated.")

    def make_link(self):
        self.link = Link(self.options.get("ifname"))
        self.write_pid_files()
        say(f"Connect: {self.link.name} <--> /dev/pts/0")

    def write_pid_files(self):
        files, pid = {}, f"{os.getpid()}\n"
        if self.link:
            files[f"{SANDBOX}/run/{self.link.name}.pid"] = pid
        if "linkname" in self.options:
            files[f"{SANDBOX}/run/ppp-{self.options['linkname']}.pid"] = \
                pid + (f"{self.link.name}\n" if self.link else "")
        for path, text in files.items():
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        self.pid_files = list(files)

    def authenticate(self, server):
        remote = self.options.get("remotename", "")
        given = secret(self.options.get("name"), remote)
        if given is None:
            say(f"No CHAP secret found for authenticating us to {remote}")
        if given != server.get("password", "secret"):
            self.end(AUTH_TOPEER_FAILED, "MS-CHAP authentication failed: Access denied",
                     "CHAP authentication failed", "Connection terminated.")
        say("CHAP authentication succeeded")

    def come_up(self, server):
        local, remote = server.get("local", "10.50.0.100"), server.get("remote", "10.50.0.1")
        if server.get("answer") != "talk":
            mtu = int(self.options.get("mtu", 1500))
            self.link.ioctl(SIOCSIFMTU, "i20x", mtu)
            if "require-mppe-128" in self.options:
                self.link.ioctl(SIOCSIFMTU, "i20x", mtu - 4)
                say("MPPE 128-bit stateless compression enabled")
            self.link.set_up()
            self.log("up")  # before the world can see it and act on it
            try:
                self.link.set_addresses(local, remote)
            except OSError as error:  # somebody has taken the address away again
                self.end(HANGUP, f"ioctl(SIOCSIFDSTADDR): {error.strerror}", "Interface configuration failed",
                         "Connection terminated.")
        say(f"local  IP address {local}", f"remote IP address {remote}")


def detach():
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    [os.dup2(null, fd) for fd in range(3)]


def main():
    arguments = sys.argv[1:]
    if len(arguments) < 2 or arguments[0] != "call" or arguments[2:] not in ([], ["nodetach"]):
        fail(OPTION_ERROR, f"{sys.argv[0]}: usage: pppd call NAME [nodetach]")
    options = peer_options(arguments[1])
    if os.path.exists(f"{SANDBOX}/no-ppp"):
        fail(NO_KERNEL_SUPPORT, f"{sys.argv[0]}: This system lacks kernel support for PPP.  This could be because",
             "the PPP kernel module could not be loaded, or because PPP was not included in the kernel configuration.")
    if "nodetach" not in arguments:
        detach()
    Call(arguments[1], options).run()


main()
