# A filter of nftables that drops what it does not know: no tunnel comes up, and check names its chains. The
# marked rules let PPTP through; once they are removed, the ruleset is byte for byte what it was.
server alpha 10.9.0.2 admin:secret
nft -f - <<'RULES'
table inet strict {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    iifname "ppp*" icmp type echo-reply accept
    ct state invalid drop
  }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    oifname "ppp*" accept
  }
}
RULES
ruleset() { nft -s list ruleset; }
before=$(ruleset)
config 'tunnel.dial_timeout = "10s"
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
kind=$(by_engine pppd=timeout kernel=unreachable)
wait_for 40 "no tunnel comes up" failed 2 "$kind"

found=$(connexactl firewall check --of-nodes 2>&1) && fail "check finds nothing wrong: $found"
for what in "output drops TCP to port 1723" "output drops GRE to servers" "input drops answers from TCP port 1723" \
  "input drops GRE from servers"; do
  [[ $found == *"inet strict $what"* ]] || fail "check does not name what drops: $found"
done
[[ $found == *"10.9.0.2: a filter of this host drops GRE to it"* ]] || fail "the probe finds nothing: $found"

# lets_through OPTION...: the remedy that apply gives, with these options; then the tunnel carries packets
lets_through() {
  local refusal remedy
  refusal=$(connexactl firewall apply "$@" 2>&1) && fail "apply has put rules into a foreign chain unasked"
  remedy=$(grep -oP 'run: \K.*' <<<"$refusal")
  expect_equal "the ruleset after the refusal" "$before" "$(ruleset)"
  expect "the remedy works as it is given" $remedy
  node_up 2 60
  expect "check is content" connexactl firewall check --of-nodes
  expect "a packet crosses the tunnel" ping -c 1 -W 5 -I "$(tunnel_link 2)" 10.50.2.1
}

removed() {
  expect "remove" connexactl firewall remove
  expect_equal "the ruleset after remove" "$before" "$(ruleset)"
}

lets_through
removed
connexactl stop 2
wait_for 20 "the tunnel is hung up" node_is 2 stopped
connexactl start 2
wait_for 40 "no tunnel comes up any more" failed 2 "$kind"
lets_through --of-nodes --clamp-mss
removed
