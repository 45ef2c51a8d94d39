# Nobody reads what the daemon writes: journald is stopped, and the loop goes on. Then the daemon itself is stopped, as by a host
# that hangs: systemd's watchdog ends it and starts another. The tunnel never notices either.
server alpha 10.9.0.2 admin:secret second:secret2
config 'tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
install -d "$unit_changes"
printf '%s\n' '[Service]' WatchdogSec=5s >"$unit_changes/watchdog.conf"
systemctl daemon-reload
daemon_start
node_up 2
ping -i 0.2 -I "$(tunnel_link 2)" 10.50.2.1 >/run/lab-ping 2>&1 &
ping=$! first=$(daemon_pid) tunnel=$(tunnel 2)

systemctl kill --signal STOP systemd-journald
# More than the socket of a journal that nobody reads can hold.
for round in {1..15}; do
  for bad in {100..299}; do
    echo "INSERT OR REPLACE INTO nodes VALUES ($bad, 'nowhere-$round', 'a', 'b', 'speed_ok');"
  done >/run/lab-rows
  sql ".read /run/lab-rows"
done
node 3 10.9.0.2 second secret2 speed_ok
node_up 3
sql 'DELETE FROM nodes WHERE id >= 100'
expect_equal "it is the same daemon" "$first" "$(daemon_pid)"
systemctl kill --signal CONT systemd-journald
wait_journal 20 "Tunnel for node 3 is UP"

kill -STOP "$first"
wait_for 60 "the watchdog has ended it, and another runs" another_daemon "$first"
expect "by the watchdog" grep -q . <<<"$(journalctl --no-pager -o cat --since "@$(cat "$scenario_start")" UNIT=connexad.service | grep -i watchdog)"
node_up 2
node_up 3
expect_equal "the tunnel is the same" "$tunnel" "$(tunnel 2)"
kill -INT "$ping"
wait "$ping" || true
expect "no packet was lost: $(tail -n2 /run/lab-ping)" nothing_lost /run/lab-ping
