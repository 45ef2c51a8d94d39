# What is in the way of the socket of the process that keeps tunnels stays as it is and costs no tunnel: each is up, the
# journal says what is in the way, and once that is gone the same tunnel is kept, so that a daemon that is killed loses none.
one_engine
run=/run/lab-run
socket=$run/connexad-holder.sock
mkdir -p "$run"
mount -t tmpfs -o nr_inodes=12 lab "$run"
server alpha 10.9.0.2 admin:secret
config "paths.run_dir = \"$run\"
selection.absence_grace = \"1s\"
tunnel.engine = \"kernel\""
database
daemon_start

holder() { pgrep -x connexad-hold; }
rounds=0
# beside WORDS UNDO...: a tunnel rises beside what is in the way, and is kept once it is gone
beside() {
  local words="will not outlive this daemon: the process that would keep them, connexad --hold: $1"
  shift
  rounds=$((rounds + 1))
  node 2 10.9.0.2 admin secret speed_ok
  node_up 2
  wait_for 20 "round $rounds is told" said_times "$rounds" 'will not outlive this daemon'
  expect "it says what is in the way: $words" said "$words"
  expect "nobody keeps it" not holder
  tunnel=$(tunnel 2)
  "$@"
  wait_for 20 "it is kept" holder
  wait_for 20 "that is told" said_times "$rounds" 'outlive this daemon again'
  expect_equal "the tunnel" "$tunnel" "$(tunnel 2)"
  # The process that keeps nothing ends with the daemon.
  local link
  link=$(tunnel_link 2)
  sql 'DELETE FROM nodes'
  wait_for 20 "the tunnel's end" gone "/sys/class/net/$link"
  daemon_stop
  wait_for 20 "nobody keeps anything" not holder
  expect "its socket went with it" gone "$socket"
  daemon_start
}

mkdir "$socket"
echo precious >"$socket/theirs"
a_folder_goes() {
  expect_equal "what is in their folder" precious "$(cat "$socket/theirs")"
  rm -r "$socket"
}
beside "$socket is there, and nothing of others is replaced; move it away" a_folder_goes

python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
listener.accept()[0].recv(1)' "$socket" &
theirs=$!
wait_for 10 "another program listens there" test -S "$socket"
a_socket_goes() {
  expect "it listens still" not ended "$theirs"
  kill "$theirs"
  wait "$theirs" || true
  rm "$socket"
}
beside "$socket is there, and nothing of others is replaced; move it away" a_socket_goes

# The socket that a killed holder has left, with another mount over it.
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])' "$socket"
mount --bind "$socket" "$socket"
beside "it can't be started: can't remove the last one's socket $socket: Device or resource busy" umount "$socket"

# A mount that is read-only when it comes: what is changed of it later the daemon does not see.
mkdir /run/lab-read-only
mount --bind "$run" /run/lab-read-only
mount -o remount,bind,ro /run/lab-read-only
mount --bind /run/lab-read-only "$run"
beside "it can't be started: can't make its socket $socket: Read-only file system" umount "$run"

for n in {1..20}; do
  : >"$run/full-$n" || break
done 2>/dev/null
taken_over() { [[ $(daemon_pid) != "$daemon" && $(tunnel 2) == "$tunnel" && $(fields 2 adopted) == true ]]; }
space_is_made() {
  rm "$run"/full-*
  wait_for 20 "it is kept" holder
  # What is kept late is kept as well.
  wait_for 20 "that is told" said_times "$rounds" 'outlive this daemon again'
  daemon=$(daemon_pid)
  kill -KILL "$daemon"
  wait_for 15 "another daemon takes the tunnel over" taken_over
}
beside "it can't be started: can't make its socket $socket: No space left on device" space_is_made
umount --lazy "$run"
