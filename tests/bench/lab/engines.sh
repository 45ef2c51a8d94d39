# The lab's part of sections/engines with servers in the same machine, played by `tests/lab/run --bench engines` with lib.sh
# loaded. A result is a line of JSON.
set -euo pipefail
source /lab/kernel_server.sh
source /lab/bench/lab/engines_with.sh

database
server pptpd 10.9.1.1 u0:secret
kernel_server kernel 10.9.1.9
for name in pptpd kernel; do ip netns exec "srv-$name" /usr/bin/python3 /lab/bench/lab/sink.py & done
for round in 1 2; do
  with pppd one
  with kernel one
done
with pppd pptpd
with kernel pptpd
with pppd kernel_server
with kernel kernel_server
with kernel paced
echo "bench: done"
