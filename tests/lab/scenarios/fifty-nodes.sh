# Fifty nodes on ten servers come up, each at its first dial; each server drops one of them, all at once, and they
# return.
for n in {1..10}; do
  server "s$n" "10.9.0.$n" a:p1 b:p2 c:p3 d:p4 e:p5 &
done
wait
# An emulated machine is kept so busy by eight dials at once that one may miss its time.
config 'tunnel.dial_concurrency = 4
tunnel.dial_timeout = "90s"
tunnel.stable_after = "1h"
tunnel.backoff = { min = "1s", max = "5s" }'
database
id=0
for n in {1..10}; do
  for account in a:p1 b:p2 c:p3 d:p4 e:p5; do
    id=$((id + 1))
    echo "INSERT INTO nodes VALUES ($id, '10.9.0.$n', '${account%:*}', '${account#*:}', 'speed_ok');"
  done
done >/run/lab-fifty.sql
sql '.read /run/lab-fifty.sql'

# Asked of the kernel, for it costs an emulated machine less than asking the daemon.
fifty_addresses() { [[ $(ip -4 -o addr | grep -c ' ppp.* peer ') == 50 ]]; }

start=$SECONDS
daemon_start
wait_for 150 "fifty links have their addresses" fifty_addresses
wait_for 10 "fifty tunnels are up" status_is 50 .counts.up
echo "fifty tunnels after $((SECONDS - start)) s"
journalctl --sync
expect_equal "dials that failed" '' "$(journal -t connexad | grep -F ': retrying in ' || true)"
expect_equal "the tries it took" '[1]' "$(status '[.nodes[].attempts] | unique | tojson')"

start=$SECONDS
for n in {1..10}; do server_drops "s$n" a; done
all_told() { [[ $(said 'is DOWN on' | wc -l) == 10 ]]; }
wait_for 20 "each one's end is told" all_told
wait_for 60 "fifty links have their addresses again" fifty_addresses
wait_for 10 "all are up again" status_is 50 .counts.up
echo "ten tunnels again after $((SECONDS - start)) s"
expect_equal "the tries of those that were dropped" '[2]' \
  "$(status '[.nodes[] | select(.id % 5 == 1) | .attempts] | unique | tojson')"
expect_equal "the tries of the others" '[1]' "$(status '[.nodes[] | select(.id % 5 != 1) | .attempts] | unique | tojson')"
