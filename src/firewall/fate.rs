//! What becomes of a packet in the chains that it meets.

use std::collections::{BTreeMap, BTreeSet};

use super::ruleset::{Chain, Hook, Packet, Protocol, Ruleset, Verdict};
use super::way::Server;

/// What becomes of a packet in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It gets through.
    Passes,
    /// That depends on what is not understood.
    Unsure,
    /// It is dropped.
    Dropped,
}

/// Where a walk through a chain may end; more than one where a rule is not understood.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    accepted: bool,
    dropped: bool,
    /// At the chain's end, or at a return.
    through: bool,
}

impl Ends {
    const ACCEPTED: Ends = Ends { accepted: true, dropped: false, through: false };
    const DROPPED: Ends = Ends { accepted: false, dropped: true, through: false };
    const THROUGH: Ends = Ends { accepted: false, dropped: false, through: true };
    const ANY: Ends = Ends { accepted: true, dropped: true, through: true };

    fn or(self, other: Ends) -> Ends {
        Ends {
            accepted: self.accepted || other.accepted,
            dropped: self.dropped || other.dropped,
            through: self.through || other.through,
        }
    }
}

/// A chain by its name; all that one leads to are in its table.
type Name<'a> = &'a str;

/// Where chains were seen to end, so that each is walked once, however many lead to it. Of one that is
/// being walked it is not known yet: the kernel takes no rules that lead back to themselves.
type Seen<'a> = BTreeMap<Name<'a>, Ends>;

impl Ruleset {
    /// Base chains of others with what they do to the packet; those that let it pass left out.
    pub(super) fn trouble(&self, packet: &Packet) -> Vec<(&Chain, Fate)> {
        let hook = if packet.out { Hook::Out } else { Hook::In };
        let met = self.chains.iter().filter(|chain| chain.base.is_some_and(|(at, _)| at == hook));
        met.map(|chain| (chain, self.fate(chain, packet)))
            .filter(|(_, fate)| *fate > Fate::Passes)
            .collect()
    }

    fn fate(&self, chain: &Chain, packet: &Packet) -> Fate {
        let ends = self.walk(chain, packet, &mut Seen::new());
        let policy_drops = chain.base.is_some_and(|(_, drops)| drops);
        let dropped = ends.dropped || ends.through && policy_drops;
        let passes = ends.accepted || ends.through && !policy_drops;
        match (dropped, passes) {
            (true, true) => Fate::Unsure,
            (true, false) => Fate::Dropped,
            (false, _) => Fate::Passes,
        }
    }

    fn walk<'a>(&'a self, chain: &'a Chain, packet: &Packet, seen: &mut Seen<'a>) -> Ends {
        seen.insert(&chain.name, Ends::ANY);
        let mut ends = Ends::default();
        for rule in &chain.rules {
            let holds = rule.holds(packet);
            if holds == Some(false) {
                continue;
            }
            let (there, goes_on) = match &rule.verdict {
                Verdict::Nothing => continue,
                Verdict::Accept => (Ends::ACCEPTED, false),
                Verdict::Drop => (Ends::DROPPED, false),
                Verdict::Return => (Ends::THROUGH, false),
                Verdict::Goto(name) => (self.follow(chain, name, packet, seen), false),
                Verdict::Jump(name) => {
                    let there = self.follow(chain, name, packet, seen);
                    (Ends { through: false, ..there }, there.through)
                }
                Verdict::Unknown => (Ends { through: false, ..Ends::ANY }, true),
            };
            ends = ends.or(there);
            if holds == Some(true) && !goes_on {
                seen.insert(&chain.name, ends);
                return ends;
            }
        }
        let ends = ends.or(Ends::THROUGH);
        seen.insert(&chain.name, ends);
        ends
    }

    fn follow<'a>(
        &'a self,
        from: &'a Chain,
        name: &'a str,
        packet: &Packet,
        seen: &mut Seen<'a>,
    ) -> Ends {
        if let Some(ends) = seen.get(name) {
            return *ends;
        }
        self.beside(from, name).map_or(Ends::ANY, |chain| self.walk(chain, packet, seen))
    }

    /// Whether connection tracking follows the control connections of this host itself, so that
    /// it knows which GRE belongs to them (nf_conntrack_pptp).
    pub(super) fn follows_our_calls(&self, server: Option<&Server>) -> bool {
        let call = Packet { out: true, protocol: Protocol::Tcp, server, state: "new" };
        let is_out = |chain: &&Chain| matches!(chain.base, Some((Hook::Out, _)));
        self.chains
            .iter()
            .filter(is_out)
            .any(|chain| self.helps(chain, &call, &mut BTreeSet::new()))
    }

    fn helps<'a>(
        &'a self,
        chain: &'a Chain,
        packet: &Packet,
        seen: &mut BTreeSet<Name<'a>>,
    ) -> bool {
        if !seen.insert(&chain.name) {
            return false;
        }
        let mut rules = chain.rules.iter().filter(|rule| rule.holds(packet) != Some(false));
        rules.any(|rule| match &rule.verdict {
            _ if rule.helps => true,
            Verdict::Jump(name) | Verdict::Goto(name) => {
                (self.beside(chain, name)).is_some_and(|chain| self.helps(chain, packet, seen))
            }
            Verdict::Accept
            | Verdict::Drop
            | Verdict::Return
            | Verdict::Nothing
            | Verdict::Unknown => false,
        })
    }

    /// The chain of this name in the same table.
    fn beside(&self, from: &Chain, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| {
            chain.name == name && chain.table == from.table && chain.family == from.family
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::ruleset::{Condition, Net, Rule};
    use super::super::tool::Filter;
    use super::*;

    fn rule(conditions: Vec<Condition>, verdict: Verdict) -> Rule {
        Rule { conditions, verdict, ours: false, of_nodes: false, helps: false, handle: None }
    }

    /// What an input chain with a drop policy and these rules does to GRE of 10.0.0.1.
    fn fate(rules: Vec<Rule>) -> Option<Fate> {
        let [family, table, name] = ["inet", "f", "input"].map(String::from);
        let chain =
            Chain { by: Filter::Nft, family, table, name, base: Some((Hook::In, true)), rules };
        let ruleset = Ruleset { chains: vec![chain], has_strangers_in_ours: false };
        let server = Server { address: [10, 0, 0, 1].into(), link: Some("eth0".into()) };
        let server = Some(&server);
        let packet = Packet { out: false, protocol: Protocol::Gre, server, state: "new" };
        ruleset.trouble(&packet).first().map(|(_, fate)| *fate)
    }

    fn of(net: &str) -> Condition {
        Condition::Source(vec![Net::parse(net).unwrap()])
    }

    #[test]
    fn the_policy_counts_where_no_rule_does() {
        assert_eq!(fate(vec![]), Some(Fate::Dropped));
    }

    #[test]
    fn an_accept_of_the_server_lets_it_through() {
        assert_eq!(fate(vec![rule(vec![of("10.0.0.0/8")], Verdict::Accept)]), None);
    }

    #[test]
    fn an_accept_of_another_does_not() {
        assert_eq!(fate(vec![rule(vec![of("10.0.0.2")], Verdict::Accept)]), Some(Fate::Dropped));
    }

    #[test]
    fn a_drop_before_the_accept_drops() {
        let rules = vec![rule(vec![], Verdict::Drop), rule(vec![], Verdict::Accept)];
        assert_eq!(fate(rules), Some(Fate::Dropped));
    }

    #[test]
    fn what_is_not_understood_makes_unsure() {
        assert_eq!(fate(vec![rule(vec![Condition::Unknown], Verdict::Accept)]), Some(Fate::Unsure));
    }

    #[test]
    fn what_ends_in_a_drop_either_way_is_sure_to_drop() {
        let rules = vec![rule(vec![Condition::Unknown], Verdict::Return)];
        assert_eq!(fate(rules), Some(Fate::Dropped));
    }

    #[test]
    fn a_verdict_that_is_not_understood_makes_unsure() {
        let rules =
            vec![rule(vec![], Verdict::Unknown), rule(vec![of("10.0.0.0/8")], Verdict::Accept)];
        assert_eq!(fate(rules), Some(Fate::Unsure));
    }

    #[test]
    fn rules_for_the_link_of_a_server_are_for_it_and_others_are_not() {
        let by = |name: &str| vec![rule(vec![Condition::In(vec![name.into()])], Verdict::Accept)];
        assert_eq!(fate(by("eth*")), None);
        assert_eq!(fate(by("ppp*")), Some(Fate::Dropped));
    }

    /// Sixteen chains, as deep as the kernel lets them lead to each other, of which each leads to the next
    /// so often that no walk along every way would end.
    #[test]
    fn chains_that_many_rules_lead_to_are_walked_once() {
        let [family, table] = ["inet", "f"].map(String::from);
        let jump = |to: u32| rule(vec![Condition::Unknown], Verdict::Jump(to.to_string()));
        let chains = (0..16).map(|n| Chain {
            by: Filter::Nft,
            family: family.clone(),
            table: table.clone(),
            name: n.to_string(),
            base: (n == 0).then_some((Hook::Out, false)),
            rules: (0..40).map(|_| jump(n + 1)).collect(),
        });
        let ruleset = Ruleset { chains: chains.collect(), has_strangers_in_ours: false };
        let packet = Packet { out: true, protocol: Protocol::Gre, server: None, state: "new" };
        assert_eq!(ruleset.trouble(&packet).first().map(|(_, fate)| *fate), Some(Fate::Unsure));
        assert!(!ruleset.follows_our_calls(None));
    }

    #[test]
    fn loopback_rules_are_not_for_servers() {
        let rules = vec![rule(vec![Condition::In(vec!["lo".into()])], Verdict::Accept)];
        assert_eq!(fate(rules), Some(Fate::Dropped));
    }
}
