# The daemon records what its core is told, and the same build replays it: the tunnels go up and down in the
# replay as the journal told, and no password is in the recording.
server alpha 10.9.0.2 admin:hush-4711
config 'tunnel.backoff = { min = "1s", max = "2s", jitter = 0.0 }'
database
recording=/run/lab-recording
daemon_options --record "$recording"
node 2 10.9.0.2 admin hush-4711 speed_ok
daemon_start
node_up 2

first=$(tunnel 2)
server_kill alpha
wait_journal 20 'Tunnel for node 2 is DOWN on '
server_start alpha
wait_for 30 "node 2 is dialled again and up" other_tunnel 2 "$first"
daemon_stop

connexactl replay "$recording" >/run/lab-replay || fail "the recording can't be replayed"
ups_and_downs() { grep -oE '(✅ )?Tunnel for node [0-9]+ is (UP|DOWN) on .*'; }
journalctl --sync
told=$(journal -t connexad | ups_and_downs)
expect_equal "what the journal tells of the tunnel" 'UP DOWN UP' \
  "$(grep -oE 'is (UP|DOWN)' <<<"$told" | cut -d' ' -f2 | xargs)"
expect_equal "what the replay tells of it" "$told" "$(ups_and_downs </run/lab-replay)"
expect "the replay ends with the tunnel up" grep -x '.* inputs; 1 tunnel up at the end' /run/lab-replay
expect "no password is in the recording" not grep -F hush-4711 "$recording"
expect_equal "who may read it" 600 "$(stat -c %a "$recording")"
