# Rows appear, change and go while the daemon runs: each is acted on at once, and only where it must be.
server alpha 10.9.0.2 admin:secret
server beta 10.9.0.3 remote:other
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2
untouched=$(tunnel_pid 2)

node 3 10.9.0.3 remote mistyped speed_ok
wait_for 30 "the wrong password is noticed" node_is 3 backoff auth_refused

node 3 10.9.0.3 remote other speed_ok
node_up 3 20
expect "the secret is the new one" grep -F '"remote" "connexa-node-3" "other" *' "$secrets"
expect "the old one is gone" not grep mistyped "$secrets"

link=$(tunnel_link 3)
sql 'DELETE FROM nodes WHERE id = 3'
wait_for 15 "the tunnel of the deleted row is gone" gone "/sys/class/net/$link"
wait_for 10 "its peer file is gone" gone "$peers/connexa-node-3"
wait_for 10 "its secret is gone" not grep connexa-node-3 "$secrets"
wait_for 10 "nobody lists it any more" status_is '[2]' '[.nodes[].id] | tojson'

sql "UPDATE nodes SET status = 'speed_failed' WHERE id = 2"
wait_for 15 "an excluded status ends the tunnel" gone /run/ppp-connexa-node-2.pid
node 2 10.9.0.2 admin secret speed_ok
node_up 2 20
expect "it was one process until then" test "$untouched" != "$(tunnel_pid 2)"
