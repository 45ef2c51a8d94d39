# A script of the host's that pppd waits for before its link is up, and that never ends: no tunnel comes up, the reason and
# doctor name the scripts, pppd is ended all the same, and once the script is gone the node comes up by itself.
server alpha 10.9.0.2 admin:secret
config 'tunnel.dial_timeout = "8s"
tunnel.stop_grace = "1s"
tunnel.backoff = { min = "1s", max = "1s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
printf '#!/bin/sh\nexec sleep 1000\n' >/etc/ppp/ip-pre-up
chmod 755 /etc/ppp/ip-pre-up
daemon_start
wait_for 60 "the dial ends for its time" node_is 2 backoff timeout
expect "the remedy names the scripts" grep -F 'ip-pre-up' <(of_node 2 .last_error.remedy)
connexactl doctor >/run/lab-doctor || true
expect "doctor names the script" grep -F /etc/ppp/ip-pre-up /run/lab-doctor
rm /etc/ppp/ip-pre-up
node_up 2 60
pkill -KILL -f 'sleep 1000'
