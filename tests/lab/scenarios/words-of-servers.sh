# Servers that call their own end of the tunnel by their public address, another server's or a neighbour's: packets to it go
# where they went before, what is bound to the tunnel goes through it, and a node whose server another one names as its own
# end is dialled anew by the uplink. One of them advertises itself as IPv6 router to an address of this host: nothing
# changes. Others give this end the address of a server, of a neighbour or of the host itself: refused.
server alpha 10.9.0.2 end=10.9.0.2 admin:secret
server beta 10.9.0.3 end=10.9.0.2 admin:secret
server gamma 10.9.0.4 end=10.9.255.253 admin:secret
server delta 10.9.0.5 gives=10.9.0.2 admin:secret
server epsilon 10.9.0.6 gives=10.9.255.253 admin:secret
server zeta 10.9.0.7 gives=10.9.255.254 admin:secret
config 'tunnel.lcp_echo_interval = "1s"
tunnel.lcp_echo_failure = 3
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
ip -6 address add 2001:db8:9::2/64 dev lo
database
for id in 2 3 4; do node $id "10.9.0.$id" admin secret speed_ok; done
ways() {
  local place
  for place in 10.9.0.{2,3,4,5,6,7} 10.9.255.25{3,4} 192.0.2.1; do ip -oneline route get "$place" 2>&1 || true; done
  ip route show table main
  ip -6 route
}
same_ways() { [[ $(ways) == "$before" ]] || ! ways; }
before=$(ways)
ip -oneline monitor route >/run/lab-routes &
monitor=$!
no_peer_route() {
  expect "the kernel made no route to a peer: $(grep -E 'dev ppp' /run/lab-routes | grep -v 'table local')" \
    not grep -E '^(Deleted )?10[.0-9]+ dev ppp[0-9]+ proto kernel' /run/lab-routes
}
daemon_start
for id in 2 3 4; do node_up "$id"; done
expect "the status of node 3 says whose address its server calls its own" \
  grep -F 'the server calls its own end 10.9.0.2, which is the server of node 2: ' <(of_node 3 '.notes[]')
expect "that of node 4 names the neighbours' subnet" grep -F '10.9.255.253, which lies on the subnet of lab0' <(of_node 4 '.notes[]')
# Not before: pppd has node 5's address, which is that of node 2's server, for the moment until it is refused. A socket that is
# connected in such a moment can send nothing afterwards, so a dial of node 2 may come to nothing.
for id in 5 6 7; do node $id "10.9.0.$id" admin secret speed_ok; done
for id in 5 6 7; do wait_for 60 "the address of node $id is refused" node_is "$id" backoff address_refused; done
expect "the reason names the server" said 'our end of the tunnel 10.9.0.2, which is the server of node 2'
expect "the reason names the subnet" said 'our end of the tunnel 10.9.255.253, which lies on the subnet of lab0'
for id in 5 6 7; do expect "node $id was never told to be up" said_times 0 "Tunnel for node $id is UP"; done
expect "the monitor has seen tunnels" grep -q 'local 10.50.2.10.* dev ppp' /run/lab-routes
sql 'DELETE FROM nodes WHERE id IN (5, 6, 7)'
wait_for 20 "they are gone" status_is '2 3 4' '[.nodes[].id | tostring] | join(" ")'
wait_for 5 "packets go where they went" same_ways
expect_equal "the far end of node 3" 10.9.0.2 "$(fields 3 remote_ip)"

# As long as three lost echoes would take, and more.
for id in 2 3 4; do
  expect "node $id carries what is bound to its link" \
    ping -n -c 8 -i 0.7 -W 5 -I "$(tunnel_link "$id")" "$(fields "$id" remote_ip)"
done
expect_equal "the dials" '1 1 1' "$(status '[.nodes[].attempts | tostring] | join(" ")')"
expect "no tunnel was down" said_times 0 ' is DOWN on '

# With no IPv6 negotiated, the server's kernel sends what is put onto its end of the link, and this one's hears it.
cat >/run/lab-advertise.py <<'PY'
import socket, struct, sys

ends = socket.inet_pton(socket.AF_INET6, "fe80::1") + socket.inet_pton(socket.AF_INET6, sys.argv[2])
data = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
words = ends + struct.pack("!II", len(data), 58) + data
total = sum(struct.unpack(f"!{len(words) // 2}H", words))
total = (total & 0xFFFF) + (total >> 16)
total = (total & 0xFFFF) + (total >> 16)
packet = struct.pack("!IHBB", 6 << 28, len(data), 58, 255) + ends + data[:2] + struct.pack("!H", 0xFFFF - total) + data[4:]
link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86DD))
for _ in range(5):
    link.sendto(packet, (sys.argv[1], 0x86DD))
PY
link=$(tunnel_link 2)
received() { cat "/sys/class/net/$link/statistics/rx_packets"; }
was=$(received)
far=$(ip -n srv-alpha -o link show type ppp | grep -oE 'ppp[0-9]+' | head -n 1)
ip netns exec srv-alpha python3 -IS /run/lab-advertise.py "$far" 2001:db8:9::2
advertised() { (($(received) >= was + 5)); }
wait_for 10 "advertisements have come through the tunnel" advertised
expect "packets go where they went" same_ways
expect "IPv6 is off on the link" grep -q 1 "/proc/sys/net/ipv6/conf/$link/disable_ipv6"

# Node 3's server calls its own end by the address of node 2's server, which is dialled anew meanwhile.
first=$(tunnel 2) other=$(tunnel 3)
server_drops alpha admin
wait_for 60 "node 2 is up by another tunnel" other_tunnel 2 "$first"
expect_equal "node 3 is as it was" "$other" "$(tunnel 3)"
expect "packets go where they went" same_ways
no_peer_route

# A link that comes back: pppd's address has the kernel make the route for a moment, that of the kernel engine never.
[[ $LAB_ENGINE == kernel ]] || kill "$monitor"
link=$(tunnel_link 3)
ip link set "$link" down
ip link set "$link" up
wait_for 60 "node 3 is up" node_is 3 up
wait_for 10 "packets go where they went" same_ways

kill -KILL "$(daemon_pid)"
again() { for id in 2 3 4; do [[ $(fields $id adopted) == true ]] || return 1; done; }
wait_for 60 "another daemon takes the tunnels over" again
expect "packets go where they went" same_ways
[[ $LAB_ENGINE != kernel ]] || kill "$monitor"
no_peer_route
ip -6 address del 2001:db8:9::2/64 dev lo
