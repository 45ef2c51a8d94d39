# With routing.when_down = "unreachable" not one packet that is marked for a node leaves by the uplink, whatever becomes of
# its tunnel and of the daemon, from the moment when the node is wanted, before its first dial, until it is wanted no more.
server alpha 10.9.0.2 admin:secret
config 'routing = { table_base = 1000, when_down = "unreachable" }
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
nft -f - <<'END'
table inet labwatch {
  counter leaked { }
  counter carried { }
  chain out {
    type filter hook postrouting priority -300;
    meta mark 1002 oifname "lab0" counter name leaked
    meta mark 1002 oifname "ppp*" counter name carried
  }
}
END
cat >/run/lab-send.py <<'END'
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 36, 1002)
while True:
    try:
        s.sendto(b"secret", ("10.9.255.253", 9))
    except OSError:
        pass
    time.sleep(0.0005)
END
counted() { nft list counter inet labwatch "$1" | grep -oP 'packets \K[0-9]+'; }
carries_more_than() { (($(counted carried) > $1)); }
carried() { wait_for 30 "the tunnel carries what is marked" carries_more_than "$(counted carried)"; }
guarded() {
  local seen
  seen=$(ip route get 10.9.255.253 mark 1002 2>&1 || true)
  echo "$seen"
  [[ $seen == *'No route to host'* ]]
}

leaks() { (($(counted leaked) > ${1:-0})); }
server_freeze alpha
daemon_start
systemd-run --quiet --collect --unit lab-send python3 -IS /run/lab-send.py
wait_for 10 "what nobody wants yet takes the main routes" leaks
node 2 10.9.0.2 admin secret speed_ok
wait_for 20 "nothing leaves before the first dial is answered" guarded
# What was on its way through the kernel before the guard stood is counted before.
sender=$(systemctl show --value -p MainPID lab-send)
rests() { [[ $(cut -d' ' -f3 "/proc/$sender/stat") == T ]]; }
kill -STOP "$sender"
wait_for 10 "the sender rests" rests
before=$(counted leaked)
kill -CONT "$sender"
server_thaw alpha
node_up 2
carried

server_kill alpha
wait_for 30 "the tunnel has fallen" node_is 2 backoff
server_start alpha
node_up 2
carried

# The daemon is killed, and then the tunnel falls.
kill -STOP "$(daemon_pid)"
ip link del "$(ip -o link show type ppp | grep -oE 'ppp[0-9]+' | head -n 1)"
wait_for 10 "nothing leaves while nobody looks" guarded
kill -KILL "$(daemon_pid)"
wait_for 30 "another daemon has dialled" node_is 2 up
carried

node 2 10.9.0.2 admin mistyped speed_ok
wait_for 60 "the node is quarantined" node_is 2 quarantined
expect "nothing leaves" guarded
expect_equal "marked packets on the uplink since the node was wanted" "$before" "$(counted leaked)"

sql 'DELETE FROM nodes'
nothing_left() { [[ -z $(ip rule | grep 'proto 201'; ip -6 rule | grep 'proto 201'; ip route show table all proto 201) ]]; }
wait_for 20 "nothing of the daemon's is left" nothing_left
wait_for 10 "what nobody wants takes the main routes" leaks "$before"
systemctl stop lab-send
nft delete table inet labwatch
