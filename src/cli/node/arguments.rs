//! The command line of `connexactl node`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::password::PasswordFrom;
use super::problem::NodeError;
use crate::desired::Fields;
use crate::node::{Login, ServerAddr};

/// The status of a node that is added without one: the default selection takes it.
pub(super) const DEFAULT_STATUS: &str = "online";

/// The database and what is to be done with it.
#[derive(Debug, Args)]
pub struct NodeArguments {
    /// Configuration file [default: /etc/connexa/connexad.toml, where it exists]; CONNEXA_DB wins
    /// over its database.path
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// What is to be done.
    #[command(subcommand)]
    pub command: NodeCommand,
}

/// What is to be done with the nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List every row of the table, without passwords
    List,
    /// Add a node; its password is asked for, or read as told
    Add(Added),
    /// Change a node in what is given, and in nothing else
    Set(Changed),
    /// Remove nodes, all or none of them
    Remove {
        /// Their ids
        #[arg(required = true)]
        nodes: Vec<u32>,
    },
    /// Add nodes from a CSV file, all or none of them
    ///
    /// Its first line names the columns: ip, login and password, and where wanted id, status
    /// (online, unless given) and mppe.
    Import {
        /// The file, or - for standard input
        file: PathBuf,
    },
    /// Make a fresh database with an empty table, where there is no backend that makes one
    Init,
}

/// A new node.
#[derive(Debug, Args)]
pub struct Added {
    /// Its id; the table gives one where none is given
    #[arg(long)]
    pub(super) id: Option<u32>,
    /// The IPv4 address of its server
    #[arg(long)]
    ip: String,
    /// The login that the server asks for
    #[arg(long)]
    login: String,
    /// Its status
    #[arg(long, default_value = DEFAULT_STATUS)]
    status: String,
    /// Its encryption, require or off; tunnel.mppe where none is given, or default
    #[arg(long)]
    mppe: Option<String>,
    #[command(flatten)]
    pub(super) password: PasswordFrom,
}

/// A change of a node.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub struct Changed {
    /// Its id
    pub(super) node: u32,
    /// The IPv4 address of its server
    #[arg(long, group = "change")]
    ip: Option<String>,
    /// The login that the server asks for
    #[arg(long, group = "change")]
    login: Option<String>,
    /// Its status
    #[arg(long, group = "change")]
    status: Option<String>,
    /// Its encryption, require or off, or default for what tunnel.mppe says
    #[arg(long, group = "change")]
    mppe: Option<String>,
    /// Ask for a new password
    #[arg(long, group = "change", conflicts_with_all = ["password_stdin", "password_file"])]
    ask_password: bool,
    #[command(flatten)]
    pub(super) password: PasswordFrom,
}

impl Added {
    /// All but the password.
    pub(super) fn fields(&self) -> Result<Fields, NodeError> {
        let (ip, login) = (Some(&*self.ip), Some(&*self.login));
        fields(ip, login, Some(&self.status), self.mppe.as_deref())
    }
}

impl Changed {
    /// All but the password.
    pub(super) fn fields(&self) -> Result<Fields, NodeError> {
        let text = |option: &'_ Option<String>| option.clone();
        let (ip, login, status) = (text(&self.ip), text(&self.login), text(&self.status));
        fields(ip.as_deref(), login.as_deref(), status.as_deref(), self.mppe.as_deref())
    }

    pub(super) fn sets_password(&self) -> bool {
        self.ask_password || self.password.is_given()
    }
}

/// Judged as the daemon judges a row.
fn fields(
    ip: Option<&str>,
    login: Option<&str>,
    status: Option<&str>,
    mppe: Option<&str>,
) -> Result<Fields, NodeError> {
    let judged = || {
        Ok(Fields {
            server: ip.map(ServerAddr::parse).transpose()?,
            login: login.map(Login::parse).transpose()?,
            password: None,
            status: status.map(str::to_owned),
            mppe: mppe.map(str::parse).transpose()?,
        })
    };
    judged().map_err(NodeError::Value)
}
