# A tunnel that dies is reported and dialled again; its neighbour on the same server does not notice.
server alpha 10.9.0.2 admin:secret second:secret2
config 'tunnel.backoff = { min = "1s", max = "5s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second secret2 speed_ok
daemon_start
node_up 2
node_up 3

victim=$(tunnel_pid 2) neighbour=$(tunnel_pid 3)
kill -KILL "$victim"
wait_journal 10 'Tunnel for node 2 is DOWN on '
wait_journal 10 'Node 2: retrying in '
node_up 2
expect "it is a new process" test "$(tunnel_pid 2)" != "$victim"
expect_equal "the neighbour's process" "$neighbour" "$(tunnel_pid 3)"
expect_equal "dials of the neighbour" 1 "$(of_node 3 .attempts)"
