# supervisord itself does not run: the restart fails, told once, with what supervisorctl said; the status says it too,
# and counts no restart.
one_engine
config '
outage = { interval = "1s", windows = 1, startup_delay = "1s" }
backend = { restart_timeout = "60s", ready_timeout = "2s" }'
database
node 2 10.9.0.2 admin secret speed_ok
systemctl stop supervisor
daemon_start
wait_journal 60 'Backend restart failed: `supervisorctl restart backend` ended with '
failure=$(journal -t connexad | grep -F 'Backend restart failed: ')
expect "it says what supervisorctl said last, and what to do" \
  grep 'ended with exit code [0-9]*: .*supervisor.sock.*; try it by hand as root' <<<"$failure"
wait_for 10 "the status says that it failed" status_is failed .outage.last_restart.result
first=$(status .outage.last_restart_at)
another_try() { [[ $(status .outage.last_restart_at) != "$first" ]]; }
wait_for 60 "another try" another_try
wait_for 10 "its failure" status_is failed .outage.last_restart.result
expect_equal "restarts" 0 "$(status .outage.restarts)"
expect "the failure is told once" said_times 1 'Backend restart failed: '
