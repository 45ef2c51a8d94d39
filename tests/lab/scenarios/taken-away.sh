# connexad is taken away: the unit stops and the tunnels stay up, a purge while it runs is refused, and one after it
# ends the tunnels and leaves nothing of connexad's but configuration, database and what others wrote.
server alpha 10.9.0.2 admin:secret
config 'routing.table_base = 1000'
database
node 2 10.9.0.2 admin secret speed_ok
echo '"other" "elsewhere" "secret" *' >/etc/ppp/chap-secrets
daemon_start
node_up 2
link=$(tunnel_link 2)
expect "a rule leads into the tunnel" grep -q 1002 <(ip rule)
expect "a purge is refused while the daemon runs" not connexad --purge

daemon_stop
expect "the tunnel stays up" has_address "$link" 'inet 10.50.2.'
listed=$(connexad --purge --dry-run)
expect "the list names the tunnel: $listed" grep -q "tunnel of node 2" <<<"$listed"
expect "a dry run ends nothing" has_address "$link" 'inet 10.50.2.'

connexad --purge
expect "the tunnel is gone" gone "/sys/class/net/$link"
for name in connexad-hold pppd pptp; do expect "no $name is left" no_process "$name"; done
expect "no peer file is left" not ls /etc/ppp/peers/connexa-node-2
expect_equal "what others have in chap-secrets stays" "$(cat /etc/ppp/chap-secrets)" '"other" "elsewhere" "secret" *'
expect "no rule is left: $(ip rule)" not grep -q 1002 <(ip rule)
expect "the database stays" test -e /app/backend/connexa.db
expect "the configuration stays" test -e /etc/connexa/connexad.toml
