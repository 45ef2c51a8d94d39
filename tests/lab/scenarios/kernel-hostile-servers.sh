# The kernel engine and servers that send garbage, too much, too little, too slowly, or what is not meant for it; a host without
# descriptors, call ids or /dev/ppp. Each has its name or its sentence; nothing is left of any of it, and a tunnel beside it
# loses no packet.
one_engine
server alpha 10.9.0.2 admin:secret
server beta 10.9.0.3 admin:secret
server own 10.9.0.4 gives=10.9.0.4 admin:secret
server_host hostile 10.9.2.254
config 'tunnel.engine = "kernel"
tunnel.lcp_echo_interval = "2s"
tunnel.dial_timeout = "25s"
tunnel.dial_concurrency = 32
tunnel.backoff = { min = "2s", max = "2s", jitter = 0.0 }
selection.absence_grace = "0s"'
database
node 2 10.9.0.2 admin secret speed_ok
daemon_start
node_up 2
wait_for 10 "it is kept" pgrep -x connexad-hold
daemon=$(daemon_pid) link=$(tunnel_link 2) tunnel=$(tunnel 2)
ping -i 0.2 -I "$link" 10.50.2.1 >/run/lab-ping 2>&1 &
ping=$!

# What there is: descriptors of the daemon and of the process that keeps tunnels, links, call sockets, each of which uses the
# kernel's module.
entries() { ls "$1" | wc -l; }
counts() {
  echo "daemon $(entries "/proc/$daemon/fd"), kept $(entries "/proc/$(pgrep -x connexad-hold)/fd")," \
    "links $(entries /sys/class/net), calls $(cat /sys/module/pptp/refcnt)"
}
as_before() {
  local now
  now=$(counts)
  echo "$now"
  [[ $now == "$before"* ]]
}
# The most memory that the daemon has had, in KiB.
most_memory() { awk '$1 == "VmHWM:" {print $2}' "/proc/$daemon/status"; }
before=$(counts) memory=$(most_memory)
echo "before: $before, $memory KiB"

kinds=(garbage:refused megabytes:refused 'endless_echoes:refused|unreachable' half:unreachable length_of_none:refused length_of_all:refused
  byte_a_second:unreachable silent:unreachable gone_at_once:refused two_starts:gre_blocked other_id:call_refused
  garbage_in_the_call:negotiation reset_in_the_call:hangup asks_for_ever:negotiation garbage_frames:gre_blocked)
for n in "${!kinds[@]}"; do ip -n srv-hostile addr add "10.9.2.$((n + 1))/16" dev eth0; done
ip netns exec srv-hostile python3 -IS /lab/hostile_servers.py 10.9.2 >/run/lab-hostile &
hostile=$!
wait_for 30 "all of them listen" grep -x 'all listen' /run/lab-hostile
rows="INSERT INTO nodes VALUES (4, '10.9.0.4', 'admin', 'secret', 'speed_ok')"
for n in "${!kinds[@]}"; do rows+=", ($((101 + n)), '10.9.2.$((n + 1))', 'admin', 'secret', 'speed_ok')"; done
sql "$rows"
# is_told ID KIND|KIND: it has failed so, whatever it does by now
is_told() {
  local seen
  seen=$(connexactl status "$1" --json || true)
  echo "$seen"
  [[ $seen =~ \"kind\":\ \"($2)\" ]]
}
for n in "${!kinds[@]}"; do wait_for 60 "${kinds[n]}" is_told $((101 + n)) "${kinds[n]#*:}"; done
wait_for 60 "the server's own address" is_told 4 address_refused
status '.nodes[] | select(.last_error) | "\(.id) \(.last_error.kind): \(.last_error.message)"'
more=$(($(most_memory) - memory))
expect "what they sent is not kept in memory: $more KiB more" test "$more" -lt 8192
sql 'DELETE FROM nodes WHERE id > 2'
kill "$hostile"
wait_for 60 "nothing is left of them: $before" as_before
expect_equal "the tunnel beside them" "$tunnel up" "$(fields 2 ifindex state)"

# A host that lacks what a dial needs: a sentence that says what, and a dial once it is there.
# recovers UNDO...
recovers() {
  "$@"
  node_up 3 60
  expect_equal "the tunnel beside it" "$tunnel up" "$(fields 2 ifindex state)"
}
leaves_nothing() {
  sql 'DELETE FROM nodes WHERE id = 3'
  wait_for 60 "nothing is left of it: $before" as_before
}

# limit_for COUNT: with this limit the daemon may open so many descriptors more; numbers are given from the lowest free one
limit_for() {
  local number=0 free=0
  while ((free < $1)); do
    [[ -e /proc/$daemon/fd/$number ]] || free=$((free + 1))
    number=$((number + 1))
  done
  echo "$number"
}
limit_files() { prlimit --pid "$daemon" --nofile="$1:"; }
said_again() { [[ $(times_said "$2") -gt $1 ]]; }
usual=$(prlimit --pid "$daemon" --nofile --output SOFT --noheadings)
limits=()
for free in 0 1 2 3 4; do limits+=("$(limit_for "$free")"); done
node 3 10.9.0.3 admin secret speed_ok
node_up 3
# The control connection, the call's socket, its channel, its unit and the search for its link need one each.
for limit in "${limits[@]}"; do
  server_stop beta
  wait_for 40 "node 3 waits" node_is 3 backoff
  limit_files "$limit"
  said=$(times_said 'raise LimitNOFILE=')
  server_start beta
  wait_for 40 "no more than $limit files: the remedy is told" said_again "$said" 'raise LimitNOFILE='
  recovers limit_files "$usual"
done
leaves_nothing

mv /dev/ppp /dev/ppp.away
node 3 10.9.0.3 admin secret speed_ok
wait_journal 40 "can't open /dev/ppp"
recovers mv /dev/ppp.away /dev/ppp
leaves_nothing

python3 -IS /lab/call_ids.py >/run/lab-call-ids &
ids=$!
trap 'kill "$ids" 2>/dev/null || true' EXIT
wait_for 100 "all call ids are taken" grep -x 'all taken' /run/lab-call-ids
node 3 10.9.0.3 admin secret speed_ok
wait_journal 40 'no call id is free'
recovers kill "$ids"
# The kernel gives back the call sockets of a killed program one by one, which takes it minutes.
before=${before%, calls*}
leaves_nothing

kill -INT "$ping"
wait "$ping" || true
expect "no packet was lost: $(tail -n2 /run/lab-ping)" nothing_lost /run/lab-ping
expect_equal "the tunnel" "$tunnel up" "$(fields 2 ifindex state)"
expect "no fall was told" said_times 0 'Tunnel for node 2 is DOWN'
expect "no fault was told" said_times 0 'a fault of connexad'
expect_equal "the daemon" "$daemon" "$(daemon_pid)"
