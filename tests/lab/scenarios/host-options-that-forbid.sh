# What no peer file can take back from /etc/ppp/options: no call is made, and the reason and doctor name the line. What
# pppd itself refuses is told in its words. Once the line is gone, the node comes up by itself.
one_engine
server alpha 10.9.0.2 admin:secret
config 'tunnel.backoff = { min = "300ms", max = "300ms", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
printf 'auth\ndemand\n' >"$host_options"
daemon_start

# because TEXT: the node's last error says so
because() { failed 2 bad_options "$1"; }

deadly=(demand dryrun --version notty 'socket 127.0.0.1:9' ttyS0 sync 'record /run/lab-record' -all refuse-mschap-v2
  need-peer-eap noip noccp)
# Of these pppd would make a link that is up without a tunnel, one without encryption, and a refusal of the login.
for option in demand noccp need-peer-eap; do
  printf 'auth\n%s\n' "$option" >"$host_options"
  wait_for 20 "the reason names $option" because "$host_options, line 2, has \\\"$option\\\""
done
printf '%s\n' "${deadly[@]}" >"$host_options"
connexactl doctor >/run/lab-doctor || true
line=0
for option in "${deadly[@]}"; do
  line=$((line + 1))
  expect "doctor names $option" grep -F "$host_options, line $line, has \"$option\"" /run/lab-doctor
done
expect "no call was made" not grep ppp <(ip -o link)

# By the files that it takes in.
printf 'auth\nfile /run/lab-more\n' >"$host_options"
printf '# more\nnoip\n' >/run/lab-more
wait_for 20 "the reason names the other file" because '/run/lab-more, line 2, has \"noip\"'

# By root's own file.
echo auth >"$host_options"
printf 'nolog\nnoip\n' >/root/.ppprc
wait_for 20 "the reason names root's file" because '/root/.ppprc, line 2, has \"noip\"'
connexactl doctor >/run/lab-doctor || true
expect "and so does doctor" grep -F '/root/.ppprc, line 2, has "noip"' /run/lab-doctor
rm /root/.ppprc

# refused OPTION WORDS
refused() {
  printf 'auth\n%s\n' "$1" >"$host_options"
  wait_for 20 "the reason is in pppd's words" because "$2"
  expect "and says where to look" because "in $host_options or in a file named there"
}
refused '+ua /nowhere' 'unable to open user login data file /nowhere'
refused 'mru many' "invalid numeric parameter 'many' for mru option"
refused 'logfile /nowhere/log' "Can't open log file /nowhere/log"
refused 'plugin nowhere.so' 'nowhere.so: cannot open shared object file'
printf 'auth\nnothing-of-the-kind\n' >"$host_options"
wait_for 20 "the reason is in pppd's words" because "In file $host_options: unrecognized option 'nothing-of-the-kind'"

# Only where it is asked for is it in the way.
config 'tunnel = { backoff = { min = "300ms", max = "300ms", jitter = 0.0 }, default_route = true }'
connexactl reload
printf 'auth\nnodefaultroute\n' >"$host_options"
wait_for 20 "the reason names nodefaultroute" because "$host_options, line 2, has \\\"nodefaultroute\\\""
connexactl doctor >/run/lab-doctor || true
expect "and so does doctor" grep -F "$host_options, line 2, has \"nodefaultroute\"" /run/lab-doctor
config 'tunnel.backoff = { min = "300ms", max = "300ms", jitter = 0.0 }'
connexactl reload

node_up 2
