# Tunnels of the kernel engine outlive the daemon: it is killed, restarted, stopped and started again, and replaced by
# another build, under traffic, and each time the next one takes the same tunnels over. So it is when what keeps them is
# killed; only when both die at once, the tunnels are lost and dialled anew. A hang-up leaves nothing.
one_engine
server alpha 10.9.0.2 admin:secret
server beta 10.9.0.3 admin:secret
ways='tunnel.engine = "kernel"
tunnel.lcp_echo_interval = "2s"
tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
config "$ways"
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.3 admin secret speed_ok
daemon_start
node_up 2
node_up 3

holder() { pgrep -x connexad-hold; }
begun() {
  daemon=$(daemon_pid)
  "$@"
  wait_for 15 "another daemon runs" another_daemon "$daemon"
}
# The same two tunnels as at the beginning.
same() {
  local seen
  seen="$(tunnel 2) $(tunnel 3)"
  echo "$seen"
  [[ $seen == "$tunnels" ]] && node_is 2 up && node_is 3 up
}
taken_over() { same && [[ $(fields 2 adopted) == true ]]; }
kill_daemon() { kill -KILL "$(daemon_pid)"; }
tunnels="$(tunnel 2) $(tunnel 3)" link=$(tunnel_link 2) other=$(tunnel_link 3)
holder=$(holder)
expect "it is encrypted" grep 'MPPE 128-bit stateless' <(journalctl -u pptpd@alpha -o cat)
expect_equal "who may speak to what keeps them" "600 root" "$(stat -c '%a %U' /run/connexad-holder.sock)"
ping -i 0.2 -I "$link" 10.50.2.1 >/run/lab-ping-2 2>&1 &
ping=$!
ping -i 0.2 -I "$other" 10.50.3.1 >/run/lab-ping-3 2>&1 &
pong=$!

for round in $(seq "${LAB_ROUNDS:-3}"); do
  begun kill_daemon
  wait_for 15 "the tunnels are taken over, round $round" taken_over
done
begun systemctl restart connexad
wait_for 15 "a restart keeps them" taken_over
daemon_stop
expect_equal "who keeps them while no daemon runs" "$holder" "$(holder)"
expect "a packet crosses meanwhile" ping -c 1 -W 5 -I "$link" 10.50.2.1
daemon_start
wait_for 15 "a stop and a start keep them" taken_over

# Another build, in place of a program that still runs as the holder.
cp /usr/local/sbin/connexad /run/connexad-next
printf 'another build' >>/run/connexad-next
install -m 755 /run/connexad-next /usr/local/sbin/connexad-next
mv /usr/local/sbin/connexad-next /usr/local/sbin/connexad
begun systemctl restart connexad
wait_for 15 "an upgrade keeps them" taken_over
expect_equal "the holder is the one of before" "$holder" "$(holder)"

# The holder dies: the daemon has all descriptors itself, starts another one and hands them over again.
kill -KILL "$holder"
wait_journal 10 'another one keeps 2 of them now'
expect "no tunnel is touched" same
begun kill_daemon
wait_for 15 "they are taken over from that one" taken_over

kill -INT "$ping" "$pong"
wait "$ping" || true
wait "$pong" || true
echo "node 2: $(grep transmitted /run/lab-ping-2); node 3: $(grep transmitted /run/lab-ping-3)"
expect "no packet of node 2 was lost: $(tail -n2 /run/lab-ping-2)" nothing_lost /run/lab-ping-2
expect "no packet of node 3 was lost: $(tail -n2 /run/lab-ping-3)" nothing_lost /run/lab-ping-3

# A server that went while no daemon ran, and a row.
daemon_stop
sql 'DELETE FROM nodes WHERE id = 3'
daemon_start
node_up 2
wait_for 15 "the tunnel of the row that is gone is hung up" gone "/sys/class/net/$other"
expect_equal "the other one stays" "${tunnels% *}" "$(tunnel 2)"

# Both at once: nobody has the descriptors any more.
begun kill -KILL "$(holder)" "$(daemon_pid)"
wait_for 60 "the node is up by another tunnel" other_tunnel 2 "${tunnels% *}"
expect_equal "it was dialled" false "$(fields 2 adopted)"
link=$(tunnel_link 2)

# What is hung up leaves nothing.
calls() { for name in alpha beta; do ip -n "srv-$name" -oneline link show type ppp; done; }
no_calls() { ! calls | grep .; }
expect "the servers have calls" test -n "$(calls)"
wait_for 10 "the holder has it" test -S /run/connexad-holder.sock
config "$ways
tunnel.keep_on_exit = false"
connexactl reload
daemon_stop
expect "no link" gone "/sys/class/net/$link"
wait_for 5 "no process" not holder
expect "no socket" gone /run/connexad-holder.sock
wait_for 10 "no server has a call any more" no_calls

# Nor does a purge.
config "$ways"
daemon_start
node_up 2
link=$(tunnel_link 2)
daemon_stop
expect "it is listed" grep -x 'tunnel of node 2: it is hung up' <(connexad --purge --dry-run)
expect "the list has changed nothing" test -e "/sys/class/net/$link"
connexad --purge >/run/lab-purge
expect "no link after a purge" gone "/sys/class/net/$link"
wait_for 5 "no process after a purge" not holder
expect "no socket after a purge" gone /run/connexad-holder.sock
