# A server on this very machine shares /run, as pppds in containers do, so that its pppds have written their numbers over
# the pid files of the daemon's links. The daemon is killed: the next one takes every tunnel over all the same.
one_engine
mkdir -p /run/systemd/system/pptpd@shared.service.d
printf '[Service]\nTemporaryFileSystem=\n' >/run/systemd/system/pptpd@shared.service.d/run.conf
systemctl daemon-reload
logins=(first second third fourth)
server shared 10.9.0.2 "${logins[@]/%/:secret}"
database
for id in 1 2 3 4; do node $id 10.9.0.2 "${logins[id - 1]}" secret speed_ok; done
daemon_start
before=()
for id in 1 2 3 4; do
  node_up $id
  before+=("$(tunnel $id)")
  # Whichever wrote last.
  cat "/srv/shared/calls/${logins[id - 1]}" >"/run/$(tunnel_link $id).pid"
done

daemon=$(daemon_pid)
kill -KILL "$daemon"
wait_for 15 "systemd starts another daemon" another_daemon "$daemon"
for id in 1 2 3 4; do
  node_up $id
  expect "node $id has the tunnel that it had" test "$(tunnel $id)" = "${before[id - 1]}"
  expect "it was taken over" test "$(fields $id adopted)" = true
done
expect "no tunnel fell" test "$(times_said 'is DOWN')" = 0
