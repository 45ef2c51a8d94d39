# A host that has never seen connexad, the package, and the README's own commands: two tunnels come up and the third says
# why it does not. Removed, it leaves the tunnels up; purged, it leaves database and configuration, and the host as it was.
one_engine
source /lab/package.sh
server alpha 10.9.0.2 admin:secret office:secret2
bare_host
# What the package's group is written into and taken out of again.
touch /etc/group /etc/gshadow
wait_for 10 "the links have their addresses" no_tentative_address
: >/srv/alpha/calls/admin
: >/srv/alpha/calls/office
host_now >/run/lab-before
cd /lab/deb

# As an operator of three nodes would.
as_told() {
  local other
  case $1 in
    *'node add --id 2 '*)
      run_as_written "$1" secret
      other=${1/--id 2/--id 3}
      run_as_written "${other/--login admin/--login office}" secret2
      run_as_written "${1/--id 2/--id 4}" mistyped
      ;;
    'systemctl enable --now connexad')
      expect "nothing runs before it is enabled" not systemctl is-active connexad
      run_as_written "$1"
      node_up 2
      node_up 3
      ;;
    *) run_as_written "$1" ;;
  esac
}
play_page README.md package as_told
expect "status has shown the nodes" grep -E '^3 +10\.9\.0\.2 +up ' /run/lab-said
why_not() { connexactl status | grep -E '^4 .*the server refused login or password'; }
wait_for 60 "status says why the third is not up" why_not
expect_equal "files with other content than the package has" '' "$(dpkg --verify connexad)"
expect "a packet crosses a tunnel" ping -c 1 -W 5 -I "$(tunnel_link 3)" 10.50.2.1

pppd=$(tunnel_pid 2) link=$(tunnel_link 2)
dpkg --remove connexad </dev/null
expect "the daemon has ended" no_process connexad
expect "its tunnels stay up" has_address "$link" 'inet 10.50.2.'
expect "what it needs to dial again stays" test -e "$peers/connexa-node-2"

# Somebody goes on with the copy that is left for a purge.
/var/lib/connexa/purge/connexad 2>/run/lab-daemon &
wait_for 20 "a daemon runs that systemd knows nothing of" test -S /run/connexa/connexad.sock
expect "a purge is refused while a daemon runs" not dpkg --purge connexad
expect "the tunnel stays up" has_address "$link" 'inet 10.50.2.'
kill %1
wait %1 || true

dpkg --purge connexad </dev/null
expect "the pppd has ended" ended "$pppd"
expect "no pptp is left" no_process pptp
expect "the database stays" test -s "$database_file"
rm -r /app
: >/srv/alpha/calls/admin
: >/srv/alpha/calls/office
host_now >/run/lab-after
expect "the host is as it was" diff /run/lab-before /run/lab-after
