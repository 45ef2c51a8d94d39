# The backend does not listen to TERM: supervisord kills it after its own patience, and the restart takes that long.
one_engine
config '
outage = { interval = "2s", startup_delay = "1s" }
backend = { restart_timeout = "60s", ready_timeout = "60s" }'
database
node 2 10.9.0.2 admin secret speed_ok
echo deaf >/run/backend-mode
backend
before=$(backend_pid)
daemon_start
wait_journal 90 'Backend ready after '
expect "another process has the port" test "$before" != "$(backend_pid)"
