//! Figures as Prometheus takes them: judged by its own tools, scraped by the real one, and every
//! name that the dashboard and the alerts go by is one of the daemon's.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use connexa::core::State;
use serde_json::Value;

use crate::gateway::Gateway;
use crate::namespace::{Running, run};

const FETCH: &str = "tests/lab/unpacked promtool=prometheus prometheus=prometheus fetches it";
/// Where `tests/lab/unpacked` puts programs that this host lacks.
const UNPACKED: &str = "target/unpacked/bin";
const USERS: [&str; 3] = ["docs/dashboard.json", "docs/alerts.yml", "docs/alerts.test.yml"];

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text_of(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap()
}

/// A program of Prometheus, wherever this host has it.
fn program(name: &str) -> PathBuf {
    let unpacked = project(UNPACKED).join(name);
    if unpacked.exists() { unpacked } else { name.into() }
}

fn promtool(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("promtool"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// What promtool(1) says where it finds nothing wrong.
fn judged(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {FETCH}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// What is answered to a client that accepts this, of a daemon that has seen a failure.
fn figures(accept: &str) -> String {
    let gateway = Gateway::mixed();
    let socket = gateway.path("control/connexad.sock");
    let mut curl = Command::new("curl");
    curl.args(["-sSf", "-H"]).arg(format!("Accept: {accept}")).arg("--unix-socket").arg(socket);
    run(curl.arg("http://connexa/metrics"))
}

/// The names of what is counted.
fn names(figures: &str) -> BTreeSet<&str> {
    let samples = figures.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| line.split(['{', ' ']).next()).collect()
}

#[test]
fn promtool_finds_nothing_wrong_with_the_figures() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), figures("text/plain")).unwrap();
    let figures = fs::File::open(file.path()).unwrap();
    assert_eq!(judged(promtool(&["check", "metrics"]).stdin(figures)), "");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_alerts_and_each_is_tried_both_ways() {
    judged(&mut promtool(&["check", "rules", "docs/alerts.yml"]));
    judged(&mut promtool(&["test", "rules", "docs/alerts.test.yml"]));
    let (rules, tests) = (text_of("docs/alerts.yml"), text_of("docs/alerts.test.yml"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.split("alert: ").nth(1)).collect();
    assert!(alerts.len() > 5, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}, exp_alerts: []")), "{alert}: quiet");
        let fires = format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels");
        assert!(tests.contains(&fires), "{alert}: fires");
        assert!(text_of("docs/operations.md").contains(&format!("| `{alert}` |")), "{alert}: told");
    }
}

#[test]
fn the_dashboard_and_the_alerts_go_by_figures_that_there_are() {
    let text = figures("*/*");
    let known = names(&text);
    let dashboard: Value = serde_json::from_str(&text_of(USERS[0])).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.iter().all(|panel| panel["targets"][0]["expr"].is_string()), "{panels:?}");
    for file in USERS {
        let text = text_of(file);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let used: BTreeSet<&str> = words.filter(|word| word.starts_with("connexa_")).collect();
        let unknown: Vec<&&str> = used.difference(&known).collect();
        assert!(used.len() > 4 && unknown.is_empty(), "{file}: {unknown:?} are no figures");
        let states = State::ALL.map(State::name);
        // In JSON quotation marks are escaped.
        for of_states in text.replace('\\', "").split("state=").skip(1) {
            let value = of_states.trim_start_matches(['~', '"']).split('"').next().unwrap();
            let no_state = value.split('|').find(|value| !states.contains(value));
            assert_eq!(no_state, None, "{file}");
        }
    }
}

#[test]
fn the_page_of_the_api_shows_every_figure() {
    let text = figures("*/*");
    let page = text_of("docs/api.md");
    // Of a histogram all three are one.
    let plain = |name: &str| {
        let ends = ["_bucket", "_count", "_sum"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let figures: BTreeSet<String> = names(&text).into_iter().map(plain).collect();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `connexa_"));
    let name = |row: &str| row.split(['`', '{']).next().map(|rest| format!("connexa_{rest}"));
    // What nodes carry is there only where it is asked for; `traffic` looks at that.
    let shown = rows.filter_map(name).map(|name| plain(&name));
    let shown = shown.filter(|name| !name.starts_with("connexa_node_"));
    assert_eq!(shown.collect::<BTreeSet<String>>(), figures);
}

/// What a Prometheus in the gateway's namespace answers.
fn asked(gateway: &Gateway, path: &str) -> Option<Value> {
    let mut curl = gateway.namespace.command("curl");
    let answer = curl.args(["-sS", "-g"]).arg(format!("http://127.0.0.1:9090/api/v1/{path}"));
    let answer: Value = serde_json::from_slice(&answer.output().unwrap().stdout).ok()?;
    (answer["status"] == "success").then(|| answer["data"].clone())
}

#[test]
fn a_real_prometheus_scrapes_the_figures_and_goes_by_the_alerts() {
    let mut gateway = Gateway::configured("metrics.listen = '127.0.0.1:9723'");
    let backend = gateway.namespace.within(|| TcpListener::bind("127.0.0.1:8001").unwrap());
    gateway.nodes(2);
    gateway.start().wait_until("both up", |status| status.counts.get("up") == Some(&2));
    let config = format!(
        "global: {{ scrape_interval: 200ms, evaluation_interval: 200ms }}\n\
         rule_files: [{}]\n\
         scrape_configs:\n  - job_name: connexad\n    static_configs: [{{ targets: ['127.0.0.1:9723'] }}]\n",
        project("docs/alerts.yml").display()
    );
    fs::write(gateway.path("prometheus.yml"), config).unwrap();
    let mut prometheus = gateway.namespace.command(program("prometheus"));
    let option = |name: &str, path: &str| format!("--{name}={}", gateway.path(path).display());
    prometheus.arg(option("config.file", "prometheus.yml"));
    prometheus.arg(option("storage.tsdb.path", "figures"));
    prometheus.arg("--web.listen-address=127.0.0.1:9090");
    let log = fs::File::create(gateway.path("prometheus.log")).unwrap();
    let started = prometheus.stdout(Stdio::null()).stderr(log).spawn();
    let _prometheus = Running(started.unwrap_or_else(|error| panic!("{error}; {FETCH}")));

    let is = |query: &str, wanted: &str| {
        gateway.wait_for(&format!("{query} to be {wanted}"), || {
            let found = asked(&gateway, &format!("query?query={query}"))?;
            (found["result"][0]["value"][1] == wanted).then_some(())
        });
    };
    is("up{job=\"connexad\"}", "1");
    is("connexa_backend_up", "1");
    drop(backend);
    is("connexa_ppp_interfaces", "2");
    is("connexa_nodes{state=\"up\"}", "2");
    is("sum(connexa_time_to_up_seconds_count)", "2");
    // That the backend listens no more is soon an alert that waits for its two minutes.
    gateway.wait_for("the alerts", || {
        let groups = asked(&gateway, "rules")?;
        let rules = groups["groups"][0]["rules"].as_array()?.clone();
        let of_backend = rules.iter().find(|rule| rule["name"] == "ConnexadBackendDown")?;
        let all_well = rules.iter().all(|rule| rule["health"] == "ok");
        (all_well && of_backend["state"] == "pending").then_some(())
    });
}
