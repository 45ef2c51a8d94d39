# systemd alone keeps the backend, as docs/systemd-supervisor-conflict.md has it.
one_engine
config '
outage = { interval = "3s", startup_delay = "1s" }
backend = { restart = ["systemctl", "restart", "connexa-backend"], restart_timeout = "60s", ready_timeout = "60s" }'
database
node 2 10.9.0.2 admin secret speed_ok
systemctl stop supervisor
systemctl enable --now connexa-backend
wait_for 30 "the unit's backend listens" backend_pid
before=$(backend_pid)
daemon_start
wait_journal 60 'Backend ready after '
expect "another process has the port" test "$before" != "$(backend_pid)"
systemctl disable --now connexa-backend
