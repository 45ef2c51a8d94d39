//! The rules of a PPTP client: out to servers what PPTP is made of, and back only its answers.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::ruleset::{Chain, Condition, Net, Verdict};
use super::way::Server;

/// What marks a rule as this program's: a comment that nobody types.
pub(super) const MARK: &str = "connexa:6f1d93";

/// The same of a rule for the servers of the nodes.
const MARK_OF_NODES: &str = "connexa:6f1d93:of-nodes";

/// The mark of earlier versions, which an operator may have typed too.
pub(super) const OLD_MARK: &str = "connexa";

/// Whether a rule with this comment is this program's. `written` tells whether it is one that this
/// program writes, for where its mark alone does not tell.
pub(super) fn is_ours(comment: &str, written: impl FnOnce() -> bool) -> bool {
    comment == MARK || comment == MARK_OF_NODES || comment == OLD_MARK && written()
}

pub(super) fn is_of_nodes(comment: &str) -> bool {
    comment == MARK_OF_NODES
}

/// Whether a rule in a chain of others is one that [`nft`] writes, for any servers.
pub(super) fn is_written(conditions: &[Condition], verdict: &Verdict) -> bool {
    let is = |names: &[String], both: [&str; 2]| matches!(names, [name] if both.contains(&name.as_str()));
    let (mut tcp, mut gre, mut port) = (false, false, false);
    let all_known = conditions.iter().all(|condition| match condition {
        Condition::Protocol(names) => {
            tcp |= is(names, ["tcp", "6"]);
            gre |= is(names, ["gre", "47"]);
            tcp || gre
        }
        Condition::SourcePort(ports) | Condition::DestinationPort(ports) => {
            port = *ports == [(1723, 1723)];
            port
        }
        Condition::Source(nets) | Condition::Destination(nets) => {
            nets.iter().all(|Net(_, bits)| *bits == 32)
        }
        Condition::State(states) => {
            states.iter().all(|state| ["established", "related"].contains(&state.as_str()))
        }
        Condition::In(_) | Condition::Out(_) | Condition::Not(_) | Condition::Unknown => false,
    });
    *verdict == Verdict::Accept && all_known && tcp == port && tcp != gre
}

/// Whom rules are for, as the command line says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Servers that are named.
    pub named: Vec<Ipv4Addr>,
    /// The servers of the nodes in the database.
    pub of_nodes: bool,
    /// The configuration file that names the database.
    pub config: Option<PathBuf>,
}

impl Scope {
    /// Any server.
    pub(crate) fn is_any(&self) -> bool {
        self.named.is_empty() && !self.of_nodes
    }
}

/// As arguments, with a blank before each.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.named.iter().try_for_each(|server| write!(f, " --server {server}"))?;
        if self.of_nodes {
            f.write_str(" --of-nodes")?;
        }
        self.config.iter().try_for_each(|config| write!(f, " --config {}", config.display()))
    }
}

/// nftables' table of our own, for what needs no foreign chain.
pub(super) const TABLE: &str = "connexa";

/// Whether a chain is in the table of our own.
pub(super) fn is_own(chain: &Chain) -> bool {
    chain.family == "ip" && chain.table == TABLE
}

/// The chains in it.
pub(super) const OWN_CHAINS: [&str; 4] = ["mss-forward", "mss-output", "calls", "helper"];

/// What rules are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Only these servers; empty is any.
    pub servers: Vec<Server>,
    /// How they were said.
    pub scope: Scope,
    /// Fit TCP's segments to the tunnels' MTU.
    pub clamp_mss: bool,
    /// Follow PPTP of others that this host translates (NAT).
    pub conntrack_helper: bool,
}

/// As arguments of `connexactl firewall apply`, with a blank before each.
impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.clamp_mss {
            f.write_str(" --clamp-mss")?;
        }
        if self.conntrack_helper {
            f.write_str(" --conntrack-helper")?;
        }
        self.scope.fmt(f)
    }
}

impl Wish {
    /// The mark of its rules.
    pub(super) fn mark(&self) -> &'static str {
        if self.scope.of_nodes { MARK_OF_NODES } else { MARK }
    }

    /// Whether connection tracking is to follow the calls of this host itself. Of a server that is
    /// named all GRE is its own; of any, only what belongs to a call of ours, and that is known to
    /// PPTP's helper alone: without it each direction of a call's GRE is a connection of its own
    /// (`gre_pkt_to_tuple`, net/netfilter/nf_conntrack_proto_gre.c).
    pub(super) fn follows_our_calls(&self) -> bool {
        self.servers.is_empty()
    }
}

/// nftables' expressions for one direction, without comment.
pub(super) fn nft(wish: &Wish, out: bool) -> Vec<String> {
    let addresses =
        wish.servers.iter().map(|server| server.address.to_string()).collect::<Vec<_>>().join(", ");
    let (whom, port) = if out { ("daddr", "dport") } else { ("saddr", "sport") };
    let servers =
        if addresses.is_empty() { String::new() } else { format!("ip {whom} {{ {addresses} }} ") };
    let answers = if out { "" } else { "ct state established,related " };
    let gre_answers = if wish.follows_our_calls() { answers } else { "" };
    vec![
        format!("{servers}tcp {port} 1723 {answers}accept"),
        format!("{servers}ip protocol gre {gre_answers}accept"),
    ]
}

/// nftables' table of our own; empty where none is needed. `lets_through`: rules of [`nft`] stand
/// in chains of others.
pub(super) fn nft_table(wish: &Wish, lets_through: bool) -> String {
    let mut text = String::new();
    let mut chain = |name: &str, hook: &str, priority: &str, rule: &str| {
        text += &format!(
            "  chain {name} {{\n    type filter hook {hook} priority {priority}; policy accept;\n    {rule} comment \"{MARK}\"\n  }}\n"
        );
    };
    if wish.clamp_mss {
        let clamp = "oifname { \"ppp*\", \"cx*\" } tcp flags syn / syn,rst tcp option maxseg size set rt mtu";
        chain("mss-forward", "forward", "mangle", clamp);
        chain("mss-output", "output", "mangle", clamp);
    }
    let help = "tcp dport 1723 ct helper set \"pptp\"";
    // After the connection is looked up and before anything is dropped (nft(8), CT HELPER).
    if lets_through && wish.follows_our_calls() {
        chain("calls", "output", "-5", help);
    }
    if wish.conntrack_helper {
        chain("helper", "prerouting", "filter", help);
    }
    if text.contains(help) {
        text.insert_str(0, "  ct helper pptp {\n    type \"pptp\" protocol tcp\n  }\n");
    }
    if text.is_empty() { text } else { format!("table ip {TABLE} {{\n{text}}}\n") }
}

/// iptables' rules for one direction, as they stand behind `-A CHAIN`.
pub(super) fn iptables(wish: &Wish, out: bool) -> Vec<String> {
    let (whom, port) = if out { ("-d", "--dport") } else { ("-s", "--sport") };
    let answers = if out { "" } else { "-m conntrack --ctstate RELATED,ESTABLISHED " };
    let gre_answers = if wish.follows_our_calls() { answers } else { "" };
    let mut servers: Vec<String> =
        wish.servers.iter().map(|server| format!("{whom} {}/32 ", server.address)).collect();
    if servers.is_empty() {
        servers.push(String::new());
    }
    let comment = format!("-m comment --comment {} -j ACCEPT", wish.mark());
    let rules = servers.iter().flat_map(|server| {
        [
            format!("{server}-p tcp -m tcp {port} 1723 {answers}{comment}"),
            format!("{server}-p gre {gre_answers}{comment}"),
        ]
    });
    rules.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_server_s_gre_is_taken_as_an_answer_only() {
        let rules = nft(&Wish::default(), false);
        assert_eq!(rules[1], "ip protocol gre ct state established,related accept");
    }

    #[test]
    fn a_named_server_s_gre_is_taken_as_it_comes() {
        let server = Server { address: [10, 0, 0, 1].into(), link: None };
        let wish = Wish { servers: vec![server], ..Wish::default() };
        assert_eq!(nft(&wish, false)[1], "ip saddr { 10.0.0.1 } ip protocol gre accept");
    }

    #[test]
    fn any_server_s_gre_is_known_by_a_helper_for_our_calls() {
        let table = nft_table(&Wish::default(), true);
        assert!(table.contains("hook output") && table.contains("ct helper set"), "{table}");
    }

    #[test]
    fn nothing_on_request_needs_no_table() {
        assert_eq!(nft_table(&Wish::default(), false), "");
    }
}
