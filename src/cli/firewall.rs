//! `connexactl firewall`: what the host's packet filter does to PPTP, and rules that let it
//! through.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::json;
use crate::config::{self, ConfigError};
use crate::core::event::Candidate;
use crate::desired::{self, Problem, Settings};
use crate::exit::Exit;
use crate::firewall::{self, Done, Filter, FirewallError, Place, Trouble, Wish};

/// How long a server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// PPTP's control port (RFC 2637).
const PORT: u16 = 1723;

/// What comes after `firewall`.
#[derive(Debug, Args)]
pub struct FirewallArguments {
    #[command(subcommand)]
    command: FirewallCommand,
}

#[derive(Debug, Subcommand)]
enum FirewallCommand {
    /// Show the rules without putting them
    Print(RuleArguments),
    /// Find chains that drop PPTP, and call the servers that are named (exit code 1 when something is in the way)
    Check(ServerArguments),
    /// Put the rules, marked `connexa`; again is the same as once (needs root)
    Apply(RuleArguments),
    /// Take away every rule that `apply` has put, and no other (needs root)
    Remove {
        #[command(flatten)]
        filter: FilterArgument,
    },
}

#[derive(Debug, Args)]
struct FilterArgument {
    /// Which packet filter [default: nft, where it is installed]
    #[arg(long, value_enum, value_name = "NAME")]
    filter: Option<FilterName>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FilterName {
    Nft,
    Iptables,
}

#[derive(Debug, Args)]
struct ServerArguments {
    #[command(flatten)]
    filter: FilterArgument,
    /// Only this server; may be given again [default: any]
    #[arg(long = "server", value_name = "ADDRESS")]
    servers: Vec<Ipv4Addr>,
    /// Only the servers of the nodes in the database
    #[arg(long)]
    of_nodes: bool,
    /// Configuration file that names the database [default: /etc/connexa/connexad.toml, where it exists]
    #[arg(long, value_name = "PATH", requires = "of_nodes")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RuleArguments {
    #[command(flatten)]
    servers: ServerArguments,
    /// Put the rules into this chain of nftables, which drops; may be given again
    #[arg(long, num_args = 3, value_names = ["FAMILY", "TABLE", "CHAIN"])]
    into: Vec<String>,
    /// Fit TCP's segments to the tunnels' MTU, also of what is forwarded
    #[arg(long)]
    clamp_mss: bool,
    /// Follow PPTP calls of clients behind this host, which it translates (NAT)
    #[arg(long)]
    conntrack_helper: bool,
}

/// Why the answer is an error.
#[derive(Debug, thiserror::Error)]
pub enum FirewallCommandError {
    /// Of the filter.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The nodes can't be read.
    #[error("can't read the nodes: {0}")]
    Nodes(#[from] Problem),
    /// It can't be put as JSON.
    #[error("{0}")]
    Json(String),
}

impl FirewallCommandError {
    /// The program's exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            FirewallCommandError::Firewall(FirewallError::NotRoot) => Exit::Permission,
            FirewallCommandError::Firewall(
                FirewallError::NoFilter
                | FirewallError::Missing { .. }
                | FirewallError::Refused { .. }
                | FirewallError::Garbled(_)
                | FirewallError::Foreign { .. }
                | FirewallError::NoSuchChain(_),
            )
            | FirewallCommandError::Nodes(_)
            | FirewallCommandError::Json(_) => Exit::No,
            FirewallCommandError::Config(_) => Exit::Config,
        }
    }
}

/// What `check` has found.
#[derive(Debug, Serialize)]
struct Findings {
    troubles: Vec<Trouble>,
    servers: Vec<Server>,
}

/// How a server took a call of its control port.
#[derive(Debug, Serialize)]
struct Server {
    server: Ipv4Addr,
    answers: bool,
    message: String,
}

/// Does what the command line says; the text to print, and the exit code.
///
/// # Errors
/// When the filter, the configuration or the database stands against it.
pub async fn firewall(
    arguments: &FirewallArguments,
    as_json: bool,
) -> Result<(String, Exit), FirewallCommandError> {
    match &arguments.command {
        FirewallCommand::Print(rules) => {
            let filter = filter(&rules.servers.filter)?;
            Ok((firewall::print(filter, &wish(rules).await?, &places(&rules.into)), Exit::Done))
        }
        FirewallCommand::Apply(rules) => {
            let filter = filter(&rules.servers.filter)?;
            let done = firewall::apply(filter, &wish(rules).await?, &places(&rules.into))?;
            Ok((told(&done), Exit::Done))
        }
        FirewallCommand::Remove { filter: name } => {
            Ok((told(&firewall::remove(filter(name)?)?), Exit::Done))
        }
        FirewallCommand::Check(asked) => check(asked, as_json).await,
    }
}

fn filter(name: &FilterArgument) -> Result<Filter, FirewallError> {
    match name.filter {
        Some(FilterName::Nft) => Ok(Filter::Nft),
        Some(FilterName::Iptables) => Ok(Filter::Iptables),
        None => Filter::of_host(),
    }
}

async fn wish(rules: &RuleArguments) -> Result<Wish, FirewallCommandError> {
    Ok(Wish {
        servers: servers(&rules.servers).await?,
        clamp_mss: rules.clamp_mss,
        conntrack_helper: rules.conntrack_helper,
    })
}

async fn servers(asked: &ServerArguments) -> Result<Vec<Ipv4Addr>, FirewallCommandError> {
    let mut servers = asked.servers.clone();
    if asked.of_nodes {
        let config = config::load(asked.config.as_deref(), |_| ())?;
        for candidate in desired::read_once(&Settings::from(&config)).await? {
            match candidate {
                Candidate::Node(node) => servers.push(node.server.ip()),
                Candidate::Invalid(_) => {}
            }
        }
    }
    servers.sort_unstable();
    servers.dedup();
    Ok(servers)
}

/// Words of `--into`, which come by threes.
fn places(words: &[String]) -> Vec<Place> {
    let place = |words: &[String]| match words {
        [family, table, chain] => {
            Some(Place { family: family.clone(), table: table.clone(), chain: chain.clone() })
        }
        _ => None,
    };
    words.chunks(3).filter_map(place).collect()
}

fn told(done: &Done) -> String {
    match done {
        Done::Applied => "The rules are in place; `connexactl firewall remove` takes them away\n",
        Done::NotNeeded => "Nothing drops PPTP, so no rule is needed\n",
        Done::Removed => "The rules are gone\n",
        Done::NothingThere => "There are no rules of connexa's\n",
    }
    .to_owned()
}

async fn check(
    asked: &ServerArguments,
    as_json: bool,
) -> Result<(String, Exit), FirewallCommandError> {
    let servers = servers(asked).await?;
    let troubles = firewall::troubles(filter(&asked.filter)?, &servers)?;
    let mut calls = tokio::task::JoinSet::new();
    servers.iter().for_each(|server| drop(calls.spawn(call(*server))));
    let mut servers = calls.join_all().await;
    servers.sort_by_key(|server| server.server);
    let is_well =
        troubles.iter().all(|trouble| !trouble.sure) && servers.iter().all(|server| server.answers);
    let findings = Findings { troubles, servers };
    let text = if as_json {
        json(&findings).map_err(FirewallCommandError::Json)?
    } else {
        in_lines(&findings)
    };
    Ok((text, if is_well { Exit::Done } else { Exit::No }))
}

async fn call(server: Ipv4Addr) -> Server {
    let connected =
        timeout(ANSWER_WITHIN, TcpStream::connect(SocketAddr::from((server, PORT)))).await;
    let (answers, message) = match connected {
        Ok(Ok(_)) => (true, format!("answers on TCP port {PORT}")),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            (false, format!("a filter of this host drops TCP to port {PORT}"))
        }
        Ok(Err(error)) => (false, format!("TCP port {PORT}: {error}")),
        Err(_) => {
            let seconds = ANSWER_WITHIN.as_secs();
            (
                false,
                format!(
                    "no answer from TCP port {PORT} within {seconds} s: a filter drops it, here or on the way, or the server is down"
                ),
            )
        }
    };
    Server { server, answers, message }
}

fn in_lines(findings: &Findings) -> String {
    let mut text = String::new();
    for Trouble { chain, what, sure } in &findings.troubles {
        let verb = if *sure { "drops" } else { "may drop, by rules that are not understood here:" };
        let _ =
            writeln!(text, "{} {chain} {verb} {what}", if *sure { "failed " } else { "warning" });
    }
    if findings.troubles.iter().any(|trouble| trouble.sure) {
        text.push_str("        → connexactl firewall apply\n");
    }
    if findings.troubles.is_empty() {
        text.push_str("ok      no chain drops TCP port 1723 or GRE\n");
    }
    for Server { server, answers, message } in &findings.servers {
        let _ =
            writeln!(text, "{} {server}: {message}", if *answers { "ok     " } else { "failed " });
    }
    text
}
