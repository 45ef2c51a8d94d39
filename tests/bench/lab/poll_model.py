"""A model of v7.4.6: every so many seconds it looks which links are there, and calls where one is missing.

poll_model.py SECONDS NAME=LINK...: one round of it.
"""
import json
import subprocess
import sys
import time

time.sleep(int(sys.argv[1]))
listed = subprocess.run(["ip", "-j", "link"], check=True, stdout=subprocess.PIPE)
there = {link["ifname"] for link in json.loads(listed.stdout)}
for call in sys.argv[2:]:
    name, link = call.split("=")
    if link not in there:
        subprocess.run(["/usr/sbin/pppd", "call", name], check=True)
