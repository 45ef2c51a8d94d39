# A server that gives both of its tunnels the same pair of addresses: each is known by its link, and the
# end of one is not taken for the end of the other.
server alpha 10.9.0.2 address=same admin:secret second:secret2
config 'tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second secret2 speed_ok
daemon_start
node_up 2
node_up 3

addresses() { fields "$1" local_ip remote_ip; }
identity() { fields "$1" pid ifindex attempts since; }
expect_equal "the addresses of node 2" '10.50.2.100 10.50.2.1' "$(addresses 2)"
expect_equal "the addresses of node 3" '10.50.2.100 10.50.2.1' "$(addresses 3)"
expect "two links" test "$(fields 2 ifindex)" != "$(fields 3 ifindex)"
for id in 2 3; do
  expect_equal "the link of node $id" "$(ifindex "$(tunnel_link "$id")")" "$(fields "$id" ifindex)"
done

neighbour=$(identity 3) first=$(tunnel 2)
server_drops alpha admin
wait_journal 20 'Tunnel for node 2 is DOWN on '
wait_for 40 "node 2 has a new link" other_tunnel 2 "$first"
expect_equal "its addresses" '10.50.2.100 10.50.2.1' "$(addresses 2)"
expect_equal "node 3" "$neighbour" "$(identity 3)"
