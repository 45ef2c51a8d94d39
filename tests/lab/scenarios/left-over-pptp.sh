# A pptp of a node that no pppd has started, and that is stopped so that it can't end by itself: it is ended by
# the next daemon, at the latest after the next call that ends. The node's own call, whose call manager has no parent
# either, is left alone.
one_engine
server alpha 10.9.0.2 admin:secret second:secret2
config 'tunnel.backoff = { min = "2s", max = "5s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second secret2 speed_ok
daemon_start
node_up 2
node_up 3
# While no daemon runs, for one looks for what is left a few seconds after each dial.
daemon_stop

mkfifo /run/lab-line
pty=$(sed -n 's/^pty "\(.*\)"$/\1/p' "$peers/connexa-node-2")
sleep 1000 >/run/lab-line &
setsid sh -c "$pty" </run/lab-line >/dev/null 2>&1 &
line=$!
left_over() { pgrep -g "$line" 'pptp'; }
wait_for 10 "a pptp without a pppd runs" left_over
pkill -STOP -g "$line" pptp
none_left() { ! left_over; }
daemon_start
node_up 2
node_up 3
own=$(fields 2 pid ifindex attempts since)
manager=$(call_manager_pid 2)
first=$(tunnel_pid 3)
kill -KILL "$first"
redialled() { [[ -e /run/ppp-connexa-node-3.pid && $(tunnel_pid 3) != "$first" ]] && node_is 3 up; }
wait_for 20 "the other node is dialled again" redialled
wait_for 15 "the left-over processes are gone" none_left
wait_journal 5 "has outlived its pppd; ending it"
expect_equal "the node's own call" "$own" "$(fields 2 pid ifindex attempts since)"
expect "its call manager lives" test -e "/proc/$manager"
