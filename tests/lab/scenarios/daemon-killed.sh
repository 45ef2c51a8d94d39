# The daemon is killed with nodes in every state. systemd starts another one: the tunnel that is up never
# notices, each call is taken over and none made twice, a removed node's pppd is ended, what the operator has
# stopped stays so, what can't be dialled is told anew, and what waited for its server is dialled in its turn.
one_engine
server alpha 10.9.0.2 admin:secret second:secret2
server silent 10.9.0.3 admin:secret second:secret2
server beta 10.9.0.4 admin:secret third:secret3
config 'tunnel.backoff = { min = "1s", max = "20s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 4 10.9.0.66 admin secret speed_ok
node 5 10.9.0.2 second mistyped speed_ok
node 6 10.9.0.4 admin secret speed_ok
node 7 10.9.0.4 third secret3 speed_ok
node 8 nowhere admin secret speed_ok
server_freeze silent

kill_daemon() {
  local before
  before=$(daemon_pid)
  kill -KILL "$before"
  wait_for 15 "systemd starts another daemon" another_daemon "$before"
}

pppds() { pgrep -af '^(/usr/sbin/)?pppd call connexa-node-'; }
once_each() { ! pppds | grep -o 'connexa-node-[0-9]*' | sort | uniq -d | grep .; }

# As early as can be: some are started and not yet known by their files.
daemon_start
until pgrep -x pppd; do :; done
kill_daemon
expect "no pppd runs twice: $(pppds)" once_each

node_up 2
node_up 6
wait_for 60 "the wrong password is quarantined" node_is 5 quarantined
wait_for 60 "the dead address waits" node_is 4 backoff unreachable
node_up 7
stopped=$(tunnel_pid 7)
connexactl stop 7
wait_for 10 "the operator has stopped it" node_is 7 stopped
expect "its pppd has ended" ended "$stopped"
node 3 10.9.0.3 admin secret speed_ok
wait_for 30 "the silent server is dialled" node_is 3 negotiating
node 9 10.9.0.3 second secret2 speed_ok
wait_for 10 "its second node waits for the first" node_is 9 waiting
expect "no row can be dialled that has no address" node_is 8 invalid
invalid=$(times_said "Node 8 can't be dialled: ")

ping -i 0.2 -I "$(tunnel_link 2)" 10.50.2.1 >/run/lab-ping 2>&1 &
ping=$!
identity=$(fields 2 pid ifindex) silent=$(tunnel_pid 3) removed=$(tunnel_pid 6)
kill -STOP "$removed"
sql 'DELETE FROM nodes WHERE id = 6'
wait_for 20 "pppd is asked to end and does not" node_is 6 stopping
kill_daemon
expect "no pppd runs twice: $(pppds)" once_each
wait_for 10 "the tunnel is taken over" node_is 2 up
expect_equal "the tunnel that is up" "$identity true" "$(fields 2 pid ifindex adopted)"
expect_equal "the call that gets no answer" "$silent true" "$(fields 3 pid adopted)"
expect "what was stopped stays so" node_is 7 stopped
expect "the bad row is as bad as before" node_is 8 invalid
expect "it is told again" said_times $((invalid + 1)) "Node 8 can't be dialled: "
expect "its server has the first call of two still" node_is 9 waiting
wait_for 20 "the removed node's pppd is gone" ended "$removed"

kill -INT "$ping"
wait "$ping" || true
expect "no packet was lost: $(tail -n2 /run/lab-ping)" nothing_lost /run/lab-ping
node 5 10.9.0.2 second secret2 speed_ok
node_up 5
server_thaw silent
node_up 9 60
expect "what was stopped is not dialled" not test -e /run/ppp-connexa-node-7.pid
connexactl start 7
node_up 7
expect "no pppd runs twice: $(pppds)" once_each
