# The lab's part of sections/engines, played by `tests/lab/run --bench engines` with lib.sh loaded.
# A result is a line of JSON.
set -euo pipefail
source /lab/kernel_server.sh
export PYTHONPATH=/lab/bench PYTHONDONTWRITEBYTECODE=1

# with ENGINE MEASURE
with() {
  config "tunnel = { engine = \"$1\", dial_timeout = \"90s\" }
selection.absence_grace = \"0s\"
outage.interval = \"1h\""
  echo "bench: $2 by $1, $(cut -d. -f1 /proc/uptime) s after power-on"
  /usr/bin/python3 /lab/bench/lab/engines.py "$@"
}

database
for n in {1..6}; do server "many$n" "10.9.1.$n" a:secret b:secret c:secret d:secret e:secret & done
wait
kernel_server kernel 10.9.1.9
for name in many1 kernel; do ip netns exec "srv-$name" /usr/bin/python3 /lab/bench/lab/sink.py & done
for round in 1 2; do
  with pppd one
  with kernel one
done
with pppd many
with kernel many
with pppd kernel_server
with kernel kernel_server
echo "bench: done"
