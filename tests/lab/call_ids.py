"""Takes every call id of this host that is free, as so many calls would, until it is killed; tells when none is left."""
import ctypes
import resource
import signal
import socket
import struct

AF_PPPOX = 24
PX_PROTO_PPTP = 2
ALL = 65_536

libc = ctypes.CDLL(None, use_errno=True)
resource.setrlimit(resource.RLIMIT_NOFILE, (ALL + 100, ALL + 100))
taken = []
for call_id in range(1, ALL):
    call = socket.socket(AF_PPPOX, socket.SOCK_STREAM, PX_PROTO_PPTP)
    # struct sockaddr_pppox of PPTP
    address = struct.pack("=HIH2x4s16x", AF_PPPOX, PX_PROTO_PPTP, call_id, socket.inet_aton("10.9.255.254"))
    if libc.bind(call.fileno(), address, len(address)):
        call.close()
    else:
        taken.append(call)
print("all taken", flush=True)
signal.pause()
