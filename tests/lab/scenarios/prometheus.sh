# Debian's Prometheus scrapes the daemon as docs/operations.md says: it shows the tunnel that is up, raises an alert of
# docs/alerts.yml when the server goes away, and takes it back when the server is there again.
needs prometheus=prometheus
figures=/run/lab-prometheus

# page_block HEADING LANGUAGE: the first block of that language below that heading of docs/operations.md
page_block() {
  awk -v heading="## $1" -v fence="\`\`\`$2" '
    $0 == heading { below = 1 }
    inside && /^```/ { found = 1; exit }
    inside { print }
    below && $0 == fence { inside = 1 }
    END { exit !found }' /lab/operations.md
}

# prometheus_says PATH TEXT...: its API answers to PATH with all these texts
prometheus_says() {
  local seen text
  seen=$(curl -sS -g "http://127.0.0.1:9090/api/v1/$1")
  echo "$seen"
  for text in "${@:2}"; do [[ $seen == *"$text"* ]] || return; done
}

# figure VALUE QUERY: as it was when last scraped
figure() { prometheus_says "query?query=$2" "\"value\":[" ",\"$1\"]"; }

alerts() { prometheus_says alerts "$@"; }

no_alert() { not alerts "\"alertname\":\"$1\""; }

server alpha 10.9.0.2 admin:secret
config "$(page_block 'Prometheus and Grafana' toml)
[tunnel]
backoff = { min = \"1s\", max = \"2s\", jitter = 0.0 }"
database
node 2 10.9.0.2 admin secret speed_ok
mkdir -p "$figures" /usr/share/connexa
# The rules as they are, but for their patience, which is minutes.
sed 's/for: [0-9]*m$/for: 2s/' /lab/alerts.yml >/usr/share/connexa/alerts.yml
{
  echo 'global: { scrape_interval: 1s, evaluation_interval: 1s }'
  page_block 'Prometheus and Grafana' yaml
} >"$figures/prometheus.yml"
systemd-run --quiet --collect --unit lab-prometheus "$(command -v prometheus)" --config.file="$figures/prometheus.yml" \
  --storage.tsdb.path="$figures/data" --web.listen-address=127.0.0.1:9090
daemon_start
node_up 2

wait_for 60 "Prometheus has scraped the daemon" figure 1 'up{job="connexad"}'
wait_for 10 "the older manager's figure counts the tunnel" figure 1 connexa_ppp_interfaces
wait_for 10 "so does the figure by states" figure 1 'connexa_nodes{state="up"}'
wait_for 10 "and the time that it took" figure 1 'sum(connexa_time_to_up_seconds_count)'
expect "no alert says that no tunnel is up" no_alert ConnexadNoTunnel

server_kill alpha
wait_for 30 "Prometheus sees that no tunnel is up" figure 0 connexa_ppp_interfaces
wait_for 30 "its alert fires" alerts '"alertname":"ConnexadNoTunnel"' '"state":"firing"' '127.0.0.1:9723: no tunnel is up'
server_start alpha
node_up 2
wait_for 30 "the alert is over" no_alert ConnexadNoTunnel
systemctl stop lab-prometheus
rm -r "$figures" /usr/share/connexa
