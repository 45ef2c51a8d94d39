# pppd is killed: it is told with the signal, the node is dialled again after its wait, nothing of the old
# call stays, and the neighbour on the same server does not notice.
one_engine
server alpha 10.9.0.2 admin:secret second:secret2
config 'tunnel.backoff = { min = "2s", max = "5s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second secret2 speed_ok
daemon_start
node_up 2
node_up 3

pppd=$(tunnel_pid 2) gateway=$(gateway_pid 2) call_manager=$(call_manager_pid 2)
neighbour=$(fields 3 pid ifindex attempts since)
link=$(tunnel_link 2)
kill -KILL "$pppd"
wait_journal 10 "Tunnel for node 2 is DOWN on $link: pppd was killed by signal 9"
wait_journal 10 'Node 2: retrying in 2s (attempt 2): pppd was killed by signal 9'
for left in "$pppd" "$gateway" "$call_manager"; do
  wait_for 10 "process $left of the dead call is gone" ended "$left"
done
redialled() { [[ $(fields 2 attempts) == 2 ]] && node_is 2 up; }
wait_for 20 "node 2 is dialled again and up" redialled
expect_equal "the process and the link it names" "$(tunnel_pid 2) $(ifindex "$(tunnel_link 2)")" \
  "$(fields 2 pid ifindex)"
expect_equal "the neighbour" "$neighbour" "$(fields 3 pid ifindex attempts since)"
