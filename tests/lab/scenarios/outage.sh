# Every server is gone: three empty windows, one restart of the backend, and the tunnels return by themselves.
server alpha 10.9.0.2 admin:secret
server beta 10.9.0.3 remote:other
config '
outage = { interval = "4s", startup_delay = "1s" }
backend = { restart_timeout = "60s", ready_timeout = "60s" }
tunnel.backoff = { min = "1s", max = "3s", jitter = 0.0 }'
database
backend
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.3 remote other speed_ok
daemon_start
node_up 2
node_up 3
before=$(backend_pid)

server_stop alpha
server_stop beta
for window in 1 2 3; do
  wait_journal 15 "Zero PPP interfaces ($window/3)"
done
wait_journal 10 '🔄 Restarting backend due to 3 consecutive zero PPP interfaces'
backend_changed() { [[ -n $(backend_pid) && $(backend_pid) != "$before" ]]; }
wait_for 60 "supervisord started another backend" backend_changed
wait_for 10 "the restart is counted" status_is 1 .outage.restarts

server_start alpha
server_start beta
node_up 2
node_up 3
expect_equal "the count after a tunnel came up" '0 true' "$(status '.outage | "\(.zero_ppp_count) \(.is_healthy)"')"
expect "one restart was enough" said_times 1 '🔄 Restarting backend'

# With the time of this night in place of the page's.
tried=0
while read -r command; do
  command=${command/02:50/-1h}
  expect "it answers: $command" grep 'connexad' <(eval "${command/03:10/now}")
  tried=$((tried + 1))
done < <(sed -n '/^## Ten questions/,/^## /{/^journalctl/p}' /lab/operations.md)
expect_equal "commands of docs/operations.md that ask the journal" 3 "$tried"
