# Ten servers that all hand out the same pair of addresses, each with a web server behind it: traffic through all of
# them at once finds the right tunnel by mark and by bound interface, also after a server was restarted.
web=10.99.0.1
for n in {1..10}; do
  server "t$n" "10.9.1.$n" subnet=10.50.77 admin:secret &
done
wait
for n in {1..10}; do ip -n "srv-t$n" addr add "$web/32" dev lo; done
# One process for all, as Python starts slowly here: a socket stays in the namespace that it was made in.
cat >/run/lab-web.py <<'END'
import ctypes, http.server, socketserver, sys, threading

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        page = (self.server.name + "\n").encode() * 4096
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

socketserver.ThreadingTCPServer.allow_reuse_address = True
for name in sys.argv[2:]:
    with open(f"/run/netns/srv-{name}") as namespace:
        if ctypes.CDLL(None).setns(namespace.fileno(), 0):
            sys.exit(f"can't enter the namespace of {name}")
    server = socketserver.ThreadingTCPServer((sys.argv[1], 80), Page)
    server.name = name
    threading.Thread(target=server.serve_forever).start()
END
# Who answers node N, by its mark and by its interface: arguments are N:INTERFACE. All are connected before one asks.
cat >/run/lab-ask.py <<'END'
import socket, sys, threading

ways = []
for asked in sys.argv[2:]:
    node, interface = asked.split(":")
    ways.append((node, socket.SO_MARK, 1000 + int(node)))
    ways.append((node, socket.SO_BINDTODEVICE, interface.encode()))
answers = [""] * len(ways)
connected = threading.Barrier(len(ways))

def ask(number, node, option, value):
    try:
        with socket.socket() as s:
            s.settimeout(10)
            s.setsockopt(socket.SOL_SOCKET, option, value)
            s.connect((sys.argv[1], 80))
            connected.wait(20)
            s.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        head, _, page = answer.decode().partition("\r\n\r\n")
        answers[number] = " ".join([node, head.split()[1], *sorted(set(page.split())), str(page.count("\n"))])
    except (OSError, IndexError, threading.BrokenBarrierError) as error:
        connected.abort()
        answers[number] = f"{node} {error!r}"

threads = [threading.Thread(target=ask, args=(number, *way)) for number, way in enumerate(ways)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\n".join(answers))
END
systemd-run --quiet --collect --unit lab-web python3 -IS /run/lab-web.py "$web" t{1..10}
config 'routing.table_base = 1000
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
for n in {1..10}; do node "$n" "10.9.1.$n" admin secret speed_ok; done
daemon_start
wait_for 60 "ten tunnels are up" status_is 10 .counts.up

asked() { for n in {1..10}; do echo "$n:$(tunnel_link "$n")"; done; }
# shellcheck disable=SC2046 # an argument for each node
answers() { python3 -IS /run/lab-ask.py "$web" $(asked); }
right() { [[ $(answers) == "$(for n in {1..10}; do printf '%s\n' "$n 200 t$n 4096" "$n 200 t$n 4096"; done)" ]]; }
expect_equal "the local addresses" '["10.50.77.100"]' "$(status '[.nodes[].local_ip] | unique | tojson')"
wait_for 30 "each tunnel's own web server answers" right

server_kill t3
wait_journal 20 'Tunnel for node 3 is DOWN on '
server_start t3
node_up 3 30
wait_for 20 "each tunnel's own web server answers again" right
systemctl stop lab-web
