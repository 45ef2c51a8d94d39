# One row, no configuration: the tunnel comes up over a real call, and everybody who may ask is told.
one_engine
server alpha 10.9.0.2 admin:secret
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2

# The message that operators look for; the journal may take a moment to show it.
wait_journal 10 \
  '✅ Tunnel for node 2 is UP on ppp0 (local IP 10.50.2.100 remote IP 10.50.2.1)'
expect "the node's own field finds it" grep 'is UP on ppp0' <(journal NODE_ID=2)
expect "so do interface and state" grep 'is UP on ppp0' <(journal INTERFACE=ppp0 STATE=up)

expect "a packet crosses the tunnel" ping -c 1 -W 5 -I ppp0 10.50.2.1
expect "MS-CHAPv2 was used" grep 'auth chap MS-v2' <(journalctl -u pptpd@alpha -o cat)
expect "MPPE is on" grep 'MPPE 128-bit stateless compression enabled' <(journalctl -u pptpd@alpha -o cat)

expect_equal "mode of the peer file" 600 "$(stat -c %a "$peers/connexa-node-2")"
expect_equal "mode of chap-secrets" 600 "$(stat -c %a "$secrets")"
expect "the secret is quoted" grep -Fx '"admin" "connexa-node-2" "secret" *' "$secrets"
expect "others' lines stay" grep -F 'Secrets for authentication using CHAP' "$secrets"

expect_equal "the status object" '2 up ppp0 10.50.2.100 10.50.2.1 1 false' \
  "$(of_node 2 '[.id, .state, .interface, .local_ip, .remote_ip, .attempts, .adopted] | map(tostring) | join(" ")')"
expect_equal "the link it names" "$(ifindex ppp0)" "$(fields 2 ifindex)"
expect_equal "the process it names" "$(tunnel_pid 2)" "$(fields 2 pid)"
expect "the table names the interface" grep -w ppp0 <(connexactl status)
expect "curl reaches the API" jq -e '.counts.up == 1' \
  <(curl -sS --unix-socket /run/connexa/connexad.sock http://connexa/v1/status)
expect "no password in the journal" not grep -w secret <(journal -o export)
