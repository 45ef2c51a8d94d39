# Somebody flushes the addresses of a tunnel's link: that is told as it is, the tunnel comes back, and routing blames nobody.
server alpha 10.9.0.2 admin:secret
config 'routing.table_base = 1000
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2
first=$(tunnel 2)
ip address flush dev "$(tunnel_link 2)"
wait_journal 20 'Tunnel for node 2 is DOWN on ppp0: the link lost its address'
wait_for 60 "another tunnel" other_tunnel 2 "$first"
wait_for 10 "its route" grep -q default <(ip route show table 1002)
expect "no word of a missing right" said_times 0 CAP_NET_ADMIN
expect_equal "errors" '' "$(journal -t connexad -p err)"
