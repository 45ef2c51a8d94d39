# A password beyond ASCII, as Windows and most servers hash it: two bytes for each character. The kernel engine logs in
# with it, encrypted; pppd hashes other bytes and is refused, which the reason explains. pppd as a server makes two bytes of
# each byte, so that a password of Latin-1 in its file is the same there.
server alpha 10.9.0.2 'admin:p\344ssw\366rd'
config 'tunnel.engine = "kernel"
tunnel.quarantine_after = 1
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
sql 'ALTER TABLE nodes ADD COLUMN engine TEXT'
sql "INSERT INTO nodes VALUES (2, '10.9.0.2', 'admin', 'pässwörd', 'speed_ok', NULL)"
sql "INSERT INTO nodes VALUES (3, '10.9.0.2', 'admin', 'pässwörd', 'speed_ok', 'pppd')"
sql "INSERT INTO nodes VALUES (4, '10.9.0.2', 'admin', 'passwort', 'speed_ok', NULL)"
daemon_start
node_up 2
expect "packets pass" ping -n -c 3 -i 0.3 -W 5 -I "$(tunnel_link 2)" 10.50.2.1
expect "it is encrypted" grep 'MPPE 128-bit stateless' <(journalctl -u pptpd@alpha -o cat)
for id in 3 4; do wait_for 40 "node $id is refused" node_is "$id" quarantined auth_refused; done
beyond() { of_node "$1" .last_error.message | grep 'characters beyond ASCII, which pppd hashes in another way'; }
expect "pppd's reason says why" beyond 3
expect "that of a wrong password does not" not beyond 4
expect "explain says so" grep 'beyond ASCII' <(connexactl explain 3)
