# A tunnel that returns in the second window leaves the backend running.
server alpha 10.9.0.2 admin:secret
config '
outage = { interval = "6s", startup_delay = "1s" }
tunnel.backoff = { min = "1s", max = "1s", jitter = 0.0 }'
database
backend
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2
before=$(backend_pid)

server_stop alpha
wait_journal 30 'Zero PPP interfaces (1/3)'
server_start alpha
node_up 2
expect_equal "the count after a tunnel came up" '0 true' "$(status '.outage | "\(.zero_ppp_count) \(.is_healthy)"')"
expect "no restart" said_times 0 '🔄 Restarting backend'
expect_equal "the backend's process" "$before" "$(backend_pid)"
