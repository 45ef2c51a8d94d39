//! The rules of a PPTP client: out to servers what PPTP is made of, and back only its answers.

use std::net::Ipv4Addr;

/// What marks a rule as this program's.
pub(super) const MARK: &str = "connexa";

/// nftables' table of our own, for what needs no foreign chain.
pub(super) const TABLE: &str = "connexa";

/// What rules are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Only these servers; empty is any.
    pub servers: Vec<Ipv4Addr>,
    /// Fit TCP's segments to the tunnels' MTU.
    pub clamp_mss: bool,
    /// Follow PPTP of others that this host translates (NAT).
    pub conntrack_helper: bool,
}

/// nftables' expressions for one direction, without comment.
pub(super) fn nft(wish: &Wish, out: bool) -> Vec<String> {
    let addresses = wish.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (whom, port) = if out { ("daddr", "dport") } else { ("saddr", "sport") };
    let servers =
        if addresses.is_empty() { String::new() } else { format!("ip {whom} {{ {addresses} }} ") };
    let answers = if out { "" } else { "ct state established,related " };
    // Of a server that is named all GRE is its own; of any, only what belongs to ours.
    let gre_answers = if out || !addresses.is_empty() { "" } else { answers };
    vec![
        format!("{servers}tcp {port} 1723 {answers}accept"),
        format!("{servers}ip protocol gre {gre_answers}accept"),
    ]
}

/// nftables' table of our own; empty where none is needed.
pub(super) fn nft_table(wish: &Wish) -> String {
    let mut text = String::new();
    if wish.clamp_mss {
        for hook in ["forward", "output"] {
            text += &format!(
                "  chain mss-{hook} {{\n    type filter hook {hook} priority mangle; policy accept;\n    \
                 oifname {{ \"ppp*\", \"cx*\" }} tcp flags syn / syn,rst tcp option maxseg size set rt mtu comment \"{MARK}\"\n  }}\n"
            );
        }
    }
    if wish.conntrack_helper {
        text += &format!(
            "  ct helper pptp {{\n    type \"pptp\" protocol tcp\n  }}\n  chain helper {{\n    \
             type filter hook prerouting priority filter; policy accept;\n    \
             tcp dport 1723 ct helper set \"pptp\" comment \"{MARK}\"\n  }}\n"
        );
    }
    if text.is_empty() { text } else { format!("table ip {TABLE} {{\n{text}}}\n") }
}

/// iptables' rules for one direction, as `iptables-restore` reads them, of the chain named.
pub(super) fn iptables(wish: &Wish, out: bool, chain: &str) -> Vec<String> {
    let (whom, port) = if out { ("-d", "--dport") } else { ("-s", "--sport") };
    let answers = if out { "" } else { "-m conntrack --ctstate RELATED,ESTABLISHED " };
    let gre_answers = if out || !wish.servers.is_empty() { "" } else { answers };
    let any = [String::new()];
    let servers: Vec<String> =
        wish.servers.iter().map(|server| format!("{whom} {server}/32 ")).collect();
    let servers = if servers.is_empty() { &any[..] } else { &servers };
    let rules = servers.iter().flat_map(|server| {
        [
            format!("-A {chain} {server}-p tcp -m tcp {port} 1723 {answers}-m comment --comment {MARK} -j ACCEPT"),
            format!("-A {chain} {server}-p gre {gre_answers}-m comment --comment {MARK} -j ACCEPT"),
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
        let wish = Wish { servers: vec![Ipv4Addr::new(10, 0, 0, 1)], ..Wish::default() };
        assert_eq!(nft(&wish, false)[1], "ip saddr { 10.0.0.1 } ip protocol gre accept");
    }

    #[test]
    fn nothing_on_request_needs_no_table() {
        assert_eq!(nft_table(&Wish::default()), "");
    }
}
