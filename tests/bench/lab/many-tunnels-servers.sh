# The servers of many-tunnels.sh, in a machine of their own; it ends with the other one.
set -euo pipefail

# The other machine has this address, too.
ip addr flush dev lab0
for n in {1..8}; do server "many$n" "10.9.1.$n" u{0..24}:secret & done
wait
sleep infinity
