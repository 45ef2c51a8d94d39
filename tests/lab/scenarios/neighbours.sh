# Two nodes of one server. Each has a call of its own that goes on carrying packets: the echoes through
# it prove that the server still knows it.
server alpha 10.9.0.2 admin:secret second:secret2
config 'tunnel = { lcp_echo_interval = "1s", lcp_echo_failure = 3 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second secret2 speed_ok
daemon_start
node_up 2
node_up 3

# Longer than a dead call can go unnoticed.
sleep 6
for id in 2 3; do
  expect_equal "dials of node $id" 1 "$(fields "$id" attempts)"
  expect "a packet crosses the tunnel of node $id" ping -c 1 -W 5 -I "$(tunnel_link "$id")" 10.50.2.1
done
expect "no tunnel was reported down" said_times 0 'is DOWN on'
