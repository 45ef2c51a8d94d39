# A server is killed, another one's host falls silent: each tunnel goes down with its reason, waits,
# and returns by itself once its server does.
server alpha 10.9.0.2 admin:secret
server beta 10.9.0.3 remote:other
config 'tunnel = { lcp_echo_interval = "1s", lcp_echo_failure = 3, backoff = { min = "1s", max = "2s", jitter = 0.0 } }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.3 remote other speed_ok
daemon_start
node_up 2
node_up 3

server_kill alpha
server_unplug beta
wait_journal 10 'Tunnel for node 2 is DOWN on '
wait_for 20 "the dead server's port is closed" node_is 2 backoff refused
wait_journal 20 'Tunnel for node 3 is DOWN on '
expect "the silent host is told by its missing echoes" grep "$(by_engine pppd='No response to 3 echo-requests' kernel='LCP echo')" <(said 'node 3 is DOWN')

server_start alpha
server_plug beta
node_up 2 20
node_up 3 20
expect "a packet crosses the new tunnel" ping -c 1 -W 5 -I "$(tunnel_link 2)" 10.50.2.1
