"""Servers that no client should meet: each address of this host has ways of its own.

hostile_servers.py NETWORK: `NETWORK.N` is the Nth of WAYS; tells when all of them listen.
"""
import os
import socket
import struct
import sys
import threading
import time

COOKIE = 0x1A2B3C4D
ECHO_REQUEST = struct.pack("!HHIHHI", 16, 1, COOKIE, 5, 0, 1)
START_REPLY = struct.pack("!HHIHHHBBIIHH64s64s", 156, 1, COOKIE, 2, 0, 0x100, 1, 0, 3, 3, 1, 1, b"hostile", b"hostile")
SERVERS_ID = 77
RESET = struct.pack("ii", 1, 0)


def call_reply(client_id):
    return struct.pack("!HHIHHHHBBHIHHI", 32, 1, COOKIE, 8, 0, SERVERS_ID, client_id, 1, 0, 0, 10_000_000, 64, 0, 0)


def message(peer):
    """The next message of the client."""
    head = peer.recv(2, socket.MSG_WAITALL)
    return head + peer.recv(struct.unpack("!H", head)[0] - 2, socket.MSG_WAITALL)


def until_gone(peer):
    while peer.recv(1 << 16):
        pass


def take_call(peer, starts=1):
    """Takes the client's call; its own id of it."""
    message(peer)
    peer.sendall(START_REPLY * starts)
    client_id = struct.unpack_from("!H", message(peer), 12)[0]
    peer.sendall(call_reply(client_id))
    return client_id


def garbage(peer):
    peer.sendall(os.urandom(4096))
    until_gone(peer)


def megabytes(peer):
    while True:
        peer.sendall(bytes(1 << 20))


def endless_echoes(peer):
    """What is whole and never ends, and none of the answers is read."""
    while True:
        peer.sendall(ECHO_REQUEST * 4096)


def half(peer):
    peer.sendall(START_REPLY[:80])
    until_gone(peer)


def length_of_none(peer):
    peer.sendall(bytes(2))
    until_gone(peer)


def length_of_all(peer):
    peer.sendall(b"\xff\xff" + START_REPLY[2:])
    until_gone(peer)


def byte_a_second(peer):
    for byte in START_REPLY:
        peer.sendall(bytes([byte]))
        time.sleep(1)


def silent(peer):
    until_gone(peer)


def gone_at_once(_peer):
    pass


def two_starts(peer):
    take_call(peer, starts=2)
    until_gone(peer)


def other_id(peer):
    message(peer)
    peer.sendall(START_REPLY)
    client_id = struct.unpack_from("!H", message(peer), 12)[0]
    peer.sendall(call_reply(client_id ^ 1))
    until_gone(peer)


def garbage_in_the_call(peer):
    take_call(peer)
    peer.sendall(os.urandom(4096))
    until_gone(peer)


def reset_in_the_call(peer):
    take_call(peer)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def frames(peer, frame):
    """Sends PPP frames into the call until the client hangs up."""
    client_id, sequence = take_call(peer), 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 47) as gre:
        gre.bind((peer.getsockname()[0], 0))
        gre.connect((peer.getpeername()[0], 0))
        peer.settimeout(0.002)
        while True:
            sent = frame(sequence)
            gre.send(struct.pack("!HHHHI", 0x3001, 0x880B, len(sent), client_id, sequence) + sent)
            sequence += 1
            try:
                if not peer.recv(1 << 16):
                    return
            except TimeoutError:
                pass


def asks_for_ever(peer):
    """LCP Configure-Request, again and again."""
    magic = os.urandom(4)
    frames(peer, lambda number: struct.pack("!BBHBBHBB", 0xFF, 3, 0xC021, 1, number & 0xFF, 10, 5, 6) + magic)


def garbage_frames(peer):
    frames(peer, lambda _: b"\xff\x03" + os.urandom(600))


WAYS = [garbage, megabytes, endless_echoes, half, length_of_none, length_of_all, byte_a_second, silent, gone_at_once,
        two_starts, other_id, garbage_in_the_call, reset_in_the_call, asks_for_ever, garbage_frames]


def serve(listener, way):
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=meet, args=(peer, way)).start()


def meet(peer, way):
    with peer:
        try:
            way(peer)
        except OSError:
            pass  # the client has hung up
        except struct.error:
            pass  # and said nothing more


for number, way in enumerate(WAYS, 1):
    listener = socket.create_server((f"{sys.argv[1]}.{number}", 1723))
    threading.Thread(target=serve, args=(listener, way)).start()
print("all listen", flush=True)
