# Tunnels without a process: the daemon speaks PPTP and PPP itself and the kernel carries the data. They come up with
# encryption and carry packets; why one does not, or falls, is told as it is; a hang-up leaves nothing.
one_engine
server alpha 10.9.0.2 admin:secret second:secret
server beta 10.9.0.3 admin:secret
config 'tunnel.engine = "kernel"
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }
tunnel.lcp_echo_interval = "2s"
log.level = "debug"'
database
sql 'ALTER TABLE nodes ADD COLUMN engine TEXT'
add() { sql "INSERT OR REPLACE INTO nodes VALUES ($1, '$2', '$3', '$4', 'speed_ok', NULL)"; }
add 2 10.9.0.2 admin secret
add 3 10.9.0.3 admin secret
daemon_start
node_up 2
node_up 3
said 'Tunnel for node 2 is UP on '
expect_equal "what makes its calls" kernel "$(fields 2 engine)"

open_files() { ls "/proc/$(daemon_pid)/fd" | wc -l; }
children() { pgrep -P "$(daemon_pid)" -l; }
answers() { ping -n -c 3 -i 0.3 -W 2 -I "$(tunnel_link "$1")" "10.50.$1.1"; }
expect "packets pass through node 2" answers 2
expect "packets pass through node 3" answers 3
expect "it is encrypted" grep 'MPPE 128-bit stateless' <(journalctl -u pptpd@alpha -o cat)
expect_equal "no process for a tunnel, and one for all" connexad-hold "$(children | cut -d' ' -f2)"
expect "no peer file" gone "$peers/connexa-node-2"
expect "no password in a file" not grep -r connexa-node "$secrets"
expect "no route to the peer" not grep 10.50.2.1 <(ip route)
echo "with two tunnels: $(open_files) descriptors"

# A hang-up leaves nothing: no link, no descriptor, no call socket.
link=$(tunnel_link 3)
files=$(open_files)
connexactl stop 3
wait_for 10 "node 3 is stopped" node_is 3 stopped
expect "its link is gone" gone "/sys/class/net/$link"
expect "its descriptors are closed" test "$(open_files)" -lt "$files"
expect "the server knows that it is gone" grep -i 'connection terminated\|CTRL: Client .* control connection finished' <(journalctl -u pptpd@beta -o cat)
echo "with one: $(open_files) descriptors; call sockets: $(cat /proc/net/pppox 2>/dev/null || true)"
expect "the other tunnel is as it was" answers 2

# Why one does not come up.
add 4 10.9.0.2 second wrong
add 5 10.9.0.77 admin secret
add 6 10.9.0.4 admin secret
server gamma 10.9.0.4 admin:secret
server_stop gamma
wait_for 40 "a wrong password" node_is 4 quarantined auth_refused
wait_for 60 "nobody has the address" node_is 5 backoff unreachable
wait_for 40 "nobody listens" node_is 6 backoff refused
echo "told: $(status '.nodes[] | select(.last_error) | "\(.id) \(.last_error.kind): \(.last_error.message)"')"
expect "the server's own number of the error" grep 'E=691' <(of_node 4 .last_error.message)
sql 'DELETE FROM nodes WHERE id > 3'

# The server dies with all its calls, and comes back.
before=$(tunnel 2)
server_kill alpha
wait_journal 30 'Tunnel for node 2 is DOWN'
said 'Tunnel for node 2 is DOWN'
server_start alpha
wait_for 60 "node 2 is up by another tunnel" other_tunnel 2 "$before"
expect "packets pass again" answers 2

# The server's host is cut off: nothing comes any more, and nobody tells.
server_unplug alpha
wait_for 60 "node 2 has fallen" not node_is 2 up
said_fall() { said 'Tunnel for node 2 is DOWN' | grep 'LCP echo'; }
wait_for 20 "the echoes are the reason" said_fall
server_plug alpha
node_up 2 60

# The row names the other engine: just that node is dialled again.
connexactl start 3
node_up 3
before=$(tunnel 2)
other=$(tunnel 3)
sql "UPDATE nodes SET engine = 'pppd' WHERE id = 3"
wait_for 60 "node 3 is up by another tunnel" other_tunnel 3 "$other"
expect_equal "its engine" pppd "$(fields 3 engine)"
expect_equal "node 2 is as it was" "$before" "$(tunnel 2)"
expect "pppd's file is there" test -e "$peers/connexa-node-3"
sql "UPDATE nodes SET engine = NULL WHERE id = 3"
other=$(tunnel 3)
wait_for 60 "and back" other_tunnel 3 "$other"
expect_equal "its engine again" kernel "$(fields 3 engine)"
expect "pppd's file is gone" gone "$peers/connexa-node-3"
expect "and its secret" not grep -r connexa-node "$secrets"

# A tunnel of this engine that is found for a node of the other one is ended, and dialled by that.
link=$(tunnel_link 2)
before=$(tunnel 2)
daemon_stop
expect "it outlives the daemon" test -e "/sys/class/net/$link"

# A pppd that is found for a node of this engine is ended. What another engine for all means is in force from each next
# dial on: a tunnel that is up stays.
node_pppds() { pgrep -f 'call connexa-node-2'; }
config 'tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
daemon_start
wait_for 60 "node 2 is up by another tunnel" other_tunnel 2 "$before"
expect_equal "what makes its calls" pppd "$(fields 2 engine)"
before=$(tunnel 2)
config 'tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }
tunnel.engine = "kernel"'
connexactl reload
expect_equal "a reload leaves it up" "$before" "$(tunnel 2)"
daemon_stop
expect "pppd keeps it up" node_pppds
daemon_start
wait_for 60 "node 2 is up by another tunnel" other_tunnel 2 "$before"
expect_equal "what makes its calls now" kernel "$(fields 2 engine)"
expect "its pppd is gone" not node_pppds
expect "packets pass" answers 2
expect "and its file with it" gone "$peers/connexa-node-2"
