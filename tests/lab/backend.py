#!/usr/bin/python3
"""A small HTTP backend on port 8001. /run/backend-mode makes it awkward: `deaf` to TERM, `broken` at each start,
or with a child (`parent`) that lives beside it."""
import http.server
import os
import pathlib
import signal
import subprocess
import sys
import time

mode_file = pathlib.Path("/run/backend-mode")
mode = mode_file.read_text().strip() if mode_file.exists() else "plain"
if mode == "broken":
    # Later than supervisord's startsecs, which takes a program that lives so long for started.
    time.sleep(2)
    sys.exit("backend: broken")
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode == "parent":
    child = subprocess.Popen(["sleep", "infinity"])
    pathlib.Path("/run/backend-child").write_text(str(child.pid))
os.chdir("/srv/backend")
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.test(http.server.SimpleHTTPRequestHandler, http.server.ThreadingHTTPServer, port=8001, bind="127.0.0.1")
