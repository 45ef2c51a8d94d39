# The lab proves itself, with no daemon: a peer file written by hand brings up a call with MS-CHAPv2 and MPPE,
# and an account's wrong password does not.
one_engine
server alpha 10.9.0.2 admin:secret

peer() { # NAME LOGIN
  printf '%s\n' 'pty "exec /usr/sbin/pptp 10.9.0.2 --nolaunchpppd"' "name $2" "remotename $1" "linkname $1" noauth \
    refuse-pap refuse-eap refuse-chap refuse-mschap require-mppe-128 nobsdcomp nodeflate noipdefault \
    nodefaultroute 'mtu 1400' 'mru 1400' >"$peers/$1"
}
peer good admin
peer bad stranger
printf '%s\n' '"admin" good "secret" *' '"stranger" bad "guess" *' >>"$secrets"

expect "pppd takes the peer file" pppd call good
wait_for 20 "the call has an address" has_address ppp0 'inet 10.50.2.100 peer 10.50.2.1/32'
expect "a packet crosses the tunnel" ping -c 1 -W 5 10.50.2.1
expect "the server has MPPE on" grep 'MPPE 128-bit stateless compression enabled' <(journalctl -u pptpd@alpha -o cat)

code=0
pppd call bad nodetach || code=$?
expect_equal "pppd's exit code for a refused login" 19 "$code"

server_stop alpha
wait_for 10 "the call ends with its server" not has_address ppp0 'inet'
