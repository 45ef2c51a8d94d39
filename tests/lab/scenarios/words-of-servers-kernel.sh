# The same hostile servers against tunnels of the kernel engine: whatever they call the two ends, packets of this host go
# where they went before, no route to a peer is made at any time, and a node whose server another one names as its own end
# is dialled anew by the uplink. Our end's address is refused where the host has to reach it elsewhere.
server alpha 10.9.0.2 end=10.9.0.2 admin:secret
server beta 10.9.0.3 end=10.9.0.2 admin:secret
server gamma 10.9.0.4 end=10.9.255.253 admin:secret
server delta 10.9.0.5 gives=10.9.0.2 admin:secret
server epsilon 10.9.0.6 gives=10.9.255.253 admin:secret
server zeta 10.9.0.7 gives=10.9.255.254 admin:secret
config 'tunnel.engine = "kernel"
tunnel.lcp_echo_interval = "1s"
tunnel.lcp_echo_failure = 3
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
for id in {2..7}; do node $id "10.9.0.$id" admin secret speed_ok; done
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
daemon_start
for id in 2 3 4; do node_up "$id"; done
for id in 5 6 7; do wait_for 60 "the address of node $id is refused" node_is "$id" backoff address_refused; done
expect "the reason names the server" said 'our end of the tunnel 10.9.0.2, which is the server of node 2'
expect "the reason names the subnet" said 'our end of the tunnel 10.9.255.253, which lies on the subnet of lab0'
for id in 5 6 7; do expect "node $id was never told to be up" said_times 0 "Tunnel for node $id is UP"; done
for id in 2 3 4; do
  expect "node $id carries what is bound to its link" ping -n -c 3 -i 0.5 -W 5 -I "$(tunnel_link "$id")" "$(of_node "$id" .remote_ip)"
done
sql 'DELETE FROM nodes WHERE id IN (5, 6, 7)'
wait_for 20 "they are gone" status_is '2 3 4' '[.nodes[].id | tostring] | join(" ")'
expect "packets go where they went" same_ways

# Node 3's server calls its own end by the address of node 2's server, which is dialled anew meanwhile.
first=$(tunnel 2) other=$(tunnel 3)
server_drops alpha admin
wait_for 60 "node 2 is up by another tunnel" other_tunnel 2 "$first"
expect_equal "node 3 is as it was" "$other" "$(tunnel 3)"
expect "packets go where they went" same_ways
link=$(tunnel_link 3)
ip link set "$link" down
ip link set "$link" up
wait_for 60 "node 3 is up" node_is 3 up
wait_for 10 "packets go where they went" same_ways

kill -KILL "$(daemon_pid)"
again() { for id in 2 3 4; do [[ $(of_node $id .adopted) == true ]] || return 1; done; }
wait_for 60 "another daemon takes the tunnels over" again
expect "packets go where they went" same_ways
kill "$monitor"
expect "no route to a peer was made at any time: $(grep -E 'dev ppp' /run/lab-routes | grep -v 'table local')" \
  not grep -E '^(Deleted )?10[.0-9]+ dev ppp[0-9]+ proto kernel' /run/lab-routes
