# Every command of docs/tutorial.md, from nothing to an outage survived and back, in its order and as it stands there.
one_engine
source /lab/package.sh
bare_host
touch /etc/group /etc/gshadow
wait_for 10 "the links have their addresses" no_tentative_address
host_now >/run/lab-before
cp /lab/deb/connexad_*.deb /root/
cd /root

backend_since() { systemctl show -p ExecMainStartTimestampMonotonic --value connexa-practice-backend; }
other_backend() { [[ $(backend_since) != "$backend_before" ]]; }

# What the page says between the commands: what one sees before the next, and the passwords that are typed.
do_as_told() {
  # Behind two blanks stands a comment.
  case ${1%%  *} in
    *'node add --id 1 '*) run_as_written "$1" secret ;;
    *'node add --id 2 '*) run_as_written "$1" mistake ;;
    *'node set 2 '*)
      run_as_written "$1" secret2
      node_up 2
      ;;
    'systemctl enable --now connexad')
      run_as_written "$1"
      node_up 1
      wait_for 30 "node 2 is refused" node_is 2 backoff auth_refused
      ;;
    'kill -KILL '*)
      fallen=$(tunnel 1)
      run_as_written "$1"
      wait_for 30 "node 1 is up by another tunnel" other_tunnel 1 "$fallen"
      ;;
    'systemctl restart connexad')
      taken="$(tunnel 1) $(tunnel 2)"
      run_as_written "$1"
      wait_for 10 "node 1 is taken over" node_is 1 up
      wait_for 10 "node 2 is taken over" node_is 2 up
      expect_equal "the tunnels after a restart" "$taken" "$(tunnel 1) $(tunnel 2)"
      ;;
    *'practice outage')
      backend_before=$(backend_since)
      run_as_written "$1"
      wait_for 60 "the backend is restarted" other_backend
      wait_journal 10 'Backend ready after'
      ;;
    *'retry 1')
      run_as_written "$1"
      node_up 1
      node_up 2 60
      ;;
    *) run_as_written "$1" ;;
  esac
}
play_page tutorial.md tutorial do_as_told

expect "status has shown both nodes" grep -E '^2 +192.0.2.2 +up ' /run/lab-said
expect "explain has told why" grep 'why: the server refused login or password' /run/lab-said
expect "the journal has told of the fall" grep 'Tunnel for node 1 is DOWN' /run/lab-said
expect "and of the outage" grep 'Zero PPP interfaces (3/3)' /run/lab-said
# The last are pptpd's own, which Debian's tools for services have made.
rm -f /root/connexad_*.deb /etc/rc?.d/???pptpd
rmdir /app
host_now >/run/lab-after
expect "the host is as it was" diff /run/lab-before /run/lab-after
