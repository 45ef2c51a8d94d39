//! What `connexactl` prints with `--json` without asking the daemon is as docs/json-schemas.json says.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::gateway::{CONNEXACTL, Gateway};
use crate::judges::{answer, judged, project};
use crate::namespace::run;

/// What was printed, each with the name of its schema.
struct Printed {
    gateway: Gateway,
    cases: Vec<Value>,
}

impl Printed {
    fn take(&mut self, schema: &str, what: &str, answer: Value) {
        self.cases.push(json!({ "what": what, "schema": schema, "answer": answer }));
    }

    /// Runs a command on the sandbox's configuration, in its namespace.
    fn run(&mut self, schema: &str, words: &[&str], stdin: &str) -> Value {
        let mut command = self.gateway.namespace.command(CONNEXACTL);
        command.args(words).arg("--json").arg("--config").arg(self.gateway.path("connexad.toml"));
        let answer: Value = serde_json::from_str(&text(command, stdin)).unwrap();
        self.take(schema, &format!("{words:?}"), answer.clone());
        answer
    }
}

/// What a command prints; its exit code may say no.
fn text(mut command: Command, stdin: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may read nothing.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn nodes(printed: &mut Printed) {
    printed.run("NodeInit", &["node", "init"], "");
    let add = ["node", "add", "--login", "admin", "--password-stdin", "--ip"];
    printed.run("NodeDone", &[&add[..], &["10.9.0.1"]].concat(), "secret");
    printed.run("NodeDone", &[&add[..], &["10.9.0.2", "--status", "weird"]].concat(), "secret");
    printed.run("NodeDone", &["node", "set", "1", "--status", "online"], "");
    let csv = printed.gateway.path("nodes.csv");
    fs::write(&csv, "ip,login,password\n10.9.0.3,admin,secret\n").unwrap();
    printed.run("NodeDone", &["node", "import", csv.to_str().unwrap()], "");
    printed.gateway.node(9, "nowhere", "secret");
    let list = printed.run("NodeList", &["node", "list"], "");
    assert_eq!(list.as_array().unwrap().len(), 4, "{list}");
    printed.run("NodeDone", &["node", "remove", "3"], "");
}

fn setup(printed: &mut Printed) {
    let file = printed.gateway.path("connexad.toml");
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let database = printed.gateway.path("connexa.db").display().to_string();
    let found = printed.run("Setup", &["setup", "--yes", "--database", &database], "");
    assert!(found["written"].is_string(), "{found}");
    let (_, api) = answer(&printed.gateway, "GET /openapi.json");
    let description = printed.gateway.path("openapi.json");
    fs::write(&description, api.to_string()).unwrap();
    let doctor = json!({ "what": "doctor", "schema": "Diagnosis", "answer": found["doctor"] });
    assert_eq!(judged(&description, &[doctor]).trim(), "");
    fs::write(&file, kept).unwrap();
    printed.run("Setup", &["setup"], "");
}

fn firewall(printed: &mut Printed) {
    let nft = |line: &str| run(printed.gateway.namespace.command("nft").arg(line));
    nft("add table inet f");
    nft("add chain inet f in { type filter hook input priority 0; policy drop; }");
    printed.run("FirewallRules", &["firewall", "print"], "");
    let found = printed.run("FirewallFindings", &["firewall", "check", "--server", "10.9.0.1"], "");
    for list in ["troubles", "servers"] {
        assert!(!found[list].as_array().unwrap().is_empty(), "{found}");
    }
    let into = ["firewall", "apply", "--into", "inet", "f", "in"];
    for (words, done) in [
        (&into[..], "applied"),
        (&["firewall", "remove"], "removed"),
        (&["firewall", "remove"], "nothing_there"),
    ] {
        assert_eq!(printed.run("FirewallDone", words, "")["done"], done);
    }
}

fn replay(printed: &mut Printed) {
    for recording in ["pppd-killed", "outage"] {
        let file = project(&format!("tests/golden/{recording}.jsonl"));
        let mut command = printed.gateway.connexactl(&["replay", "--json"]);
        command.arg(file);
        for line in text(command, "").lines() {
            printed.take("ReplayLine", recording, serde_json::from_str(line).unwrap());
        }
    }
}

#[test]
fn every_command_that_asks_no_daemon_prints_what_its_schema_says() {
    let mut gateway = Gateway::without_database("");
    gateway.start().wait_until("an answer", |_| true);
    let mut printed = Printed { gateway, cases: Vec::new() };
    nodes(&mut printed);
    setup(&mut printed);
    firewall(&mut printed);
    replay(&mut printed);
    let description = project("docs/json-schemas.json");
    assert_eq!(judged(&description, &printed.cases).trim(), "");
    let wrong = [json!({}), json!({ "made": "x", "mood": "fine" })]
        .map(|answer| json!({ "what": "wrong", "schema": "NodeInit", "answer": answer }));
    assert_eq!(judged(&description, &wrong).trim().lines().count(), 2);

    let schemas: Value = serde_json::from_str(&fs::read_to_string(description).unwrap()).unwrap();
    let described: BTreeSet<&str> =
        schemas["$defs"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut judged: BTreeSet<&str> =
        printed.cases.iter().map(|case| case["schema"].as_str().unwrap()).collect();
    // A part of others.
    judged.insert("Trouble");
    assert_eq!(judged, described);
    let what = |case: &Value| case["answer"]["what"].as_str().map(str::to_owned);
    let lines: BTreeSet<String> = printed.cases.iter().filter_map(what).collect();
    assert_eq!(lines, ["became", "end", "ordered", "told"].map(str::to_owned).into());
}
