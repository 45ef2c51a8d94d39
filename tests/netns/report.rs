//! `connexactl report FILE`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::json;

use crate::gateway::Gateway;
use crate::namespace::{Mount, run};

fn report(gateway: &Gateway, file: &Path) -> Output {
    let mut command = gateway.connexactl(&["report", file.to_str().unwrap()]);
    command.arg("--config").arg(gateway.path("connexad.toml"));
    command.stdout(Stdio::piped()).output().unwrap()
}

#[test]
fn a_report_holds_what_a_colleague_needs_and_no_password_wherever_one_was_planted() {
    let mut gateway = Gateway::configured(
        "backend.restart = ['/bin/false', 'hunter2-planted']
        hooks.up = ['/bin/true', 'hunter2-planted']
        hooks.down = ['/bin/true', 'of-no-selected-row']",
    );
    gateway.sql(
        "INSERT INTO nodes (id, ip, login, password, status) VALUES \
         (9, '10.9.0.9', 'admin', 'of-no-selected-row', 'ping_failed')",
    );
    gateway.server("10.9.0.1", &json!({ "password": "another" }));
    gateway.node(1, "10.9.0.1", "hunter2-planted");
    gateway.start().wait_node(1, "refused", |node| node.last_error.is_some());
    let file = gateway.path("report.txt");
    let output = report(&gateway, &file);
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(&file).unwrap();
    for part in ["==== status", "Node 1 (admin at 10.9.0.1)", "==== doctor", "==== routes"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("hunter2-planted"), "{text}");
    assert!(!text.contains("of-no-selected-row"), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("holds: versions, status"), "{said}");
}

#[test]
fn what_was_planted_in_files_of_others_in_command_lines_and_in_the_environment_is_in_no_report() {
    let mut gateway = Gateway::configured(
        "backend.restart = ['/bin/false', '--password=restart-planted']
        hooks.up = ['/bin/true', '--api-token', 'hook-planted']
        hooks.down = ['/bin/true', 'https://ops:hook-planted@example.org/down']",
    );
    let odd = gateway.path("token=path-planted");
    std::os::unix::fs::symlink(gateway.path(""), &odd).unwrap();
    let config = gateway.read("connexad.toml");
    let database = gateway.path("connexa.db").display().to_string();
    gateway.configure_raw(&config.replace(&database, odd.join("connexa.db").to_str().unwrap()));
    fs::write(gateway.path("ppp/chap-secrets"), "bob * \"chap \\\"planted\" *\n").unwrap();
    fs::write(gateway.path("ppp/pap-secrets"), "# theirs\nbob * pap-planted *\n").unwrap();
    fs::write(gateway.path("ppp/options"), "password options-planted\nidle 60\n").unwrap();
    gateway.script(
        "journalctl",
        "#!/bin/sh\necho 'bob said chap \"planted and pap-planted; Authorization: Bearer head-planted'\n\
         echo 'a hook: WEBHOOK_SECRET=variable-planted curl'\n",
    );
    gateway.node(1, "10.9.0.1", "row-planted");
    gateway.server("10.9.0.1", &json!({ "password": "another" }));
    gateway.start_with(&[("TOKEN", "daemon-planted")]);
    gateway.wait_node(1, "refused", |node| node.last_error.is_some());
    let file = gateway.path("report.txt");
    let mut command = gateway.connexactl(&["report", file.to_str().unwrap()]);
    command.arg("--config").arg(gateway.path("connexad.toml")).env("TOKEN", "own-planted");
    let path = std::env::var("PATH").unwrap();
    run(command.env("PATH", format!("{}:{path}", gateway.path("bin").display())));
    let text = fs::read_to_string(&file).unwrap();
    for part in ["a hook: ", "bob said ", "/bin/true", "hooks", "token="] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("planted"), "{text}");
}

#[test]
fn a_full_disk_is_left_without_half_a_report() {
    let gateway = Gateway::new();
    let disk = Mount::small(gateway.path("disk"));
    let ballast = disk.fill();
    let file = gateway.path("disk/report.txt");
    let output = report(&gateway, &file);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("report.txt: No space left on device"), "{said}");
    assert!(!file.exists());
    fs::remove_file(ballast).unwrap();
    assert!(report(&gateway, &file).status.success());
}

#[test]
fn a_report_of_a_host_whose_passwords_can_not_be_read_says_so() {
    let gateway = Gateway::without_database("");
    fs::write(gateway.path("ppp/chap-secrets"), "bob * pw-planted *\n").unwrap();
    fs::write(gateway.path("ppp/options"), "password pw-planted\n").unwrap();
    let file = gateway.path("report.txt");
    let output = report(&gateway, &file);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("Not all passwords could be looked for") && said.contains("connexa.db"),
        "{said}"
    );
    // Those that can be are.
    assert!(!fs::read_to_string(&file).unwrap().contains("pw-planted"));
}

#[test]
fn where_the_configuration_is_wrong_the_daemon_s_own_checks_are_in_the_report() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.configure_raw("tunel = 4\n");
    let file = gateway.path("report.txt");
    assert!(report(&gateway, &file).status.success());
    let text = fs::read_to_string(&file).unwrap();
    for part in ["unknown key `tunel`", "==== doctor", "holds 1 node to dial", "1 up"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_report_is_never_written_over_anything_and_needs_no_daemon() {
    let gateway = Gateway::new();
    let file = gateway.path("report.txt");
    fs::write(&file, "precious").unwrap();
    let refused = report(&gateway, &file);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let link = gateway.path("link.txt");
    std::os::unix::fs::symlink(gateway.path("nowhere.txt"), &link).unwrap();
    assert_eq!(report(&gateway, &link).status.code(), Some(1));
    let alone = report(&gateway, &gateway.path("alone.txt"));
    assert!(alone.status.success(), "{alone:?}");
    assert!(gateway.read("alone.txt").contains("can't reach connexad"));
}
