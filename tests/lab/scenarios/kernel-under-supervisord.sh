# supervisord keeps the daemon, and ends whole process groups: the tunnels of the kernel engine go on while the daemon is
# killed, restarted, stopped and started again, and while supervisord itself is.
one_engine
server alpha 10.9.0.2 admin:secret
config 'tunnel.engine = "kernel"
tunnel.lcp_echo_interval = "2s"'
database
node 2 10.9.0.2 admin secret speed_ok
cat >/etc/supervisor/conf.d/connexad.conf <<'END'
[program:connexad]
command=/usr/local/sbin/connexad
startsecs=1
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=/run/lab-connexad.log
END
systemctl start supervisor
node_up 2

tunnel=$(tunnel 2) link=$(tunnel_link 2) holder=$(pgrep -x connexad-hold)
ping -i 0.2 -I "$link" 10.50.2.1 >/run/lab-ping 2>&1 &
ping=$!
taken_over() { [[ $(tunnel 2) == "$tunnel" && $(fields 2 adopted) == true && $(status .daemon.pid) != "$before" ]] && node_is 2 up; }
# again COMMAND...: another daemon has taken the same tunnel over
again() {
  before=$(status .daemon.pid)
  "$@"
  wait_for 30 "the tunnel is taken over after: $*" taken_over
}
kill_daemon() { kill -KILL "$before"; }
stop_and_start() {
  supervisorctl stop connexad
  expect_equal "who keeps it while no daemon runs" "$holder" "$(pgrep -x connexad-hold)"
  supervisorctl start connexad
}
again kill_daemon
again supervisorctl restart connexad
again stop_and_start
again systemctl restart supervisor
kill -INT "$ping"
wait "$ping" || true
expect "no packet was lost: $(tail -n2 /run/lab-ping)" nothing_lost /run/lab-ping
expect_equal "the holder is the one of the beginning" "$holder" "$(pgrep -x connexad-hold)"
systemctl stop supervisor
rm /etc/supervisor/conf.d/connexad.conf
