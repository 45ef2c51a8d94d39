//! `connexactl setup`: the first configuration of a host.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::gateway::{CONNEXACTL, CONNEXAD, Gateway};

/// Rows of each kind, under names of columns that have drifted.
const DRIFTED: &str =
    "CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, username TEXT, pass TEXT, status TEXT);
    INSERT INTO nodes VALUES (1, '10.9.0.1', 'admin', 'hidden-1', 'ping_ok'),
        (2, '10.9.0.2', 'office', 'hidden-2', 'SPEEDOG'), (3, 'nowhere', 'x', 'hidden-3', 'online'),
        (4, '10.9.0.4', 'y', 'hidden-4', 'weird');";

fn drifted() -> Gateway {
    let gateway = Gateway::without_database("");
    gateway.sql(DRIFTED);
    gateway
}

/// Where the tests have it written.
fn file(gateway: &Gateway) -> PathBuf {
    gateway.path("etc/connexa/connexad.toml")
}

fn setup(gateway: &Gateway, arguments: &[&str], answers: &str) -> (i32, String, String) {
    let mut command = gateway.connexactl(&["setup"]);
    command.args(arguments).arg("--config").arg(file(gateway));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended before it read anything.
    let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!(stdout.clone() + &stderr).contains("hidden-"), "no password is shown: {stdout}");
    (status.code().unwrap(), stdout, stderr)
}

#[test]
fn setup_without_questions_shows_what_it_found_and_writes_what_the_daemon_can_use() {
    let gateway = drifted();
    let database = gateway.path("connexa.db").display().to_string();
    let (code, text, complaint) = setup(&gateway, &["--yes", "--database", &database], "");
    assert_eq!((code, &*complaint), (0, ""), "{text}");
    for shown in [
        &*format!("database  {database}, table nodes: 4 rows\n"),
        "columns   id, ip, login in username, password in pass, status, no mppe (not needed), no engine (not needed)\n",
        "to dial   2 nodes\n          node 2 at 10.9.0.2 as office, status SPEEDOG\n          node 1 at",
        "invalid   node 3: ip \"nowhere\" is not an IPv4 address",
        "not taken 1 row, by selection.statuses: 1 of status \"weird\"\n",
        "systemctl enable --now connexad",
    ] {
        assert!(text.contains(shown), "{shown:?} is not in {text}");
    }
    let mode = fs::metadata(file(&gateway)).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "others may not read it: {mode:o}");
    let mut check = Command::new(CONNEXAD);
    check.arg("--check-config").arg("--config").arg(file(&gateway)).env_remove("CONNEXA_DB");
    let in_force = String::from_utf8(check.output().unwrap().stdout).unwrap();
    assert!(in_force.contains(&format!("path = \"{database}\"")), "{in_force}");
}

#[test]
fn setup_asks_where_the_database_is_until_it_is_one_and_whether_to_write() {
    let gateway = drifted();
    let answers = format!("/nowhere/x.db\nno\n{}\n\n", gateway.path("connexa.db").display());
    let (code, text, questions) = setup(&gateway, &[], &answers);
    assert_eq!(code, 0, "{questions}");
    assert!(questions.contains("[/app/backend/connexa.db]"), "the usual place: {questions}");
    assert!(questions.contains("/nowhere/x.db: no such file"), "{questions}");
    assert!(questions.contains(&format!("Write {}? [Y/n]", file(&gateway).display())));
    assert!(text.contains("connexad.toml written\n"), "{text}");
}

#[test]
fn setup_that_is_answered_with_no_or_not_at_all_writes_nothing() {
    let gateway = drifted();
    let database = gateway.path("connexa.db").display().to_string();
    for (answers, told) in [("n\n", "nothing was written"), ("", "no answer")] {
        let (code, _, complaint) = setup(&gateway, &["--database", &database], answers);
        assert!(code == 1 && complaint.contains(told), "{code}: {complaint}");
    }
    let (code, json, _) = setup(&gateway, &["--json", "--database", &database], "");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, json["to_dial"].as_array().unwrap().len()), (0, 2));
    assert_eq!(json["written"], Value::Null);
    assert!(!file(&gateway).exists());
}

#[test]
fn setup_changes_nothing_of_a_configuration_that_is_there_and_shows_what_it_leads_to() {
    let gateway = drifted();
    let database = gateway.path("connexa.db").display().to_string();
    fs::create_dir_all(file(&gateway).parent().unwrap()).unwrap();
    let faulty = "database.pth = \"/x\"\n".to_owned();
    for (present, shown, told) in [
        (format!("database.path = \"{database}\"\n"), "to dial   2 nodes", "is there already"),
        (faulty, "", "database.pth"),
    ] {
        fs::write(file(&gateway), &present).unwrap();
        let (code, text, complaint) = setup(&gateway, &["--yes", "--database", &database], "");
        assert_eq!(code, 1, "{complaint}");
        assert!(text.contains(shown) && complaint.contains(told), "{text}{complaint}");
        assert!(complaint.contains("is there already and stays as it is"), "{complaint}");
        assert_eq!(fs::read_to_string(file(&gateway)).unwrap(), present);
    }
}

#[test]
fn setup_makes_a_database_only_when_it_is_told_to() {
    let gateway = Gateway::without_database("");
    let database = gateway.path("connexa.db").display().to_string();
    let (code, _, complaint) = setup(&gateway, &["--yes", "--database", &database], "");
    assert!(code == 78 && complaint.contains("--init makes a database"), "{code}: {complaint}");
    assert!(!gateway.path("connexa.db").exists() && !file(&gateway).exists());
    let (code, text, _) = setup(&gateway, &["--yes", "--init", "--database", &database], "");
    assert_eq!(code, 0);
    assert!(text.contains("to dial   0 nodes") && text.contains("connexactl node add"), "{text}");
    assert!(gateway.path("connexa.db").exists() && file(&gateway).exists());
}

/// `script` gives it a terminal.
#[test]
fn setup_asks_at_a_terminal() {
    let gateway = drifted();
    let client = format!("{CONNEXACTL} setup --config {}", file(&gateway).display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--echo", "always", "--command", &client, "/dev/null"]);
    script.env_remove("CONNEXA_DB");
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = child.stdout.take().unwrap();
    let mut typed = child.stdin.take().unwrap();
    let mut text = Vec::new();
    let database = gateway.path("connexa.db");
    for (question, answer) in [("connexa.db] ", database.to_str().unwrap()), ("[Y/n] ", "y")] {
        while !text.ends_with(question.as_bytes()) {
            let mut byte = [0];
            assert_eq!(shown.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
        typed.write_all(format!("{answer}\r").as_bytes()).unwrap();
    }
    shown.read_to_end(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(String::from_utf8_lossy(&text).contains("connexad.toml written"));
    assert!(file(&gateway).exists());
}
