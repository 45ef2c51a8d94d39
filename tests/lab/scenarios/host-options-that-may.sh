# Lines of /etc/ppp/options that no peer file can take back and that may keep a call from becoming a tunnel: with a server that
# answers, tunnels come up with all of them at once; where one of them is to blame, the reason names the line and doctor
# does, and once the line is gone the node comes up by itself.
one_engine
server alpha 10.9.0.2 admin:secret
server mute 10.9.0.3 admin:secret
server_freeze mute
config 'tunnel.dial_timeout = "30s"
tunnel.stop_grace = "1s"
tunnel.backoff = { min = "1s", max = "1s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
cat >"$host_options" <<'END'
auth
require-pap
crtscts
cdtrcts
logfd 9
endpoint null
active-filter tcp
passive
silent
pass-filter icmp
ip-up-script /bin/true
ip-down-script /bin/true
END
daemon_start
node_up 2 60
expect "the tunnel carries what the filter lets pass" \
  ping -n -q -c 3 -W 5 -I "$(tunnel_link 2)" "$(fields 2 remote_ip)"
connexactl doctor >/run/lab-doctor || true
for line in '8, has "passive"' '9, has "silent"' '10, has "pass-filter icmp"' '11, has "ip-up-script /bin/true"' \
  '12, has "ip-down-script /bin/true"'; do
  expect "doctor names line $line" grep -F "$host_options, line $line" /run/lab-doctor
done

# blamed NODE LINE: its last error names this line of the host's file as what may be behind it
blamed() { [[ $(of_node "$1" .last_error.message) == *"what may be behind it: $host_options, line $2"* ]]; }

config 'tunnel.dial_timeout = "8s"
tunnel.stop_grace = "1s"
tunnel.backoff = { min = "1s", max = "1s", jitter = 0.0 }'
connexactl reload
printf 'auth\npassive\n' >"$host_options"
node 3 10.9.0.3 admin secret speed_ok
wait_for 40 "the server that says nothing is given up for the time" node_is 3 backoff timeout
expect "the reason names the line" blamed 3 '2, has "passive"'
expect "and so does the journal" said "what may be behind it: $host_options, line 2, has \"passive\""
expect "the other tunnel is up" node_is 2 up
echo auth >"$host_options"
server_thaw mute
node_up 3 60
