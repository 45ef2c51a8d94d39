//! The host's packet filter and PPTP: which of its chains drop a client's packets, and rules that
//! let them through, marked, so that they can be taken away without a trace.
//!
//! In nftables an accept ends its own base chain alone: another chain's drop stands. So rules go
//! into the chains that drop, by the operator's word, and nowhere else.

mod fate;
#[cfg(test)]
mod fuzz;
mod iptables;
mod nft;
mod rules;
mod ruleset;
mod tool;
mod way;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use serde::Serialize;
use socket2::{Domain, Socket, Type};

use fate::Fate;
pub(crate) use rules::{Scope, Wish};
use ruleset::{Chain, Hook, Packet, Protocol, Ruleset};
pub(crate) use tool::{Filter, FirewallError};
pub(crate) use way::{Server, servers};

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
pub(crate) struct Trouble {
    /// The chain: family, table and name.
    pub chain: String,
    /// What it drops.
    pub what: &'static str,
    /// Whether that is sure; else it depends on rules that are not understood.
    pub sure: bool,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// The rules are there now.
    Applied,
    /// No rule is needed.
    NotNeeded,
    /// The rules are gone.
    Removed,
    /// There were none.
    NothingThere,
}

/// What [`apply`] would have the filter's own tool read.
///
/// # Errors
/// When the filter's rules can't be read, or `into` names a chain that can't take the rules.
pub(crate) async fn print(
    filter: Filter,
    wish: &Wish,
    into: &[Place],
) -> Result<String, FirewallError> {
    match filter {
        Filter::Iptables => Ok(iptables::apply(wish, &tool::saved().await?)),
        Filter::Nft => {
            let now = read().await?;
            let mut places = into.to_vec();
            places.extend(in_the_way(&now.of_others(), wish).nft);
            places.sort();
            places.dedup();
            nft_script(&now, wish, &places)
        }
    }
}

/// Chains that drop PPTP to and from these servers (none is any), most certain first.
///
/// # Errors
/// When the filter's rules can't be read.
pub(crate) async fn troubles(servers: &[Server]) -> Result<Vec<Trouble>, FirewallError> {
    let now = read().await?;
    let mut found: Vec<Trouble> = Vec::new();
    for (packet, what) in packets(&now, servers) {
        for (chain, fate) in now.trouble(&packet) {
            let (chain, sure) = (place(chain).to_string(), fate == Fate::Dropped);
            match found.iter_mut().find(|trouble| trouble.chain == chain && trouble.what == what) {
                Some(trouble) => trouble.sure |= sure,
                None => found.push(Trouble { chain, what, sure }),
            }
        }
    }
    found.sort_by_key(|trouble| !trouble.sure);
    Ok(found)
}

/// Whom the rules that are there let through.
///
/// # Errors
/// When the filter's rules can't be read.
pub(crate) async fn scope() -> Result<Scope, FirewallError> {
    Ok(read().await?.scope())
}

/// Puts the rules; again is the same as once.
///
/// # Errors
/// When a chain drops, or may, that is not named in `into`, or the filter refuses.
pub(crate) async fn apply(
    filter: Filter,
    wish: &Wish,
    into: &[Place],
) -> Result<Done, FirewallError> {
    match filter {
        Filter::Iptables if into.is_empty() => {
            tool::restore(&iptables::apply(wish, &tool::saved().await?)).await?;
            Ok(Done::Applied)
        }
        Filter::Iptables => Err(FirewallError::IntoOfIptables),
        Filter::Nft => apply_nft(wish, into).await,
    }
}

/// Takes away what [`apply`] has put into this filter, or into both, whoever ran it.
///
/// # Errors
/// When the filter refuses.
pub(crate) async fn remove(filter: Option<Filter>) -> Result<Done, FirewallError> {
    let is_meant = async |one| match filter {
        Some(filter) => filter == one,
        None => tool::has(one).await,
    };
    let mut done = Done::NothingThere;
    let meant = is_meant(Filter::Nft).await;
    let of_nft = if meant { removal(&read().await?)? } else { String::new() };
    if is_meant(Filter::Iptables).await {
        let (saved, has_nft) = (tool::saved().await?, tool::has(Filter::Nft).await);
        if let Some(script) = iptables::remove(&saved) {
            tool::restore(&script).await?;
            done = Done::Removed;
        }
        for table in iptables::made_tables(&saved) {
            // The older iptables keeps a table that it has begun, which does nothing.
            if has_nft
                && nft::is_bare(&tool::listed().await?, table).map_err(FirewallError::Garbled)?
            {
                tool::transact(&format!("delete table ip {table}\n")).await?;
            }
        }
    }
    if !of_nft.is_empty() {
        tool::transact(&of_nft).await?;
        done = Done::Removed;
    }
    Ok(done)
}

/// Sends a server a packet of GRE with the header of PPTP (RFC 2637, 4.1) that belongs to no call,
/// and so is thrown away by it.
///
/// # Errors
/// `PermissionDenied` when a filter of this host drops it; others when it can't be sent.
pub(crate) fn send_gre(server: Ipv4Addr) -> io::Result<()> {
    const GRE: i32 = 47;
    // A key and version 1; PPP; no payload, and call 0.
    const HEADER: [u8; 8] = [0x20, 0x01, 0x88, 0x0B, 0, 0, 0, 0];
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(socket2::Protocol::from(GRE)))?;
    socket.send_to(&HEADER, &SocketAddrV4::new(server, 0).into()).map(drop)
}

/// The chains of both filters.
async fn read() -> Result<Ruleset, FirewallError> {
    let mut all = Ruleset::default();
    let (nft, iptables) = (tool::has(Filter::Nft).await, tool::has(Filter::Iptables).await);
    if nft {
        all = nft::read(&tool::listed().await?, iptables).map_err(FirewallError::Garbled)?;
    }
    if iptables {
        all.chains.extend(iptables::read(&tool::saved().await?).chains);
    }
    if nft || iptables { Ok(all) } else { Err(FirewallError::NoFilter) }
}

async fn apply_nft(wish: &Wish, into: &[Place]) -> Result<Done, FirewallError> {
    let now = read().await?;
    let mut places: Vec<Place> = into.to_vec();
    let marked = |chain: &&Chain| {
        chain.by == Filter::Nft && !rules::is_own(chain) && chain.rules.iter().any(|rule| rule.ours)
    };
    places.extend(now.chains.iter().filter(marked).map(place));
    places.sort();
    places.dedup();
    let script = nft_script(&now, wish, &places)?;
    let InTheWay { nft, iptables } = in_the_way(&now.of_others(), wish);
    let missing: Vec<Place> = nft.into_iter().filter(|place| !places.contains(place)).collect();
    if !missing.is_empty() {
        let asked = wish.to_string();
        return Err(FirewallError::Foreign { missing, named: places, asked });
    }
    if places.is_empty() && !iptables.is_empty() {
        let (places, asked) = (iptables, wish.to_string());
        return Err(FirewallError::OfIptables { places, asked });
    }
    if script.is_empty() {
        return Ok(Done::NotNeeded);
    }
    tool::transact(&script).await?;
    Ok(Done::Applied)
}

/// What nft is to read so that the rules stand in these chains and nowhere else.
fn nft_script(now: &Ruleset, wish: &Wish, places: &[Place]) -> Result<String, FirewallError> {
    let mut script = removal(now)?;
    for place in places {
        let chain = now.chains.iter().find(|chain| self::place(chain) == *place);
        let chain = chain.ok_or_else(|| FirewallError::NoSuchChain(place.clone()))?;
        if chain.by == Filter::Iptables {
            let (places, asked) = (vec![place.clone()], wish.to_string());
            return Err(FirewallError::OfIptables { places, asked });
        }
        let Some((hook, _)) = chain.base else {
            return Err(FirewallError::NoSuchChain(place.clone()));
        };
        script += &insertions(place, wish, hook == Hook::Out);
    }
    script += &rules::nft_table(wish, !places.is_empty());
    Ok(script)
}

/// Rules to the top of a chain; the last one that is inserted comes first.
fn insertions(place: &Place, wish: &Wish, out: bool) -> String {
    let Place { family, table, chain } = place;
    let rules = rules::nft(wish, out);
    let insert = |rule: &String| {
        format!("insert rule {family} {table} {chain} {rule} comment \"{}\"\n", wish.mark())
    };
    rules.iter().rev().map(insert).collect()
}

/// Deletes our table, and our rules in tables of others.
fn removal(now: &Ruleset) -> Result<String, FirewallError> {
    let mut script = String::new();
    let (own, others): (Vec<&Chain>, Vec<&Chain>) = (now.chains.iter())
        .filter(|chain| chain.by == Filter::Nft)
        .partition(|chain| rules::is_own(chain));
    if now.has_strangers_in_ours {
        return Err(FirewallError::NotOurs);
    }
    if !own.is_empty() {
        script += &format!("delete table ip {}\n", rules::TABLE);
    }
    for chain in others {
        for handle in chain.rules.iter().filter(|rule| rule.ours).filter_map(|rule| rule.handle) {
            script += &format!("delete rule {} handle {handle}\n", place(chain));
        }
    }
    Ok(script)
}

fn place(chain: &Chain) -> Place {
    Place { family: chain.family.clone(), table: chain.table.clone(), chain: chain.name.clone() }
}

/// Every packet that PPTP needs, with its name.
fn packets<'a>(ruleset: &Ruleset, servers: &'a [Server]) -> Vec<(Packet<'a>, &'static str)> {
    let servers: Vec<Option<&Server>> =
        if servers.is_empty() { vec![None] } else { servers.iter().map(Some).collect() };
    let all = servers.into_iter().flat_map(|server| {
        // Without a helper each direction of GRE is a connection of its own, never answered.
        let gre: &[&str] =
            if ruleset.follows_our_calls(server) { &["related", "established"] } else { &["new"] };
        let of = move |out, protocol, states: &[&'static str], what| {
            let packet = move |state| (Packet { out, protocol, server, state }, what);
            states.iter().copied().map(packet).collect::<Vec<_>>()
        };
        [
            of(true, Protocol::Tcp, &["new", "established"], "TCP to port 1723"),
            of(true, Protocol::Gre, gre, "GRE to servers"),
            of(false, Protocol::Tcp, &["established"], "answers from TCP port 1723"),
            of(false, Protocol::Gre, gre, "GRE from servers"),
        ]
    });
    all.flatten().collect()
}

/// Chains that drop something, or may.
struct InTheWay {
    nft: Vec<Place>,
    iptables: Vec<Place>,
}

fn in_the_way(ruleset: &Ruleset, wish: &Wish) -> InTheWay {
    let mut chains: Vec<&Chain> = Vec::new();
    for (packet, _) in packets(ruleset, &wish.servers) {
        for (chain, _) in ruleset.trouble(&packet) {
            if !chains.contains(&chain) {
                chains.push(chain);
            }
        }
    }
    let (nft, iptables): (Vec<&Chain>, Vec<&Chain>) =
        chains.into_iter().partition(|chain| chain.by == Filter::Nft);
    let places = |chains: Vec<&Chain>| chains.into_iter().map(place).collect();
    InTheWay { nft: places(nft), iptables: places(iptables) }
}
