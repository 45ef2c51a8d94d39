# tunnel.default_route where the host has a default route: told, nothing changes, and nothing is left when the node goes.
server alpha 10.9.0.2 admin:secret
ip route add default via 10.9.255.253
before=$(ip route)
config 'tunnel.default_route = true'
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2
wait_journal 10 "$(by_engine pppd='Gateway warning: not replacing' kernel='The default route is not taken by the tunnel')"
expect_equal "the default route" "default via 10.9.255.253 dev lab0" "$(ip route show default | xargs)"
ip route show proto 201
sql 'DELETE FROM nodes'
routes_as_before() { [[ $(ip route) == "$before" ]] || ! ip route; }
wait_for 30 "nothing is left" routes_as_before
ip route del default
