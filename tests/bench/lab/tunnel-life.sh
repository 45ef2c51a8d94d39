# The lab's part of sections/tunnel-life, played by `tests/lab/run --bench tunnel-life` with lib.sh loaded.
# A result is a line of JSON.
set -euo pipefail
export PYTHONPATH=/lab/bench PYTHONDONTWRITEBYTECODE=1

# By this many seconds after the machine has started all is over but the call under way; where time is short, the
# fleet flies once only.
time_limit=560

measure() {
  local now
  read -r now _ </proc/uptime
  echo "bench: $1, ${now%.*} s after power-on"
  /usr/bin/python3 "/lab/bench/lab/$1.py" $((time_limit - ${now%.*}))
}

config '
outage = { interval = "1h" }
selection.absence_grace = "0s"
tunnel.backoff = { min = "100ms", max = "100ms", jitter = 0.0 }'
database
jq -cn --arg where "$(systemd-detect-virt || true)" --arg kernel "$(uname -r)" --arg cpus "$(nproc)" \
  '{measure: "machine"} + $ARGS.named'

server alpha 10.9.0.2 admin:secret
daemon_start
measure row_to_up
measure redial
server_stop alpha

for n in {1..10}; do server "many$n" "10.9.1.$n" admin:secret; done
measure fleet
echo "bench: done"
