# Packets as large as a tunnel's MTU cross it whole. MPPE takes four bytes of tunnel.mtu, so 1400 need a
# tunnel without it.
server alpha 10.9.0.2 admin:secret
server plain 10.9.0.3 mppe=off admin:secret
config 'tunnel.mppe = "off"'
mkdir -p "${database_file%/*}"
sql 'CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, status TEXT, mppe TEXT)'
sql "INSERT INTO nodes VALUES (2, '10.9.0.2', 'admin', 'secret', 'speed_ok', 'require'),
  (3, '10.9.0.3', 'admin', 'secret', 'speed_ok', 'off')"
daemon_start
node_up 2
node_up 3

# echo_of NODE BYTES SERVER: an IPv4 packet of so many bytes, which nobody may cut; 28 of them are headers
echo_of() { ping -c 1 -W 5 -M do -s "$(($2 - 28))" -I "$(tunnel_link "$1")" "$3"; }
mtu() { cat "/sys/class/net/$(tunnel_link "$1")/mtu"; }
expect_equal "the MTU without MPPE" 1400 "$(mtu 3)"
expect "1400 bytes cross it" echo_of 3 1400 10.50.3.1
expect "one more is refused here, with the MTU" grep -F 'mtu=1400' <(echo_of 3 1401 10.50.3.1 2>&1)
expect_equal "the MTU with MPPE" 1396 "$(mtu 2)"
expect "1396 bytes cross it" echo_of 2 1396 10.50.2.1
