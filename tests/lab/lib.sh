# What a scenario is written with. Sourced in the guest, as root, after a reset.

skip_code=77
peers=/etc/ppp/peers
secrets=/etc/ppp/chap-secrets
host_options=/etc/ppp/options
database_file=/app/backend/connexa.db
config_file=/etc/connexa/connexad.toml
unit_changes=/run/systemd/system/connexad.service.d
scenario_start=/run/lab-scenario-start
never=/run/lab-never

# --- the network: servers are hosts on one local subnet, 10.9.0.0/16

network_up() {
  ip link set lo up
  ip link add lab0 type bridge
  ip addr add 10.9.255.254/16 dev lab0
  ip link set lab0 up
  # A cable to another machine.
  [[ ! -e /sys/class/net/eth0 ]] || ip link set eth0 master lab0 up
}

# server NAME IP [mppe=off|OPTION] [subnet=A.B.C] [address=same] [end=A.B.C.D] [gives=A.B.C.D] LOGIN:PASSWORD...: a real pptpd, in a network
# namespace of its own. Its clients get 10.50.x.100 and up, or with address=same that one each, or what gives= says, and at the other end
# 10.50.x.1, or what end= says; x is the last part of IP; subnet= gives another 10.50.x.
server() {
  local name=$1 ip=$2 mppe=require-mppe-128 client='*' options=()
  shift 2
  local subnet=10.50.${ip##*.} folder=/srv/$name account
  local addresses=("localip $subnet.1" "remoteip $subnet.100-199")
  while [[ ${1:-} == *=* ]]; do
    case $1 in
      mppe=off) mppe=nomppe ;;
      mppe=*) mppe=${1#*=} ;;
      subnet=*) subnet=${1#*=} addresses=("localip $subnet.1" "remoteip $subnet.100-199") ;;
      end=*) addresses=("localip ${1#*=}" "remoteip $subnet.100-199") ;;
      gives=*) addresses=("localip $subnet.1" "remoteip ${1#*=}") ;;
      # pptpd leaves the choice to its pppd, which looks into chap-secrets.
      address=same) addresses=(delegate) options=("$subnet.1:") client=$subnet.100 ;;
      *) fail "no such option of a server: $1" ;;
    esac
    shift
  done
  server_host "$name" "$ip"

  mkdir -p "$folder/ppp" "$folder/calls"
  printf '%s\n' 'option '"$folder/ppp/pptpd-options" "${addresses[@]}" 'connections 100' >"$folder/pptpd.conf"
  printf '%s\n' 'name pptpd' refuse-pap refuse-chap refuse-mschap require-mschap-v2 $mppe "${options[@]}" \
    nobsdcomp nodeflate nodefaultroute 'mtu 1400' 'mru 1400' debug >"$folder/ppp/pptpd-options"
  : >"$folder/ppp/options"
  printf '#!/bin/sh\necho "$PPPD_PID" >"%s/calls/$PEERNAME"\n' "$folder" >"$folder/ppp/ip-up"
  chmod 755 "$folder/ppp/ip-up"
  for account in "$@"; do
    printf '"%s" pptpd "%s" %s\n' "${account%%:*}" "${account#*:}" "$client"
  done >"$folder/ppp/chap-secrets"
  chmod 600 "$folder/ppp/chap-secrets"
  server_start "$name"
}

# server_host NAME IP: a host in a network namespace of its own
server_host() {
  ip netns add "srv-$1"
  ip -batch - <<<"link add v-$1 type veth peer name eth0 netns srv-$1
link set v-$1 master lab0 up"
  ip -n "srv-$1" -batch - <<<"link set lo up
addr add $2/16 dev eth0
link set eth0 up"
}

server_start() {
  systemctl start "pptpd@$1"
  wait_for 10 "server $1 listens" server_listens "$1"
}

server_listens() {
  local pid
  read -r pid <"/sys/fs/cgroup/system.slice/system-pptpd.slice/pptpd@$1.service/cgroup.procs" && listens "$pid"
}

# listens PID: in the network of that process there is a PPTP server, port 1723 in state LISTEN (linux/net/tcp_states.h)
listens() { [[ $(<"/proc/$1/net/tcp") =~ :06BB\ [0-9A-F:]+\ 0A\  ]]; }

# Takes the server's calls with it, and nothing else.
server_stop() { systemctl stop "pptpd@$1"; }

# The server and its calls die at once.
server_kill() { systemctl kill --signal KILL "pptpd@$1"; }

# server_drops NAME LOGIN: the server's end of that login's call dies, and its other calls go on
server_drops() { kill -KILL "$(cat "/srv/$1/calls/$2")"; }

# The kernel goes on accepting its connections, and nobody answers.
server_freeze() { systemctl kill --signal STOP "pptpd@$1"; }

server_thaw() { systemctl kill --signal CONT "pptpd@$1"; }

# The server's host is cut off, and nobody is told.
server_unplug() {
  ip link set "v-$1" down
  # A known neighbour is believed in for half a minute.
  ip neigh flush dev lab0
}

server_plug() { ip link set "v-$1" up; }

# --- the daemon and what it reads

database() {
  mkdir -p "${database_file%/*}"
  sql 'CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, status TEXT)'
}

sql() { sqlite3 -cmd '.timeout 5000' "$database_file" "$1"; }

# node ID IP LOGIN PASSWORD STATUS
node() { sql "INSERT OR REPLACE INTO nodes VALUES ($1, '$2', '$3', '$4', '$5')"; }

# config TEXT: with the engine that the lab plays
config() {
  local text=$1
  if [[ $LAB_ENGINE != pppd ]]; then
    # No key of a table may follow its values between braces.
    case $text in
      *'tunnel = { '*) text=${text/'tunnel = { '/"tunnel = { engine = \"$LAB_ENGINE\", "} ;;
      *) text="tunnel.engine = \"$LAB_ENGINE\""$'\n'$text ;;
    esac
  fi
  mkdir -p "${config_file%/*}"
  printf '%s\n' "$text" >"$config_file"
}

daemon_start() {
  systemctl start connexad || fail "systemctl start connexad failed"$'\n'"$(systemctl status connexad --no-pager)"
}

daemon_stop() { systemctl stop connexad; }

# daemon_options OPTION...: what the unit starts the daemon with, in this scenario
daemon_options() {
  install -d "$unit_changes"
  printf '%s\n' '[Service]' ExecStart= "ExecStart=/usr/local/sbin/connexad $*" >"$unit_changes/options.conf"
  systemctl daemon-reload
}

daemon_pid() { systemctl show -p MainPID --value connexad; }

# another_daemon PID: the unit's daemon runs, and it is another process than that
another_daemon() {
  local seen
  seen=$(systemctl show -p ActiveState -p MainPID connexad)
  echo "$seen"
  [[ $seen == *ActiveState=active* && $seen =~ MainPID=([1-9][0-9]*) && ${BASH_REMATCH[1]} != "$1" ]]
}

# journal [JOURNALCTL OPTION...]: the unit's messages since this scenario began
journal() { journalctl -u connexad -o cat --no-pager --since "@$(<"$scenario_start")" "$@"; }

# said TEXT: the daemon itself, not its children, has written TEXT
said() { journal -t connexad | grep -F -- "$1"; }

# times_said TEXT: what was written and is not yet in the journal counts, too
times_said() {
  journalctl --sync
  journal -t connexad | grep -cF -- "$1" || true
}

# said_times COUNT TEXT
said_times() {
  local seen
  seen=$(times_said "$2")
  echo "$seen times"
  [[ $seen == "$1" ]]
}

wait_journal() { wait_for "$1" "the journal says: $2" said "$2"; }

# status JQ_EXPRESSION
status() { connexactl status --json | jq -r "$1"; }

# of_node ID JQ_EXPRESSION
of_node() { status ".nodes[] | select(.id == $1) | $2"; }

# status_is VALUE JQ_EXPRESSION
status_is() {
  local seen
  seen=$(status "$2")
  echo "$seen"
  [[ $seen == "$1" ]]
}

# ask_node ID: what the daemon's API tells of a node, but for its history, in $answer. By a connection of this shell's own, which
# units/lab-api.socket leads on: each program that it starts costs an emulated machine a tenth of a second, and this is asked often.
ask_node() {
  local connection
  answer=''
  exec {connection}<>/dev/tcp/127.0.0.1/8100 || return
  # In one write: the other end closes where no daemon runs.
  echo -n "GET /v1/nodes/$1 HTTP/1.1"$'\r\nHost: lab\r\nConnection: close\r\n\r\n' >&"$connection"
  # It ends with the connection, which the daemon closes.
  read -rt $((5 * LAB_PATIENCE)) -N 1000000 answer <&"$connection" || true
  exec {connection}>&-
  answer=${answer%%'"history":'*}
  [[ $answer == 'HTTP/1.1 200 '* ]]
}

# node_is ID STATE [KIND OF LAST ERROR]
node_is() {
  ask_node "$1" || { echo "$answer"; return 1; }
  echo "$answer"
  [[ $answer == *"\"state\":\"$2\""* && (-z ${3:-} || $answer == *"\"kind\":\"${3:-}\""*) ]]
}

# node_up ID [SECONDS]
node_up() { wait_for "${2:-40}" "node $1 is up" node_is "$1" up; }

# failed ID KIND [TEXT]: the node's last error is of that kind, and says that; TEXT as it stands in JSON
failed() {
  ask_node "$1" || { echo "$answer"; return 1; }
  echo "$answer"
  [[ $answer =~ \"last_error\":(\{\"kind\":\"$2\"[^}]*) && ${BASH_REMATCH[1]} == *"${3:-}"* ]]
}

# fields ID NAME...: plain values of a node's status
fields() {
  local name values=()
  ask_node "$1" || return
  for name in "${@:2}"; do
    [[ $answer =~ \"$name\":\"?([^\",}]*) ]] || return
    values+=("${BASH_REMATCH[1]}")
  done
  echo "${values[*]}"
}

tunnel_link() { fields "$1" interface; }

# What tells a tunnel from the node's next one, whatever engine carries it: the kernel gives no index of a link again.
tunnel() { fields "$1" ifindex; }

# other_tunnel ID TUNNEL: the node is up, by another tunnel than that
other_tunnel() { node_is "$1" up && [[ $(tunnel "$1") != "$2" ]]; }

# Of pppd alone, also while no daemon runs; for scenarios with `one_engine`. All others serve any engine.
tunnel_pid() { head -n1 "/run/ppp-connexa-node-$1.pid"; }

# The two processes of pptp of a node: one carries its packets, one holds its control connection.
gateway_pid() { pgrep -x pptpgw -P "$(tunnel_pid "$1")"; }

call_manager_pid() { pgrep -x pptpcm -g "$(tunnel_pid "$1")"; }

ifindex() { cat "/sys/class/net/$1/ifindex"; }

has_address() { ip -4 -o addr show dev "$1" | grep -F "$2"; }

gone() { [[ ! -e $1 ]]; }

ended() { gone "/proc/$1"; }

# --- the backend under supervisord

# backend: supervisord and its program, started when first asked for
backend() {
  systemctl start supervisor
  wait_for 30 "the backend listens" backend_pid
}

# doctor_names TEXT: connexactl doctor finds something wrong, and says this of it
doctor_names() {
  local found
  found=$(connexactl doctor) && return 1
  grep -F -- "$1" <<<"$found"
}

backend_pid() { ss -Hltnp 'sport = :8001' | grep -oP 'pid=\K[0-9]+'; }

# --- expectations

fail() {
  echo "$*" >&2
  exit 1
}

skip() {
  echo "$*"
  exit "$skip_code"
}

# A scenario about one engine, which it names or which is pppd, or about no tunnel at all: played with no other one.
one_engine() { [[ $LAB_ENGINE == pppd ]] || skip "it is not about tunnels of any engine"; }

# by_engine WORD=VALUE...: the value for the engine that the lab plays
by_engine() {
  local choice
  for choice in "$@"; do
    [[ $choice != "$LAB_ENGINE"=* ]] || echo "${choice#*=}"
  done
}

# needs COMMAND=PACKAGE: what this scenario alone runs; the host unpacks it before the machine starts
needs() {
  PATH=/lab/bin:$PATH
  command -v "${1%%=*}" >/dev/null || fail "lacking: ${1#*=}"
}

not() { ! "$@"; }

# wait_for SECONDS DESCRIPTION COMMAND...: until the command succeeds, which runs in this shell; in plain emulation there is a
# multiple of the time
wait_for() {
  local deadline=$((SECONDS + $1 * LAB_PATIENCE)) description=$2 words=/run/lab-words.$BASHPID
  shift 2
  until "$@" &>"$words"; do
    if ((SECONDS >= deadline)); then
      fail "waited in vain: $description"$'\n'"  asked: $*"$'\n'"  last answer: $(cat "$words")"
    fi
    # A pause that starts no program.
    read -rt 0.2 <>"$never" || true
  done
}

# expect DESCRIPTION COMMAND...
expect() {
  local description=$1 words=/run/lab-words.$BASHPID
  shift
  "$@" &>"$words" || fail "not so: $description"$'\n'"  asked: $*"$'\n'"  answer: $(cat "$words")"
}

# expect_equal DESCRIPTION EXPECTED SEEN
expect_equal() { [[ $2 == "$3" ]] || fail "not so: $1"$'\n'"  expected: $2"$'\n'"  seen:     $3"; }

# --- between scenarios

# nothing_lost FILE: what `ping` wrote there has an answer to each request; the last one may have been on its way when
# it was ended.
nothing_lost() {
  local sent
  sent=$(grep -oP '^[0-9]+(?= packets transmitted)' "$1") || return
  grep -oP 'icmp_seq=\K[0-9]+' "$1" |
    awk -v sent="$sent" '$1 != NR { gap = 1 } END { exit gap || NR == 0 || NR < sent - 1 }'
}

no_process() { ! pgrep -x "$1"; }

begin() {
  [[ -p $never ]] || mkfifo "$never"
  install -m 600 /usr/share/ppp/chap-secrets "$secrets"
  echo "$EPOCHREALTIME" >"$scenario_start"
  [[ $LAB_ENGINE == pppd ]] || config ''
}

# The processes of a scenario, which may be left of it. This process table holds the lab and nothing else.
left_running() {
  local comm name pids=()
  for comm in /proc/[0-9]*/comm; do
    # One may end as it is looked at.
    { read -r name <"$comm"; } 2>/dev/null || continue
    case $name in
      connexad | connexad-hold | pppd | pptp | pptpgw | pptpcm | lab-pptp-server) pids+=("${comm//[^0-9]/}") ;;
    esac
  done
  echo "${pids[*]}"
}

# One may start another as it is ended, so they are ended at each look.
end_what_is_left() {
  local left
  read -ra left < <(left_running)
  ((${#left[@]})) || return 0
  echo "${left[*]}"
  kill -KILL "${left[@]}" 2>/dev/null
  return 1
}

# Each program that it starts costs an emulated machine a tenth of a second.
reset() {
  local host hosts=()
  if [[ -e /run/lab-bare ]]; then
    source /lab/package.sh
    dressed_host &>/dev/null
  fi
  [[ ! -e /etc/systemd/system/multi-user.target.wants/connexa-backend.service ]] || systemctl disable connexa-backend 2>/dev/null
  systemctl stop connexa-backend connexad supervisor 'pptpd@*' 2>/dev/null
  systemctl reset-failed 2>/dev/null
  wait_for 10 "nothing of the scenario is left running" end_what_is_left
  # A namespace that is deleted takes its links with it, but in its own time.
  for host in /run/netns/srv-*; do
    host=${host##*/srv-}
    [[ $host == '*' ]] || hosts+=("link del v-$host" "netns del srv-$host")
  done
  ip -force -batch - <<<"$(printf '%s\n' "${hosts[@]}" 'route flush root 10.9.0.0/16 proto boot')"
  nft flush ruleset
  rm -rf /srv/*/pptpd.conf /srv/*/ppp /srv/*/calls "${database_file%/*}" "${config_file%/*}" /var/lib/connexa /run/connexa \
    /run/connexad-holder.sock /run/ppp*.pid /var/run/pptp /run/backend-mode /run/backend-child /run/lab-words.* "$peers"/{,.}[!.]*
  cp /lab/root/etc/ppp/options "$host_options"
  rm -f /etc/ppp/resolv.conf /etc/ppp/ip-*.d/lab-* /etc/ppp/ip-pre-up /root/.ppprc /etc/supervisor/conf.d/connexad.conf
  [[ -c /dev/ppp ]] || mknod -m 600 /dev/ppp c 108 0
  if [[ -d $unit_changes ]]; then
    rm -rf "$unit_changes"
    systemctl daemon-reload
  fi
}
