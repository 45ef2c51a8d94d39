"""Twenty nodes of one server, from the start of the daemon to all up.

side_by_side.py AT_ONCE: so many dials at once are configured, which is only told.
"""
import subprocess
import sys

from figures import ms, tell
from gateway import ALPHA, Database, end_calls, systemctl
from kernel_events import Kernel

NODES = [(200 + n, ALPHA) for n in range(20)]
kernel, database = Kernel(), Database()

database.clear()
database.insert(NODES)
systemctl("start", "--no-block", "connexad")
start = kernel.wait(lambda seen: seen.what == "exec" and seen.words[:1] == ("/usr/local/sbin/connexad",)).at
up = kernel.wait_up(len(NODES), 240)
dials = subprocess.run(["connexactl", "--json", "status"], check=True, stdout=subprocess.PIPE, text=True).stdout
tell("one_server", at_once=int(sys.argv[1]), nodes=len(NODES), to_all_up_ms=ms(up - start),
     failed=dials.count('"last_error": {'))
systemctl("stop", "connexad")
end_calls(kernel)
