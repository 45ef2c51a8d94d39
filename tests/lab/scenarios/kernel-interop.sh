# The kernel engine and what pptpd can be told of encryption: 128 bit where the server offers to keep state, and agrees to do
# without; none at all; and 40 bit alone, which is refused by its name and carries packets where it is allowed. Name servers
# that servers name are where pppd puts them, those of the last tunnel to come up, and a file of others stays.
one_engine
source /lab/kernel_server.sh
server plain 10.9.0.2 mppe=off admin:secret
server stateful 10.9.0.3 admin:secret
server short 10.9.0.4 mppe=require-mppe-40 admin:secret
printf '%s\n' mppe-stateful 'ms-dns 10.9.0.99' >>/srv/stateful/ppp/pptpd-options
echo 'ms-dns 10.9.0.98' >>/srv/plain/ppp/pptpd-options
config 'tunnel.engine = "kernel"
tunnel.mppe_stateful = true
tunnel.use_peer_dns = true
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
mkdir -p "${database_file%/*}"
sql 'CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, status TEXT, mppe TEXT)'
sql "INSERT INTO nodes VALUES (2, '10.9.0.2', 'admin', 'secret', 'speed_ok', 'off'),
  (3, '10.9.0.3', 'admin', 'secret', 'speed_ok', NULL), (4, '10.9.0.4', 'admin', 'secret', 'speed_ok', NULL)"
resolver=$(cat /etc/resolv.conf)
named() { grep -x "nameserver $1" /etc/ppp/resolv.conf && [[ $(grep -c nameserver /etc/ppp/resolv.conf) == 1 ]]; }
daemon_start
node_up 2
node_up 3

# More than 256, at which keys with state change.
answers() { ping -n -q -c 300 -f -W 5 -I "$(tunnel_link "$1")" "10.50.$1.1" | grep ' 0% packet loss'; }
expect "packets pass without encryption" answers 2
expect "it is not encrypted" not grep 'MPPE' <(journalctl -u pptpd@plain -o cat | grep enabled)
expect "packets pass with encryption" answers 3
encryption() { journalctl -u pptpd@stateful -o cat | grep -o 'MPPE 128-bit state[a-z]*' | tail -n 1; }
expect_equal "the encryption" "MPPE 128-bit stateless" "$(encryption)"
wait_journal 10 'Name servers by the tunnel to 10.9.0.3: 10.9.0.99; /etc/ppp/resolv.conf has them'
# redial ID: by another tunnel
redial() {
  local before
  before=$(tunnel "$1")
  connexactl stop "$1"
  wait_for 10 "node $1 is stopped" node_is "$1" stopped
  connexactl start "$1"
  wait_for 40 "node $1 is up by another tunnel" other_tunnel "$1" "$before"
}
redial 2
expect "the name server of the last one, node 2" named 10.9.0.98
redial 3
expect "the name server of the last one, node 3" named 10.9.0.99
expect_equal "who may read it" 644 "$(stat -c %a /etc/ppp/resolv.conf)"
doctor_tells() { { connexactl doctor || true; } | grep -F '/etc/resolv.conf does not lead there'; }
expect "doctor tells that the host does not go by it" doctor_tells
echo '# of others' >/etc/ppp/resolv.conf
redial 2
wait_journal 10 "10.9.0.98; no file has them: /etc/ppp/resolv.conf is neither connexad's"
expect_equal "a file of others" '# of others' "$(cat /etc/ppp/resolv.conf)"
rm /etc/ppp/resolv.conf
redial 3
expect "it is there again" named 10.9.0.99
expect_equal "the host's resolver" "$resolver" "$(cat /etc/resolv.conf)"

beside=$(tunnel 3)
wait_for 40 "40 bit alone is refused" node_is 4 backoff mppe
expect "by its name" grep '40 bit only' <(of_node 4 .last_error.message)
sql 'DELETE FROM nodes WHERE id = 4'
short_key_call 10.9.0.4
called=$!
# A test's name may stand before what it tells.
short_key_link() { sed -n 's/.*\<link \([^ ]*\)$/\1/p' /run/lab-short-key; }
short_key_up() { cat /run/lab-short-key; has_address "$(short_key_link)" 10.50.4.; }
wait_for 40 "a call that takes 40 bit is up" short_key_up
expect "it is encrypted so" grep 'MPPE 40-bit stateless compression enabled' <(journalctl -u pptpd@short -o cat)
short_key_answers() { ping -n -q -c 300 -f -W 5 -I "$(short_key_link)" 10.50.4.1 | grep ' 0% packet loss'; }
expect "packets pass by it" short_key_answers
kill "$called"
sql "UPDATE nodes SET mppe = NULL WHERE id = 2"
wait_for 40 "no encryption where it is required" node_is 2 backoff mppe
expect_equal "the tunnel beside them" "$beside up" "$(fields 3 ifindex state)"
daemon_stop
connexad --purge >/run/lab-purge
expect "a purge removes it" gone /etc/ppp/resolv.conf
