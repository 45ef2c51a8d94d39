# What can't work says why, and costs the others nothing; a password that is corrected brings the tunnel up.
server alpha 10.9.0.2 admin:secret second:secret2
config 'tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second mistyped speed_ok
node 4 10.9.0.66 admin secret speed_ok
daemon_start
node_up 2
good=$(tunnel 2)

wait_for 30 "the dead address is called unreachable" node_is 4 backoff unreachable
wait_journal 60 'Node 3 is quarantined: '
expect "quarantine is for the refused login" node_is 3 quarantined auth_refused
expect_equal "dials before quarantine" 3 "$(of_node 3 .attempts)"
expect "a dead address is never quarantined" said_times 0 'Node 4 is quarantined'
expect_equal "the good node's tunnel and dials" "$good 1" "$(of_node 2 '"\(.ifindex) \(.attempts)"')"

node 3 10.9.0.2 second secret2 speed_ok
node_up 3 20
expect_equal "the good node, once the row was corrected" "$good 1" "$(of_node 2 '"\(.ifindex) \(.attempts)"')"
