//! connexactl: asks the daemon.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Parser, Subcommand};
use connexa::cli::{
    FirewallArguments, NodeArguments, ReplayError, StatusView, arguments, complain, firewall, node,
    replay, show_change, show_diagnosis, show_status,
};
use connexa::config::{self, ConfigError};
use connexa::control::client::{self, ClientError};
use connexa::core::event::Ask;
use connexa::doctor;
use connexa::exit::Exit;
use tokio::runtime::Runtime;

/// Asks connexad about its tunnels.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The daemon's socket
    #[arg(long, global = true, value_name = "PATH", default_value = "/run/connexa/connexad.sock")]
    socket: PathBuf,
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
        #[arg(value_parser = node_id)]
        node: Option<u32>,
    },
    /// Allow a node to be dialled, forget its failures and dial it (needs root)
    Start {
        /// The node's id
        #[arg(value_parser = node_id)]
        node: u32,
    },
    /// Hang up a node and leave it down until it is started, whatever restarts (needs root)
    Stop {
        /// The node's id
        #[arg(value_parser = node_id)]
        node: u32,
    },
    /// Check this host, with or without a daemon (exit code 1 when a check has failed)
    Doctor {
        /// Configuration file [default: /etc/connexa/connexad.toml, where it exists]
        #[arg(long, value_name = "PATH")]
        config: Option<PathBuf>,
    },
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
        #[arg(value_parser = node_id)]
        node: u32,
    },
}

/// Of a word of the command line.
fn node_id(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("a node's id is a number of 0 to {}", u32::MAX))
}

fn main() -> ExitCode {
    let arguments: Arguments = match arguments("connexactl") {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    match run(&arguments) {
        Ok(exit) => exit.into(),
        Err((message, exit)) => {
            complain("connexactl", &message);
            exit.into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<Exit, (String, Exit)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| (format!("can't start: {error}"), Exit::No))?;
    let (text, exit) = match arguments.command {
        Command::Status { node } => {
            let status = runtime.block_on(client::status(&arguments.socket)).map_err(refusal)?;
            let view = StatusView { node, json: arguments.json };
            let (text, yes) =
                show_status(&status, view, SystemTime::now()).map_err(|text| (text, Exit::No))?;
            (text, if yes { Exit::Done } else { Exit::No })
        }
        Command::Replay { ref file } => return replay_file(file),
        Command::Doctor { ref config } => examine(&runtime, arguments, config.as_deref())?,
        Command::Firewall(ref asked) => runtime
            .block_on(firewall(asked, arguments.json))
            .map_err(|error| (error.to_string(), error.exit()))?,
        Command::Node(ref nodes) => {
            let done = runtime.block_on(node(nodes, arguments.json));
            (done.map_err(|error| (error.to_string(), error.exit()))?, Exit::Done)
        }
        Command::Start { node } => (change(&runtime, arguments, node, Ask::Start)?, Exit::Done),
        Command::Stop { node } => (change(&runtime, arguments, node, Ask::Stop)?, Exit::Done),
        Command::Retry { node } => (change(&runtime, arguments, node, Ask::Retry)?, Exit::Done),
    };
    // A closed pipe (`connexactl status | head`) is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(exit)
}

fn change(
    runtime: &Runtime,
    arguments: &Arguments,
    node: u32,
    ask: Ask,
) -> Result<String, (String, Exit)> {
    let node = runtime.block_on(client::change(&arguments.socket, node, ask)).map_err(refusal)?;
    show_change(&node, arguments.json).map_err(|text| (text, Exit::No))
}

fn examine(
    runtime: &Runtime,
    arguments: &Arguments,
    file: Option<&Path>,
) -> Result<(String, Exit), (String, Exit)> {
    let config = config::load(file, |_| ()).map_err(|error| {
        let exit = match &error {
            ConfigError::Unreadable { source, .. }
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                Exit::Permission
            }
            ConfigError::Unreadable { .. }
            | ConfigError::Malformed { .. }
            | ConfigError::Refused { .. } => Exit::Config,
        };
        (error.to_string(), exit)
    })?;
    let diagnosis = runtime.block_on(doctor::examine(&config));
    let text = show_diagnosis(&diagnosis, arguments.json).map_err(|text| (text, Exit::No))?;
    Ok((text, if diagnosis.is_healthy() { Exit::Done } else { Exit::No }))
}

fn replay_file(file: &Path) -> Result<Exit, (String, Exit)> {
    let failed =
        |error: ReplayError| (format!("can't replay {}: {error}", file.display()), Exit::No);
    let recording = File::open(file).map_err(|error| failed(error.into()))?;
    match replay(BufReader::new(recording), &mut BufWriter::new(std::io::stdout().lock())) {
        // A closed pipe (`connexactl replay FILE | head`) is no failure.
        Err(ReplayError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Done),
        ended => ended.map(|()| Exit::Done).map_err(failed),
    }
}

fn refusal(error: ClientError) -> (String, Exit) {
    (error.to_string(), exit_of(&error))
}

fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Unreachable { .. }
        | ClientError::WentAway { .. }
        | ClientError::Garbled { .. } => Exit::Unreachable,
        ClientError::Permission { .. } | ClientError::NotRoot { .. } => Exit::Permission,
        ClientError::Refused { problem, .. } => match problem.status {
            403 => Exit::Permission,
            503 => Exit::Unreachable,
            _ => Exit::No,
        },
    }
}
