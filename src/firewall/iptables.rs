//! iptables' rules in the form of `iptables-save`.

use super::rules::{self, MARK, Wish};
use super::ruleset::{Chain, Condition, Hook, Net, Rule, Ruleset, Verdict};
use super::tool::Filter;

/// The tables that rules of ours may stand in, the one that lets packets through last.
const TABLES: [&str; 3] = ["raw", "mangle", "filter"];

/// Every chain of our own.
const CHAINS: [&str; 5] =
    ["CONNEXA-IN", "CONNEXA-OUT", "CONNEXA-MSS", "CONNEXA-HELPER", "CONNEXA-CALLS"];

/// The mark of a jump from a table that was not there before: it goes with the jump.
const MADE: &str = "connexa made this table";

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
        by: Filter::Iptables,
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
    let (conditions, verdict) = (Vec::new(), Verdict::Nothing);
    let mut rule = Rule { conditions, verdict, ours: false, helps: false, handle: None };
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
                rule.ours = [MARK, MADE].contains(&value);
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

/// A chain of our own as it is wanted.
struct Own {
    table: &'static str,
    name: &'static str,
    /// The chain that it is jumped to from.
    base: &'static str,
    rules: Vec<String>,
}

fn own(wish: &Wish) -> Vec<Own> {
    let chain = |table, name, base, rules| Own { table, name, base, rules };
    let mut all = vec![
        chain("filter", "CONNEXA-IN", "INPUT", rules::iptables(wish, false)),
        chain("filter", "CONNEXA-OUT", "OUTPUT", rules::iptables(wish, true)),
    ];
    if wish.clamp_mss {
        let clamp = |links| {
            format!(
                "-o {links} -p tcp -m tcp --tcp-flags SYN,RST SYN -m comment --comment {MARK} -j TCPMSS --clamp-mss-to-pmtu"
            )
        };
        let rules = ["ppp+", "cx+"].map(clamp).into();
        all.push(chain("mangle", "CONNEXA-MSS", "POSTROUTING", rules));
    }
    let help =
        format!("-p tcp -m tcp --dport 1723 -m comment --comment {MARK} -j CT --helper pptp");
    if wish.follows_our_calls() {
        all.push(chain("raw", "CONNEXA-CALLS", "OUTPUT", vec![help.clone()]));
    }
    if wish.conntrack_helper {
        all.push(chain("raw", "CONNEXA-HELPER", "PREROUTING", vec![help]));
    }
    all
}

/// What `iptables-restore --noflush` is to read so that `wish` is fulfilled, once or again. Each
/// table is a transaction of its own.
pub(super) fn apply(wish: &Wish, saved: &str) -> String {
    let wanted = own(wish);
    let mut text = String::new();
    for table in TABLES {
        let there = Ours::of(saved, table);
        let wanted: Vec<_> = wanted.iter().filter(|own| own.table == table).collect();
        let unwanted = |chain: &&&str| wanted.iter().all(|own| own.name != **chain);
        if wanted.is_empty() && there.is_empty() {
            continue;
        }
        let made = there.made_table || !saved.lines().any(|line| line == format!("*{table}"));
        let mark = if made { format!("\"{MADE}\"") } else { MARK.to_owned() };
        text += &format!("*{table}\n");
        wanted.iter().for_each(|own| text += &format!(":{} - [0:0]\n", own.name));
        text += &there.removal(there.chains.iter().filter(unwanted));
        for Own { name, base, rules, .. } in wanted {
            text += &format!("-I {base} 1 -m comment --comment {mark} -j {name}\n");
            rules.iter().for_each(|rule| text += &format!("-A {name} {rule}\n"));
        }
        text += "COMMIT\n";
    }
    text
}

/// What `iptables-restore --noflush` is to read so that nothing of ours is left; `None` where
/// there is nothing.
pub(super) fn remove(saved: &str) -> Option<String> {
    let mut text = String::new();
    for table in TABLES {
        let there = Ours::of(saved, table);
        if !there.is_empty() {
            let removal = there.removal(there.chains.iter());
            text += &format!("*{table}\n{removal}COMMIT\n");
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Tables that were not there before [`apply`] and have no rule but ours.
pub(super) fn made_tables(saved: &str) -> Vec<&'static str> {
    let is_made = |table: &&str| {
        let there = Ours::of(saved, table);
        there.made_table && !there.has_others
    };
    TABLES.into_iter().filter(is_made).collect()
}

/// What there is of ours in one table.
#[derive(Debug, Default)]
struct Ours<'a> {
    jumps: Vec<&'a str>,
    chains: Vec<&'a str>,
    made_table: bool,
    /// It has rules or chains of others.
    has_others: bool,
}

impl<'a> Ours<'a> {
    fn of(saved: &'a str, table: &str) -> Self {
        let mut ours = Ours::default();
        let is_start = |line: &&str| *line != format!("*{table}");
        let lines = saved.lines().skip_while(is_start).skip(1).take_while(|line| *line != "COMMIT");
        for line in lines {
            if let Some(chain) = line.strip_prefix(':') {
                let (name, rest) = chain.split_once(' ').unwrap_or((chain, ""));
                if CHAINS.contains(&name) {
                    ours.chains.push(name);
                } else {
                    ours.has_others |= !rest.starts_with("ACCEPT");
                }
            } else if let Some(rule) = line.strip_prefix("-A ") {
                let (chain, rest) = rule.split_once(' ').unwrap_or((rule, ""));
                if !self::rule(rest).ours {
                    ours.has_others = true;
                } else if !CHAINS.contains(&chain) {
                    ours.jumps.push(rule);
                    ours.made_table |= rest.contains(MADE);
                }
            }
        }
        ours
    }

    fn is_empty(&self) -> bool {
        self.jumps.is_empty() && self.chains.is_empty()
    }

    /// Every jump, and these chains.
    fn removal<'b>(&self, chains: impl Iterator<Item = &'b &'b str> + Clone) -> String {
        let jumps = self.jumps.iter().map(|rule| format!("-D {rule}\n"));
        let flushes = chains.clone().map(|chain| format!("-F {chain}\n"));
        jumps.chain(flushes).chain(chains.map(|chain| format!("-X {chain}\n"))).collect()
    }
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
    fn what_is_applied_is_taken_for_ours() {
        let text = apply(&Wish::default(), "*filter\nCOMMIT\n");
        let mut rules = text.lines().filter_map(|line| line.strip_prefix("-A CONNEXA-IN "));
        assert!(rules.all(|rule| self::rule(rule).ours), "{text}");
    }

    #[test]
    fn a_helper_for_calls_of_this_host_is_seen() {
        let saved = "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --dport 1723 -j CT --helper pptp\nCOMMIT\n";
        assert!(read(saved).follows_our_calls(None));
    }

    #[test]
    fn a_wish_that_is_given_up_is_taken_away_by_the_next_apply() {
        let saved = "*mangle\n:CONNEXA-MSS - [0:0]\n-A POSTROUTING -m comment --comment connexa -j CONNEXA-MSS\nCOMMIT\n";
        let text = apply(&Wish::default(), saved);
        assert!(text.contains("-X CONNEXA-MSS"), "{text}");
    }

    #[test]
    fn a_chain_of_another_with_a_name_like_ours_stays() {
        let saved = SAVED
            .replace("RULES", "-A INPUT -j CONNEXA-PROXY")
            .replace(":OUTPUT", ":CONNEXA-PROXY - [0:0]\n:OUTPUT");
        assert_eq!(remove(&saved), None);
    }

    #[test]
    fn a_table_that_others_use_is_not_taken_for_ours_alone() {
        let made = "*raw\n:OUTPUT ACCEPT [0:0]\n:CONNEXA-CALLS - [0:0]\n-A OUTPUT -m comment --comment \"connexa made this table\" -j CONNEXA-CALLS\n";
        assert_eq!(made_tables(&format!("{made}COMMIT\n")), ["raw"]);
        assert_eq!(made_tables(&format!("{made}-A OUTPUT -j ACCEPT\nCOMMIT\n")), [""; 0]);
    }

    #[test]
    fn nothing_of_ours_is_nothing_to_remove() {
        assert_eq!(remove(&SAVED.replace("RULES", "-A INPUT -j ACCEPT")), None);
    }
}
