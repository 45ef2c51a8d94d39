"""Sends as many bytes as it is asked for, and takes in and counts what comes.

It listens at port 5001. A connection begins with eight bytes: how many are wanted; none takes in until the end.
"""
import socket
import struct

listener = socket.create_server(("", 5001))
chunk = bytes(1 << 16)
while True:
    peer, _ = listener.accept()
    with peer:
        wanted = struct.unpack("=Q", peer.recv(8, socket.MSG_WAITALL))[0]
        for _ in range(wanted // len(chunk)):
            peer.sendall(chunk)
        if not wanted:
            while peer.recv(1 << 16):
                pass
            peer.sendall(b"all")
