# The daemon's files are honest ones: an operator dials with them by hand. The daemon takes such a call over,
# at its start or while it runs, and hangs up one too many and one that nobody wants.
one_engine
server alpha 10.9.0.2 admin:secret
config 'tunnel.backoff = { min = "90s", max = "90s", jitter = 0.0 }'
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
taken_over() { fields 2 state pid adopted | grep -Fx "up $1 true"; }
wait_for 10 "the call made by hand is taken over" taken_over "$by_hand"

kill "$by_hand"
wait_for 10 "the daemon waits before it dials" node_is 2 backoff
pppd call connexa-node-2
wait_for 20 "a call made meanwhile is there" test -e /run/ppp-connexa-node-2.pid
by_hand=$(tunnel_pid 2)
wait_for 20 "it is taken over, too" taken_over "$by_hand"

# It leaves its terminal once it is up, and goes on in a child.
kill "$by_hand"
wait_for 10 "the daemon waits before it dials" node_is 2 backoff
falls=$(times_said 'Tunnel for node 2 is DOWN')
expect "a call that detaches itself comes up" pppd call connexa-node-2 updetach
by_hand=$(tunnel_pid 2)
wait_for 20 "it is taken over as well" taken_over "$by_hand"
expect "it was never down" said_times "$falls" 'Tunnel for node 2 is DOWN'

clients() { pgrep -fx 'pppd call connexa-node-2( updetach)?'; }
only_client() { [[ $(clients) == "$1" ]]; }
pppd call connexa-node-2
wait_for 10 "the second call of a node is hung up" only_client "$by_hand"
expect "the first one stays" taken_over "$by_hand"

cp "$peers/connexa-node-2" /run/lab-peer
sql "UPDATE nodes SET status = 'speed_failed'"
wait_for 20 "nobody wants the node" gone "/proc/$by_hand"
wait_for 10 "its peer file is gone" gone "$peers/connexa-node-2"
cp /run/lab-peer "$peers/connexa-node-2"
echo '"admin" "connexa-node-2" "secret" *' >>"$secrets"
pppd call connexa-node-2
wait_journal 20 'Node 2: its row is gone or no longer selected; its tunnel is hung up in 5s'
wait_for 20 "no call is left" not clients
