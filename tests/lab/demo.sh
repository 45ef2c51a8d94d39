# Five nodes on a gateway, from power-on to an outage. Checks itself: whatever does not happen ends it with an error.
# Played in the guest by `make demo`; lib.sh is loaded.
set -euo pipefail

bold='' plain=''
if [[ -n $LAB_TERMINAL ]]; then
  bold=$'\e[1m' plain=$'\e[0m'
  export CLICOLOR_FORCE=1
fi
export COLUMNS=$LAB_COLUMNS

# act TEXT: the next of the steps, which are as many as this file has
step=0 steps=$(grep -c '^act ' /lab/demo.sh)
act() {
  step=$((step + 1))
  printf '\n%s▸ %s/%s %s%s\n' "$bold" "$step" "$steps" "$*" "$plain"
}

# watch_until SECONDS DESCRIPTION COMMAND...: shows the status table until the command succeeds
drawn=0 shown=''
watch_until() {
  local deadline=$((SECONDS + $1)) description=$2 done=''
  shift 2
  drawn=0 shown=''
  until [[ -n $done ]]; do
    if "$@" >/dev/null 2>&1; then done=yes; fi
    ((SECONDS < deadline)) || [[ -n $done ]] || fail "demo: waited in vain: $description"
    draw
    sleep 0.3
  done
}

draw() {
  local table states
  if [[ -n $LAB_TERMINAL ]]; then
    table=$(connexactl status 2>&1) || true
    ((drawn == 0)) || printf '\e[%dA' "$drawn"
    printf '\e[?7l'
    while IFS= read -r line; do printf '%s\e[K\n' "$line"; done <<<"$table"
    printf '\e[?7h\e[J'
    drawn=$(wc -l <<<"$table")
  else
    # Dials come and go too quickly for paper.
    states=$(status '[(.nodes[] | select(.state == "up" or .state == "quarantined") | "\(.id) \(.state)"),
      .outage.zero_ppp_count, .outage.restarts] | tojson' 2>&1) || true
    [[ $states != "$shown" ]] || return 0
    shown=$states
    connexactl status || true
    echo
  fi
}

all_settled() { status_is '["up","up","up","quarantined"]' '[.nodes[:4][].state] | tojson'; }

recovered() { other_tunnel 2 "$fallen"; }

restarted() { said '🔄 Restarting backend due to 3 consecutive zero PPP interfaces' && backend_changed; }

backend_changed() { [[ -n $(backend_pid) && $(backend_pid) != "$first_backend" ]]; }

act "Two PPTP servers start, 10.9.0.2 and 10.9.0.3, each on a network of its own. They ask for MS-CHAPv2 and MPPE."
server alpha 10.9.0.2 admin:secret office:secret2
server beta 10.9.0.3 remote:secret3

act "The backend's database names five nodes: three good ones, one with a wrong password, one that does not exist."
database
node 1 10.9.0.2 admin secret SPEEDOG
node 2 10.9.0.2 office secret2 speed_ok
node 3 10.9.0.3 remote secret3 ping_ok
node 4 10.9.0.3 remote mistyped speed_ok
node 5 10.9.0.66 admin secret online
sqlite3 -box "$database_file" 'SELECT id, ip, login, status FROM nodes'
config '
outage = { interval = "4s", startup_delay = "1s" }
backend = { restart_timeout = "60s", ready_timeout = "60s" }
tunnel.backoff = { min = "1s", max = "4s", jitter = 0.0 }'

act "systemctl start connexad: it reads the rows and dials$(by_engine 'kernel=, without a process for a tunnel')."
systemctl start --no-block supervisor
daemon_start
watch_until 60 "three tunnels up, one quarantined, one backing off" all_settled
expect "a packet crosses the tunnel of node 2" ping -c 1 -W 5 -I "$(tunnel_link 2)" 10.50.2.1
echo "A ping to 10.50.2.1 crosses the tunnel of node 2."
backend

fallen=$(tunnel 2) first_backend=$(backend_pid)
if [[ $LAB_ENGINE == pppd ]]; then
  fall="Somebody kills the pppd of node 2 (process $(tunnel_pid 2))."
else
  fall="The server's end of node 2's call is killed."
fi
act "$fall The daemon notices, waits a second and dials again."
if [[ $LAB_ENGINE == pppd ]]; then kill -KILL "$(tunnel_pid 2)"; else server_drops alpha office; fi
watch_until 30 "node 2 comes back" recovered

act "Every server stops. No tunnel is left; after three empty windows of 4 s the backend (process $first_backend) is restarted."
server_stop alpha
server_stop beta
watch_until 90 "the backend is restarted" restarted
for window in 1 2 3; do
  said "Zero PPP interfaces ($window/3)" >/dev/null || fail "demo: the journal lacks window $window of 3"
done
echo "The backend is process $(backend_pid) now."

act "What the journal kept (journalctl -u connexad):"
journal -t connexad

act "Done: all of it really happened, over real PPTP calls."
