//! connexactl: asks the daemon.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Parser, Subcommand};
use connexa::cli::{StatusView, show_status};
use connexa::control::client::{self, ClientError};
use connexa::exit::Exit;

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
        node: Option<u32>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(exit) => exit.into(),
        Err((message, exit)) => {
            // Nothing is left to be done where stderr is closed.
            let _ = writeln!(std::io::stderr(), "connexactl: {message}");
            exit.into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<Exit, (String, Exit)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| (format!("can't start: {error}"), Exit::No))?;
    match arguments.command {
        Command::Status { node } => {
            let status = runtime
                .block_on(client::status(&arguments.socket))
                .map_err(|error| (error.to_string(), exit_of(&error)))?;
            let view = StatusView { node, json: arguments.json };
            let (text, yes) =
                show_status(&status, view, SystemTime::now()).map_err(|text| (text, Exit::No))?;
            // A closed pipe (`connexactl status | head`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(if yes { Exit::Done } else { Exit::No })
        }
    }
}

fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Unreachable { .. } | ClientError::Garbled { .. } => Exit::Unreachable,
        ClientError::Permission { .. } => Exit::Permission,
        ClientError::Refused { .. } => Exit::No,
    }
}
