# Scripts of the host's that pppd runs for every tunnel: one that pppd waits for before its link is up and that never ends, and
# one that ends pppd. The reason tells what happened, doctor names the script, and once it is gone the node comes up by itself.
# One that changes routes beside the tunnel costs no tunnel.
server alpha 10.9.0.2 admin:secret
config 'tunnel.dial_timeout = "8s"
tunnel.stop_grace = "1s"
tunnel.backoff = { min = "1s", max = "1s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok

# script FILE LINE: what the host runs
script() {
  printf '#!/bin/sh\n%s\n' "$2" >"/etc/ppp/$1"
  chmod 755 "/etc/ppp/$1"
}
doctor_names() {
  connexactl doctor >/run/lab-doctor || true
  expect "doctor names the script" grep -F "/etc/ppp/$1" /run/lab-doctor
}

script ip-pre-up 'exec sleep 1000'
daemon_start
wait_for 60 "the dial ends for its time" node_is 2 backoff timeout
expect "the remedy names the scripts" grep -F 'ip-pre-up' <(of_node 2 .last_error.remedy)
doctor_names ip-pre-up
rm /etc/ppp/ip-pre-up
node_up 2 60
pkill -KILL -f 'sleep 1000'

# pppd tells its scripts its number (pppd(8)).
script ip-up.d/zz-lab 'kill "$PPPD_PID"'
connexactl stop 2
wait_for 20 "node 2 is stopped" node_is 2 stopped
connexactl start 2
wait_for 40 "the call ends because somebody has ended it" status_is killed '.nodes[0].last_error.kind'
doctor_names ip-up.d/zz-lab
rm /etc/ppp/ip-up.d/zz-lab
node_up 2 60

script ip-up.d/zz-lab 'ip route replace 203.0.113.0/24 dev "$PPP_IFACE"; touch /run/lab-script-ran'
connexactl stop 2
wait_for 20 "node 2 is stopped" node_is 2 stopped
connexactl start 2
node_up 2
wait_for 20 "the script has run" test -e /run/lab-script-ran
expect "what the script has done is there, as it is the operator's" grep -F 203.0.113.0/24 <(ip route show dev "$(tunnel_link 2)")
expect "the tunnel carries" ping -n -q -c 3 -W 5 -I "$(tunnel_link 2)" "$(fields 2 remote_ip)"
doctor_names ip-up.d/zz-lab
rm /etc/ppp/ip-up.d/zz-lab
