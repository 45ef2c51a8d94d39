# What the unit takes from the daemon costs no tunnel, no hook and no database: one tunnel is dialled outside of it and
# taken over, another one within it, hooks do what hooks do, and the drop-in for the kernel engine leaves both up.
hook=/run/lab-hook log=/run/lab-hook.log
cat >"$hook" <<END
#!/bin/sh
# try WORD COMMAND...: whether it works
try() { word=\$1; shift; "\$@" >/dev/null 2>>$log.why && echo "\$word yes" || echo "\$word no"; }
{
  try another-user setpriv --reuid=nobody --regid=nogroup --clear-groups true
  try another-network ip netns exec srv-alpha true
  try etc touch /etc/lab-hook
  try temporary touch /tmp/lab-hook
  try usr touch /usr/lab-hook
  try modules insmod /lab/guest
  try tunables touch /proc/sys/kernel/hostname
  try outside systemd-run --quiet --wait touch /usr/lab-outside
} >$log.\$CONNEXA_NODE_ID.new
mv $log.\$CONNEXA_NODE_ID.new $log.\$CONNEXA_NODE_ID
END
chmod 755 "$hook"
rm -f "$log".* /etc/lab-hook /tmp/lab-hook /usr/lab-outside
server alpha 10.9.0.2 admin:secret second:secret2
config "hooks.up = [\"$hook\"]"
database
node 2 10.9.0.2 admin secret speed_ok
# The backend is another user, who alone may read the file and keeps a journal beside it.
sql 'PRAGMA journal_mode = wal' >/dev/null
chown -R nobody "${database_file%/*}"
chmod 600 "$database_file"

setsid connexad >/run/lab-by-hand.log 2>&1 </dev/null &
outside=$!
node_up 2
wait_for 30 "its hook has run" test -e "$log.2"
expect_equal "what a hook may without the unit" 'usr yes' "$(grep ^usr "$log.2")"
rm -f "$log".* /etc/lab-hook /tmp/lab-hook /usr/lab-hook /usr/lab-outside
first=$(tunnel 2) link=$(tunnel_link 2)
kill -KILL "$outside"
wait "$outside" || true

daemon_start
node_up 2
expect_equal "the tunnel from outside is taken over" "$first true" "$(fields 2 ifindex adopted)"
of_daemon() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(daemon_pid)/status"; }
expect_equal "the rights that it may ever have" 'cap_chown,cap_dac_override,cap_kill,cap_setgid,cap_setuid,cap_net_admin,cap_net_raw,cap_sys_ptrace,cap_sys_admin' \
  "$(systemctl show -p CapabilityBoundingSet --value connexad | tr ' ' ,)"
expect_equal "seccomp filters it" 2 "$(of_daemon Seccomp)"
expect "no core of it is written: $(cat "/proc/$(daemon_pid)/limits")" \
  grep -Eq 'Max core file size +0 +0' "/proc/$(daemon_pid)/limits"
expect_equal "whose the journal of the database is" 'nobody nobody' \
  "$(stat -c %U "$database_file-wal" "$database_file-shm" | xargs)"

# By a second connection, as the backend would.
sql "INSERT INTO nodes VALUES (3, '10.9.0.2', 'second', 'secret2', 'speed_ok')"
node_up 3
expect_equal "IPv6 on the link of a tunnel is off" 1 \
  "$(cat "/proc/sys/net/ipv6/conf/$(tunnel_link 3)/disable_ipv6")"
for id in 2 3; do
  wait_for 30 "the hook of node $id has run" test -e "$log.$id"
  expect_equal "what the hook of node $id may: $(cat "$log.why")" \
    'another-user yes
another-network yes
etc yes
temporary yes
usr no
modules no
tunables no
outside yes' "$(cat "$log.$id")"
done
expect "what a hook leaves in /tmp others see" test -e /tmp/lab-hook

connexactl stop 2
wait_for 20 "a call with more rights than the daemon's is ended" node_is 2 stopped
expect "its link is gone" gone "/sys/class/net/$link"
connexactl start 2
node_up 2

first=$(tunnel 2) second=$(tunnel 3)
ping -i 0.2 -I "$(tunnel_link 2)" 10.50.2.1 >/run/lab-ping 2>&1 &
ping=$!
install -D -m 644 /lab/kernel-engine.conf "$unit_changes/kernel-engine.conf"
systemctl daemon-reload
systemctl restart connexad
node_up 2
node_up 3
expect_equal "both tunnels under the drop-in" "$first $second" "$(tunnel 2) $(tunnel 3)"
expect "/dev/ppp is there and opens" jq -e '.findings[] | select(.check == "ppp_device") | .verdict == "ok"' \
  <(curl -sS --unix-socket /run/connexa/connexad.sock http://connexa/v1/doctor)
expect "the drop-in is in force" grep -qx yes <(systemctl show -p NoNewPrivileges --value connexad)
link=$(tunnel_link 3)
connexactl stop 3
wait_for 20 "a tunnel from before can be ended under it" node_is 3 stopped
expect "its link is gone, too" gone "/sys/class/net/$link"
kill -INT "$ping"
wait "$ping" || true
expect "no packet was lost: $(tail -n2 /run/lab-ping)" nothing_lost /run/lab-ping
rm -f /etc/lab-hook /tmp/lab-hook /usr/lab-outside
