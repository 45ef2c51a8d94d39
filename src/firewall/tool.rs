//! `nft` and `iptables`: asked, and given scripts that they take whole or not at all.

use std::fmt;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use super::Place;

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
    pub(crate) fn of_host() -> Result<Self, FirewallError> {
        let all = [Filter::Nft, Filter::Iptables];
        all.into_iter().find(|filter| has(*filter)).ok_or(FirewallError::NoFilter)
    }
}

/// Whether this host has the programs of a filter.
pub(super) fn has(filter: Filter) -> bool {
    let program = match filter {
        Filter::Nft => "nft",
        Filter::Iptables => "iptables-save",
    };
    Command::new(program).arg("--version").output().is_ok()
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
    #[error("the packet filter is root's: run this with sudo")]
    NotRoot,
    /// A tool can't be run.
    #[error("can't run {tool}: {source}")]
    Missing {
        /// Its name.
        tool: &'static str,
        /// Why not.
        source: io::Error,
    },
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
    /// What nft lists is not understood.
    #[error("nft -j list ruleset: {0}")]
    Garbled(serde_json::Error),
    /// Chains of others drop PPTP, or may.
    #[error(
        "{} PPTP, and only a rule in there lets it through; nothing was changed, run: {}",
        Drops(missing),
        Remedy(missing, named)
    )]
    Foreign {
        /// The chains.
        missing: Vec<Place>,
        /// Those that were named or have rules of ours.
        named: Vec<Place>,
    },
    /// Chains that drop PPTP, or were named, are iptables'.
    #[error(
        "{} iptables'; nothing was changed, run: connexactl firewall apply --filter iptables",
        Are(.0)
    )]
    OfIptables(Vec<Place>),
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

struct Remedy<'a>(&'a [Place], &'a [Place]);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connexactl firewall apply")?;
        self.0.iter().chain(self.1).try_for_each(|place| write!(f, " --into {place}"))
    }
}

/// What `nft -j list ruleset` says.
pub(super) fn listed() -> Result<String, FirewallError> {
    run("nft", &["-j", "list", "ruleset"], "")
}

/// Has nft take a script.
pub(super) fn transact(script: &str) -> Result<(), FirewallError> {
    run("nft", &["-f", "-"], script).map(drop)
}

/// What `iptables-save` says.
pub(super) fn saved() -> Result<String, FirewallError> {
    run("iptables-save", &[], "")
}

/// Has iptables take a script, table by table. Another program that changes rules is waited for
/// so many seconds.
pub(super) fn restore(script: &str) -> Result<(), FirewallError> {
    run("iptables-restore", &["--noflush", "--wait", "5"], script).map(drop)
}

fn run(tool: &'static str, arguments: &[&str], input: &str) -> Result<String, FirewallError> {
    if !rustix::process::geteuid().is_root() {
        return Err(FirewallError::NotRoot);
    }
    let missing = |source| FirewallError::Missing { tool, source };
    let mut child = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read on says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(missing)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        return Err(FirewallError::Refused { tool, words });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
