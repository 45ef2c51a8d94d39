# Every line of the host's own /etc/ppp/options that would take a tunnel away and has an opposite, all at once, and more of
# them in root's .ppprc, with a plug-in and variables for the programs: the tunnels of two nodes come up as their rows
# say, encrypted, and stay up past every limit that the files set.
one_engine
server alpha 10.9.0.2 admin:secret second:secret2
# It tells its clients a name server.
echo 'ms-dns 10.9.0.99' >>/srv/alpha/ppp/pptpd-options
printf 'stranger\nwrong\n' >/run/lab-login
cat >"$host_options" <<'END'
auth
require-chap
require-eap
+ua /run/lab-login
user stranger
name stranger
password wrong
usehostname
remotename other
linkname other
ipparam other
allow-number 123
allow-ip 192.0.2.1
login
enable-session
privgroup root
require-mppe
mppe-stateful
bsdcomp 15
deflate 15
predictor1
defaultroute
replacedefaultroute
proxyarp
usepeerdns
10.1.1.1:10.1.1.2
default-mru
mtu 300
lcp-echo-interval 1
lcp-echo-failure 1
persist
maxfail 0
holdoff 300
idle 4
maxconnect 5
maxoctets 1
nolog
logfile /run/lab-pppd.log
multilink
mrru 1500
ifname tun9
updetach
connect "false"
init "sleep 100"
disconnect "sleep 100"
welcome "false"
connect-delay 600000
child-timeout 0
xonxoff
datarate 1
lcp-restart 60
lcp-max-configure 1
lcp-max-failure 1
lcp-max-terminate 1000
ipcp-restart 60
ipcp-max-configure 1
chap-timeout 1
kdebug 7
netmask 255.0.0.0
nomppe
unit 77
escape 11,13
default-asyncmap
receive-all
nomagic
noaccomp
nopcomp
ipcp-no-addresses
set PATH=/nowhere
debug
dump
plugin minconn.so
set LD_PRELOAD=/nowhere/lab.so
set LAB_STRANGER=1
unset HOME
END
# The server's pppd reads it, too: nothing that ends its calls.
cat >/root/.ppprc <<'END'
nologfd
user another
holdoff 7
lcp-echo-failure 1
usepeerdns
END
resolver=$(cat /etc/resolv.conf)
printf '#!/bin/sh\nsleep 100\n' >/etc/ppp/ip-up.d/lab-stranger
chmod 755 /etc/ppp/ip-up.d/lab-stranger
config 'tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second secret2 speed_ok
daemon_start
node_up 2
node_up 3
up_since=$SECONDS first=$(tunnel 2) second=$(tunnel 3)
for id in 2 3; do
  expect "the kernel gave the link of node $id its name" grep '^ppp' <(tunnel_link "$id")
  expect "a packet crosses the tunnel of node $id" ping -c 1 -W 5 -I "$(tunnel_link "$id")" 10.50.2.1
done
encrypted() { journalctl --sync; journalctl -u pptpd@alpha -o cat --since "@$(cat "$scenario_start")" | grep -c "MPPE 128-bit stateless"; }
expect_equal "both calls are encrypted by 128 bit" 2 "$(encrypted)"
expect_equal "the link's MTU, less 4 for MPPE" 1396 "$(cat "/sys/class/net/$(tunnel_link 2)/mtu")"
expect "no tunnel takes the default route" not grep ppp <(ip route show default)
expect "no tunnel's address is answered for on other links" not grep . <(ip neigh show proxy)
expect "pppd has been told of a name server" grep 10.9.0.99 /etc/ppp/resolv.conf
expect_equal "the host's resolver" "$resolver" "$(cat /etc/resolv.conf)"
connexactl doctor >/run/lab-doctor || true
expect "doctor warns of what is left of it" grep -F "$host_options, line 25, has \"usepeerdns\"" /run/lab-doctor
for seen in '"plugin minconn.so"' '"set LD_PRELOAD=/nowhere/lab.so"'; do
  expect "doctor warns of $seen" grep -F "has $seen" /run/lab-doctor
done
expect "it reads root's file as well" grep -F '/root/.ppprc, line 5, has "usepeerdns"' /run/lab-doctor
expect "and knows what else runs for each tunnel" grep -F /etc/ppp/ip-up.d/lab-stranger /run/lab-doctor

past_every_limit() { ((SECONDS > up_since + 8)); }
wait_for 10 "idle and maxconnect are over" past_every_limit
expect_equal "the tunnels stay" "$first $second" "$(tunnel 2) $(tunnel 3)"
expect "node 2 is up" node_is 2 up
connexactl stop 2
wait_for 5 "it ends at once, whatever it is to run and wait for" gone /run/ppp-connexa-node-2.pid
expect "the other one stays" node_is 3 up
