//! iptables' rules in the form of `iptables-save`.

mod script;

use super::rules;
use super::ruleset::{Chain, Condition, Hook, Net, Rule, Ruleset, Verdict};
use super::tool::Filter;
pub(super) use script::{apply, made_tables, remove};

/// The mark of a jump from a table that was not there before: it goes with the jump.
const MADE: &str = "connexa:6f1d93:made-this-table";

/// The same of earlier versions.
const OLD_MADE: &str = "connexa made this table";

/// Reads what `iptables-save` says. Rules of `nat` are left out: they drop nothing.
pub(super) fn read(text: &str) -> Ruleset {
    let (mut ruleset, mut table) = (Ruleset::default(), "");
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(chain) = line.strip_prefix(':').filter(|_| table != "nat") {
            ruleset.chains.extend(self::chain(table, chain));
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let (name, rest) = rule.split_once(' ').unwrap_or((rule, ""));
            let mut chains = ruleset.chains.iter_mut();
            if let Some(chain) = chains.find(|chain| chain.table == table && chain.name == name) {
                chain.rules.push(self::rule(name, rest));
            }
        }
    }
    ruleset
}

/// As `INPUT DROP [0:0]`, or `MINE - [0:0]`.
fn chain(table: &str, text: &str) -> Option<Chain> {
    let mut words = text.split(' ');
    let (name, policy) = (words.next()?, words.next()?);
    let hook = match name {
        "INPUT" | "PREROUTING" => Some(Hook::In),
        "OUTPUT" | "POSTROUTING" => Some(Hook::Out),
        _ => None,
    };
    Some(Chain {
        by: Filter::Iptables,
        family: "ip".to_owned(),
        table: table.to_owned(),
        name: name.to_owned(),
        base: hook.map(|hook| (hook, policy == "DROP")),
        rules: Vec::new(),
    })
}

/// The words after `-A CHAIN` (iptables(8), iptables-extensions(8)).
fn rule(chain: &str, text: &str) -> Rule {
    let words = words(text);
    let (conditions, verdict) = (Vec::new(), Verdict::Nothing);
    let mut rule =
        Rule { conditions, verdict, ours: false, of_nodes: false, helps: false, handle: None };
    let mut comment = "";
    let mut words = words.iter().map(String::as_str).peekable();
    let mut negated = false;
    while let Some(word) = words.next() {
        if word == "!" {
            negated = true;
            continue;
        }
        let mut values = Vec::new();
        while let Some(value) = words.next_if(|next| !next.starts_with('-') && *next != "!") {
            values.push(value);
        }
        let value = values.first().copied().unwrap_or_default();
        let condition = match word {
            "-m" => None,
            "--comment" => {
                comment = value;
                None
            }
            "-j" | "-g" => {
                rule.verdict = self::verdict(word, value);
                // What follows is about the target.
                let about = words.by_ref().collect::<Vec<_>>();
                rule.helps = value == "CT" && about == ["--helper", "pptp"];
                break;
            }
            _ => Some(condition(word, value)),
        };
        rule.conditions.extend(condition.map(|condition| {
            if negated { Condition::Not(Box::new(condition)) } else { condition }
        }));
        negated = false;
    }
    let jumps = matches!(&rule.verdict, Verdict::Jump(name) if script::is_own(name));
    rule.ours = rules::is_ours(comment, || jumps || script::is_own(chain))
        || comment == MADE
        || comment == OLD_MADE && jumps;
    rule.of_nodes = rules::is_of_nodes(comment);
    rule
}

/// What a target does (iptables-extensions(8)); `word` is `-j` or `-g`.
pub(super) fn verdict(word: &str, target: &str) -> Verdict {
    match target {
        "ACCEPT" => Verdict::Accept,
        "DROP" | "REJECT" => Verdict::Drop,
        "RETURN" => Verdict::Return,
        "LOG" | "NFLOG" | "TCPMSS" | "MARK" | "CONNMARK" | "CT" | "TOS" | "DSCP" | "TTL"
        | "ULOG" | "CHECKSUM" | "TRACE" | "" => Verdict::Nothing,
        chain if word == "-g" => Verdict::Goto(chain.to_owned()),
        chain => Verdict::Jump(chain.to_owned()),
    }
}

fn condition(word: &str, value: &str) -> Condition {
    let list = || value.split(',').map(str::to_owned).collect();
    let ports = || value.split(',').map(port).collect::<Option<Vec<_>>>();
    let known = match word {
        "-i" => Some(Condition::In(list())),
        "-o" => Some(Condition::Out(list())),
        "-p" if value == "all" => {
            Some(Condition::Source(vec![Net(std::net::Ipv4Addr::UNSPECIFIED, 0)]))
        }
        "-p" => Some(Condition::Protocol(list())),
        "-s" => Net::parse(value).map(|net| Condition::Source(vec![net])),
        "-d" => Net::parse(value).map(|net| Condition::Destination(vec![net])),
        "--sport" | "--sports" => ports().map(Condition::SourcePort),
        "--dport" | "--dports" => ports().map(Condition::DestinationPort),
        "--ctstate" | "--state" => Some(Condition::State(list())),
        _ => None,
    };
    known.unwrap_or(Condition::Unknown)
}

fn port(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Words apart by blanks; those within `"` are one.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for letter in text.chars() {
        match letter {
            _ if escaped => {
                word.push(letter);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::super::fate::Fate;
    use super::super::ruleset::{Packet, Protocol};
    use super::*;

    const SAVED: &str = "# Generated\n*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nRULES\nCOMMIT\n";

    /// What these rules do to a packet from a server.
    fn fate(rules: &str, protocol: Protocol, state: &'static str) -> Option<Fate> {
        let ruleset = read(&SAVED.replace("RULES", rules));
        let packet = Packet { out: false, protocol, server: None, state };
        ruleset.trouble(&packet).first().map(|(_, fate)| *fate)
    }

    const STATEFUL: &str =
        "-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";

    #[test]
    fn answers_of_established_connections_pass() {
        assert_eq!(fate(STATEFUL, Protocol::Tcp, "established"), None);
    }

    #[test]
    fn gre_that_no_helper_follows_is_new_and_does_not() {
        assert_eq!(fate(STATEFUL, Protocol::Gre, "new"), Some(Fate::Dropped));
    }

    #[test]
    fn the_rules_of_a_server_do_not_let_a_client_s_answers_in() {
        // v7.4.6's: the port is the server's, so answers come from it and do not go to it.
        let rules = "-A INPUT -p tcp -m tcp --dport 1723 -m comment --comment \"a b\" -j ACCEPT";
        assert_eq!(fate(rules, Protocol::Tcp, "established"), Some(Fate::Dropped));
    }

    #[test]
    fn a_helper_for_calls_of_this_host_is_seen() {
        let saved = "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --dport 1723 -j CT --helper pptp\nCOMMIT\n";
        assert!(read(saved).follows_our_calls(None));
    }
}
