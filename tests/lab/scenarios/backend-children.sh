# A restart ends the backend with its children, and no tunnel: the daemon restarts nothing while one is up, so the
# operator does it by hand.
server alpha 10.9.0.2 admin:secret
database
echo parent >/run/backend-mode
backend
child=$(cat /run/backend-child)
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2
tunnel=$(tunnel 2)
supervisorctl restart backend
wait_for 10 "the backend's child has ended" ended "$child"
expect_equal "the tunnel" "$tunnel" "$(tunnel 2)"
expect "and it is up" node_is 2 up
