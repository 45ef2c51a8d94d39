# A second daemon says so in one line and leaves; the first goes on.
server alpha 10.9.0.2 admin:secret
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2
first=$(daemon_pid) tunnel=$(tunnel 2)

code=0
timeout 10 connexad >/run/lab-second 2>&1 || code=$?
expect "it fails by itself (exit code $code)" test "$code" -ne 0 -a "$code" -ne 124
expect_equal "lines it wrote" 1 "$(wc -l </run/lab-second)"
expect "it says why: $(cat /run/lab-second)" grep -i 'already' /run/lab-second

expect_equal "the first daemon and its tunnel" "$first $tunnel" "$(daemon_pid) $(tunnel 2)"
expect "the first still answers" node_is 2 up

# The other way round: the unit is started while a daemon runs by hand.
daemon_stop
connexad 2>/run/lab-by-hand &
by_hand=$!
node_up 2
expect "the unit is refused" not systemctl start connexad
wait_for 10 "the unit gives up" test "$(systemctl is-failed connexad)" = failed
expect "the daemon by hand still answers" node_is 2 up
expect_equal "it is the one that answers" "$by_hand" "$(status .daemon.pid)"
expect_equal "the tunnel" "$tunnel" "$(tunnel 2)"
kill "$by_hand"
wait "$by_hand"
