# The clock is set forth by a year under a tunnel that is up and a node that waits: no duration changes by it.
server alpha 10.9.0.2 admin:secret
config 'tunnel.backoff = { min = "4m", max = "5m", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.66 admin secret speed_ok
daemon_start
node_up 2
wait_for 60 "the other waits" node_is 3 backoff unreachable
began=$SECONDS year=$(date -u +%Y)
date -s '+1 year' || skip "the clock of this host can't be set"
# durations YEAR: they are what they were, whatever year it is
durations() {
  local up_for next_in table since
  up_for=$(fields 2 state_seconds) next_in=$(fields 3 next_attempt_in) table=$(connexactl status) since=$(fields 2 since)
  echo "up for $up_for s since $since (in $1), next try in $next_in s"
  echo "$table"
  expect "the tunnel is up for as long as it is, in $1" test "$up_for" -le $((SECONDS - began + 120))
  expect "the next try is due when it was, in $1" test "$next_in" -gt 60 -a "$next_in" -le 300
  expect "the table says so, too" not grep -qE '[0-9]d[0-9]+h' <<<"$table"
  expect "wall times are as they were recorded" grep -q "^$year" <<<"$since"
}
durations $((year + 1))
date -s '-1 year'
durations "$year"
