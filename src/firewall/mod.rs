//! The host's packet filter and PPTP: which of its chains drop a client's packets, and rules that
//! let them through, marked, so that they can be taken away without a trace.
//!
//! In nftables an accept ends its own base chain alone: another chain's drop stands. So rules go
//! into the chains that drop, by the operator's word, and nowhere else.

mod iptables;
mod nft;
mod rules;
mod ruleset;
mod tool;

use std::net::Ipv4Addr;

use serde::Serialize;

pub use rules::Wish;
use ruleset::{Chain, Fate, Packet, Protocol, Ruleset};
pub use tool::{Filter, FirewallError};

/// A chain of nftables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// `ip` or `inet`.
    pub family: String,
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
}

/// A chain that drops packets of PPTP, or may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The chain: family, table and name.
    pub chain: String,
    /// What it drops.
    pub what: &'static str,
    /// Whether that is sure; else it depends on rules that are not understood.
    pub sure: bool,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The rules are there now.
    Applied,
    /// No rule is needed.
    NotNeeded,
    /// The rules are gone.
    Removed,
    /// There were none.
    NothingThere,
}

/// The rules that [`apply`] would put, as the filter's own tools read them.
pub fn print(filter: Filter, wish: &Wish, into: &[Place]) -> String {
    match filter {
        Filter::Nft => {
            let mut text = rules::nft_table(wish);
            for place in into {
                for out in [true, false] {
                    text += &insertions(place, wish, out);
                }
            }
            if into.is_empty() {
                for (out, what) in [(true, "output"), (false, "input")] {
                    text += &format!("# in each {what} chain that drops:\n");
                    rules::nft(wish, out).iter().for_each(|rule| text += &format!("{rule}\n"));
                }
            }
            text
        }
        Filter::Iptables => iptables::apply(wish, ""),
    }
}

/// Chains that drop PPTP to and from these servers (none is any), most certain first.
///
/// # Errors
/// When the filter's rules can't be read.
pub fn troubles(filter: Filter, servers: &[Ipv4Addr]) -> Result<Vec<Trouble>, FirewallError> {
    Ok(troubles_in(&read(filter)?, servers))
}

/// Puts the rules; again is the same as once.
///
/// # Errors
/// When a chain drops that is not named in `into`, or the filter refuses.
pub fn apply(filter: Filter, wish: &Wish, into: &[Place]) -> Result<Done, FirewallError> {
    match filter {
        Filter::Iptables => {
            tool::restore(&iptables::apply(wish, &tool::saved()?))?;
            Ok(Done::Applied)
        }
        Filter::Nft => apply_nft(wish, into),
    }
}

/// Takes away what [`apply`] has put, whoever ran it.
///
/// # Errors
/// When the filter refuses.
pub fn remove(filter: Filter) -> Result<Done, FirewallError> {
    let script = match filter {
        Filter::Nft => Some(removal(&read(filter)?)).filter(|script| !script.is_empty()),
        Filter::Iptables => iptables::remove(&tool::saved()?),
    };
    let Some(script) = script else { return Ok(Done::NothingThere) };
    match filter {
        Filter::Nft => tool::transact(&script)?,
        Filter::Iptables => tool::restore(&script)?,
    }
    Ok(Done::Removed)
}

fn read(filter: Filter) -> Result<Ruleset, FirewallError> {
    match filter {
        Filter::Nft => nft::read(&tool::listed()?).map_err(FirewallError::Garbled),
        Filter::Iptables => Ok(iptables::read(&tool::saved()?)),
    }
}

fn apply_nft(wish: &Wish, into: &[Place]) -> Result<Done, FirewallError> {
    let now = read(Filter::Nft)?;
    let mut places: Vec<Place> = into.to_vec();
    let marked =
        |chain: &&Chain| chain.table != rules::TABLE && chain.rules.iter().any(|rule| rule.ours);
    places.extend(now.chains.iter().filter(marked).map(place));
    places.sort();
    places.dedup();
    let mut missing: Vec<Place> = Vec::new();
    for (chain, _) in dropping(&now.of_others(), &wish.servers) {
        let place = place(chain);
        if !places.contains(&place) && !missing.contains(&place) {
            missing.push(place);
        }
    }
    if !missing.is_empty() {
        return Err(FirewallError::Foreign {
            missing: missing.into_iter().chain(places).collect(),
        });
    }
    let mut script = removal(&now);
    for place in &places {
        let chain = now.chains.iter().find(|chain| self::place(chain) == *place);
        let Some((hook, _)) = chain.and_then(|chain| chain.base) else {
            return Err(FirewallError::NoSuchChain(place.clone()));
        };
        script += &insertions(place, wish, hook == ruleset::Hook::Out);
    }
    script += &rules::nft_table(wish);
    if script.is_empty() {
        return Ok(Done::NotNeeded);
    }
    tool::transact(&script)?;
    Ok(Done::Applied)
}

/// Rules to the top of a chain; the last one that is inserted comes first.
fn insertions(place: &Place, wish: &Wish, out: bool) -> String {
    let Place { family, table, chain } = place;
    let rules = rules::nft(wish, out);
    let insert = |rule: &String| {
        format!("insert rule {family} {table} {chain} {rule} comment \"{}\"\n", rules::MARK)
    };
    rules.iter().rev().map(insert).collect()
}

/// Deletes our table and our rules in tables of others.
fn removal(now: &Ruleset) -> String {
    let mut script = String::new();
    if now.chains.iter().any(|chain| chain.family == "ip" && chain.table == rules::TABLE) {
        script += &format!("delete table ip {}\n", rules::TABLE);
    }
    for chain in now.chains.iter().filter(|chain| chain.table != rules::TABLE) {
        for handle in chain.rules.iter().filter(|rule| rule.ours).filter_map(|rule| rule.handle) {
            let Place { family, table, chain } = place(chain);
            script += &format!("delete rule {family} {table} {chain} handle {handle}\n");
        }
    }
    script
}

fn place(chain: &Chain) -> Place {
    Place { family: chain.family.clone(), table: chain.table.clone(), chain: chain.name.clone() }
}

/// Every packet that PPTP needs, with its name.
fn packets(servers: &[Ipv4Addr]) -> impl Iterator<Item = (Packet, &'static str)> {
    let servers: Vec<Option<Ipv4Addr>> =
        if servers.is_empty() { vec![None] } else { servers.iter().copied().map(Some).collect() };
    servers.into_iter().flat_map(|server| {
        [
            (Packet { out: true, protocol: Protocol::Tcp, server }, "TCP to port 1723"),
            (Packet { out: true, protocol: Protocol::Gre, server }, "GRE to servers"),
            (Packet { out: false, protocol: Protocol::Tcp, server }, "answers from TCP port 1723"),
            (Packet { out: false, protocol: Protocol::Gre, server }, "GRE from servers"),
        ]
    })
}

/// Chains that are sure to drop something.
fn dropping<'a>(ruleset: &'a Ruleset, servers: &[Ipv4Addr]) -> Vec<(&'a Chain, &'static str)> {
    let mut found = Vec::new();
    for (packet, what) in packets(servers) {
        let trouble = ruleset.trouble(&packet).into_iter();
        found.extend(
            trouble.filter(|(_, fate)| *fate == Fate::Dropped).map(|(chain, _)| (chain, what)),
        );
    }
    found
}

fn troubles_in(ruleset: &Ruleset, servers: &[Ipv4Addr]) -> Vec<Trouble> {
    let mut found: Vec<Trouble> = Vec::new();
    for (packet, what) in packets(servers) {
        for (chain, fate) in ruleset.trouble(&packet) {
            let Place { family, table, chain } = place(chain);
            let chain = format!("{family} {table} {chain}");
            let trouble = Trouble { chain, what, sure: fate == Fate::Dropped };
            if !found.contains(&trouble) {
                found.push(trouble);
            }
        }
    }
    found.sort_by_key(|trouble| !trouble.sure);
    found
}
