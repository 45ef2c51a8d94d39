# The kernel engine against servers that carry packets in the kernel, too: with MPPE that keeps state and that does not, and
# without; pings and TCP both ways come through whole; what is encrypted is not to be read on the way; a hang-up leaves
# nothing at either end.
one_engine
source /lab/kernel_server.sh
kernel_server alpha 10.9.0.2
kernel_server beta 10.9.0.3 mppe=off
kernel_server gamma 10.9.0.4 mppe=stateful
config 'tunnel.engine = "kernel"
tunnel.mppe_stateful = true
tunnel.lcp_echo_interval = "1s"'
mkdir -p "${database_file%/*}"
sql 'CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, status TEXT, mppe TEXT)'
sql "INSERT INTO nodes VALUES (2, '10.9.0.2', 'admin', 'secret', 'speed_ok', NULL), (3, '10.9.0.3', 'admin', 'secret', 'speed_ok', 'off'),
  (4, '10.9.0.4', 'admin', 'secret', 'speed_ok', NULL)"
daemon_start
for id in 2 3 4; do node_up $id; done

# What packets of GRE on the server's cable show: a text that pings carry, or none; and in how many the key is a new one.
cat >/run/lab-listen.py <<'PY'
import socket, sys

# ETH_P_ALL: a port of a bridge shows no less.
cable = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
cable.bind((sys.argv[1], 3))
cable.settimeout(60)
print("listening", flush=True)
seen = shown = anew = 0
while seen < 10:
    packet = cable.recv(4096)
    if packet[0] == 0x45 and packet[9] == 47 and len(packet) > 150:
        # Behind IP and GRE, which may have an acknowledgement: MPPE's header, whose first bit tells of a new key.
        ppp = packet[36 if packet[21] & 0x80 else 32:].removeprefix(b"\xff\x03")
        seen, shown = seen + 1, shown + (b"connexad" in packet)
        anew += ppp[:2] == b"\x00\xfd" and ppp[2] >> 7
print(shown, "shown,", "each" if anew == 10 else "not each", "by a new key", flush=True)
PY
# pings ID CABLE SHOWN: what packets of GRE show
pings() {
  local link=lab-heard-$1
  python3 -IS /run/lab-listen.py "$2" >"/run/$link" &
  wait_for 10 "the cable of node $1 is listened to" grep -q listening "/run/$link"
  expect "node $1 loses no ping" ping -n -q -c 20 -i 0.05 -W 5 -s 200 -p 636f6e6e65786164 -I "$(tunnel_link "$1")" "10.50.$1.1"
  wait_for 10 "packets to node $1 were seen: $3" grep -qx "$3" "/run/$link"
}
pings 2 v-alpha '0 shown, each by a new key'
pings 3 v-beta '10 shown, not each by a new key'
pings 4 v-gamma '0 shown, not each by a new key'

# Bytes at random go there and come back.
cat >/run/lab-echo.py <<'PY'
import socket

listener = socket.create_server(("", 7))
while True:
    peer, _ = listener.accept()
    with peer:
        while chunk := peer.recv(1 << 16):
            peer.sendall(chunk)
PY
cat >/run/lab-there-and-back.py <<'PY'
import os, socket, sys, threading

sent = os.urandom(1 << 20)
peer = socket.socket()
peer.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
peer.settimeout(60)
peer.connect((sys.argv[2], 7))
sender = threading.Thread(target=lambda: (peer.sendall(sent), peer.shutdown(socket.SHUT_WR)))
sender.start()
back = bytearray()
while chunk := peer.recv(1 << 16):
    back += chunk
sys.exit(back != sent)
PY
echoes=()
for name in alpha beta gamma; do
  ip netns exec "srv-$name" python3 -IS /run/lab-echo.py &
  echoes+=($!)
done
there_and_back() { python3 -IS /run/lab-there-and-back.py "$(tunnel_link "$1")" "10.50.$1.1"; }
for id in 2 3 4; do wait_for 20 "a stream of node $id comes back as it went" there_and_back $id; done
expect_equal "the dials" '1 1 1' "$(status '[.nodes[].attempts | tostring] | join(" ")')"
expect "no tunnel was down" said_times 0 ' is DOWN on '

calls() { ip -n "srv-$1" -oneline link show type ppp; }
expect "the server has a call" test -n "$(calls alpha)"
for id in 2 3 4; do connexactl stop $id; done
for id in 2 3 4; do wait_for 10 "node $id is stopped" node_is $id stopped; done
no_calls() { ! calls alpha | grep . && ! calls beta | grep . && ! calls gamma | grep .; }
wait_for 10 "no server has a call any more" no_calls
kill "${echoes[@]}"
