# The port is a systemd unit's, and supervisord is to be restarted: that could only end in Errno 98, so it is held back,
# with both owners and the way out in one line. Once the unit is gone the restart comes by itself.
one_engine
config '
outage = { interval = "3s", startup_delay = "1s" }
backend = { restart_timeout = "60s", ready_timeout = "60s" }'
database
node 2 10.9.0.2 admin secret speed_ok
systemctl enable --now connexa-backend
wait_for 30 "the unit's backend listens" backend_pid
unit_pid=$(backend_pid)
# Fails at each start, as on the hosts where both were enabled.
systemctl start supervisor
daemon_start

wait_journal 60 'Backend restart held back: '
held=$(said 'Backend restart held back: ')
for part in "port 8001" "pid $unit_pid" connexa-backend.service supervisor "Errno 98" "systemctl disable --now connexa-backend"; do
  expect "the journal names $part: $held" grep -qF "$part" <<<"$held"
done
expect_equal "restarts while it is held back" 0 "$(status .outage.restarts)"
expect_equal "the backend's process" "$unit_pid" "$(backend_pid)"
expect "doctor says so, too" doctor_names connexa-backend.service

# The way out that docs/systemd-supervisor-conflict.md calls "supervisord only".
systemctl disable --now connexa-backend
wait_journal 60 '🔄 Restarting backend due to 3 consecutive zero PPP interfaces'
supervised() { [[ -n $(backend_pid) && $(cat "/proc/$(backend_pid)/cgroup") == *supervisor* ]]; }
wait_for 60 "supervisord's backend has the port" supervised
wait_journal 60 'Backend ready after '
expect "held back once" said_times 1 'Backend restart held back: '
