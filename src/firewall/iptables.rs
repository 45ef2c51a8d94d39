//! iptables' rules in the form of `iptables-save`.

use super::rules::{self, MARK, Wish};
use super::ruleset::{Chain, Condition, Hook, Net, Rule, Ruleset, Verdict};

/// Chains of our own, with the one that each is jumped to from.
pub(super) const CHAINS: [(&str, &str, bool); 2] =
    [("CONNEXA-IN", "INPUT", false), ("CONNEXA-OUT", "OUTPUT", true)];
const MSS: &str = "CONNEXA-MSS";
const HELPER: &str = "CONNEXA-HELPER";

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
                chain.rules.push(self::rule(rest));
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
        family: "ip".to_owned(),
        table: table.to_owned(),
        name: name.to_owned(),
        base: hook.map(|hook| (hook, policy == "DROP")),
        rules: Vec::new(),
    })
}

/// The words after `-A CHAIN` (iptables(8), iptables-extensions(8)).
fn rule(text: &str) -> Rule {
    let words = words(text);
    let mut rule =
        Rule { conditions: Vec::new(), verdict: Verdict::Nothing, ours: false, handle: None };
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
                rule.ours = value == MARK;
                None
            }
            "-j" | "-g" => {
                rule.verdict = verdict(word, value);
                // What follows is about the target.
                break;
            }
            _ => Some(condition(word, value)),
        };
        rule.conditions.extend(condition.map(|condition| {
            if negated { Condition::Not(Box::new(condition)) } else { condition }
        }));
        negated = false;
    }
    rule
}

fn verdict(word: &str, target: &str) -> Verdict {
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

fn jump(from: &str, to: &str) -> String {
    format!("{from} -m comment --comment {MARK} -j {to}")
}

/// What `iptables-restore --noflush` is to read so that `wish` is fulfilled, once or again.
pub(super) fn apply(wish: &Wish, saved: &str) -> String {
    let mut text = String::from("*filter\n");
    for (chain, _, _) in CHAINS {
        text += &format!(":{chain} - [0:0]\n");
    }
    for (chain, base, out) in CHAINS {
        if !saved.lines().any(|line| line == format!("-A {}", jump(base, chain))) {
            text += &format!("-I {}\n", jump(&format!("{base} 1"), chain));
        }
        for rule in rules::iptables(wish, out, chain) {
            text += &format!("{rule}\n");
        }
    }
    text += "COMMIT\n";
    let mut extra = |wanted: bool, table: &str, base: &str, chain: &str, rule: &str| {
        if wanted {
            let jump_there =
                if saved.lines().any(|line| line == format!("-A {}", jump(base, chain))) {
                    String::new()
                } else {
                    format!("-A {}\n", jump(base, chain))
                };
            text += &format!("*{table}\n:{chain} - [0:0]\n{jump_there}-A {chain} {rule}\nCOMMIT\n");
        }
    };
    for links in ["ppp+", "cx+"] {
        let rule = format!(
            "-o {links} -p tcp -m tcp --tcp-flags SYN,RST SYN -m comment --comment {MARK} -j TCPMSS --clamp-mss-to-pmtu"
        );
        let chain = format!("{MSS}-{}", links.trim_end_matches('+').to_uppercase());
        extra(wish.clamp_mss, "mangle", "POSTROUTING", &chain, &rule);
    }
    let rule =
        format!("-p tcp -m tcp --dport 1723 -m comment --comment {MARK} -j CT --helper pptp");
    extra(wish.conntrack_helper, "raw", "PREROUTING", HELPER, &rule);
    text
}

/// What `iptables-restore --noflush` is to read so that nothing of ours is left; `None` where
/// there is nothing.
pub(super) fn remove(saved: &str) -> Option<String> {
    let (mut text, mut table, mut found) = (String::new(), String::new(), false);
    let (mut jumps, mut chains) = (Vec::new(), Vec::new());
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
        } else if let Some(name) = line.strip_prefix(':').and_then(|line| line.split(' ').next()) {
            if name.starts_with("CONNEXA-") {
                chains.push(name.to_owned());
            }
        } else if let Some(rule) = line.strip_prefix("-A ") {
            if !rule.starts_with("CONNEXA-")
                && self::rule(rule.split_once(' ').map_or("", |(_, rest)| rest)).ours
            {
                jumps.push(rule.to_owned());
            }
        } else if line == "COMMIT" && !(jumps.is_empty() && chains.is_empty()) {
            found = true;
            text += &format!("*{table}\n");
            jumps.drain(..).for_each(|rule| text += &format!("-D {rule}\n"));
            chains.iter().for_each(|chain| text += &format!("-F {chain}\n"));
            chains.drain(..).for_each(|chain| text += &format!("-X {chain}\n"));
            text += "COMMIT\n";
        }
    }
    found.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::super::ruleset::{Fate, Packet, Protocol};
    use super::*;

    const SAVED: &str = "# Generated\n*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nRULES\nCOMMIT\n";

    fn fate(rules: &str, protocol: Protocol) -> Option<Fate> {
        let ruleset = read(&SAVED.replace("RULES", rules));
        let packet = Packet { out: false, protocol, server: None };
        ruleset.trouble(&packet).first().map(|(_, fate)| *fate)
    }

    #[test]
    fn answers_of_established_connections_pass() {
        let rules = "-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
        assert_eq!(fate(rules, Protocol::Gre), None);
    }

    #[test]
    fn the_rules_of_a_server_do_not_let_a_client_s_answers_in() {
        // v7.4.6's: the port is the server's, so answers come from it and do not go to it.
        let rules = "-A INPUT -p tcp -m tcp --dport 1723 -m comment --comment \"a b\" -j ACCEPT";
        assert_eq!(fate(rules, Protocol::Tcp), Some(Fate::Dropped));
    }

    #[test]
    fn what_is_applied_is_taken_for_ours_and_lets_answers_in() {
        let text = apply(&Wish::default(), "");
        let rules: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("-A CONNEXA-IN ")).collect();
        assert!(rules.iter().all(|rule| self::rule(rule).ours), "{text}");
    }

    #[test]
    fn what_is_there_already_is_not_jumped_to_twice() {
        let saved = "-A INPUT -m comment --comment connexa -j CONNEXA-IN";
        assert!(!apply(&Wish::default(), saved).contains("-I INPUT"));
    }

    #[test]
    fn nothing_of_ours_is_nothing_to_remove() {
        assert_eq!(remove(&SAVED.replace("RULES", "-A INPUT -j ACCEPT")), None);
    }
}
