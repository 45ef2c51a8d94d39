//! `nft` and `iptables`: asked, and given scripts that they take whole or not at all.

use std::fmt;
use std::time::Duration;

use super::Place;
use crate::command::{self, CommandError};

/// Which packet filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// nftables, by nft(8).
    Nft,
    /// iptables(8), of either kind.
    Iptables,
}

impl Filter {
    /// The one that this host has, nftables first.
    ///
    /// # Errors
    /// When it has none.
    pub(crate) async fn of_host() -> Result<Self, FirewallError> {
        for filter in [Filter::Nft, Filter::Iptables] {
            if has(filter).await {
                return Ok(filter);
            }
        }
        Err(FirewallError::NoFilter)
    }
}

/// How long a tool may take; what it waits for itself is a lock of another one.
const LIMIT: Duration = Duration::from_secs(30);
/// A ruleset of more bytes than this is none that can be judged.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Whether this host has the programs of a filter.
pub(super) async fn has(filter: Filter) -> bool {
    let program = match filter {
        Filter::Nft => "nft",
        Filter::Iptables => "iptables-save",
    };
    command::ask(&argv(program, &["--version"]), LIMIT).await.is_ok()
}

fn argv(tool: &str, arguments: &[&str]) -> Vec<String> {
    [tool].iter().chain(arguments).map(|&word| word.to_owned()).collect()
}

/// Why the packet filter can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// Neither nft nor iptables.
    #[error(
        "this host has neither nft nor iptables: install nftables, or there is no filter to be changed"
    )]
    NoFilter,
    /// Not root.
    #[error("only root may see the packet filter: run this with sudo")]
    NotRoot,
    /// A tool can't be run, or not to its end.
    #[error("{0}; see whether it works by itself")]
    Tool(#[from] CommandError),
    /// A tool says no.
    #[error(
        "{tool} refused: {words}; `connexactl firewall remove` takes away what it may have taken before"
    )]
    Refused {
        /// Its name.
        tool: &'static str,
        /// What it said.
        words: String,
    },
    /// There are more rules than can be looked through.
    #[error(
        "{tool} lists 64 MiB of rules or more, which are not looked through; see who makes them"
    )]
    TooLong {
        /// Its name.
        tool: &'static str,
    },
    /// What nft lists is not understood.
    #[error("nft -j list ruleset: {0}")]
    Garbled(serde_json::Error),
    /// Chains of others drop PPTP, or may.
    #[error(
        "{} PPTP, and only a rule in there lets it through; nothing was changed, run: {}",
        Drops(missing),
        Remedy(missing, named, asked)
    )]
    Foreign {
        /// The chains.
        missing: Vec<Place>,
        /// Those that were named or have rules of ours.
        named: Vec<Place>,
        /// What was asked for, as arguments with a blank before each.
        asked: String,
    },
    /// Chains that drop PPTP, or were named, are iptables'.
    #[error(
        "{} iptables'; nothing was changed, run: connexactl firewall apply --filter iptables{asked}",
        Are(places)
    )]
    OfIptables {
        /// The chains.
        places: Vec<Place>,
        /// What was asked for, as arguments with a blank before each.
        asked: String,
    },
    /// `--into` for iptables.
    #[error(
        "iptables gets chains of its own, so `--into` names none of its; leave it out, or use `--filter nft`"
    )]
    IntoOfIptables,
    /// A table of the operator's has the name of ours.
    #[error(
        "table ip connexa has rules that are not marked as ours; nothing was changed, rename that table"
    )]
    NotOurs,
    /// Not a base chain of this host.
    #[error(
        "nftables has no base chain {0} on the way in or out of this host; nothing was changed, see `nft list ruleset`"
    )]
    NoSuchChain(Place),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.chain)
    }
}

fn names(places: &[Place]) -> String {
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

struct Drops<'a>(&'a [Place]);

impl fmt::Display for Drops<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.0.len() == 1 { "drops, or may drop," } else { "drop, or may drop," };
        write!(f, "{} {verb}", names(self.0))
    }
}

struct Are<'a>(&'a [Place]);

impl fmt::Display for Are<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", names(self.0), if self.0.len() == 1 { "is" } else { "are" })
    }
}

struct Remedy<'a>(&'a [Place], &'a [Place], &'a str);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connexactl firewall apply")?;
        self.0.iter().chain(self.1).try_for_each(|place| write!(f, " --into {place}"))?;
        f.write_str(self.2)
    }
}

/// What `nft -j list ruleset` says.
pub(super) async fn listed() -> Result<String, FirewallError> {
    run("nft", &["-j", "list", "ruleset"], "").await
}

/// Has nft take a script.
pub(super) async fn transact(script: &str) -> Result<(), FirewallError> {
    run("nft", &["-f", "-"], script).await.map(drop)
}

/// What `iptables-save` says.
pub(super) async fn saved() -> Result<String, FirewallError> {
    run("iptables-save", &[], "").await
}

/// Has iptables take a script, table by table. Another program that changes rules is waited for
/// so many seconds.
pub(super) async fn restore(script: &str) -> Result<(), FirewallError> {
    run("iptables-restore", &["--noflush", "--wait", "5"], script).await.map(drop)
}

async fn run(tool: &'static str, arguments: &[&str], input: &str) -> Result<String, FirewallError> {
    if !rustix::process::geteuid().is_root() {
        return Err(FirewallError::NotRoot);
    }
    let said = command::tell(&argv(tool, arguments), input.to_owned(), LIMIT, LONGEST).await?;
    if said.code != Some(0) {
        let words = said.complaints.split_whitespace().collect::<Vec<_>>().join(" ");
        return Err(FirewallError::Refused { tool, words });
    }
    if u64::try_from(said.text.len()).is_ok_and(|length| length >= LONGEST) {
        return Err(FirewallError::TooLong { tool });
    }
    Ok(said.text)
}
