//! The command line of connexactl.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::ArgValueCompleter;

use crate::cli::{
    FirewallArguments, Named, NodeArguments, SetupArguments, Shell, StatusView, nodes, socket,
};
use crate::exit::Refused;
use crate::version::VERSION;

/// Asks connexad about its tunnels.
#[derive(Debug, Parser)]
#[command(name = "connexactl", version = VERSION)]
pub struct Arguments {
    /// The daemon's socket [default: control.socket of the configuration]
    #[arg(long, global = true, value_name = "PATH", display_order = 100)]
    pub socket: Option<PathBuf>,
    /// Configuration file [default: /etc/connexa/connexad.toml, where it exists]; CONNEXA_DB wins
    /// over its database.path
    #[arg(long, global = true, value_name = "PATH", display_order = 101)]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true, display_order = 102)]
    pub json: bool,
    /// What is asked.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show all nodes, or one in full (exit code 1 when that one is not up)
    Status {
        /// Only this node
        #[arg(add = ArgValueCompleter::new(nodes), conflicts_with_all = ["states", "servers", "sort", "wide"])]
        node: Option<Named>,
        /// Of all nodes, which ones and how.
        #[command(flatten)]
        view: StatusView,
    },
    /// Show events as they happen, one line for each; goes on when the daemon restarts
    Watch,
    /// Show all nodes on the whole screen, with what they carry, as it changes; `?` lists the keys
    Top,
    /// Tell why a node is in its state, what it went through, what comes next, and the command that changes it
    Explain {
        /// The node's id
        #[arg(add = ArgValueCompleter::new(nodes))]
        node: Named,
    },
    /// Show what the daemon would do now and why; with --config FILE, what it would do under that
    /// configuration (which needs root or control.admin_group)
    Plan,
    /// Print figures for Prometheus, as OpenMetrics
    Metrics {
        /// Also the bytes that went through each node that is up
        #[arg(long)]
        nodes: bool,
    },
    /// Read configuration and nodes again, and tell what changed (needs root or control.admin_group)
    Reload,
    /// Print the script by which a shell completes this program's commands and its nodes
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write into a new file what a colleague needs to help you; no password is in it (needs root)
    Report {
        /// The file to write; it must not exist yet
        file: PathBuf,
    },
    /// Allow a node to be dialled, forget its failures and dial it (needs root or control.admin_group)
    Start {
        /// The node's id
        #[arg(add = ArgValueCompleter::new(nodes))]
        node: Named,
    },
    /// Hang up a node and leave it down until `connexactl start`, even when the daemon or the host restarts (needs root or control.admin_group)
    Stop {
        /// The node's id
        #[arg(add = ArgValueCompleter::new(nodes))]
        node: Named,
    },
    /// Forget a node's back-off or quarantine and dial it now (needs root or control.admin_group)
    Retry {
        /// The node's id
        #[arg(add = ArgValueCompleter::new(nodes))]
        node: Named,
    },
    /// Make the first configuration: find the database, show what would be dialled and what doctor says,
    /// and write the file; an existing file is never changed (needs root)
    Setup(SetupArguments),
    /// Check this host, with or without a daemon (exit code 1 when a check has failed)
    Doctor,
    /// Let PPTP through this host's packet filter, and find what drops it
    Firewall(FirewallArguments),
    /// List and edit the nodes in the database, with or without a daemon
    Node(NodeArguments),
    /// Replay a recording of `connexad --record`, made by a version with the same recording format, and print what the daemon decided
    Replay {
        /// The recording
        file: PathBuf,
    },
}

impl Arguments {
    /// The socket that this command line means.
    ///
    /// # Errors
    /// When a named configuration can't be used.
    pub fn socket(&self) -> Result<PathBuf, Refused> {
        socket(self.socket.as_deref(), self.config.as_deref()).map_err(|error| {
            let mut refused = Refused::from(error);
            if let Some(last) = refused.lines.last_mut() {
                last.push_str("; a daemon that runs is asked without this file by --socket");
            }
            refused
        })
    }
}
