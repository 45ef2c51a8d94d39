# The daemon's files are honest ones: an operator dials with them by hand, and the daemon takes that call over.
server alpha 10.9.0.2 admin:secret
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2

daemon_stop
kill "$(tunnel_pid 2)"
wait_for 10 "the call has ended" gone /run/ppp-connexa-node-2.pid

expect "pppd takes the daemon's peer file" pppd call connexa-node-2
wait_for 20 "the call made by hand is up" has_address ppp0 'inet 10.50.2.100'
expect "a packet crosses it" ping -c 1 -W 5 -I ppp0 10.50.2.1

by_hand=$(tunnel_pid 2)
daemon_start
node_up 2
expect_equal "the call made by hand is taken over" "$by_hand true" "$(of_node 2 '"\(.pid) \(.adopted)"')"
