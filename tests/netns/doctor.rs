//! `connexactl doctor`: what it finds, and its exit codes, with and without a daemon.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

use connexa::doctor::{Diagnosis, Finding, Verdict};

use crate::backend::{SUPERVISORD, listener};
use crate::gateway::{CONNEXACTL, Gateway};
use crate::namespace::{Running, run};

/// A host on which all is well, but for what a test does to it. systemctl and supervisorctl
/// answer what stands in the files `is-enabled`, `is-active` and `status`.
pub(crate) struct Host {
    pub(crate) gateway: Gateway,
    _backend: Option<Running>,
}

impl Host {
    fn new() -> Self {
        let mut host = Host::without_backend();
        let mut supervisord = host.gateway.namespace.command(host.gateway.path("bin/supervisord"));
        supervisord.env("SUPERVISOR_ENABLED", "1");
        host._backend = Some(listener(supervisord, "a = listen(V4, '127.0.0.1')").0);
        host
    }

    pub(crate) fn without_backend() -> Self {
        let gateway = Gateway::new();
        let host = Host { gateway, _backend: None };
        host.program("supervisord", SUPERVISORD);
        for name in ["systemctl", "supervisorctl"] {
            host.program(name, "#!/bin/sh\ncat \"${0%/bin/*}/answers/$1\" 2>/dev/null\n");
        }
        for (name, said) in [("pppd", "pppd version 2.4.9"), ("pptp", "pptp version 1.10.0")] {
            host.program(name, &format!("#!/bin/sh\necho {said}\n"));
        }
        fs::create_dir(host.gateway.path("answers")).unwrap();
        host.answer("is-enabled", "disabled");
        host.answer("is-active", "inactive");
        host.answer("status", "backend    RUNNING   pid 9, uptime 0:00:05");
        host.configure("");
        host.gateway.node(2, "10.9.0.2", "secret");
        let database = host.gateway.path("connexa.db");
        fs::set_permissions(database, fs::Permissions::from_mode(0o600)).unwrap();
        host
    }

    fn program(&self, name: &str, text: &str) {
        self.gateway.script(name, text);
    }

    fn answer(&self, question: &str, text: &str) {
        fs::write(self.gateway.path("answers").join(question), format!("{text}\n")).unwrap();
    }

    pub(crate) fn configure(&self, toml: &str) {
        let restart = "backend.restart = [\"supervisorctl\", \"restart\", \"backend\"]";
        let toml = if toml.is_empty() { restart } else { toml };
        self.gateway.configure(toml);
    }

    /// The command line, within a `/dev` that has a `ppp`, behind `before`.
    fn command(&self, before: &str, arguments: &str) -> Command {
        let sandbox = self.gateway.path("").display().to_string();
        let mut command = self.gateway.namespace.command("sh");
        command.env("PATH", format!("{sandbox}/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
        command.args([
            "-c",
            &format!(
                "mount -t tmpfs dev /dev && mknod /dev/ppp c 1 3 && mknod /dev/null c 1 3 && \
             exec {before} {CONNEXACTL} doctor --config {sandbox}/connexad.toml {arguments}"
            ),
        ]);
        command
    }

    pub(crate) fn doctor(&self) -> Output {
        self.command("", "").output().unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.doctor().stdout).unwrap()
    }

    /// One finding of `--json`.
    fn finding(&self, check: &str) -> Finding {
        self.finding_behind("", check)
    }

    fn finding_behind(&self, before: &str, check: &str) -> Finding {
        let output = self.command(before, "--json").output().unwrap();
        let diagnosis: Diagnosis = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        diagnosis.findings.iter().find(|finding| finding.check == check).unwrap().clone()
    }
}

#[test]
fn the_socket_that_the_command_line_names_is_the_one_that_is_tried() {
    let host = Host::new();
    let socket = host.gateway.path("other.sock").display().to_string();
    let output = host.command("", &format!("--socket {socket}")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("connexad does not run: there is no {socket}")), "{text}");
}

#[test]
fn a_host_on_which_all_is_well_has_exit_code_0() {
    let mut host = Host::new();
    host.configure(
        "backend.restart = [\"supervisorctl\", \"restart\", \"backend\"]
        control.group = \"root\"",
    );
    host.gateway.start().wait_until("an answer", |_| true);
    let output = host.doctor();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.ends_with(" ok, 0 warnings, 0 failed\n"), "{text}");
}

#[test]
fn a_configuration_that_others_may_change_is_warned_of_by_doctor_and_at_the_start() {
    let mut host = Host::new();
    let config = host.gateway.path("connexad.toml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    let told = "connexad.toml can be written by every user";
    let finding = host.finding("configuration");
    assert!(finding.verdict == Verdict::Warning && finding.message.contains(told), "{finding:?}");
    assert!(finding.remedy.unwrap().contains("chmod go-w"));
    host.gateway.start();
    host.gateway.wait_log(told);
}

#[test]
fn two_managers_have_exit_code_1_and_a_remedy() {
    let host = Host::new();
    host.answer("is-enabled", "enabled");
    let output = host.doctor();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let lines = "failed   two_managers: supervisord and systemd both run the backend: \
                 program backend (RUNNING) and connexa-backend.service (enabled, inactive)\n\
                 \u{20}        → keep supervisord: systemctl disable --now connexa-backend.service\n";
    assert!(text.contains(lines), "{text}");
}

#[test]
fn a_port_held_by_what_was_started_by_hand_fails_with_the_way_out() {
    let host = Host::without_backend();
    let python = host.gateway.namespace.command("/usr/bin/python3");
    let (other, _) = listener(python, "a = listen(V4, '0.0.0.0')");
    let finding = host.finding("restart_conflict");
    assert_eq!(finding.verdict, Verdict::Failed);
    assert_eq!(finding.remedy, Some(format!("end it: kill {}", other.0.id())));
}

#[test]
fn two_programs_that_share_the_port_fail() {
    let host = Host::without_backend();
    let share = "a = socket.socket(); a.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
a.bind(('0.0.0.0', 8001)); a.listen()";
    let start = |name| {
        let name = host.gateway.path("bin").join(name);
        listener(host.gateway.namespace.command(name), share).0
    };
    std::os::unix::fs::symlink("/usr/bin/python3", host.gateway.path("bin/by-hand")).unwrap();
    let (_backend, other) = (start("supervisord"), start("by-hand"));
    let finding = host.finding("one_listener");
    assert_eq!(finding.verdict, Verdict::Failed, "{}", finding.message);
    assert_eq!(finding.remedy, Some(format!("keep one of them: kill {}", other.0.id())));
}

#[test]
fn a_port_that_is_open_in_a_hidden_process_is_worth_a_look() {
    let host = Host::new();
    let finding = host.finding_behind("unshare --pid --fork --mount-proc", "port_owner");
    assert_eq!(finding.verdict, Verdict::Warning, "{}", finding.message);
    assert_eq!(
        finding.message,
        "port 8001 is open on 127.0.0.1, and which program listens can't be seen"
    );
}

#[test]
fn a_backend_that_is_down_is_worth_a_look() {
    let finding = Host::without_backend().finding("port_owner");
    assert_eq!(finding.message, "nothing listens on port 8001: the backend is down");
    let remedy = "see its log, then start it: supervisorctl restart backend";
    assert_eq!(finding.remedy.as_deref(), Some(remedy));
}

#[test]
fn a_restart_command_that_is_not_there_fails() {
    let host = Host::new();
    host.configure("backend.restart = [\"restart-nothing\"]");
    let text = host.text();
    let line = "failed   restart_command: restart-nothing is not there, so the backend can't be restarted (backend.restart)\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn where_outages_are_switched_off_no_backend_is_missed() {
    let host = Host::without_backend();
    host.configure("outage.interval = \"365d\"\nbackend.restart = [\"restart-nothing\"]");
    let text = host.text();
    assert!(text.contains("ok       backend: none is restarted"), "{text}");
    for check in ["restart_command", "two_managers", "port_owner"] {
        assert!(!text.contains(check), "{text}");
    }
}

#[test]
fn a_database_that_is_missing_fails() {
    let host = Host::new();
    fs::remove_file(host.gateway.path("connexa.db")).unwrap();
    assert_eq!(host.finding("database").verdict, Verdict::Failed);
}

#[test]
fn a_rule_of_somebody_else_before_those_of_guarded_nodes_is_worth_a_look() {
    let host = Host::new();
    host.configure("routing = { table_base = 1000, when_down = \"unreachable\" }");
    let rule = |rule: &[&str]| host.gateway.namespace.ip(&[&["rule", "add"], rule].concat());
    assert_eq!(host.finding("when_down").verdict, Verdict::Ok);
    rule(&["fwmark", "7", "priority", "20000", "lookup", "main"]);
    assert_eq!(host.finding("when_down").verdict, Verdict::Ok);
    rule(&["fwmark", "1001", "priority", "300", "lookup", "main"]);
    let finding = host.finding("when_down");
    assert_eq!(finding.verdict, Verdict::Warning, "{}", finding.message);
    assert!(finding.message.contains("(priority 300)"), "{}", finding.message);
}

#[test]
fn a_strict_reverse_path_filter_is_worth_a_look_with_and_without_tables_of_tunnels() {
    let host = Host::new();
    let strict = "echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter";
    run(host.gateway.namespace.command("sh").args(["-c", strict]));
    assert_eq!(host.finding("reverse_path").verdict, Verdict::Warning);
    host.configure("routing.table_base = 1000");
    let finding = host.finding("reverse_path");
    assert_eq!(finding.verdict, Verdict::Warning);
    let remedy = "sysctl -w net.ipv4.conf.all.rp_filter=2, and the same in /etc/sysctl.d";
    assert_eq!(finding.remedy.as_deref(), Some(remedy));
}

#[test]
fn the_older_watchdog_that_runs_is_named_with_the_way_to_end_it() {
    let host = Host::new();
    fs::create_dir_all(host.gateway.path("app/backend")).unwrap();
    let script = host.gateway.path("app/backend/watchdog.py");
    fs::write(&script, "import time\nprint('runs', flush=True)\ntime.sleep(3600)\n").unwrap();
    assert_eq!(host.finding("older_manager").verdict, Verdict::Ok);
    let mut command = host.gateway.namespace.command("/usr/bin/python3");
    command.args(["watchdog.py", "--interval", "30"]).current_dir(script.parent().unwrap());
    let mut older = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    // Held open: the rest of the line may be written later.
    let mut said = older.0.stdout.take().unwrap();
    said.read_exact(&mut [0; 4]).unwrap();
    let finding = host.finding("older_manager");
    assert_eq!(finding.verdict, Verdict::Failed);
    let pid = older.0.id();
    assert!(finding.message.contains(&format!("runs as pid {pid} ")), "{finding:?}");
    assert!(finding.remedy.unwrap().ends_with(&format!(": kill {pid}")));
    fs::remove_file(script).unwrap();
    assert_eq!(host.finding("older_manager").verdict, Verdict::Failed, "its file is gone");
}

#[test]
fn a_rule_that_is_left_of_a_node_that_is_gone_is_worth_a_look() {
    let host = Host::new();
    host.configure("routing.table_base = 1000");
    let rule = |rule: &[&str]| host.gateway.namespace.ip(&[&["rule", "add"], rule].concat());
    rule(&["fwmark", "1002", "priority", "10001", "lookup", "1002", "protocol", "201"]);
    assert_eq!(host.finding("leftovers").verdict, Verdict::Ok);
    rule(&["fwmark", "1009", "priority", "10001", "lookup", "1009", "protocol", "201"]);
    let finding = host.finding("leftovers");
    assert_eq!(finding.verdict, Verdict::Warning);
    assert!(finding.message.starts_with("tables 1009 hold"), "{}", finding.message);
}

#[test]
fn a_packet_filter_that_drops_what_tunnels_need_fails() {
    let host = Host::new();
    assert_eq!(host.finding("firewall").verdict, Verdict::Ok);
    let rules = "add table inet f; add chain inet f out { type filter hook output priority 0; policy drop; }";
    run(host.gateway.namespace.command("nft").arg(rules));
    let finding = host.finding("firewall");
    assert_eq!(finding.verdict, Verdict::Failed);
    assert!(
        finding.message.contains("TCP to port 1723 in chain inet f out"),
        "{}",
        finding.message
    );
}

#[test]
fn a_configuration_that_is_wrong_has_exit_code_78() {
    let host = Host::new();
    host.gateway.configure_raw("[tunnel]\nmtuu = 1\n");
    let output = host.doctor();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `mtu`?"));
}

#[test]
fn the_daemon_answers_other_questions_while_a_check_of_its_hangs() {
    let mut host = Host::new();
    fs::remove_file(host.gateway.path("answers/status")).unwrap();
    run(Command::new("mkfifo").arg(host.gateway.path("answers/status")));
    let supervisorctl = host.gateway.path("bin/supervisorctl").display().to_string();
    host.configure(&format!("backend.restart = [{supervisorctl:?}, \"restart\", \"backend\"]"));
    host.gateway.start().wait_until("an answer", |_| true);
    let socket = host.gateway.path("control/connexad.sock");
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET /v1/doctor HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    // Opens once the check reads at its other end.
    let fifo = fs::OpenOptions::new().write(true).open(host.gateway.path("answers/status"));
    assert!(host.gateway.status().is_some());
    writeln!(fifo.unwrap(), "backend RUNNING pid 9").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("two_managers"), "{answer}");
}
