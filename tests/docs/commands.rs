//! What the pages show as a command is run, on a gateway where all paths are the real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::gateway::{CONNEXACTL, CONNEXAD, Gateway};
use crate::namespace::Running;
use crate::pages::{self, Block, Page, Shown};

/// Folders of the sandbox that are mounted over those of the system, for the programs within.
const MOUNTS: &str = "mount --bind $0/etc /etc && mount --bind $0/ppp /etc/ppp && \
                      mount --bind $0/run /run && mount --bind $0/lib /var/lib && exec \"$@\"";

/// A gateway as an operator finds it: nodes 1 to 3 are up, node 4 is quarantined, node 5 is dialled
/// in vain. It goes with its daemon when the page has been read.
struct Host {
    daemon: Option<Running>,
    gateway: Gateway,
}

impl Host {
    fn new() -> Self {
        let gateway = Gateway::new();
        let sandbox = gateway.path("").display().to_string();
        for folder in ["etc/connexa", "etc/ppp", "lib/connexa"] {
            fs::create_dir_all(gateway.path(folder)).unwrap();
        }
        for file in ["passwd", "group"] {
            fs::copy(Path::new("/etc").join(file), gateway.path("etc").join(file)).unwrap();
        }
        for (name, program) in [("connexad", CONNEXAD), ("connexactl", CONNEXACTL)] {
            symlink(program, gateway.path("bin").join(name)).unwrap();
        }
        gateway.nodes(1);
        gateway.configure(
            "database.path = \"/var/lib/connexa.db\"
            control.socket = \"/run/connexa/connexad.sock\"
            routing.table_base = 1000
            [paths]
            ppp_dir = \"/etc/ppp\"
            run_dir = \"/run\"
            state_dir = \"/var/lib/connexa\"",
        );
        fs::rename(gateway.path("connexad.toml"), gateway.path("etc/connexa/connexad.toml"))
            .unwrap();
        fs::rename(gateway.path("connexa.db"), gateway.path("lib/connexa.db")).unwrap();
        let mut host = Host { daemon: None, gateway };
        let log = fs::File::create(format!("{sandbox}/connexad.log")).unwrap();
        let daemon = host.command("exec connexad").stderr(log).stdout(Stdio::null()).spawn();
        host.daemon = Some(Running(daemon.unwrap()));
        host.wait(1, "up");
        // One after the other: pppN is of node N + 1 then, whatever is stopped and dialled again.
        for id in [2, 3] {
            host.gateway.server(&format!("10.9.0.{id}"), &json!({}));
            host.add(id);
            host.wait(id, "up");
        }
        host.gateway.server("10.9.0.4", &json!({ "password": "another" }));
        host.add(4);
        host.wait(4, "quarantined");
        host.add(5);
        host.wait(5, "backoff");
        host
    }

    fn add(&self, id: usize) {
        let line = format!(
            "echo secret | connexactl node add --id {id} --ip 10.9.0.{id} --login admin \
             --status speed_ok --password-stdin"
        );
        assert!(self.run(&line).status.success(), "{line}");
    }

    fn wait(&self, id: usize, state: &str) {
        self.gateway.wait_for(&format!("node {id}: {state}"), || {
            let status = self.ask("connexactl status --json")?;
            (status["nodes"][id - 1]["state"] == state).then_some(())
        });
    }

    /// A line for the shell, in the namespaces of this host.
    fn command(&self, line: &str) -> Command {
        let sandbox = self.gateway.path("");
        let mut command = self.gateway.namespace.command("sh");
        command.arg("-c").arg(MOUNTS).arg(&sandbox).args(["bash", "-o", "pipefail", "-c", line]);
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", sandbox.join("bin").display());
        command.env("PATH", path).stdin(Stdio::null()).current_dir(env!("CARGO_MANIFEST_DIR"));
        for name in ["CONNEXA_DB", "NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn ask(&self, line: &str) -> Option<Value> {
        serde_json::from_slice(&self.run(line).stdout).ok()
    }

    /// Runs a documented command; gives back what it printed.
    fn try_out(&self, shown: &Shown) -> Result<Vec<u8>, String> {
        let output = self.run(&shown.command);
        let code = output.status.code().unwrap_or(-1);
        let comment = shown.command.split_once(" # ").map_or("", |(_, comment)| comment);
        let expected = comment
            .split("exit code ")
            .nth(1)
            .map_or("0", |rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("0"));
        // "exit code 1 when …" depends on the host.
        if code.to_string() == expected || code == 0 && comment.contains(" when ") {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("{}: `{}` ended with {code}: {said}", shown.place, shown.command))
    }
}

#[test]
fn every_command_is_run_or_says_why_not() {
    let mut ran = 0;
    let mut not_run: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut problems = Vec::new();
    for page in pages::all() {
        for shown in page.commands() {
            if let Some(why) = shown.not_run {
                let page = page.name.trim_start_matches("docs/");
                let command = shown.command.split(" #").next().unwrap_or_default().trim_end();
                not_run.entry(why).or_default().push(format!("{page}: {command}"));
            }
        }
        if page.commands().iter().any(|shown| shown.not_run.is_none()) {
            ran += run_page(&page, &mut problems);
        }
    }
    let left: usize = not_run.values().map(Vec::len).sum();
    report(&format!("documented commands: {ran} run, {left} not run"));
    for (why, commands) in not_run {
        report(&format!("not run, {why}: {}", commands.join("; ")));
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// For `tests/all`, which shows these lines.
#[allow(clippy::print_stdout, reason = "it is this test's output")]
fn report(line: &str) {
    // The dots of `cargo test --quiet` have no end of line.
    println!("\ndocs: {line}");
}

/// Runs the commands of a page, in order, on one host.
fn run_page(page: &Page, problems: &mut Vec<String>) -> usize {
    let host = Host::new();
    let mut ran = 0;
    let mut last = None;
    for block in &page.blocks {
        match &*block.language {
            "sh" => {
                for shown in block.commands(&page.name) {
                    if shown.not_run.is_none() {
                        ran += 1;
                        last = host.try_out(&shown).map_err(|problem| problems.push(problem)).ok();
                    }
                }
            }
            "json" => problems.extend(compare(page, block, last.as_deref())),
            _ => {}
        }
    }
    ran
}

/// A `json` block shows what the command before it printed: the same fields, whatever the values.
fn compare(page: &Page, block: &Block, printed: Option<&[u8]>) -> Option<String> {
    let place = format!("{}:{}", page.name, block.line);
    let shown = match serde_json::from_str(&block.lines.join("\n")) {
        Ok(shown) => fields(&shown),
        Err(error) => return Some(format!("{place}: {error}")),
    };
    let printed = printed.and_then(|text| serde_json::from_slice(text).ok());
    let Some(real) = printed.map(|value| fields(&value)) else {
        return Some(format!("{place}: no command before it prints JSON"));
    };
    let unlike: Vec<&String> = shown.symmetric_difference(&real).collect();
    (!unlike.is_empty()).then(|| format!("{place}: differs from the real answer in {unlike:?}"))
}

/// The fields of an answer, dotted. Those below a field that may be null, and the states that are
/// counted, depend on the moment.
fn fields(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    gather(value, "", &mut found);
    found.retain(|name| {
        ["counts.", "last_error.", "host_fault.", "reason."].iter().all(|part| !name.contains(part))
    });
    found
}

fn gather(value: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(format!("{prefix}{name}"));
                gather(value, &format!("{prefix}{name}."), found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|one| gather(one, prefix, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_request_of_the_api_is_answered() {
    let host = Host::new();
    let mut refused = Vec::new();
    for (line, request) in Page::read("docs/api.md").column("request") {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let path = path.replace("{id}", "3");
        let curl = format!(
            "curl -sSN -X {method} --unix-socket /run/connexa/connexad.sock http://connexa{path}"
        );
        if path == "/metrics" {
            continue; // Its answer is no JSON; `connexactl metrics` is run above.
        }
        // That of events has no end.
        let first = format!("read -r line < <(exec {curl}); echo \"$line\"; kill $!");
        let answer = host.ask(if path == "/v1/events" { &first } else { &curl });
        // A problem has a status, a number; that of a node is a text.
        if answer.is_none_or(|answer| answer["status"].is_number()) {
            refused.push(format!("docs/api.md:{line}: {request}"));
        }
    }
    assert!(refused.is_empty(), "not answered: {refused:?}");
}

#[test]
fn every_block_says_what_it_is() {
    let known = ["sh", "toml", "json", "text", "ini", "yaml"];
    let blocks = pages::all().into_iter().flat_map(|page| {
        page.blocks.into_iter().map(move |block| (format!("{}:{}", page.name, block.line), block))
    });
    let odd: Vec<String> = blocks
        .filter(|(_, block)| !known.contains(&&*block.language))
        .map(|(place, block)| format!("{place}: {:?}", block.language))
        .collect();
    assert!(odd.is_empty(), "give each one of {known:?}: {odd:?}");
}
