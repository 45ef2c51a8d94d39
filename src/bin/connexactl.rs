//! connexactl: asks the daemon.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::ArgValueCompleter;
use connexa::cli::{
    FirewallArguments, NodeArguments, Shell, StatusView, Terminal, arguments, complete,
    completions, fail, firewall, node, node_id, nodes, print, replay, report, show_change,
    show_diagnosis, show_explanation, show_node, show_plan, show_reload, show_status, socket,
    status_as_json, watch,
};
use connexa::config::{self, ConfigError};
use connexa::control::client;
use connexa::core::event::Ask;
use connexa::doctor;
use connexa::exit::{Exit, Fatal, Refused};
use tokio::runtime::Runtime;

/// Asks connexad about its tunnels.
#[derive(Debug, Parser)]
#[command(name = "connexactl", version)]
struct Arguments {
    /// The daemon's socket [default: control.socket of the configuration]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Configuration file [default: /etc/connexa/connexad.toml, where it exists]; CONNEXA_DB wins
    /// over its database.path
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show all nodes, or one in full (exit code 1 when that one is not up)
    Status {
        /// Only this node
        #[arg(value_parser = node_id, add = ArgValueCompleter::new(nodes), conflicts_with_all = ["states", "servers", "sort", "wide"])]
        node: Option<u32>,
        #[command(flatten)]
        view: StatusView,
    },
    /// Show each event as it happens, a line each, also over restarts of the daemon
    Watch,
    /// Tell why a node is in its state, what it went through, what comes next, and the command that changes it
    Explain {
        /// The node's id
        #[arg(value_parser = node_id, add = ArgValueCompleter::new(nodes))]
        node: u32,
    },
    /// Show what would be done now and why; with --config FILE, what would be done under that
    /// configuration (needs root)
    Plan,
    /// Print figures for Prometheus, as OpenMetrics
    Metrics,
    /// Read configuration and nodes again, and tell what changed (needs root)
    Reload,
    /// Print the script by which a shell completes this program's commands and its nodes
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write what a colleague needs to help into a new file, without passwords (needs root)
    Report {
        /// The file; nothing is written over
        file: PathBuf,
    },
    /// Allow a node to be dialled, forget its failures and dial it (needs root)
    Start {
        /// The node's id
        #[arg(value_parser = node_id, add = ArgValueCompleter::new(nodes))]
        node: u32,
    },
    /// Hang up a node and leave it down until it is started, whatever restarts (needs root)
    Stop {
        /// The node's id
        #[arg(value_parser = node_id, add = ArgValueCompleter::new(nodes))]
        node: u32,
    },
    /// Check this host, with or without a daemon (exit code 1 when a check has failed)
    Doctor,
    /// Let PPTP through this host's packet filter, and find what drops it
    Firewall(FirewallArguments),
    /// List and edit the nodes in the database, with or without a daemon
    Node(NodeArguments),
    /// Put a recording of `connexad --record` through the same build's core, and print what it does
    Replay {
        /// The recording
        file: PathBuf,
    },
    /// Forget a node's back-off or quarantine and dial it now (needs root)
    Retry {
        /// The node's id
        #[arg(value_parser = node_id, add = ArgValueCompleter::new(nodes))]
        node: u32,
    },
}

impl Arguments {
    fn socket(&self) -> Result<PathBuf, ConfigError> {
        socket(self.socket.as_deref(), self.config.as_deref())
    }
}

fn main() -> ExitCode {
    complete(Arguments::command);
    let arguments: Arguments = match arguments("connexactl") {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    run(&arguments).map_or_else(|refused| fail("connexactl", &refused), ExitCode::from)
}

fn run(arguments: &Arguments) -> Result<Exit, Refused> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refused::with(Exit::No, format!("can't start: {error}")))?;
    let config = arguments.config.as_deref();
    let (text, exit) = match arguments.command {
        Command::Status { node: Some(node), .. } => {
            let node = runtime.block_on(client::node(&arguments.socket()?, node))?.node;
            let text = show_node(&node, arguments.json)?;
            (text, if node.state == "up" { Exit::Done } else { Exit::No })
        }
        Command::Status { node: None, ref view } => {
            let status = runtime.block_on(client::status(&arguments.socket()?))?;
            let text = if arguments.json {
                status_as_json(&status, view)?
            } else {
                show_status(&status, view, Terminal::of_stdout(view.wide))?
            };
            (text, Exit::Done)
        }
        Command::Watch => {
            let (socket, out) = (arguments.socket()?, std::io::stdout().lock());
            runtime.block_on(watch(&socket, arguments.json, out))?;
            return Ok(Exit::Done);
        }
        Command::Explain { node } => {
            let node = runtime.block_on(client::node(&arguments.socket()?, node))?;
            (show_explanation(&node, arguments.json)?, Exit::Done)
        }
        Command::Plan => {
            let other = config.map(|file| config::load(Some(file), |_| ())).transpose()?;
            let other = other.map(|config| toml::to_string(&config)).transpose();
            let other = other.map_err(|error| Refused::with(Exit::Config, error))?;
            // The daemon is not asked by the socket of a configuration that it does not go by.
            let daemon = socket(arguments.socket.as_deref(), None)?;
            let plan = runtime.block_on(client::plan(&daemon, other))?;
            (show_plan(&plan, arguments.json)?, Exit::Done)
        }
        Command::Metrics => (runtime.block_on(client::metrics(&arguments.socket()?))?, Exit::Done),
        Command::Reload => {
            let reloaded = runtime.block_on(client::reload(&arguments.socket()?))?;
            (show_reload(&reloaded, arguments.json)?, Exit::Done)
        }
        Command::Completions { shell } => (completions(shell)?, Exit::Done),
        Command::Report { ref file } => {
            let socket = arguments.socket()?;
            (runtime.block_on(report(file, &socket, config))?, Exit::Done)
        }
        Command::Replay { ref file } => return replay_file(file, arguments.json),
        Command::Doctor => examine(&runtime, arguments)?,
        Command::Firewall(ref asked) => {
            runtime.block_on(firewall(asked, config, arguments.json))?
        }
        Command::Node(ref asked) => {
            (runtime.block_on(node(asked, config, arguments.json))?, Exit::Done)
        }
        Command::Start { node } => (change(&runtime, arguments, node, Ask::Start)?, Exit::Done),
        Command::Stop { node } => (change(&runtime, arguments, node, Ask::Stop)?, Exit::Done),
        Command::Retry { node } => (change(&runtime, arguments, node, Ask::Retry)?, Exit::Done),
    };
    print(&text)?;
    Ok(exit)
}

fn change(
    runtime: &Runtime,
    arguments: &Arguments,
    node: u32,
    ask: Ask,
) -> Result<String, Refused> {
    let node = runtime.block_on(client::change(&arguments.socket()?, node, ask))?;
    Ok(show_change(&node, arguments.json)?)
}

fn examine(runtime: &Runtime, arguments: &Arguments) -> Result<(String, Exit), Refused> {
    let file = config::file(arguments.config.clone());
    let config = config::load(file.as_deref(), |_| ())?;
    let diagnosis = runtime.block_on(doctor::examine(&config, file.as_deref()));
    let text = show_diagnosis(&diagnosis, arguments.json)?;
    Ok((text, if diagnosis.is_healthy() { Exit::Done } else { Exit::No }))
}

fn replay_file(file: &Path, as_json: bool) -> Result<Exit, Refused> {
    let out = BufWriter::new(std::io::stdout().lock());
    let replayed = File::open(file)
        .map_err(Into::into)
        .and_then(|recording| replay(BufReader::new(recording), out, as_json));
    match replayed {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            let what = format!("can't replay {}: {error}", file.display());
            Err(Refused::with(error.exit(), what))
        }
    }
}
