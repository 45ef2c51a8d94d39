# The daemon is restarted, reloaded and stopped under systemd; the tunnel never notices.
server alpha 10.9.0.2 admin:secret
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2

property() { systemctl show -p "$1" --value connexad; }
expect_equal "the unit's type" notify "$(property Type)"
expect_equal "the unit's state" 'active running' "$(property ActiveState) $(property SubState)"
expect_equal "processes that systemd may kill" process "$(property KillMode)"
expect "the watchdog is armed" not test "$(property WatchdogUSec)" = 0
expect "the watchdog is fed" test "$(property WatchdogTimestampMonotonic)" -gt 0

index=$(ifindex ppp0) carrier=$(fields 2 pid) first=$(daemon_pid)
ping -i 0.2 -I ppp0 10.50.2.1 >/run/lab-ping 2>&1 &
ping=$!

systemctl restart connexad
node_up 2
expect "another daemon runs" test "$(daemon_pid)" != "$first"
expect_equal "the same tunnel, taken over" "$carrier $index true" "$(fields 2 pid ifindex adopted)"

config 'tunnel.mtu = "many"'
expect "a reload with a bad configuration fails" not systemctl reload connexad
wait_journal 10 'tunnel.mtu'
expect "a bad configuration changes nothing" node_is 2 up
status_says() { property StatusText | grep -q "$1"; }
wait_for 10 "the unit's status says why" \
  status_says '^1 up; outage check 0 of 3; reload refused, the old configuration stays: .*tunnel.mtu'
expect "a start by it fails" not systemctl restart connexad
expect "the unit's status says why: $(property StatusText)" status_says '^/etc/connexa/connexad.toml: .*tunnel.mtu'
config 'tunnel.lcp_echo_failure = 5'
systemctl start connexad
node_up 2
systemctl reload connexad
wait_for 10 "the unit is active after a reload" systemctl is-active connexad
wait_for 10 "the unit's status is the whole in a line" status_says '^1 up; outage check 0 of 3$'

daemon_stop
expect_equal "how the unit ended" 'inactive success' "$(property ActiveState) $(property Result)"
kill -INT "$ping"
wait "$ping" || true
expect "no packet was lost: $(tail -n2 /run/lab-ping)" nothing_lost /run/lab-ping
expect_equal "the tunnel outlives the daemon" "$index" "$(ifindex ppp0)"
expect "a packet crosses it still" ping -c 1 -W 5 -I ppp0 10.50.2.1
