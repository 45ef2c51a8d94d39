# Limits of idle and of connected time in the host's pppd options end no tunnel of the daemon's; a pppd that is started by
# hand with them says and ends with what the kinds idle_limit and session_limit go by.
one_engine
server alpha 10.9.0.2 admin:secret
database
node 2 10.9.0.2 admin secret speed_ok
printf '%s\n' 'idle 5' 'maxconnect 6' >>"$host_options"
daemon_start
node_up 2
first=$(tunnel 2)
lasts() { (($(fields 2 state_seconds) >= 15)); }
wait_for 60 "the tunnel outlives both limits" lasts
expect_equal "the same tunnel" "$first" "$(tunnel 2)"
connexactl stop 2
wait_for 20 "the tunnel ends" node_is 2 stopped
daemon_stop

# ended_by EXIT_CODE WORDS OPTION...
ended_by() {
  local code=0 expected=$1 words=$2 said
  shift 2
  said=$(pppd call connexa-node-2 nodetach "$@" 2>&1) || code=$?
  echo "$said"
  expect_equal "exit code with $*" "$expected" "$code"
  expect "words with $*" grep -F "$words" <<<"$said"
}
ended_by 12 'Terminating connection due to lack of activity.' idle 4
ended_by 13 'Connect time expired' maxconnect 5
