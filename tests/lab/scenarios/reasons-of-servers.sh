# Why a tunnel falls or does not come up is told as it is, whatever follows it: a server that hangs up, one that asks for
# PAP alone, one that refuses the call, one that takes connections and says nothing. See six-broken-tunnels, too.
server alpha 10.9.0.2 admin:secret
server beta 10.9.0.3 admin:secret
server delta 10.9.0.5 admin:secret
server epsilon 10.9.0.6 admin:secret
sed -i 's/^refuse-pap$/require-pap/; s/^require-mschap-v2$/refuse-mschap-v2/; s/^require-mppe-128$/nomppe/' /srv/beta/ppp/pptpd-options
cp -p /srv/beta/ppp/chap-secrets /srv/beta/ppp/pap-secrets
server_stop delta
server_freeze epsilon

# A PPTP server that takes control connections and refuses each call as busy (RFC 2637, sections 2.2 and 2.8).
cat >/run/lab-refuses.py <<'END'
import socket, struct

server = socket.create_server(("", 1723))
while True:
    control, _ = server.accept()
    while said := control.recv(4096):
        kind = struct.unpack("!8xH", said[:10])[0]
        head = lambda length, kind: struct.pack("!HHIHH", length, 1, 0x1A2B3C4D, kind, 0)
        if kind == 1:
            control.sendall(head(156, 2) + struct.pack("!HBBIIHH64s64s", 256, 1, 0, 3, 3, 1, 0, b"lab", b"lab"))
        elif kind == 7:
            caller = said[12:14]
            control.sendall(head(32, 8) + struct.pack("!H2sBBHIHHI", 9, caller, 4, 0, 0, 0, 64, 0, 0))
END
ip netns exec srv-delta python3 -IS /run/lab-refuses.py &
refuser=$!

# So short that pppd gives up after four requests, twelve seconds.
config 'tunnel.dial_timeout = "20s"
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
for id in 2 3 5 6; do node $id "10.9.0.$id" admin secret speed_ok; done
daemon_start
node_up 2

wait_for 90 "a server without MS-CHAPv2" node_is 3 backoff auth_unsupported
wait_for 90 "a server that refuses the call" node_is 5 backoff call_refused
wait_for 90 "a server that says nothing" node_is 6 backoff unreachable
echo "told: $(status '.nodes[] | select(.last_error) | "\(.id) \(.last_error.kind): \(.last_error.message) -> \(.last_error.remedy)"')"
expect "the cause of the refusal" grep -i busy <(of_node 5 .last_error.message)
expect "the remedy stands beside the reason" grep "remedy: .*MS-CHAPv2" <(connexactl status 3)
expect "and in the journal" grep -q "^REMEDY=.*MS-CHAPv2" <(journal -o export NODE_ID=3)
expect "what pptp says is told by the daemon alone" not grep -q "Result code" <(journalctl -t pptp -o cat --since "@$(cat "$scenario_start")")

kill -TERM "$(cat /srv/alpha/calls/admin)"
wait_journal 20 'Tunnel for node 2 is DOWN'
said 'Tunnel for node 2 is DOWN'
wait_for 20 "the server hung up" node_is 2 up peer_closed
kill $refuser
