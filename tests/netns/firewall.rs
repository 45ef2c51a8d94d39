//! `connexactl firewall` against the real packet filter of a network namespace.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::gateway::CONNEXACTL;
use crate::namespace::{Namespace, run};

/// A filter that drops what it does not know, as an operator may have it.
const STRICT: &str = "table inet f {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname lo accept
    ct state invalid drop
    tcp dport 22 accept
  }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname lo accept
    udp dport 53 accept
  }
}";
const INTO: [&str; 8] = ["--into", "inet", "f", "input", "--into", "inet", "f", "output"];
const IPTABLES: [&str; 2] = ["--filter", "iptables"];

struct Host(Namespace);

impl Host {
    /// Another chain drops what comes in, behind those that were there.
    fn drops_late(&self) {
        let hook = "{ type filter hook input priority 10; policy drop; }";
        run(self.0.command("nft").args(["add", "chain", "inet", "f", "late", hook]));
    }

    fn new() -> Self {
        Host(Namespace::new())
    }

    /// With nftables' rules.
    fn with(rules: &str) -> Self {
        let host = Host::new();
        let mut nft =
            host.0.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success());
        host
    }

    /// With iptables' policies to drop.
    fn with_iptables() -> Self {
        let host = Host::new();
        for arguments in [
            &["-P", "INPUT", "DROP"][..],
            &["-A", "INPUT", "-i", "lo", "-j", "ACCEPT"],
            &["-P", "OUTPUT", "DROP"],
            &["-A", "OUTPUT", "-p", "udp", "--dport", "53", "-j", "ACCEPT"],
        ] {
            run(host.0.command("iptables").args(arguments));
        }
        host
    }

    /// The exit code of `connexactl firewall`, and what it has said.
    fn told(&self, arguments: &[&[&str]]) -> (i32, String) {
        let mut command = self.0.command(CONNEXACTL);
        let output = command.arg("firewall").args(arguments.concat()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    fn done(&self, arguments: &[&[&str]]) {
        let (code, said) = self.told(arguments);
        assert_eq!(code, 0, "{said}");
    }

    fn nft(&self) -> String {
        run(self.0.command("nft").args(["-s", "list", "ruleset"]))
    }

    /// Without the comments, which have the time.
    fn iptables(&self) -> String {
        let saved = run(&mut self.0.command("iptables-save"));
        saved.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn without_rules_nothing_drops_and_none_are_put() {
    let host = Host::new();
    let well = "ok      no chain drops TCP port 1723 or GRE\n";
    assert_eq!(host.told(&[&["check"]]), (0, well.to_owned()));
    host.done(&[&["apply"]]);
    assert_eq!(host.nft(), "");
}

#[test]
fn check_names_the_chains_that_drop() {
    let (code, said) = Host::with(STRICT).told(&[&["check"]]);
    assert_eq!(code, 1);
    let all = ["output drops TCP to", "output drops GRE", "input drops answers", "input drops GRE"];
    assert!(all.iter().all(|what| said.contains(&format!("inet f {what}"))), "{said}");
}

/// The commonest filter of all: what this host begins is answered, and nothing else comes in.
const STATEFUL: &str = "table inet f {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname lo accept
    ct state established,related accept
  }
}";

#[test]
fn a_stateful_filter_drops_gre_which_no_helper_follows() {
    let (code, said) = Host::with(STATEFUL).told(&[&["check"]]);
    assert_eq!(
        (code, said.lines().next()),
        (1, Some("failed  inet f input drops GRE from servers"))
    );
}

#[test]
fn rules_that_are_not_understood_are_no_success() {
    let host = Host::with(
        "table inet f {
          chain input {
            type filter hook input priority filter; policy drop;
            iifname eth9 accept
          }
        }",
    );
    let (code, said) = host.told(&[&["check"]]);
    assert!(code == 1 && said.contains("warning inet f input may drop"), "{said}");
    let (code, said) = host.told(&[&["apply"]]);
    assert!(code == 1 && said.contains("--into inet f input"), "{said}");
}

#[test]
fn what_is_printed_is_what_apply_puts() {
    let host = Host::with(STRICT);
    let printed = host.told(&[&["print", "--clamp-mss"]]).1;
    let twin = Host::with(&format!("{STRICT}\n{printed}"));
    host.done(&[&["apply", "--clamp-mss"], &INTO]);
    assert_eq!(twin.nft(), host.nft());
}

#[test]
fn what_is_printed_done_and_taken_away_is_told_as_json_too() {
    let host = Host::with(STRICT);
    let told = |arguments: &[&[&str]]| {
        let (code, said) = host.told(arguments);
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{code}: {said}"));
        (code, said)
    };
    let printed = host.told(&[&["print"]]).1;
    let json = &["--json"][..];
    assert_eq!(told(&[&["print"], json]), (0, json!({ "filter": "nft", "rules": printed })));
    let applied = told(&[&["apply"], &INTO, json]);
    assert_eq!(applied, (0, json!({ "done": "applied", "troubles": [] })));
    assert_eq!(told(&[&["remove"], json]), (0, json!({ "done": "removed" })));
}

#[test]
fn apply_refuses_with_the_command_that_would_do() {
    let host = Host::with(STRICT);
    let before = host.nft();
    let (code, said) = host.told(&[&["apply"]]);
    let remedy = "connexactl firewall apply --into inet f output --into inet f input";
    assert!(code == 1 && said.contains(remedy), "{said}");
    assert_eq!(host.nft(), before);
}

#[test]
fn the_command_that_would_do_does_all_that_was_asked_for() {
    let host = Host::with(STRICT);
    let (code, said) = host.told(&[&["apply", "--clamp-mss", "--server", "10.0.0.1"]]);
    assert_eq!(code, 1);
    assert!(said.contains("--into inet f input --clamp-mss --server 10.0.0.1"), "{said}");
}

#[test]
fn after_apply_nothing_drops() {
    let host = Host::with(STRICT);
    host.done(&[&["apply"], &INTO]);
    host.done(&[&["check"]]);
}

#[test]
fn rules_for_one_server_do_not_let_another_in() {
    let host = Host::with(STRICT);
    host.done(&[&["apply", "--server", "10.0.0.1"], &INTO]);
    let (code, said) = host.told(&[&["check", "--server", "10.0.0.2"]]);
    assert!(code == 1 && said.contains("input drops GRE from servers"), "{said}");
}

#[test]
fn check_knows_the_servers_that_the_rules_are_for_and_its_advice_keeps_to_them() {
    let host = Host::with(STRICT);
    host.done(&[&["apply", "--server", "10.0.0.1", "--server", "10.0.0.2"], &INTO]);
    let well = "ok      no chain drops TCP port 1723 or GRE of the servers that rules are for\n";
    assert_eq!(host.told(&[&["check"]]), (0, well.to_owned()));
    host.drops_late();
    let (code, said) = host.told(&[&["check"]]);
    let advice = "→ connexactl firewall apply --server 10.0.0.1 --server 10.0.0.2\n";
    assert!(code == 1 && said.contains(advice), "{said}");
    let (_, said) = host.told(&[&["apply", "--server", "10.0.0.1"]]);
    assert!(said.contains("--into inet f late") && said.contains(" --server 10.0.0.1"), "{said}");
}

#[test]
fn rules_for_the_nodes_are_known_as_such() {
    let gateway = crate::gateway::Gateway::new();
    gateway.nodes(2);
    let (config, host) = (gateway.path("connexad.toml"), Host::with(STRICT));
    let of_nodes = ["--of-nodes", "--config", config.to_str().unwrap()];
    host.done(&[&["apply"], &INTO, &of_nodes]);
    host.drops_late();
    let (code, said) = host.told(&[&["check"]]);
    assert!(code == 1 && said.contains("→ connexactl firewall apply --of-nodes\n"), "{said}");
    host.done(&[&["remove"]]);
    assert!(!host.nft().contains("10.9.0.1"), "{}", host.nft());
}

/// What earlier versions marked by the word alone.
const OLDER: &str = "table inet f {
  chain input {
    type filter hook input priority filter; policy drop;
    ip saddr { 10.0.0.1, 10.0.0.2 } tcp sport 1723 ct state established,related accept comment \"connexa\"
    ip saddr 10.0.0.1 ip protocol gre accept comment \"connexa\"
    ip protocol gre ct state established,related accept comment \"connexa\"
    tcp dport 22 accept comment \"connexa\"
    ip saddr 10.7.0.0/16 tcp sport 1723 accept comment \"connexa\"
    iifname \"eth0\" ip protocol gre accept comment \"connexa\"
  }
}";

#[test]
fn rules_of_earlier_versions_are_taken_away_and_the_operator_s_own_with_their_word_stay() {
    let host = Host::with(OLDER);
    host.done(&[&["remove"]]);
    let left: Vec<String> =
        host.nft().lines().filter(|line| line.contains("connexa")).map(str::to_owned).collect();
    let expected = ["tcp dport 22", "10.7.0.0/16", "iifname \"eth0\""];
    assert_eq!(left.len(), expected.len(), "{left:?}");
    assert!(left.iter().zip(expected).all(|(line, rule)| line.contains(rule)), "{left:?}");
}

#[test]
fn apply_twice_is_apply_once() {
    let host = Host::with(STRICT);
    host.done(&[&["apply", "--clamp-mss"], &INTO]);
    let once = host.nft();
    host.done(&[&["apply", "--clamp-mss"]]);
    assert_eq!(host.nft(), once);
}

#[test]
fn after_remove_the_rules_are_byte_for_byte_what_they_were() {
    let host = Host::with(STRICT);
    let before = host.nft();
    host.done(&[&["apply", "--clamp-mss", "--conntrack-helper"], &INTO]);
    assert_ne!(host.nft(), before);
    host.done(&[&["remove"]]);
    assert_eq!(host.nft(), before);
}

#[test]
fn a_chain_that_is_not_there_changes_nothing() {
    let host = Host::with(STRICT);
    let before = host.nft();
    let (code, said) = host.told(&[&["apply", "--into", "inet", "f", "nowhere"]]);
    assert!(code == 1 && said.contains("no base chain inet f nowhere"), "{said}");
    assert_eq!(host.nft(), before);
}

#[test]
fn a_table_of_the_operator_s_with_the_name_of_ours_stays() {
    let host = Host::with(
        "table ip connexa {
      chain mine {
        tcp dport 22 accept
      }
    }",
    );
    let before = host.nft();
    let (code, said) = host.told(&[&["remove"]]);
    assert!(code == 1 && said.contains("rename that table"), "{said}");
    assert_eq!(host.nft(), before);
}

#[test]
fn a_chain_of_iptables_is_left_to_iptables() {
    let (code, said) = Host::with_iptables().told(&[&["apply", "--filter", "nft"]]);
    assert!(code == 1 && said.contains("connexactl firewall apply --filter iptables"), "{said}");
}

#[test]
fn iptables_gets_chains_of_their_own_and_drops_no_more() {
    let host = Host::with_iptables();
    let (code, said) = host.told(&[&["check"]]);
    assert!(code == 1 && said.contains("ip filter INPUT drops GRE"), "{said}");
    host.done(&[&["apply"], &IPTABLES]);
    host.done(&[&["check"]]);
}

#[test]
fn iptables_rules_are_put_once_and_taken_away_byte_for_byte() {
    let host = Host::with_iptables();
    let before = host.iptables();
    host.done(&[&["apply", "--clamp-mss"], &IPTABLES]);
    let once = host.iptables();
    assert_ne!(once, before);
    host.done(&[&["apply", "--clamp-mss"], &IPTABLES]);
    assert_eq!(host.iptables(), once);
    host.done(&[&["remove"]]);
    assert_eq!(host.iptables(), before);
}

#[test]
fn what_is_printed_for_iptables_is_what_apply_puts() {
    let host = Host::with_iptables();
    let printed = host.told(&[&["print"], &IPTABLES]).1;
    let twin = Host::with_iptables();
    let mut restore = twin.0.command("iptables-restore");
    let mut restore = restore.arg("--noflush").stdin(Stdio::piped()).spawn().unwrap();
    restore.stdin.take().unwrap().write_all(printed.as_bytes()).unwrap();
    assert!(restore.wait().unwrap().success());
    host.done(&[&["apply"], &IPTABLES]);
    assert_eq!(twin.iptables(), host.iptables());
}

#[test]
fn a_chain_that_another_has_put_beside_ours_meanwhile_stays() {
    let host = Host::with_iptables();
    host.done(&[&["apply"], &IPTABLES]);
    run(host.0.command("nft").args(["add", "chain", "ip", "raw", "mine"]));
    host.done(&[&["remove"]]);
    assert!(host.nft().contains("chain mine"), "{}", host.nft());
}

#[test]
fn a_table_of_iptables_that_was_there_stays() {
    let host = Host::with_iptables();
    run(host
        .0
        .command("iptables")
        .args(["-t", "raw", "-A", "OUTPUT", "-p", "udp", "-j", "NOTRACK"]));
    let before = host.iptables();
    host.done(&[&["apply"], &IPTABLES]);
    host.done(&[&["remove"]]);
    assert_eq!(host.iptables(), before);
}
