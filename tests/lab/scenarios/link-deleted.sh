# Somebody deletes a tunnel's link, somebody sets another one down: each is told, and dialled again.
server alpha 10.9.0.2 admin:secret second:secret2
config 'tunnel = { stop_grace = "2s", backoff = { min = "1s", max = "2s", jitter = 0.0 } }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second secret2 speed_ok
daemon_start
node_up 2
node_up 3

link2=$(tunnel_link 2) link3=$(tunnel_link 3) tunnel2=$(tunnel 2) tunnel3=$(tunnel 3)
processes=$(status '.nodes[].pid // empty')
expect "the kernel lets a link be deleted" ip link del "$link2"
wait_journal 10 "Tunnel for node 2 is DOWN on $link2: "
expect "a link can be set down" ip link set "$link3" down
wait_journal 10 "Tunnel for node 3 is DOWN on $link3: "

wait_for 30 "node 2 has another tunnel" other_tunnel 2 "$tunnel2"
wait_for 30 "node 3 has another tunnel" other_tunnel 3 "$tunnel3"
for old in $processes; do expect "process $old is gone" ended "$old"; done
