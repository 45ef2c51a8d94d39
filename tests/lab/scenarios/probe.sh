# A server that answers LCP echoes and drops all traffic inside its tunnel: the probe finds it out, and the
# tunnel is dialled again until traffic flows. The tunnel through which it flows is never touched.
target=10.99.0.1
server alpha 10.9.0.2 admin:secret
server beta 10.9.0.3 admin:secret
for name in alpha beta; do ip -n "srv-$name" addr add "$target/32" dev lo; done
config "probe = { target = \"icmp:$target\", interval = \"2s\", timeout = \"1s\", loss = 3 }
tunnel.lcp_echo_interval = \"1s\"
tunnel.lcp_echo_failure = 4
tunnel.backoff = { min = \"1s\", max = \"2s\", jitter = 0.0 }"
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.3 admin secret speed_ok
daemon_start
node_up 2
node_up 3
neighbour=$(fields 3 pid attempts)

# ICMP echo requests that have reached a server
echoes() { ip netns exec "srv-$1" awk '$1 == "Icmp:" && ++n == 2 {print $10}' /proc/net/snmp; }
echoes_reach() { (($(echoes "$1") >= $2)); }
wait_for 20 "both servers are probed" echoes_reach alpha 2
wait_for 20 "both servers are probed" echoes_reach beta 2

ip -n srv-alpha rule add priority 1 to 10.50.2.0/24 blackhole
wait_journal 20 "probes of icmp:$target through "
expect "the tunnel is down for its probes" said "Tunnel for node 2 is DOWN on "
expect "for that" failed 2 probe_failed
tries() { (($(fields 2 attempts) >= $1)); }
wait_for 60 "a new call that carries nothing is given up, too" tries 3
expect "LCP was answered all the time" not said 'echo-requests'

ip -n srv-alpha rule del priority 1
seen=$(echoes alpha)
wait_for 40 "node 2 is probed again" echoes_reach alpha "$((seen + 5))"
node_up 2
stays=$(fields 2 pid)
wait_for 40 "and again" echoes_reach alpha "$((seen + 10))"
expect_equal "the tunnel that carries" "$stays up" "$(fields 2 pid state)"
expect_equal "the other tunnel" "$neighbour" "$(fields 3 pid attempts)"
