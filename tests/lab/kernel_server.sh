# A PPTP server whose packets go through the kernel, as a client's of the kernel engine do: the server's side of the unit
# tests, driven. pptpd carries them by a program. Sourced after lib.sh.

# kernel_server NAME IP [mppe=off|mppe=stateful]: it takes any login with the password `secret`. Its end of tunnels is 10.50.x.1, x being
# the last part of IP, and clients get 10.50.x.2 and up.
kernel_server() {
  local name=$1 ip=$2 mppe=${3:-}
  server_host "$name" "$ip"
  SERVER_END=10.50.${ip##*.}.1 SERVER_MPPE=${mppe#mppe=} ip netns exec "srv-$name" /lab/lab-pptp-server \
    --ignored --exact --nocapture pptp::driver::serving::serves_calls_until_it_is_killed >"/run/lab-$name.log" 2>&1 &
  wait_for 10 "server $name listens" listens $!
}

# short_key_call IP: a call of the kernel engine's that takes 40 bit, which no configuration asks for; what it tells is in
# /run/lab-short-key, and it goes on until it is killed
short_key_call() {
  CALL_SERVER=$1 /lab/lab-pptp-server --nocapture --ignored --exact \
    pptp::driver::calling::calls_a_server_with_a_short_key_until_it_is_killed >/run/lab-short-key 2>&1 &
}
