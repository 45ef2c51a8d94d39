# The backend crashes at each start: told as such, once, and tried again at ever longer intervals only.
config '
outage = { interval = "1s", startup_delay = "1s" }
backend = { restart_timeout = "60s", ready_timeout = "2s" }'
database
node 2 10.9.0.2 admin secret speed_ok
backend
echo broken >/run/backend-mode
daemon_start
wait_journal 60 'Backend restart failed: `supervisorctl restart backend` ended with exit status: '
# Windows of 1, 2, and 4 seconds lead to the first three.
wait_for 90 "a third restart" status_is 3 .outage.restarts
expect "the same failure is told once" said_times 1 'Backend restart failed: '
