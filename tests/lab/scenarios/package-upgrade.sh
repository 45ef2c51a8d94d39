# An upgrade of the package loses no tunnel, not even a call that is being dialled, and keeps what was edited by hand. Cut
# packages, a package that was unpacked only, and a kernel without PPP are told and mended.
one_engine
source /lab/package.sh
server alpha 10.9.0.2 admin:secret
server silent 10.9.0.3 admin:secret
server_freeze silent
bare_host
cd /lab/deb
whole=$(echo connexad_*.deb) next=$(echo next/connexad_*.deb)
head -c 1000000 "$whole" >/run/lab-cut.deb

expect "a package that was cut is refused" not dpkg --install /run/lab-cut.deb
dpkg --unpack "$whole" </dev/null
expect_equal "after a power cut before it is set up" 'install ok unpacked' "$(dpkg_state)"
mv /dev/ppp /dev/ppp.away
expect "it is set up on a kernel without PPP, and says what is lacking" grep 'this kernel has no PPP.*apt install linux-image' \
  <(unshare --mount sh -c 'mount -t tmpfs none /lib/modules && dpkg --configure --pending' 2>&1 </dev/null)
mv /dev/ppp.away /dev/ppp
expect_equal "then" 'install ok installed' "$(dpkg_state)"

# The README's own commands, with Enter for each answer.
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.3 admin secret speed_ok
as_told() {
  case $1 in
    'connexactl setup'*)
      echo "# $1"
      printf '\n\n' | bash -c "$1"
      printf '%s\n' '# by hand' '[tunnel]' 'dial_timeout = "5m"' >>"$config_file"
      ;;
    *) run_as_written "$1" ;;
  esac
}
play_page README.md package-upgrade as_told
expect "setup has shown what would be dialled" grep -F '10.9.0.2' /run/lab-said
node_up 2
wait_for 30 "the silent server is dialled" node_is 3 negotiating
by_hand=$(sha256sum "$config_file") daemon=$(daemon_pid)
calls=$(status '[.nodes[] | .id, .state, .pid, .ifindex] | tojson')
ping -i 0.2 -I "$(tunnel_link 2)" 10.50.2.1 >/run/lab-ping 2>&1 &
ping=$!

head -c 1000000 "$next" >/run/lab-cut.deb
expect "an upgrade that was cut is refused" not dpkg --install /run/lab-cut.deb
expect_equal "the version before stays" 1 "$(dpkg-query -W -f '${Version}' connexad | cut -d- -f2)"
expect_equal "and so does its daemon" "$daemon" "$(daemon_pid)"

dpkg --install "$next" </dev/null
expect_equal "the new version" 2 "$(dpkg-query -W -f '${Version}' connexad | cut -d- -f2)"
expect "another daemon runs" test "$daemon" != "$(daemon_pid)"
expect "it is the new program" not grep deleted <(readlink "/proc/$(daemon_pid)/exe")
node_up 2
expect_equal "the tunnel and the call that is being dialled" "$calls" "$(status '[.nodes[] | .id, .state, .pid, .ifindex] | tojson')"
expect_equal "taken over" 'true true' "$(status '.nodes | map(.adopted | tostring) | join(" ")')"
kill -INT "$ping"
wait "$ping" || true
expect "no packet was lost: $(tail -n2 /run/lab-ping)" nothing_lost /run/lab-ping
expect_equal "the configuration" "$by_hand" "$(sha256sum "$config_file")"

server_thaw silent
node_up 3 60
