#!/usr/bin/python3
"""How the daemon answers a thousand nodes' operators while others ask badly, and follows the kernel while others follow it.

surface.py CONNEXAD FOLDER: each result is a line of JSON. The nodes' tunnels come up at once by the stand-in for pppd.
"""
import contextlib
import http.client
import json
import os
import pty
import random
import re
import select
import selectors
import signal
import socket
import sqlite3
import sys
import time
import traceback

sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/kernel")

from connexad import Connexad
from figures import cpu_ns, tell
from world import IFF_UP, NODES, World

ALL, BAD, QUERIES, ROUNDS = 1000, 1000, 300, 5
RATE, FOLLOWERS, DEAF, SAMPLES, TOP_S = 4000, 100, 10, 60, 5
# One that the storm leaves alone.
WATCHED = f"ppp{NODES + 10}"
SILENT, HALF, GARBAGE = b"", b"GET /v1/status HT", b"\x16\x03\x01\0\xff" * 40 + b"\r\n\r\n"
# More than the kernel holds for who does not read.
UNREAD = b"GET /openapi.json HTTP/1.1\r\nHost: c\r\n\r\n" * 100
HUGE = b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 200_000
LAGGED = re.compile(rb'"lagged","lost":(\d+)')
KINDS = (SILENT, HALF, GARBAGE, UNREAD, HUGE)


class Fleet(Connexad):
    """A daemon with so many nodes."""

    patience = 240

    def __init__(self, *around):
        super().__init__(*around)
        path = f"{self.folder}/database/nodes.db"
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            rows = [(n, f"10.{n >> 8}.{n & 255}.2", "admin", "secret", "speed_ok") for n in range(NODES + 1, ALL + 1)]
            database.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?)", rows)

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.status()["counts"].get("up") == ALL
        return False

    def ask(self, path):
        connection = http.client.HTTPConnection("connexad", timeout=10)
        connection.sock = self.connected()
        with contextlib.closing(connection):
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())

    def connected(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{self.folder}/control/connexad.sock")
        return sock


@contextlib.contextmanager
def beside(work, end=signal.SIGKILL):
    """A process that does this meanwhile, until it gets the signal `end`; it has begun when it writes a byte."""
    begun, begins = os.pipe()
    child = os.fork()
    if not child:
        try:
            work(lambda: os.write(begins, b"."))
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    os.close(begins)
    os.read(begun, 1)
    os.close(begun)
    try:
        yield
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise SystemExit("what was to go on during the measurement has ended before it")
    finally:
        os.kill(child, end)
        os.waitpid(child, 0)


def bad_clients(fleet):
    """So many at once, of each kind as many; whoever is hung up on comes again."""

    def work(begun):
        selector = selectors.DefaultSelector()

        def come(kind):
            sock = fleet.connected()
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.send(kind)
            selector.register(sock, selectors.EVENT_READ, kind)

        for number in range(BAD):
            with contextlib.suppress(OSError):
                come(KINDS[number % len(KINDS)])
        begun()
        while True:
            for key, _ in selector.select():
                with contextlib.suppress(OSError):
                    # What is answered to those who read nothing stays unread.
                    if key.data is UNREAD and key.fileobj.recv(1, socket.MSG_PEEK):
                        selector.unregister(key.fileobj)
                        continue
                    if key.fileobj.recv(65536):
                        continue
                selector.unregister(key.fileobj)
                key.fileobj.close()
                with contextlib.suppress(OSError):
                    come(key.data)
            time.sleep(0.01)

    return beside(work)


def queries(fleet):
    """How long each took, and how many had no answer."""
    times, failed = [], 0
    for _ in range(QUERIES):
        try:
            times.append(round(fleet.query_ns() / 1000))
        except OSError:
            failed += 1
    return {"us": times, "failed": failed}


@contextlib.contextmanager
def followers(fleet):
    """Most read all that they are sent, some read nothing until they are asked how many events they were told to have
    lost: gives what asks them."""
    asked, ask = os.pipe()
    answer, answers = os.pipe()

    def work(begun):
        selector = selectors.DefaultSelector()
        selector.register(asked, selectors.EVENT_READ)
        socks = [fleet.connected() for _ in range(FOLLOWERS)]
        for sock in socks:
            sock.send(b"GET /v1/events HTTP/1.1\r\nHost: c\r\n\r\n")
        for sock in socks[DEAF:]:
            selector.register(sock, selectors.EVENT_READ)
        begun()
        heard, lost = [], []
        while True:
            for key, _ in selector.select():
                if key.fileobj == asked:
                    selector.unregister(asked)
                    for sock in socks[:DEAF]:
                        selector.register(sock, selectors.EVENT_READ, bytearray())
                elif key.data is None:
                    heard += LAGGED.findall(key.fileobj.recv(1 << 18))
                else:
                    if not (more := key.fileobj.recv(1 << 18)):
                        os.write(answers, b'"hung up on"')
                        return
                    # With the end of what came before, where the line is torn.
                    key.data[:] = key.data[-100:] + more
                    if found := LAGGED.search(key.data):
                        selector.unregister(key.fileobj)
                        lost.append(int(found[1]))
                        if len(lost) == DEAF:
                            told = {"lagged": DEAF, "lost": sum(lost), "lagged_of_readers": len(heard)}
                            os.write(answers, json.dumps(told).encode())

    def tell():
        os.write(ask, b".")
        if not select.select([answer], [], [], 10)[0]:
            raise SystemExit("followers that read nothing were not told that they lost events")
        told = json.loads(os.read(answer, 200))
        if told == "hung up on":
            raise SystemExit("a follower that read nothing was hung up on")
        return told

    with beside(work):
        yield tell
    for end in asked, ask, answer, answers:
        os.close(end)


def storm(fleet):
    """Ends with all links up: a tunnel whose link stays down is hung up, and the next storm would lack its link."""
    if not fleet.is_ready():
        raise SystemExit("not all tunnels are up before the storm")

    def work(begun):
        ends = []
        signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
        begun()
        while not ends:
            fleet.world.storm(RATE, RATE)

    return beside(work, signal.SIGTERM)


def event_to_state(fleet):
    """A node's link goes up during the storm; from right before that until a question is answered with it."""
    world, times = fleet.world, []
    node = next(node["id"] for node in fleet.status()["nodes"] if node["interface"] == WATCHED)
    for _ in range(SAMPLES):
        world.flip(WATCHED.encode(), 0)
        wait_until(fleet, node, False)
        time.sleep(random.uniform(0.04, 0.06))
        start = time.monotonic_ns()
        world.flip(WATCHED.encode(), IFF_UP)
        wait_until(fleet, node, True)
        times.append(round((time.monotonic_ns() - start) / 1000))
    return times


def wait_until(fleet, node, is_up):
    end = time.monotonic() + 5
    while (fleet.ask(f"/v1/nodes/{node}")["state"] == "up") != is_up:
        if time.monotonic() > end:
            raise SystemExit(f"node {node} is not shown to be {'up' if is_up else 'down'} within five seconds")


def top(fleet, connexactl):
    """What a screen costs a second, its program and the daemon."""
    child, screen = pty.fork()
    if not child:
        os.environ["TERM"] = "xterm"
        os.execv(connexactl, [connexactl, "--socket", f"{fleet.folder}/control/connexad.sock", "top"])

    def watch(seconds):
        end, shown = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            if select.select([screen], [], [], left)[0]:
                shown += len(os.read(screen, 65536))
        return shown

    try:
        if not watch(TOP_S):
            raise SystemExit("top shows nothing")
        before = cpu_ns(child), cpu_ns(fleet.pid)
        watch(TOP_S)
        after = cpu_ns(child), cpu_ns(fleet.pid)
    finally:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        os.close(screen)
    program, daemon = (round((now - then) / TOP_S / 1e6, 2) for now, then in zip(after, before))
    tell("top", program_ms=program, daemon_ms=daemon)


def main():
    connexad, folder = map(os.path.abspath, sys.argv[1:])
    fleet = Fleet(World(NODES, with_nodes=False), folder, {"connexad": connexad})
    try:
        fleet.start()
        fleet.settle()
        for _ in range(ROUNDS):
            top(fleet, f"{os.path.dirname(connexad)}/connexactl")
            tell("query", who="alone", **queries(fleet))
            with bad_clients(fleet):
                tell("query", who="beside bad clients", **queries(fleet))
            fleet.settle()
            with storm(fleet):
                tell("event", followers=0, us=event_to_state(fleet))
            fleet.settle()
            with followers(fleet) as lagged, storm(fleet):
                tell("event", followers=FOLLOWERS, us=event_to_state(fleet), **lagged())
            fleet.settle()
            fleet.output.forget()
    finally:
        fleet.stop()
        fleet.world.close()


main()
