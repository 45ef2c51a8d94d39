#!/usr/bin/python3 -IS
"""What `backend.restart` runs: notes each call in SANDBOX/restarts.log and, while SANDBOX/backend-works exists,
leaves a process behind that opens the backend's port. Called as SANDBOX/bin/restart-backend PORT."""
import os
import signal
import socket
import sys

SANDBOX = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))

with open(f"{SANDBOX}/restarts.log", "ab") as log:
    log.write(b"restart\n")
if os.path.exists(f"{SANDBOX}/backend-works") and os.fork() == 0:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    signal.pause()
