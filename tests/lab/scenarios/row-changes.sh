# Rows appear, change and go while the daemon runs: each is acted on at once, and only where it must be.
server alpha 10.9.0.2 admin:secret
server beta 10.9.0.3 remote:other
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2
untouched=$(tunnel 2) first=$(tunnel_link 2)

node 3 10.9.0.3 remote mistyped speed_ok
wait_for 30 "the wrong password is noticed" node_is 3 backoff auth_refused

node 3 10.9.0.3 remote other speed_ok
node_up 3 20
expect "the old secret is gone" not grep mistyped "$secrets"

link=$(tunnel_link 3)
sql 'DELETE FROM nodes WHERE id = 3'
wait_for 15 "the tunnel of the deleted row is gone" gone "/sys/class/net/$link"
wait_for 10 "its peer file is gone" gone "$peers/connexa-node-3"
wait_for 10 "its secret is gone" not grep connexa-node-3 "$secrets"
wait_for 10 "nobody lists it any more" status_is '[2]' '[.nodes[].id] | tojson'

expect_equal "the tunnel of the row that did not change" "$untouched" "$(tunnel 2)"
sql "UPDATE nodes SET status = 'speed_failed' WHERE id = 2"
wait_for 15 "an excluded status ends the tunnel" gone "/sys/class/net/$first"
node 2 10.9.0.2 admin secret speed_ok
wait_for 20 "the next tunnel is another" other_tunnel 2 "$untouched"
