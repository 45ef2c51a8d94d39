//! `connexactl firewall`: what the host's packet filter does to PPTP, and rules that let it
//! through.

mod told;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use futures::{StreamExt, stream};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::JsonError;
use crate::config::{self, ConfigError};
use crate::desired::{self, Problem, Settings};
use crate::exit::Exit;
use crate::firewall::{self, Filter, FirewallError, Place, Scope, Server, Wish};
use told::{Answer, Findings};

/// How long a server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// PPTP's control port (RFC 2637).
const PORT: u16 = 1723;
/// Servers that are called at once.
const CALLS_AT_ONCE: usize = 64;

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
    /// Add the rules, marked as connexa's; running it again changes nothing (needs root)
    Apply(RuleArguments),
    /// Take away every rule that `apply` has put, and no other (needs root)
    Remove {
        /// Only from this packet filter [default: from both]
        #[arg(long, value_enum, value_name = "NAME")]
        filter: Option<FilterName>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FilterName {
    Nft,
    Iptables,
}

#[derive(Debug, Args)]
struct ServerArguments {
    /// Only this server; may be given again [default: any]
    #[arg(long = "server", value_name = "ADDRESS", value_parser = address)]
    servers: Vec<Ipv4Addr>,
    /// Only the servers of the nodes in the database that the configuration names
    #[arg(long)]
    of_nodes: bool,
}

#[derive(Debug, Args)]
struct RuleArguments {
    /// Which packet filter [default: nft, where it is installed]
    #[arg(long, value_enum, value_name = "NAME")]
    filter: Option<FilterName>,
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

fn address(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| "give an IPv4 address such as 10.9.0.2".to_owned())
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
    /// The database names no server.
    #[error(
        "{0} has no node that can be dialled, so there is no server to name; leave out --of-nodes, or see `connexactl node list`"
    )]
    NoServer(PathBuf),
    /// It can't be put as JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// Does what the command line says; the text to print, and the exit code.
///
/// # Errors
/// When the filter, the configuration or the database stands against it.
pub async fn firewall(
    arguments: &FirewallArguments,
    config: Option<&Path>,
    as_json: bool,
) -> Result<(String, Exit), FirewallCommandError> {
    match &arguments.command {
        FirewallCommand::Print(rules) => {
            let filter = rules.filter().await?;
            let text =
                firewall::print(filter, &wish(rules, config).await?, &places(&rules.into)).await?;
            Ok((told::rules(filter, text, as_json)?, Exit::Done))
        }
        FirewallCommand::Apply(rules) => apply(rules, config, as_json).await,
        FirewallCommand::Remove { filter } => {
            let done = firewall::remove(filter.map(Filter::from)).await?;
            Ok((told::done(done, None, as_json)?, Exit::Done))
        }
        FirewallCommand::Check(asked) => check(asked, config, as_json).await,
    }
}

impl ServerArguments {
    fn scope(&self, config: Option<&Path>) -> Scope {
        let config = config.filter(|_| self.of_nodes).map(Path::to_owned);
        Scope { named: self.servers.clone(), of_nodes: self.of_nodes, config }
    }
}

impl RuleArguments {
    async fn filter(&self) -> Result<Filter, FirewallError> {
        match self.filter {
            Some(name) => Ok(name.into()),
            None => Filter::of_host().await,
        }
    }
}

impl From<FilterName> for Filter {
    fn from(name: FilterName) -> Self {
        match name {
            FilterName::Nft => Filter::Nft,
            FilterName::Iptables => Filter::Iptables,
        }
    }
}

async fn apply(
    rules: &RuleArguments,
    config: Option<&Path>,
    as_json: bool,
) -> Result<(String, Exit), FirewallCommandError> {
    let filter = rules.filter().await?;
    let wish = wish(rules, config).await?;
    let done = firewall::apply(filter, &wish, &places(&rules.into)).await?;
    let mut still = firewall::troubles(&wish.servers).await?;
    still.retain(|trouble| trouble.sure);
    let exit = if still.is_empty() { Exit::Done } else { Exit::No };
    let findings = Findings { troubles: still, scope: wish.scope, servers: Vec::new() };
    Ok((told::done(done, Some(&findings), as_json)?, exit))
}

async fn wish(rules: &RuleArguments, config: Option<&Path>) -> Result<Wish, FirewallCommandError> {
    Ok(Wish {
        servers: servers(&rules.servers, config).await?,
        scope: rules.servers.scope(config),
        clamp_mss: rules.clamp_mss,
        conntrack_helper: rules.conntrack_helper,
    })
}

async fn servers(
    asked: &ServerArguments,
    config: Option<&Path>,
) -> Result<Vec<Server>, FirewallCommandError> {
    let mut servers = asked.servers.clone();
    if asked.of_nodes {
        let config = config::load(config, |_| ())?;
        let rows = desired::read_once(&Settings::from(&config)).await?;
        let nodes = rows.iter().filter_map(|row| row.candidate.node());
        servers.extend(nodes.map(|node| node.server.ip()));
        // No server would mean any.
        if servers.is_empty() {
            return Err(FirewallCommandError::NoServer(config.database.path));
        }
    }
    servers.sort_unstable();
    servers.dedup();
    Ok(firewall::servers(servers).await)
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

async fn check(
    asked: &ServerArguments,
    config: Option<&Path>,
    as_json: bool,
) -> Result<(String, Exit), FirewallCommandError> {
    let servers = servers(asked, config).await?;
    let mut scope = asked.scope(config);
    let troubles = if scope.is_any() {
        // What the rules that are there do not let through is not wanted either.
        scope = firewall::scope().await?;
        let named = firewall::servers(scope.named.clone()).await;
        firewall::troubles(&named).await?
    } else {
        firewall::troubles(&servers).await?
    };
    if scope.of_nodes {
        // Said by the database from now on, and by a name that the next node is known by, too.
        scope.named.clone_from(&asked.servers);
    }
    let calls = stream::iter(servers).map(|server| call(server.address)).buffered(CALLS_AT_ONCE);
    let findings = Findings { troubles, scope, servers: calls.collect().await };
    // What may be dropped can't be called well either.
    let is_well =
        findings.troubles.is_empty() && findings.servers.iter().all(|server| server.answers);
    Ok((told::findings(&findings, as_json)?, if is_well { Exit::Done } else { Exit::No }))
}

/// Calls a server's control port, and sends it a packet of GRE that belongs to no call.
async fn call(server: Ipv4Addr) -> Answer {
    let filtered = |what| (false, format!("a filter of this host drops {what}"));
    if firewall::send_gre(server).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        let (answers, message) = filtered("GRE to it");
        return Answer { server, answers, message };
    }
    let connected =
        timeout(ANSWER_WITHIN, TcpStream::connect(SocketAddr::from((server, PORT)))).await;
    let (answers, message) = match connected {
        Ok(Ok(_)) => (true, format!("answers on TCP port {PORT}")),
        Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => {
            filtered("TCP to port 1723")
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
    Answer { server, answers, message }
}
