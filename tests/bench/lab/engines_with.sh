# A little less than pptpd takes here: found by trying. Each packet counts as a full one: pptpd loses acknowledgements, too.
pace='tbf rate 17mbit burst 16k latency 50ms mpu 1400'

# with ENGINE MEASURE: engines.py, with a daemon for it. Sourced after lib.sh.
with() {
  local hook=
  [[ $2 != paced ]] || hook="hooks.up = ['/bin/sh', '-c', 'exec tc qdisc replace dev \$CONNEXA_INTERFACE root $pace']"
  config "tunnel = { engine = \"$1\", dial_timeout = \"90s\" }
selection.absence_grace = \"0s\"
outage.interval = \"1h\"
$hook"
  echo "bench: $2 by $1, $(cut -d. -f1 /proc/uptime) s after power-on"
  PYTHONPATH=/lab/bench PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 /lab/bench/lab/engines.py "$@"
}
