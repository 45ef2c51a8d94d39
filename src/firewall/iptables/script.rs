//! What `iptables-restore` is given.

use super::super::rules::{self, MARK, Wish};
use super::{MADE, OLD_MADE};

/// The tables that rules of ours may stand in, the one that lets packets through last.
const TABLES: [&str; 3] = ["raw", "mangle", "filter"];

/// Every chain of our own.
const CHAINS: [&str; 5] =
    ["CONNEXA-IN", "CONNEXA-OUT", "CONNEXA-MSS", "CONNEXA-HELPER", "CONNEXA-CALLS"];

/// Whether a chain is one of our own.
pub(super) fn is_own(chain: &str) -> bool {
    CHAINS.contains(&chain)
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
pub(in crate::firewall) fn apply(wish: &Wish, saved: &str) -> String {
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
        let mark = if made { MADE } else { MARK };
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
pub(in crate::firewall) fn remove(saved: &str) -> Option<String> {
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
pub(in crate::firewall) fn made_tables(saved: &str) -> Vec<&'static str> {
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
                if !super::rule(chain, rest).ours {
                    ours.has_others = true;
                } else if !CHAINS.contains(&chain) {
                    ours.jumps.push(rule);
                    ours.made_table |= rest.contains(MADE) || rest.contains(OLD_MADE);
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
    use super::*;

    const SAVED: &str = "# Generated\n*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nRULES\nCOMMIT\n";

    #[test]
    fn what_is_applied_is_taken_for_ours() {
        let text = apply(&Wish::default(), "*filter\nCOMMIT\n");
        let mut rules = text.lines().filter_map(|line| line.strip_prefix("-A CONNEXA-IN "));
        assert!(rules.all(|rule| super::super::rule("CONNEXA-IN", rule).ours), "{text}");
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
    fn a_rule_of_the_operator_s_with_the_older_mark_stays() {
        let rule = "-A INPUT -p tcp -m tcp --dport 22 -m comment --comment connexa -j ACCEPT";
        assert_eq!(remove(&SAVED.replace("RULES", rule)), None);
    }

    #[test]
    fn nothing_of_ours_is_nothing_to_remove() {
        assert_eq!(remove(&SAVED.replace("RULES", "-A INPUT -j ACCEPT")), None);
    }
}
