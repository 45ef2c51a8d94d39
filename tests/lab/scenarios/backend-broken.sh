# The backend crashes soon after each start: told once, and restarted at ever longer intervals only.
one_engine
config '
outage = { interval = "1s", windows = 1, startup_delay = "1s" }
backend = { restart_timeout = "60s", ready_timeout = "1s" }'
database
node 2 10.9.0.2 admin secret speed_ok
backend
echo broken >/run/backend-mode
daemon_start
# After 1, 2 and 4 seconds without a tunnel.
wait_for 90 "a third restart" status_is 3 .outage.restarts
wait_journal 10 'Backend not ready: nothing listens on port 8001'
expect "the same failure is told once" said_times 1 'Backend not ready: '
