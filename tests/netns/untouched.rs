//! `connexactl doctor` looks at everything and changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use rustix::process::Signal;

use crate::doctor::Host;
use crate::gateway::Gateway;
use crate::namespace::run;

/// Everything below a folder: of each thing its kind and mode, its owner, when it was changed, and what it
/// holds.
fn files(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        let changed = about.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let holds = if about.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else if about.is_file() {
            String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
        } else {
            String::new()
        };
        let (mode, owner, group) = (about.mode(), about.uid(), about.gid());
        let told = format!("{mode:o} {owner}:{group} {changed:?} {holds}");
        found.insert(path.display().to_string(), told);
        if about.is_dir() {
            files(&path, found);
        }
    }
}

/// What stands in the sandbox, and what the kernel has for the namespace.
fn everything(gateway: &Gateway) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    files(&gateway.path(""), &mut found);
    for words in [
        &["-details", "link"][..],
        &["address"],
        &["route", "show", "table", "all"],
        &["rule"],
        &["neigh"],
    ] {
        found.insert(format!("ip {words:?}"), gateway.namespace.ip(words));
    }
    let mut ruleset = gateway.namespace.command("nft");
    found.insert("nft".to_owned(), run(ruleset.args(["list", "ruleset"])));
    let mut settings = gateway.namespace.command("sysctl");
    // Some can't be read, which sysctl tells.
    let settings = settings.args(["--all", "--pattern", "^net\\."]).stderr(Stdio::null()).output();
    found.insert("sysctl".to_owned(), String::from_utf8(settings.unwrap().stdout).unwrap());
    found
}

/// What is another than before, a line of each.
fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let keys = before.keys().chain(after.keys());
    let differ = keys.filter(|key| before.get(*key) != after.get(*key));
    differ.map(|key| format!("{key}: {:?}\n{:?}", before.get(key), after.get(key))).collect()
}

#[test]
fn a_doctor_who_finds_much_wrong_changes_no_file_link_route_rule_or_setting() {
    let mut host = Host::without_backend();
    host.configure(
        "[routing]
        table_base = 1000
        when_down = 'unreachable'
        [hooks]
        up = ['/nowhere/hook']
        [outage]
        startup_delay = '1h'",
    );
    let gateway = &mut host.gateway;
    fs::remove_file(gateway.path("bin/pppd")).unwrap();
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netns/fake_pppd.py");
    gateway.install("pppd", &fake);
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.wait_for("a rule", || gateway.namespace.ip(&["rule"]).contains("1001").then_some(()));
    gateway.end(Signal::KILL);
    // What is left of a daemon that was killed, of a node that is gone, and of somebody else.
    gateway.sql("DELETE FROM nodes WHERE id = 1");
    fs::write(gateway.path("ppp/options"), "nodefaultroute\nlock\nidle 60\n").unwrap();
    fs::write(gateway.path("run/ppp9.pid"), "999999\n").unwrap();
    gateway.namespace.ip(&["link", "add", "veth0", "type", "veth", "peer", "name", "veth1"]);
    let mut filter = Command::new("ip");
    let table = "add table inet theirs; add chain inet theirs in { type filter hook input priority 0; policy drop; }";
    let name = gateway.namespace.name();
    run(filter.args(["netns", "exec", name, "nft", table]));
    let before = everything(gateway);
    assert!(before["nft"].contains("policy drop") && before["sysctl"].contains("rp_filter"));
    let output = host.doctor();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("policy") || said.contains("drop"), "{said}");
    let changed = differences(&before, &everything(&host.gateway));
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}
