# Ten servers that all hand out the same pair of addresses, each with a web server behind it: traffic finds
# the right tunnel by mark and by bound interface, also after a server was restarted.
web=10.99.0.1
for n in {1..10}; do
  server "t$n" "10.9.1.$n" subnet=10.50.77 admin:secret &
done
wait
cat >/run/lab-web.py <<'END'
import socket, sys
listener = socket.create_server((sys.argv[1], 80))
while True:
    peer = listener.accept()[0]
    peer.sendall(sys.argv[2].encode())
    peer.close()
END
# Who answers node N, by its mark and by its interface: arguments are N:INTERFACE.
cat >/run/lab-ask.py <<'END'
import socket, sys
for asked in sys.argv[2:]:
    node, interface = asked.split(":")
    for option, value in ((socket.SO_MARK, 1000 + int(node)), (socket.SO_BINDTODEVICE, interface.encode())):
        with socket.socket() as s:
            s.settimeout(10)
            s.setsockopt(socket.SOL_SOCKET, option, value)
            s.connect((sys.argv[1], 80))
            print(node, s.recv(99).decode())
END
for n in {1..10}; do
  ip -n "srv-t$n" addr add "$web/32" dev lo
  systemd-run --quiet --collect --unit "lab-web-$n" ip netns exec "srv-t$n" python3 -IS /run/lab-web.py "$web" "t$n"
done
config 'routing.table_base = 1000
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
for n in {1..10}; do node "$n" "10.9.1.$n" admin secret speed_ok; done
daemon_start
wait_for 60 "ten tunnels are up" status_is 10 .counts.up

asked() { for n in {1..10}; do echo "$n:$(tunnel_link "$n")"; done; }
answers() { python3 -IS /run/lab-ask.py "$web" $(asked); }
right() { [[ $(answers) == "$(for n in {1..10}; do printf '%s\n' "$n t$n" "$n t$n"; done)" ]]; }
expect_equal "the local addresses" '["10.50.77.100"]' "$(status '[.nodes[].local_ip] | unique | tojson')"
wait_for 20 "each tunnel's own web server answers" right

server_kill t3
wait_journal 20 'Tunnel for node 3 is DOWN on '
server_start t3
node_up 3 30
wait_for 20 "each tunnel's own web server answers again" right
systemctl stop 'lab-web-*'
