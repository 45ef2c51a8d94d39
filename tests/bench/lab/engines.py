"""What tunnels of an engine take. The configuration names it, too, and hangs up a row that is gone at once.

engines.py ENGINE one: from a row to its tunnel, one by one.
engines.py ENGINE many: thirty at once, what they need of memory, what data costs, an idle minute, their hang-up.
engines.py ENGINE kernel_server: what data costs where the server carries it in the kernel.
"""
import os
import re
import socket
import struct
import subprocess
import sys
import time

from figures import ms, tell, wake_ups
from gateway import Database, systemctl
from kernel_events import Kernel

LAPS, AT_ONCE, IDLE_S = 3, 30, 60
# Threads for file work end after 10 s without any.
REST_S = 12
MIB, TURNS = 4, 2
NODES = [(1 + n, f"10.9.1.{1 + n % 6}", "abcde"[n // 6]) for n in range(AT_ONCE)]
AT_KERNEL = (40, "10.9.1.9", "a")
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
    """Private memory of our processes; of the kernel, for both ends."""
    private = sum(sum_of(f"/proc/{pid}/smaps_rollup", r"^Private_\w+:\s+(\d+) kB") for pid in ours())
    return private, sum_of("/proc/meminfo", r"^(?:SUnreclaim|KernelStack|PageTables|Percpu):\s+(\d+) kB")


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


def carry_all(server, subnet):
    """What data costs in the tunnel to a server, whose clients have these addresses."""
    link = subprocess.run(["ip", "-o", "-4", "addr", "show", "to", f"{subnet}.0/24"], check=True, stdout=subprocess.PIPE, text=True)
    link = link.stdout.split()[1]
    for _ in range(TURNS):
        for way in ("up", "down"):
            before = computed_ms()
            took = carry(link, f"{subnet}.1", way == "down")
            user, all_of_it = (now - then for now, then in zip(computed_ms(), before))
            tell("carry", engine=engine, server=server, way=way, mib_s=MIB / took, user_ms_mib=user / MIB,
                 all_ms_mib=all_of_it / MIB)


def one():
    for _ in range(LAPS):
        kernel.forget()
        start = insert(NODES[:1])
        tell("one", engine=engine, to_up_ms=ms(kernel.wait_up() - start))
        database.clear()
        wait_gone(1)
        kernel.settle()


def many():
    time.sleep(REST_S)
    private, in_kernel = memory_kb()
    start = insert(NODES)
    up = kernel.wait_up(AT_ONCE, 120)
    status = subprocess.run(["connexactl", "--json", "status"], check=True, stdout=subprocess.PIPE, text=True).stdout
    tell("many", engine=engine, nodes=AT_ONCE, to_all_up_ms=ms(up - start), failed=status.count('"last_error": {'))
    time.sleep(REST_S)
    more = [now - before for now, before in zip(memory_kb(), (private, in_kernel))]
    tell("memory", engine=engine, private_kb=more[0] / AT_ONCE, kernel_kb=more[1] / AT_ONCE, processes=len(ours()))
    carry_all("pptpd", "10.50.1")
    before = {pid: wake_ups(pid) for pid in ours()}
    time.sleep(IDLE_S)
    tell("idle", engine=engine, seconds=IDLE_S, wake_ups=sum(wake_ups(pid) - before.get(pid, 0) for pid in ours()))
    kernel.forget()
    start = kernel.now()
    database.clear()
    tell("hang_up", engine=engine, all_gone_ms=ms(wait_gone(AT_ONCE) - start))


def kernel_server():
    insert([AT_KERNEL])
    kernel.wait_up()
    carry_all("kernel", "10.50.9")
    database.clear()
    wait_gone(1)


systemctl("start", "connexad")
{"one": one, "many": many, "kernel_server": kernel_server}[measure]()
systemctl("stop", "connexad")
