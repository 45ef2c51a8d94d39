# Logins and passwords by which pppd's words could be broken: what the real pppd reads back is what the row says, nothing
# else of a peer file differs, and each login brings its tunnel up. But for the last: a server that is pppd itself looks for
# a login beyond ASCII under another name (%v in chap-new.c).
logins=('DOM\user' 'a "quoted" one' "it's # no comment" '*' 'x" pty "reboot' 'x\163\\' ' -- noauth ' 'ünïcode')
password='p"\ #'\'' @x\n*"'
escaped() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }
for login in "${logins[@]}"; do accounts+=("$(escaped "$login"):$(escaped "$password")"); done
server alpha 10.9.0.2 "${accounts[@]}"
database
for id in "${!logins[@]}"; do
  node "$id" 10.9.0.2 "${logins[id]//\'/\'\'}" "${password//\'/\'\'}" speed_ok
done
daemon_start
for id in {0..6}; do node_up "$id"; done

# What else stands here is of pppd's files.
[[ $LAB_ENGINE == pppd ]] || exit 0
for id in "${!logins[@]}"; do pppd call "connexa-node-$id" dryrun dump 2>&1 | sed 's/\t\t# (from .*//' >"/run/lab-dump-$id"; done
value() { sed -n "s/^$2 //p" "/run/lab-dump-$1"; }
others() { sed -E "/^(name|user) /d; s/connexa-node-$1/connexa-node-N/g" "/run/lab-dump-$1"; }
plain=$(others 0)
expect "pppd takes the peer file: $plain" grep -q '^pty ' <<<"$plain"
for id in "${!logins[@]}"; do
  for option in name user; do
    expect_equal "node $id, $option" "$(escaped "${logins[id]}")" "$(value "$id" $option)"
  done
  expect_equal "node $id, all other options" "$plain" "$(others "$id")"
done

sql "UPDATE nodes SET password = 'a' || char(10) || '\"b\" \"connexa-node-0\" \"c\"' WHERE id = 1"
wait_for 10 "a password of two lines is refused" node_is 1 invalid
expect_equal "entries of node 0" 1 "$(grep -c connexa-node-0 "$secrets")"
expect "node 0 goes on" node_is 0 up
