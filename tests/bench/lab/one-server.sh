# The lab's part of sections/one-server, played by `tests/lab/run --bench one-server` with lib.sh loaded.
# A result is a line of JSON.
set -euo pipefail
export PYTHONPATH=/lab/bench PYTHONDONTWRITEBYTECODE=1

base='
outage = { interval = "1h" }
tunnel.backoff = { min = "1s", max = "1s", jitter = 0.0 }'
config "$base"
database
server alpha 10.9.0.2 admin:secret
for round in 1 2 3; do
  for at_once in 1 4; do
    config "$base
tunnel.dial_concurrency_per_server = $at_once"
    echo "bench: round $round, $at_once at once"
    /usr/bin/python3 /lab/bench/lab/side_by_side.py "$at_once"
  done
done
echo "bench: done"
