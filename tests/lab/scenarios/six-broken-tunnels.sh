# Six tunnels that can't come up: one command each shows the cause and the remedy, and they cost the good one nothing.
# What it prints by pppd stands in docs/operations.md, which `make explained` writes anew.
server alpha 10.9.0.2 admin:secret second:secret2 late:secret3 last:secret4
server beta 10.9.0.5 admin:secret
ip netns exec srv-beta nft 'table ip lab { chain in { type filter hook input priority 0; ip protocol 47 drop; }; }'
# So short that pppd gives a silent server up after four requests, twelve seconds.
config 'tunnel.dial_timeout = "20s"
tunnel.quarantine_after = 2
tunnel.backoff = { min = "4s", max = "4s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second mistyped speed_ok
node 4 10.9.0.66 admin secret speed_ok
node 5 10.9.0.5 admin secret speed_ok
node 6 10.9.0 admin secret speed_ok
node 7 10.9.0.2 late secret3 speed_ok
daemon_start
node_up 2
node_up 7
connexactl stop 7
good=$(tunnel 2)

explained=/run/lab-explained

# has_both ID STATE CAUSE REMEDY: one command shows words of both; while a call is under way it can't know
has_both() {
  connexactl explain "$1" | tee "$explained.now"
  grep -qF -- "is in state $2 " "$explained.now" && grep -q '  why: ' "$explained.now" &&
    grep -qF -- "$3" "$explained.now" && grep -qF -- "$4" "$explained.now"
}

explain() {
  wait_for 90 "explain has the cause and the remedy of node $1" has_both "$@"
  printf '$ connexactl explain %s\n%s\n\n' "$1" "$(cat "$explained.now")" >"$explained.$1"
}

# In the order in which they are known.
explain 6 invalid 'is not an IPv4 address' 'connexactl node set 6 --ip'
explain 7 stopped 'stopped by the operator' 'connexactl start 7'
explain 4 backoff "the server can't be reached" 'the address in the node'
explain 5 backoff 'GRE (IP protocol 47) is blocked on the way' 'let GRE (IP protocol 47) through'
wait_for 60 "quarantine is for the refused login" node_is 3 quarantined auth_refused
expect_equal "dials before quarantine" 2 "$(fields 3 attempts)"
explain 3 quarantined 'the server refused login or password' 'correct login and password'

mv /dev/ppp /dev/ppp.away
node 8 10.9.0.2 last secret4 speed_ok
explain 8 waiting "kernel has no PPP" 'modprobe ppp_generic'
mv /dev/ppp.away /dev/ppp
cat "$explained".[3-8] >"$explained"

# What stays the same from run to run.
lasting() { grep -E '^\$|^ *(why|remedy|command): ' | tr -s 0-9 '#'; }
cat "$explained"
if [[ -z ${LAB_PLAY:-} && $LAB_ENGINE == pppd ]]; then
  expect "docs/operations.md shows what was printed; else write it anew by \`make explained\`" \
    diff <(sed -n '/^<!-- BEGIN six-broken-tunnels/,/^<!-- END/p' /lab/operations.md | lasting) <(lasting <"$explained")
fi

expect "a dead address is never quarantined" said_times 0 'Node 4 is quarantined'
expect_equal "the good node's tunnel and dials" "$good 1" "$(fields 2 ifindex attempts)"
node 3 10.9.0.2 second secret2 speed_ok
node_up 3 20
expect_equal "the good node, once the row was corrected" "$good 1" "$(fields 2 ifindex attempts)"
