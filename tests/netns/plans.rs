//! What would be done, and what a reload changes.

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::namespace::run;

fn up() -> Gateway {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start().wait_until("both up", |status| status.counts.get("up") == Some(&2));
    gateway
}

/// The plan under a configuration that differs so from the sandbox's.
fn under(gateway: &Gateway, toml: &str) -> Value {
    let kept = gateway.read("connexad.toml");
    gateway.configure(toml);
    std::fs::rename(gateway.path("connexad.toml"), gateway.path("other.toml")).unwrap();
    gateway.configure_raw(&kept);
    let other = gateway.path("other.toml");
    let arguments = ["plan", "--json", "--config", other.to_str().unwrap()];
    serde_json::from_str(&run(&mut gateway.connexactl(&arguments))).unwrap()
}

fn steps(plan: &Value) -> Vec<(u64, &str)> {
    let steps = plan["steps"].as_array().unwrap().iter();
    steps.map(|step| (step["node"].as_u64().unwrap(), step["action"].as_str().unwrap())).collect()
}

#[test]
fn where_all_is_well_nothing_would_be_done() {
    let gateway = up();
    let text = run(&mut gateway.connexactl(&["plan"]));
    assert_eq!(
        text,
        "nothing would be done\n2 tunnels stay up, 0 nodes wait for a dial slot or a place\n"
    );
}

#[test]
fn a_node_that_waits_is_planned_with_its_time_and_its_reason() {
    let mut gateway = Gateway::configured("tunnel.backoff = { min = \"1h\", max = \"1h\" }");
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "backoff");
    let text = run(&mut gateway.connexactl(&["plan"]));
    assert!(
        text.starts_with("+ node 1 is dialled in 59m")
            || text.starts_with("+ node 1 is dialled in 1h"),
        "{text}"
    );
}

#[test]
fn a_call_under_way_is_counted_where_it_goes_on_and_planned_where_it_is_hung_up() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({ "answer": "silent" }));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "negotiating");
    assert_eq!(
        run(&mut gateway.connexactl(&["plan"])),
        "nothing would be done\n\
         0 tunnels stay up, 1 call under way goes on, 0 nodes wait for a dial slot or a place\n"
    );
    let plan = under(&gateway, "selection.statuses = ['weird']");
    assert_eq!((steps(&plan), &plan["calls_go_on"]), (vec![(1, "hang_up")], &json!(0)));
}

#[test]
fn another_configuration_is_tried_and_nothing_is_done() {
    let gateway = up();
    gateway.sql("UPDATE nodes SET status = 'weird' WHERE id = 1");
    gateway.wait_until("one node", |status| status.nodes.len() == 1);
    gateway.server("10.9.0.1", &json!({}));
    let plan = under(&gateway, "selection.statuses = ['weird']\ntunnel.mtu = 1300");
    assert_eq!(steps(&plan), [(1, "dial"), (2, "hang_up")]);
    let keys: Vec<_> =
        plan["changes"].as_array().unwrap().iter().map(|c| (&c["key"], &c["when"])).collect();
    assert_eq!(
        keys,
        [
            (&json!("selection.statuses"), &json!("now")),
            (&json!("tunnel.mtu"), &json!("next_dial")),
        ]
    );
    assert_eq!(gateway.wait_state(2, "up").attempts, 1);
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn another_configuration_that_is_wrong_is_refused_with_its_fault() {
    let gateway = up();
    std::fs::write(gateway.path("other.toml"), "[tunnel]\nmtu = 7\n").unwrap();
    let other = gateway.path("other.toml");
    let output =
        gateway.connexactl(&["plan", "--config", other.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("tunnel.mtu"));
}

#[test]
fn a_reload_tells_what_changed_and_what_waits_for_a_restart() {
    let gateway = up();
    gateway.configure("tunnel.mtu = 1300\nlog.level = 'debug'\noutage.windows = 5");
    let text = run(&mut gateway.connexactl(&["reload"]));
    assert!(
        text.contains("~ tunnel.mtu = 1300, was 1400 (at each tunnel's next dial)\n"),
        "{text}"
    );
    assert!(text.contains("~ outage.windows = 5, was 3\n"), "{text}");
    assert!(text.contains("log.level = \"debug\", was \"info\" (at the next start"), "{text}");
    assert!(text.contains("after `systemctl restart connexad`"), "{text}");
    assert_eq!(gateway.status().unwrap().outage.consecutive_threshold, 5);
    gateway.assert_logged("Reload asked for by uid 0, pid ", 1);
    gateway.assert_logged("log.level changed: in force after", 1);
    gateway.configure("tunnel.mtu = 1300\noutage.windows = 5");
    assert_eq!(run(&mut gateway.connexactl(&["reload"])), "reloaded; nothing differs\n");
}

#[test]
fn a_reload_of_a_wrong_file_fails_with_each_of_its_faults() {
    let gateway = up();
    gateway.configure_raw("[tunnel]\nmtu = 7\nmtuu = 1\n");
    let output = gateway.connexactl(&["reload"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.contains("tunnel.mtu") && told.contains("did you mean `mtu`?"), "{told}");
    assert_eq!(gateway.status().unwrap().counts.get("up"), Some(&2));
}

#[test]
fn nodes_that_another_selection_leaves_out_are_hung_up_whatever_grace_a_missing_row_has() {
    let mut gateway = Gateway::configured("selection.absence_grace = '5s'");
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    let plan = under(&gateway, "selection = { statuses = ['weird'], absence_grace = '5s' }");
    assert_eq!(steps(&plan), [(1, "hang_up")]);
}

#[test]
fn another_configuration_is_tried_under_the_environment_and_command_line_of_the_daemon() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let real = gateway.path("connexa.db");
    let kept = gateway.read("connexad.toml");
    let elsewhere = kept.replace(real.to_str().unwrap(), "/nowhere/connexa.db");
    gateway.configure_raw(&elsewhere);
    let mut command = gateway.connexad(&["--interval", "7m"]);
    command.env("CONNEXA_DB", &real);
    gateway.launch(command).wait_state(1, "up");
    let file = gateway.path("connexad.toml");
    let mut command = gateway.connexactl(&["plan", "--json", "--config", file.to_str().unwrap()]);
    command.env("CONNEXA_DB", "/of/the/client.db");
    let plan: Value = serde_json::from_str(&run(&mut command)).unwrap();
    assert_eq!((&plan["changes"], steps(&plan)), (&json!([]), vec![]));
}
