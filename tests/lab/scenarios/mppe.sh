# Encryption that one side requires and the other refuses is told as just that; a row that agrees brings the tunnel up.
server plain 10.9.0.2 mppe=off admin:secret
server strict 10.9.0.3 admin:secret
config 'tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
sql 'ALTER TABLE nodes ADD COLUMN mppe TEXT'
sql "INSERT INTO nodes VALUES (2, '10.9.0.2', 'admin', 'secret', 'speed_ok', NULL)"
sql "INSERT INTO nodes VALUES (3, '10.9.0.3', 'admin', 'secret', 'speed_ok', 'off')"
daemon_start

wait_for 30 "the server has no encryption" node_is 2 backoff mppe
wait_for 30 "the server insists on encryption" node_is 3 backoff mppe
wait_journal 10 'Node 2: retrying in '
wait_journal 10 'Node 3: retrying in '
expect "the reason names it" grep MPPE <(said 'Node 2: retrying in ')
expect "the reason names it here, too" grep MPPE <(said 'Node 3: retrying in ')

sql "UPDATE nodes SET mppe = 'off' WHERE id = 2"
sql "UPDATE nodes SET mppe = NULL WHERE id = 3"
node_up 2 20
node_up 3 20
expect "the encrypted call is encrypted" grep 'MPPE 128-bit' <(journalctl -u pptpd@strict -o cat)
expect "the plain call is plain" not grep 'MPPE 128-bit' <(journalctl -u pptpd@plain -o cat)
