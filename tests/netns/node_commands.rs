//! `connexactl node`: the node database, edited at the command line.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::database::Database;
use crate::gateway::Gateway;

/// Runs `connexactl node` on the sandbox's configuration; gives its exit code, what it printed and
/// its complaint, which is one line at most.
fn node(gateway: &Gateway, arguments: &[&str], stdin: &str) -> (i32, String, String) {
    let mut command = gateway.connexactl(&[&["node"], arguments].concat());
    command.arg("--config").arg(gateway.path("connexad.toml")).env_remove("CONNEXA_DB");
    told(&mut command, stdin)
}

fn told(command: &mut Command, stdin: &str) -> (i32, String, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have refused before it read anything.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let code = status.code().unwrap();
    // clap's own explanations have several lines.
    assert!(code == 2 || stderr.lines().count() == usize::from(code != 0), "{stderr}");
    (code, stdout, stderr)
}

fn done(gateway: &Gateway, arguments: &[&str], stdin: &str) -> String {
    let (code, text, complaint) = node(gateway, arguments, stdin);
    assert_eq!(code, 0, "{arguments:?}: {complaint}");
    text
}

fn refused(gateway: &Gateway, arguments: &[&str], stdin: &str) -> (i32, String) {
    let (code, text, complaint) = node(gateway, arguments, stdin);
    assert_eq!(text, "", "{arguments:?}");
    (code, complaint)
}

fn value(gateway: &Gateway, sql: &str) -> String {
    Database::open(&gateway.path("connexa.db")).text(sql).unwrap_or("NULL".into())
}

const ADD: [&str; 6] = ["add", "--ip", "10.9.0.1", "--login", "admin", "--password-stdin"];

#[test]
fn a_node_that_is_added_is_dialled_and_one_that_is_removed_is_hung_up() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({}));
    gateway.start().wait_until("an answer", |status| status.database.was_read);
    assert_eq!(done(&gateway, &ADD, "secret\n"), "node 1 added\n");
    gateway.wait_state(1, "up");
    done(&gateway, &["remove", "1"], "");
    gateway.wait_until("no node", |status| status.nodes.is_empty());
}

#[test]
fn every_historical_schema_takes_a_node() {
    for schema in [
        "CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, status TEXT)",
        "CREATE TABLE nodes (id INTEGER PRIMARY KEY AUTOINCREMENT, ip TEXT NOT NULL, login TEXT, \
         password TEXT, country TEXT, provider TEXT, status TEXT DEFAULT 'unknown', ppp_iface TEXT)",
        "CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, username TEXT, pass TEXT, \
         status TEXT, ppp_interface TEXT, socks_port INTEGER)",
        "CREATE TABLE nodes (Id TEXT, IP TEXT, User TEXT, Password TEXT, Status TEXT)",
        "CREATE TABLE nodes (id, ip, login, password, status)",
    ] {
        let mut gateway = Gateway::without_database("");
        gateway.sql(schema);
        gateway.server("10.9.0.1", &json!({}));
        done(&gateway, &[&ADD[..], &["--id", "7"]].concat(), "secret");
        gateway.start().wait_state(7, "up");
    }
}

#[test]
fn no_other_column_and_no_other_row_is_written() {
    let gateway = Gateway::new();
    gateway.sql(
        "INSERT INTO nodes VALUES (1, '10.9.0.1', 'a', 'p', 1724, 'NL', 'online'), \
                                  (2, '10.9.0.2', 'b', 'q', 1725, 'DE', 'new')",
    );
    done(&gateway, &["set", "2", "--login", "c", "--password-stdin"], "r");
    let all = "SELECT group_concat(id || ip || login || password || port || country || status, ' ') FROM nodes";
    assert_eq!(value(&gateway, all), "110.9.0.1ap1724NLonline 210.9.0.2cr1725DEnew");
}

#[test]
fn the_list_shows_every_row_and_no_password() {
    let gateway = Gateway::new();
    gateway.sql(
        "INSERT INTO nodes (id, ip, login, password, status) \
         VALUES (1, '10.9.0.1', 'admin', 'hunter2', 'online'), (2, 'here', 'admin', 'hunter2', 'new')",
    );
    let table = done(&gateway, &["list"], "");
    assert!(table.contains("10.9.0.1") && table.contains("not an IPv4 address"), "{table}");
    let json = done(&gateway, &["list", "--json"], "");
    let rows: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&rows[0]["id"], &rows[0]["selected"]), (&json!(1), &json!(true)));
    assert_eq!(rows[1]["selected"], json!(false));
    assert!(!table.contains("hunter2") && !json.contains("hunter2"));
}

#[test]
fn a_password_comes_from_a_file_or_from_standard_input_less_its_line_break() {
    let gateway = Gateway::new();
    done(&gateway, &ADD, "from stdin\n");
    fs::write(gateway.path("password"), "from a file\n").unwrap();
    let file = gateway.path("password");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    done(&gateway, &["set", "1", "--status", "x", "--password-file", file.to_str().unwrap()], "");
    assert_eq!(value(&gateway, "SELECT password FROM nodes"), "from a file");
    done(&gateway, &["set", "1", "--password-stdin"], "from stdin\n");
    assert_eq!(value(&gateway, "SELECT password FROM nodes"), "from stdin");
}

#[test]
fn a_password_file_that_others_may_read_is_taken_and_told() {
    let gateway = Gateway::new();
    let file = gateway.path("password");
    fs::write(&file, "from a file\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut add = gateway.connexactl(&["node", "add", "--ip", "10.9.0.1", "--login", "admin"]);
    add.arg("--password-file").arg(&file).arg("--config").arg(gateway.path("connexad.toml"));
    let output = add.output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    let expected =
        format!("{0} holds a password, and others may read it; chmod 600 {0}\n", file.display());
    assert_eq!(told, format!("connexactl: warning: {expected}"));
}

#[test]
fn a_password_that_is_hashed_in_different_ways_is_taken_and_told() {
    let gateway = Gateway::new();
    fs::write(gateway.path("password"), "pässwörd\n").unwrap();
    fs::set_permissions(gateway.path("password"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut add = gateway.connexactl(&["node", "add", "--ip", "10.9.0.1", "--login", "admin"]);
    add.arg("--password-file").arg(gateway.path("password"));
    add.arg("--config").arg(gateway.path("connexad.toml"));
    let output = add.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("beyond ASCII"), "{told}");
}

/// `script` gives the client a terminal and records all that it shows.
#[test]
fn a_password_is_asked_for_at_the_terminal_and_not_shown() {
    let gateway = Gateway::new();
    let client = format!(
        "{} node add --ip 10.9.0.1 --login admin --config {}; stty -a",
        crate::gateway::CONNEXACTL,
        gateway.path("connexad.toml").display()
    );
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--echo", "always", "--command", &client, "/dev/null"]);
    script.env_remove("CONNEXA_DB");
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = child.stdout.take().unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"Password: ") {
        let mut byte = [0];
        assert_eq!(std::io::Read::read(&mut shown, &mut byte).unwrap(), 1, "the prompt");
        text.push(byte[0]);
    }
    let mut typed = child.stdin.take().unwrap();
    typed.write_all(b"hunter3\x7f2\r").unwrap();
    std::io::Read::read_to_end(&mut shown, &mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let text = String::from_utf8_lossy(&text);
    assert!(!text.contains("hunter"), "{text}");
    assert!(
        text.contains(" echo ") && text.contains(" icanon "),
        "the terminal is as before: {text}"
    );
    assert_eq!(value(&gateway, "SELECT password FROM nodes"), "hunter2");
}

#[test]
fn a_password_on_the_command_line_is_no_option() {
    let gateway = Gateway::new();
    let arguments = ["add", "--ip", "10.9.0.1", "--login", "admin", "--password", "hunter2"];
    let (code, complaint) = refused(&gateway, &arguments, "");
    assert_eq!(code, 2);
    assert!(!complaint.contains("hunter2"), "{complaint}");
}

#[test]
fn what_the_daemon_would_call_invalid_is_refused_in_its_words() {
    let gateway = Gateway::new();
    let long = "x".repeat(256);
    for (arguments, password, wanted) in [
        (["--ip", "127.0.0.1", "--login", "a"], "p", "a loopback address"),
        (["--ip", "vpn.example", "--login", "a"], "p", "is not an IPv4 address"),
        (["--ip", "10.9.0.1", "--login", ""], "p", "login is empty"),
        (["--ip", "10.9.0.1", "--login", "a\nb"], "p", "login has a control character"),
        (["--ip", "10.9.0.1", "--login", &long], "p", "login is longer than 255 bytes"),
        (["--ip", "10.9.0.1", "--login", "a"], "", "no password given"),
        (["--ip", "10.9.0.1", "--login", "a"], "@/etc/shadow", "password begins with @/"),
        (["--ip", "10.9.0.1", "--login", "a"], &long, "password is longer than 255 bytes"),
    ] {
        let arguments = [&["add", "--password-stdin"], &arguments[..]].concat();
        let (code, complaint) = refused(&gateway, &arguments, password);
        assert_eq!(code, 2, "{complaint}");
        assert!(complaint.contains(wanted), "{complaint}");
    }
    assert_eq!(value(&gateway, "SELECT CAST(count(*) AS TEXT) FROM nodes"), "0");
}

#[test]
fn a_node_that_is_not_there_is_unknown_and_nothing_is_removed() {
    let gateway = Gateway::new();
    done(&gateway, &ADD, "secret");
    for arguments in [&["set", "9", "--status", "x"][..], &["remove", "1", "9"]] {
        let (code, complaint) = refused(&gateway, arguments, "");
        assert_eq!(code, 1);
        assert!(complaint.contains("no node 9"), "{complaint}");
    }
    assert_eq!(value(&gateway, "SELECT status FROM nodes"), "online");
}

#[test]
fn an_id_that_is_there_is_not_given_again() {
    let gateway = Gateway::new();
    done(&gateway, &[&ADD[..], &["--id", "7"]].concat(), "secret");
    let (code, complaint) = refused(&gateway, &[&ADD[..], &["--id", "7"]].concat(), "other");
    assert_eq!(code, 1);
    assert!(complaint.contains("node 7 is there already"), "{complaint}");
}

#[test]
fn a_node_of_several_rows_is_removed_whole_and_not_changed() {
    let gateway = Gateway::without_database("");
    gateway.sql(
        "CREATE TABLE nodes (id, ip, login, password, status); \
         INSERT INTO nodes VALUES (7, 'x', 'a', 'p', 'online'), (' 7 ', 'y', 'b', 'q', 'online')",
    );
    let (code, complaint) = refused(&gateway, &["set", "7", "--login", "c"], "");
    assert_eq!(code, 1);
    assert!(complaint.contains("node 7 has 2 rows"), "{complaint}");
    done(&gateway, &["remove", "7"], "");
    assert_eq!(value(&gateway, "SELECT CAST(count(*) AS TEXT) FROM nodes"), "0");
}

#[test]
fn a_node_with_an_id_of_type_real_is_added_changed_and_removed() {
    let gateway = Gateway::without_database("");
    gateway.sql("CREATE TABLE nodes (id REAL, ip, login, password, status)");
    assert_eq!(done(&gateway, &[&ADD[..], &["--id", "7"]].concat(), "secret"), "node 7 added\n");
    done(&gateway, &["set", "7", "--login", "c"], "");
    assert_eq!(value(&gateway, "SELECT id || login FROM nodes"), "7.0c");
    done(&gateway, &["remove", "7"], "");
    assert_eq!(value(&gateway, "SELECT CAST(count(*) AS TEXT) FROM nodes"), "0");
}

#[test]
fn an_encryption_of_its_own_is_taken_back_by_default() {
    let gateway = Gateway::new();
    gateway.sql("ALTER TABLE nodes ADD COLUMN mppe TEXT");
    done(&gateway, &[&ADD[..], &["--id", "7", "--mppe", "off"]].concat(), "secret");
    assert_eq!(value(&gateway, "SELECT mppe FROM nodes"), "off");
    done(&gateway, &["set", "7", "--mppe", "default"], "");
    assert_eq!(value(&gateway, "SELECT typeof(mppe) FROM nodes"), "null");
}

#[test]
fn a_node_named_twice_is_removed_once() {
    let gateway = Gateway::new();
    done(&gateway, &[&ADD[..], &["--id", "7"]].concat(), "secret");
    assert_eq!(done(&gateway, &["remove", "7", "7"], ""), "node 7 removed\n");
}

/// SQLite leaves foreign keys unenforced unless asked, and Python's sqlite3 does not ask.
#[test]
fn a_node_that_other_tables_name_is_removed() {
    let gateway = Gateway::new();
    done(&gateway, &[&ADD[..], &["--id", "7"]].concat(), "secret");
    gateway.sql(
        "CREATE TABLE tests (node_id INTEGER, FOREIGN KEY (node_id) REFERENCES nodes(id)); \
         INSERT INTO tests VALUES (7)",
    );
    done(&gateway, &["remove", "7"], "");
    assert_eq!(value(&gateway, "SELECT CAST(count(*) AS TEXT) FROM tests"), "1");
}

#[test]
fn a_table_that_would_alter_a_password_is_told_and_left_as_it_is() {
    let gateway = Gateway::without_database("");
    gateway.sql("CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip, login, password INTEGER, status)");
    let (code, complaint) = refused(&gateway, &ADD, "0123");
    assert_eq!(code, 1);
    assert!(complaint.contains("\"password\"") && complaint.contains("TEXT"), "{complaint}");
    assert_eq!(value(&gateway, "SELECT CAST(count(*) AS TEXT) FROM nodes"), "0");
}

#[test]
fn a_view_is_listed_and_told_to_be_none_to_write_into() {
    let gateway = Gateway::without_database("");
    gateway.sql(
        "CREATE TABLE servers (id INTEGER PRIMARY KEY, ip, login, password, status); \
         INSERT INTO servers VALUES (1, '10.9.0.1', 'a', 'p', 'online'); \
         CREATE VIEW nodes AS SELECT * FROM servers",
    );
    assert!(done(&gateway, &["list"], "").contains("10.9.0.1"));
    let (code, complaint) = refused(&gateway, &["remove", "1"], "");
    assert_eq!(code, 1);
    assert!(complaint.contains("it is a view"), "{complaint}");
}

#[test]
fn a_locked_database_is_waited_for_and_then_told() {
    let gateway = Gateway::new();
    let mut backend = Database::open(&gateway.path("connexa.db"));
    backend.execute("BEGIN IMMEDIATE");
    let (code, complaint) = refused(&gateway, &ADD, "secret");
    assert_eq!(code, 1);
    assert!(complaint.contains("locked for 5 s; nothing was changed"), "{complaint}");
    backend.execute("ROLLBACK");
    done(&gateway, &ADD, "secret");
}

#[test]
fn a_database_that_can_not_serve_is_an_error_of_configuration() {
    let gateway = Gateway::without_database("");
    let (code, complaint) = refused(&gateway, &["list"], "");
    assert_eq!(code, 78);
    assert!(complaint.contains("no such file") && complaint.contains("node init"), "{complaint}");
    gateway.sql("CREATE TABLE nodes (id)");
    assert_eq!(refused(&gateway, &ADD, "secret").0, 78);
    fs::remove_file(gateway.path("connexa.db")).unwrap();
    let mut command = gateway.connexactl(&["firewall", "print", "--of-nodes"]);
    command.arg("--config").arg(gateway.path("connexad.toml")).env_remove("CONNEXA_DB");
    assert_eq!(told(&mut command, "").0, 78);
    let mut command = gateway.connexactl(&["node", "list", "--config", "/nowhere.toml"]);
    assert_eq!(told(&mut command, "").0, 78);
}

#[test]
fn who_may_not_write_is_told_so() {
    let gateway = Gateway::new();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(gateway.copy(crate::gateway::CONNEXACTL)).args(["node", "--config"]);
    command.arg(gateway.path("connexad.toml")).args(ADD).env_remove("CONNEXA_DB");
    let (code, _, complaint) = told(&mut command, "secret");
    assert_eq!(code, 77, "{complaint}");
    assert!(complaint.contains("run as root"), "{complaint}");
}

#[test]
fn the_environment_names_the_database_before_the_file_does() {
    let gateway = Gateway::new();
    let other = gateway.path("other.db");
    let mut command = gateway.connexactl(&["node", "init"]);
    command.arg("--config").arg(gateway.path("connexad.toml")).env("CONNEXA_DB", &other);
    assert_eq!(told(&mut command, "").0, 0);
    assert!(other.exists());
}

#[test]
fn a_fresh_database_is_its_owners_alone_and_serves() {
    let mut gateway = Gateway::without_database("");
    done(&gateway, &["init"], "");
    let mode = fs::metadata(gateway.path("connexa.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(value(&gateway, "SELECT sql FROM sqlite_schema WHERE name = 'nodes'").contains("-- "));
    gateway.server("10.9.0.1", &json!({}));
    done(&gateway, &[&ADD[..], &["--mppe", "off"]].concat(), "secret");
    gateway.start().wait_state(1, "up");
}

#[test]
fn a_fresh_database_has_the_configured_names() {
    let gateway = Gateway::without_database(
        "database = { table = \"vpn servers\", columns = { login = \"who\", id = \"number\" } }",
    );
    done(&gateway, &["init"], "");
    done(&gateway, &ADD, "secret");
    assert_eq!(value(&gateway, "SELECT who FROM \"vpn servers\" WHERE number = 1"), "admin");
}

#[test]
fn a_file_that_is_there_is_not_touched() {
    let gateway = Gateway::without_database("");
    fs::write(gateway.path("connexa.db"), "of others").unwrap();
    let (code, complaint) = refused(&gateway, &["init"], "");
    assert_eq!(code, 1);
    assert!(complaint.contains("is there already"), "{complaint}");
    assert_eq!(gateway.read("connexa.db"), "of others");
}

#[test]
fn a_file_of_no_bytes_becomes_a_database() {
    let gateway = Gateway::without_database("");
    fs::write(gateway.path("connexa.db"), "").unwrap();
    done(&gateway, &["init"], "");
    done(&gateway, &ADD, "secret");
    assert_eq!(value(&gateway, "SELECT CAST(count(*) AS TEXT) FROM nodes"), "1");
}

#[test]
fn folders_that_the_database_lacks_are_made() {
    let gateway = Gateway::without_database("");
    let database = gateway.path("app/backend/connexa.db");
    let mut command = gateway.connexactl(&["node", "init"]);
    command.arg("--config").arg(gateway.path("connexad.toml")).env("CONNEXA_DB", &database);
    assert_eq!(told(&mut command, "").0, 0);
    assert!(database.exists());
}

#[test]
fn nodes_are_imported_from_standard_input() {
    let gateway = Gateway::new();
    let csv = "ip,login,password\n10.9.0.1,a,p\n10.9.0.2,b,\"q,r\"\n";
    assert_eq!(done(&gateway, &["import", "-"], csv), "2 nodes added\n");
    assert_eq!(value(&gateway, "SELECT password FROM nodes WHERE ip = '10.9.0.2'"), "q,r");
}

#[test]
fn ten_thousand_nodes_are_imported() {
    let gateway = Gateway::new();
    let rows: String =
        (1..=10_000).map(|n| format!("{n},10.9.{}.{},a,p\n", n / 250, n % 250)).collect();
    fs::write(gateway.path("n.csv"), format!("id,ip,login,password\n{rows}")).unwrap();
    done(&gateway, &["import", gateway.path("n.csv").to_str().unwrap()], "");
    assert_eq!(value(&gateway, "SELECT CAST(count(*) AS TEXT) FROM nodes"), "10000");
}

#[test]
fn one_bad_line_imports_nothing_and_is_named() {
    let gateway = Gateway::new();
    let csv = "ip,login,password\n10.9.0.1,a,p\n10.9.0.300,b,q\n";
    let (code, complaint) = refused(&gateway, &["import", "-"], csv);
    assert_eq!(code, 1);
    assert!(complaint.contains("line 3: ip \"10.9.0.300\" is not an IPv4 address"), "{complaint}");
    assert_eq!(value(&gateway, "SELECT CAST(count(*) AS TEXT) FROM nodes"), "0");
}

#[test]
fn ids_that_are_taken_are_named_by_their_lines() {
    let gateway = Gateway::new();
    done(&gateway, &[&ADD[..], &["--id", "7"]].concat(), "secret");
    let csv = "id,ip,login,password\n8,10.9.0.1,a,p\n7,10.9.0.2,b,q\n8,10.9.0.3,c,r\n";
    let (code, complaint) = refused(&gateway, &["import", "-"], csv);
    assert_eq!(code, 1);
    assert!(complaint.contains("line 3: node 7 is there already"), "{complaint}");
    assert!(complaint.contains("line 4: node 8 is in line 2 already"), "{complaint}");
    assert_eq!(value(&gateway, "SELECT CAST(count(*) AS TEXT) FROM nodes"), "1");
}

#[test]
fn nodes_without_an_id_get_one_that_no_line_names() {
    let gateway = Gateway::new();
    let csv = "id,ip,login,password\n,10.9.0.1,a,p\n1,10.9.0.2,b,q\n";
    assert_eq!(done(&gateway, &["import", "-"], csv), "2 nodes added\n");
}

#[test]
fn a_node_whose_status_is_not_selected_is_said_not_to_be_dialled() {
    let gateway = Gateway::new();
    let text = done(&gateway, &[&ADD[..], &["--status", "new"]].concat(), "secret");
    assert!(
        text.contains("\nnode 1 will not be dialled: its status \"new\" matches none of"),
        "{text}"
    );
}
