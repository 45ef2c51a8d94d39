"""What tunnels of an engine take. The configuration names it, too, and hangs up a row that is gone at once.

engines.py ENGINE one: from a row to its tunnel, one by one.
engines.py ENGINE pptpd: what data costs.
engines.py ENGINE paced: the same, where a hook gives the link its pace.
engines.py ENGINE kernel_server: what data costs where the server carries it in the kernel.
engines.py ENGINE many: two hundred at once, what they need of memory, an idle minute, their hang-up. The servers are
another machine's.
"""
import os
import re
import socket
import struct
import subprocess
import sys
import time

from figures import ms, pss_kb, tell, wake_ups
from gateway import Database, systemctl
from kernel_events import Kernel

LAPS, AT_ONCE, IDLE_S = 3, 200, 60
# Threads for file work end after 10 s without any.
REST_S = 12
MIB, TURNS = 4, 2
SERVERS = 8
NODES = [(1 + n, f"10.9.1.{1 + n % SERVERS}", f"u{n // SERVERS}") for n in range(AT_ONCE)]
AT_KERNEL = (1000, "10.9.1.9", "u0")
KERNELS = ("Slab", "KernelStack", "PageTables", "Percpu")
OURS = {"connexad", "connexad-hold", "pppd", "pptp", "pptpgw", "pptpcm"}
engine, measure = sys.argv[1:]
kernel, database = Kernel(), Database()


def insert(nodes):
    rows = [(number, ip, login, "secret", "speed_ok") for number, ip, login in nodes]
    database.connection.execute("BEGIN")
    database.connection.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?)", rows)
    at = kernel.now()
    database.connection.execute("COMMIT")
    return at


def wait_gone(count):
    """When so many links that were up are gone."""
    for _ in range(count):
        last = kernel.wait(lambda seen: seen.what == "link gone" and seen.name.startswith("ppp"))
    return last.at


def ours():
    """Processes of this end: the servers have networks of their own."""
    found, here = [], os.readlink("/proc/self/ns/net")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                if file.read().strip() in OURS and os.readlink(f"/proc/{pid}/ns/net") == here:
                    found.append(int(pid))
        except OSError:
            pass  # it has ended
    return found


def sum_of(path, pattern):
    with open(path, encoding="utf-8") as file:
        return sum(map(int, re.findall(pattern, file.read(), re.M)))


def memory_kb():
    """What our processes have, each page that they share counted once, and what the kernel has: slabs of it with their size."""
    # What the kernel keeps only until somebody needs the room.
    with open("/proc/sys/vm/drop_caches", "w", encoding="utf-8") as file:
        file.write("3")
    kernels = {name: sum_of("/proc/meminfo", rf"^{name}:\s+(\d+) kB") for name in KERNELS}
    with open("/proc/slabinfo", encoding="utf-8") as file:
        lines = [line.split() for line in file.readlines()[2:]]
    slabs = {line[0]: int(line[1]) * int(line[3]) / 1024 for line in lines}
    return sum(map(pss_kb, ours())), kernels, slabs


def computed_ms():
    """What our processes have computed in user space, and what the whole machine has computed."""
    ticks = 0
    for pid in ours():
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            ticks += int(file.read().rsplit(")", 1)[1].split()[11])
    with open("/proc/stat", encoding="utf-8") as file:
        user, nice, system, _, _, hard, soft = map(int, file.readline().split()[1:8])
    tick = 1000 / os.sysconf("SC_CLK_TCK")
    return ticks * tick, (user + nice + system + hard + soft) * tick


def carry(link, end, down):
    """MIB from the server's end of the tunnel, or to it. Returns how long that takes."""
    wanted = MIB << 20 if down else 0
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        peer.connect((end, 5001))
        began = time.monotonic()
        peer.sendall(struct.pack("=Q", wanted))
        if wanted:
            while wanted:
                wanted -= len(peer.recv(1 << 16))
        else:
            for _ in range(MIB * 16):
                peer.sendall(bytes(1 << 16))
            peer.shutdown(socket.SHUT_WR)
            peer.recv(3)
        return time.monotonic() - began


def lost_at(host):
    """Packets that a program there was too slow to take from its raw socket, so far."""
    raw = subprocess.run(["ip", "netns", "exec", host, "cat", "/proc/net/raw"], check=True, stdout=subprocess.PIPE, text=True)
    return sum(int(line.split()[-1]) for line in raw.stdout.splitlines()[1:])


def carry_all(server, subnet, host):
    """What data costs in the tunnel to a server on a host, whose clients have these addresses."""
    link = subprocess.run(["ip", "-o", "-4", "addr", "show", "to", f"{subnet}.0/24"], check=True, stdout=subprocess.PIPE, text=True)
    link = link.stdout.split()[1]
    for _ in range(TURNS):
        for way in ("up", "down"):
            lost, before = lost_at(host), computed_ms()
            took = carry(link, f"{subnet}.1", way == "down")
            user, all_of_it = (now - then for now, then in zip(computed_ms(), before))
            tell("carry", engine=engine, server=server, way=way, mib_s=MIB / took, user_ms_mib=user / MIB,
                 all_ms_mib=all_of_it / MIB, lost_mib=(lost_at(host) - lost) / MIB)


def one():
    for _ in range(LAPS):
        kernel.forget()
        start = insert(NODES[:1])
        tell("one", engine=engine, to_up_ms=ms(kernel.wait_up() - start))
        database.clear()
        wait_gone(1)
        kernel.settle()


def with_tunnel(node, work):
    """Does it while the tunnel of this node is up."""
    insert([node])
    kernel.wait_up()
    work()
    database.clear()
    wait_gone(1)


def pptpd():
    with_tunnel(NODES[0], lambda: carry_all("pptpd", "10.50.1", "srv-pptpd"))


def paced():
    with_tunnel(NODES[0], carry_with_a_pace)


def carry_with_a_pace():
    # The hook runs once the tunnel is up.
    end = time.monotonic() + 30
    while "qdisc tbf" not in subprocess.run(["tc", "qdisc"], check=True, stdout=subprocess.PIPE, text=True).stdout:
        if time.monotonic() > end:
            raise TimeoutError("the hook has given no link its pace within 30 s")
        time.sleep(0.1)
    carry_all("paced", "10.50.1", "srv-pptpd")


def many():
    time.sleep(REST_S)
    without = memory_kb()
    start, before = insert(NODES), computed_ms()
    up = kernel.wait_up(AT_ONCE, 600)
    tell("many", engine=engine, nodes=AT_ONCE, to_all_up_ms=ms(up - start), failed=failed(), **more_ms(before))
    time.sleep(REST_S)
    tell_memory(without, memory_kb())
    before = {pid: wake_ups(pid) for pid in ours()}
    time.sleep(IDLE_S)
    tell("idle", engine=engine, seconds=IDLE_S, wake_ups=sum(wake_ups(pid) - before.get(pid, 0) for pid in ours()))
    kernel.forget()
    start, before = kernel.now(), computed_ms()
    database.clear()
    tell("hang_up", engine=engine, all_gone_ms=ms(wait_gone(AT_ONCE) - start), **more_ms(before))


def failed():
    """How many nodes have a dial that failed."""
    status = subprocess.run(["connexactl", "--json", "status"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return status.count('"last_error": {')


def more_ms(before):
    """Computed since then by this machine, whoever it was for."""
    return {"computed_ms": computed_ms()[1] - before[1]}


def tell_memory(without, there):
    """What each of the tunnels needs, and the kernel's part of it by what it is for."""
    kernels, slabs = ({name: (now[name] - before.get(name, 0)) / AT_ONCE for name in now}
                      for before, now in zip(without[1:], there[1:]))
    tell("memory", engine=engine, processes_kb=(there[0] - without[0]) / AT_ONCE, kernel_kb=sum(kernels.values()),
         processes=len(ours()), kernels=kernels, slabs={name: kb for name, kb in slabs.items() if kb >= 0.1})


def kernel_server():
    with_tunnel(AT_KERNEL, lambda: carry_all("kernel", "10.50.9", "srv-kernel"))


systemctl("start", "connexad")
{"one": one, "pptpd": pptpd, "paced": paced, "kernel_server": kernel_server, "many": many}[measure]()
systemctl("stop", "connexad")
