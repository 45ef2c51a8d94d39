# Either half of pptp dies: it is told, the node is dialled again, nothing of the old call stays, and the
# neighbour on the same server does not notice.
one_engine
server alpha 10.9.0.2 admin:secret second:secret2
config 'tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second secret2 speed_ok
daemon_start
node_up 2
node_up 3
neighbour=$(fields 3 pid ifindex attempts since)

redialled() { [[ -e /run/ppp-connexa-node-2.pid && $(tunnel_pid 2) != "$1" ]] && node_is 2 up; }
told=0
for half in gateway call_manager; do
  pppd=$(tunnel_pid 2) gateway=$(gateway_pid 2) call_manager=$(call_manager_pid 2)
  kill -KILL "${!half}"
  told=$((told + 1))
  # Well before half a minute of missing echoes would tell.
  wait_for 15 "the end of the $half is told, once" said_times "$told" 'Tunnel for node 2 is DOWN on '
  wait_for 30 "node 2 is dialled again and up" redialled "$pppd"
  for left in "$pppd" "$gateway" "$call_manager"; do
    wait_for 10 "process $left of the call with the dead $half is gone" ended "$left"
  done
done
expect "it is told why pppd noticed" said_times 1 'has lost its call manager; ending it'
expect_equal "the neighbour" "$neighbour" "$(fields 3 pid ifindex attempts since)"
