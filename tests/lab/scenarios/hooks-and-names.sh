# Links that are named after their nodes, and hooks that run in the order of what happened. A name that
# another link has is told, and nothing is dialled.
hook=/run/lab-hook log=/run/lab-hook.log
cat >"$hook" <<END
#!/bin/sh
echo "\$1 \$CONNEXA_INTERFACE \$CONNEXA_LOCAL_IP \$CONNEXA_REMOTE_IP \$CONNEXA_REASON" >>$log.\$CONNEXA_NODE_ID
END
chmod 755 "$hook"
rm -f "$log".*
server alpha 10.9.0.2 admin:secret second:secret2
server beta 10.9.0.3 admin:secret
config "tunnel.interface_name = \"node\"
hooks = { up = [\"$hook\", \"up\"], down = [\"$hook\", \"down\"] }
tunnel.backoff = { min = \"1s\", max = \"2s\", jitter = 0.0 }"
database
node 2 10.9.0.2 admin secret speed_ok
node 3 10.9.0.2 second secret2 speed_ok
node 4 10.9.0.3 admin secret speed_ok
ip link add cx4 type bridge
daemon_start
node_up 2
node_up 3
wait_for 20 "the taken name is told" node_is 4 backoff name_taken
expect_equal "links" 'cx2 cx3' "$(tunnel_link 2) $(tunnel_link 3)"
expect_equal "links as shown" 'cx2 cx3' "$(status '[.nodes[] | select(.state == "up").interface] | sort | join(" ")')"
ip link del cx4
node_up 4
expect_equal "the link of node 4, once its name was free" cx4 "$(tunnel_link 4)"

# hooks ID COUNT: so many hooks of the node have run
hooks() { (($(wc -l <"$log.$1") == $2)); }
shown() { of_node "$1" '"cx\(.id) \(.local_ip) \(.remote_ip)"'; }
before=$(shown 2)
server_drops alpha admin
wait_for 40 "node 2 has come, gone and come again" hooks 2 3
node_up 2
expect_equal "the hooks of node 2, but for the reason of the fall" "up $before dialled
down $before
up $(shown 2) dialled" "$(sed "2s/^\\(down $before\\) .*/\\1/" "$log.2")"

wait_for 10 "node 3 has come" hooks 3 1
before=$(shown 3)
connexactl stop 3
wait_for 20 "node 3 has gone" hooks 3 2
expect_equal "the hooks of node 3" "up $before dialled
down $before the operator stopped it" "$(cat "$log.3")"

systemctl restart connexad
wait_for 20 "the next daemon has taken node 4 over" hooks 4 2
expect_equal "the hooks of node 4" "up $(shown 4) dialled
up $(shown 4) adopted" "$(cat "$log.4")"
