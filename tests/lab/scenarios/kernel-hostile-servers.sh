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

# What there is: descriptors of the daemon and of the process that keeps tunnels, links, call sockets.
entries() { ls "$1" | wc -l; }
counts() {
  echo "daemon $(entries "/proc/$daemon/fd"), kept $(entries "/proc/$(pgrep -x connexad-hold)/fd")," \
    "links $(entries /sys/class/net), calls $(awk '$1 == "PPTP" || $1 == "PPPOX" {print $3}' /proc/net/protocols | xargs)"
}
as_before() {
  local now
  now=$(counts)
  echo "$now"
  [[ $now == "$before" ]]
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
expect_equal "the tunnel beside them" "$tunnel up" "$(tunnel 2) $(field 2 state)"

# No descriptor more for the daemon, no call id more in the kernel, no /dev/ppp: a sentence each, and a dial once there is one.
# told_and_up WORDS UNDO...
told_and_up() {
  local words=$1
  shift
  wait_journal 40 "$words"
  "$@"
  node_up 3 60
  expect_equal "the tunnel beside it" "$tunnel up" "$(tunnel 2) $(field 2 state)"
  sql 'DELETE FROM nodes WHERE id = 3'
  wait_for 60 "nothing is left of it: $before" as_before
}
limit=$(prlimit --pid "$daemon" --nofile --output SOFT --noheadings)
# leave_free COUNT: the daemon may open so many descriptors more, and counts them from the lowest free number
leave_free() {
  local number=0 free=0
  while ((free < $1)); do
    [[ -e /proc/$daemon/fd/$number ]] || free=$((free + 1))
    number=$((number + 1))
  done
  prlimit --pid "$daemon" --nofile="$number:"
}
leave_free 4
node 3 10.9.0.3 admin secret speed_ok
told_and_up 'Too many open files' prlimit --pid "$daemon" --nofile="$limit:"

python3 -IS /lab/call_ids.py >/run/lab-call-ids &
ids=$!
wait_for 100 "all call ids are taken" grep -x 'all taken' /run/lab-call-ids
node 3 10.9.0.3 admin secret speed_ok
told_and_up 'no call id is free' kill "$ids"

mv /dev/ppp /dev/ppp.away
node 3 10.9.0.3 admin secret speed_ok
told_and_up '/dev/ppp' mv /dev/ppp.away /dev/ppp

kill -INT "$ping"
wait "$ping" || true
expect "no packet was lost: $(tail -n2 /run/lab-ping)" nothing_lost /run/lab-ping
expect_equal "the tunnel" "$tunnel up" "$(tunnel 2) $(field 2 state)"
expect "no fall was told" said_times 0 'Tunnel for node 2 is DOWN'
expect "no fault was told" said_times 0 'a fault of connexad'
expect_equal "the daemon" "$daemon" "$(daemon_pid)"
