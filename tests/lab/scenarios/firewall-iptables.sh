# iptables with policies to drop: no tunnel comes up, and check names the chains. Chains of connexa's own let PPTP
# through; once they are removed, the rules are byte for byte what they were.
server alpha 10.9.0.2 admin:secret
for rule in '-P INPUT DROP' '-A INPUT -i lo -j ACCEPT' '-A INPUT -i ppp+ -p icmp -j ACCEPT' \
  '-P OUTPUT DROP' '-A OUTPUT -o lo -j ACCEPT' '-A OUTPUT -o ppp+ -j ACCEPT'; do
  iptables $rule
done
# Without its comments, which hold the time, and the counters of the policies.
rules() { iptables-save | sed '/^#/d; s/ \[[0-9]*:[0-9]*\]$//'; }
before=$(rules)
config 'tunnel.dial_timeout = "10s"
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
kind=$(by_engine pppd=timeout kernel=unreachable)
wait_for 40 "no tunnel comes up" failed 2 "$kind"

found=$(connexactl firewall check --of-nodes 2>&1) && fail "check finds nothing wrong: $found"
for what in "OUTPUT drops TCP to port 1723" "OUTPUT drops GRE to servers" "INPUT drops answers from TCP port 1723" \
  "INPUT drops GRE from servers"; do
  [[ $found == *"ip filter $what"* ]] || fail "check does not name what drops: $found"
done

expect "apply" connexactl firewall apply --filter iptables --clamp-mss
node_up 2 60
expect "check is content" connexactl firewall check --of-nodes
expect "a packet crosses the tunnel" ping -c 1 -W 5 -I "$(tunnel_link 2)" 10.50.2.1
once=$(rules)
expect "apply again" connexactl firewall apply --filter iptables --clamp-mss
expect_equal "the rules, put twice" "$once" "$(rules)"
expect "remove" connexactl firewall remove
expect_equal "the rules after remove" "$before" "$(rules)"
connexactl stop 2
wait_for 20 "the tunnel is hung up" node_is 2 stopped
connexactl start 2
wait_for 40 "no tunnel comes up any more" failed 2 "$kind"
