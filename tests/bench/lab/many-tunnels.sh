# The lab's part of sections/engines with nothing but this end in the machine, played by `tests/lab/run --bench many-tunnels`
# with lib.sh loaded; the servers are in another one. A result is a line of JSON.
set -euo pipefail
source /lab/bench/lab/engines_with.sh

listens() { : <"/dev/tcp/10.9.1.$1/1723"; }
database
for n in {1..8}; do wait_for 120 "server $n listens" listens "$n"; done
with kernel many
with pppd many
echo "bench: done"
