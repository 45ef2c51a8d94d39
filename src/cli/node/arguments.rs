//! The command line of `connexactl node`.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Subcommand};

use super::password::PasswordFrom;
use super::problem::NodeError;
use crate::cli::{Named, node_id};
use crate::desired::{COLUMNS, Choice, Column, Edited, Fields, OfNew};

/// The database and what is to be done with it.
#[derive(Debug, Args)]
pub struct NodeArguments {
    /// What is to be done.
    #[command(subcommand)]
    pub command: NodeCommand,
}

/// What is to be done with the nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List every row of the table, without passwords
    List,
    /// Add a node; it asks for the password, or reads it from where an option says
    Add(Added),
    /// Change what the options name of a node; all else stays as it is
    Set(Changed),
    /// Remove nodes, all or none of them
    Remove {
        /// Their ids
        #[arg(required = true)]
        nodes: Vec<Named>,
    },
    /// Add nodes from a CSV file, all or none of them
    #[command(long_about = about_import())]
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
    #[arg(long, value_parser = node_id)]
    pub(super) id: Option<u32>,
    #[command(flatten)]
    values: Values<true>,
    #[command(flatten)]
    pub(super) password: PasswordFrom,
}

/// A change of a node.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub struct Changed {
    /// Its id
    pub(super) node: Named,
    #[command(flatten)]
    values: Values<false>,
    /// Ask for a new password
    #[arg(long, group = "change", conflicts_with_all = ["password_stdin", "password_file"])]
    ask_password: bool,
    #[command(flatten)]
    pub(super) password: PasswordFrom,
}

impl Added {
    /// All but the password.
    pub(super) fn fields(&self) -> Result<Fields, NodeError> {
        self.values.over(Fields::of_new())
    }
}

impl Changed {
    /// All but the password.
    pub(super) fn fields(&self) -> Result<Fields, NodeError> {
        self.values.over(Fields::default())
    }

    pub(super) fn sets_password(&self) -> bool {
        self.ask_password || self.password.is_given()
    }
}

/// What was said of columns, an option each; of a new row some must be.
#[derive(Debug)]
struct Values<const NEW: bool>(Vec<(&'static Column, &'static Choice, String)>);

impl<const NEW: bool> Values<NEW> {
    /// Judged as the daemon judges a row.
    fn over(&self, mut fields: Fields) -> Result<Fields, NodeError> {
        for (column, choice, text) in &self.0 {
            fields.set(column, (choice.judge)(text).map_err(NodeError::Value)?);
        }
        Ok(fields)
    }
}

impl<const NEW: bool> Args for Values<NEW> {
    fn augment_args(command: Command) -> Command {
        let option = |command: Command, (column, choice): (&'static Column, &'static Choice)| {
            let option = Arg::new(column.name)
                .long(column.name)
                .value_name(choice.placeholder)
                .help(choice.help);
            command.arg(match choice.of_new {
                _ if !NEW => option.group("change"),
                OfNew::Needed => option.required(true),
                OfNew::Unless(text) => option.default_value(text),
                OfNew::Null => option,
            })
        };
        choices().fold(command, option)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const NEW: bool> FromArgMatches for Values<NEW> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let said = |(column, choice): (&'static Column, _)| {
            let text: &String = matches.get_one(column.name)?;
            Some((column, choice, text.clone()))
        };
        Ok(Values(choices().filter_map(said).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn choices() -> impl Iterator<Item = (&'static Column, &'static Choice)> {
    COLUMNS.into_iter().filter_map(|column| match &column.edited {
        Edited::Value(choice) => Some((column, choice)),
        Edited::Id | Edited::Secret => None,
    })
}

fn about_import() -> String {
    format!(
        "Add nodes from a CSV file, all or none of them\n\nIts first line names the columns: {}.",
        super::import::known_columns()
    )
}
