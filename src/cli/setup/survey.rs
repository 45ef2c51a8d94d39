//! What a configuration leads to: the database that it names, what would be dialled, what doctor says.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::doctor;
use crate::config::Config;
use crate::control::api::counted;
use crate::core::event::Candidate;
use crate::desired::{self, Listed, Problem, STATUS, Settings};
use crate::doctor::Diagnosis;
use crate::printable::printable;

/// Nodes that are shown one by one; of the others their number.
const SHOWN: usize = 10;

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Survey {
    database: PathBuf,
    table: String,
    /// What is looked for, and the column of the table that holds it.
    columns: Vec<Found>,
    rows: usize,
    /// Most wanted first.
    to_dial: Vec<Wanted>,
    /// Selected rows that can't be dialled, with the reason.
    invalid: Vec<Refused>,
    /// How many rows of each status the selection does not take.
    not_selected: BTreeMap<String, usize>,
    /// How many tunnels are held up at once; 0 is all.
    max_tunnels: u32,
    pub(super) doctor: Diagnosis,
}

#[derive(Debug, Serialize)]
struct Found {
    name: &'static str,
    column: Option<String>,
}

#[derive(Debug, Serialize)]
struct Wanted {
    node: u32,
    ip: Ipv4Addr,
    login: String,
    status: String,
}

#[derive(Debug, Serialize)]
struct Refused {
    node: u32,
    why: String,
}

/// Looks at the database and the host. Nothing is changed.
///
/// # Errors
/// When the database can't be read.
pub(super) async fn survey(config: &Config, file: Option<&Path>) -> Result<Survey, Problem> {
    let settings = Settings::from(config);
    let columns = desired::columns(&settings).await?;
    let rows = desired::list(&settings).await?;
    let (mut to_dial, mut invalid) = (Vec::new(), Vec::new());
    for row in desired::read_once(&settings).await? {
        match row.candidate {
            Candidate::Node(node) => to_dial.push(Wanted {
                node: node.id.0,
                ip: node.server.ip(),
                login: node.login.as_str().to_owned(),
                status: node.status.clone(),
            }),
            Candidate::Invalid(row) => {
                invalid.push(Refused { node: row.id.0, why: row.reason.to_string() });
            }
        }
    }
    let mut not_selected = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.selected) {
        *not_selected.entry(status(row)).or_default() += 1;
    }
    Ok(Survey {
        database: config.database.path.clone(),
        table: config.database.table.clone(),
        columns: columns.into_iter().map(|(name, column)| Found { name, column }).collect(),
        rows: rows.len(),
        to_dial,
        invalid,
        not_selected,
        max_tunnels: config.selection.max_tunnels,
        doctor: crate::doctor::examine(config, file).await,
    })
}

fn status(row: &Listed) -> String {
    let value = row.values.iter().find(|(column, _)| **column == STATUS);
    value.and_then(|(_, value)| value.clone()).unwrap_or_default()
}

impl Survey {
    /// Whether no row leads to a dial.
    pub(super) fn dials_nothing(&self) -> bool {
        self.to_dial.is_empty()
    }

    fn names_of_columns(&self) -> String {
        let told = |found: &Found| match &found.column {
            Some(column) if column == found.name => column.clone(),
            Some(column) => format!("{} in {}", found.name, printable(column)),
            None => format!("no {} (not needed)", found.name),
        };
        self.columns.iter().map(told).collect::<Vec<_>>().join(", ")
    }

    fn write_nodes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = counted(self.to_dial.len(), "node");
        let at_once = match self.max_tunnels {
            0 => String::new(),
            most => format!(", {most} at once at most (selection.max_tunnels)"),
        };
        writeln!(f, "to dial   {nodes}{at_once}")?;
        for node in self.to_dial.iter().take(SHOWN) {
            let [login, status] = [&node.login, &node.status].map(|text| printable(text));
            writeln!(f, "          node {} at {} as {login}, status {status}", node.node, node.ip)?;
        }
        if self.to_dial.len() > SHOWN {
            writeln!(f, "          and {} more", self.to_dial.len() - SHOWN)?;
        }
        Ok(())
    }

    fn write_others(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, row) in self.invalid.iter().take(SHOWN).enumerate() {
            let title = if index == 0 { "invalid" } else { "" };
            writeln!(f, "{title:<9} node {}: {}", row.node, printable(&row.why))?;
        }
        if self.invalid.len() > SHOWN {
            writeln!(f, "          and {} more", self.invalid.len() - SHOWN)?;
        }
        let left_out: usize = self.not_selected.values().sum();
        if left_out > 0 {
            let all = self.not_selected.iter();
            let shown: Vec<String> = all
                .take(SHOWN)
                .map(|(status, count)| format!("{count} of status \"{}\"", printable(status)))
                .collect();
            let more = if self.not_selected.len() > SHOWN { " and others" } else { "" };
            let (rows, shown) = (counted(left_out, "row"), shown.join(", "));
            writeln!(f, "not taken {rows}, by selection.statuses: {shown}{more}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, table) = (self.database.display().to_string(), printable(&self.table));
        let rows = counted(self.rows, "row");
        writeln!(f, "database  {}, table {table}: {rows}", printable(&path))?;
        writeln!(f, "columns   {}", self.names_of_columns())?;
        self.write_nodes(f)?;
        self.write_others(f)?;
        writeln!(f, "\nwhat `connexactl doctor` says of this host, but for what is well:")?;
        f.write_str(&doctor::what_is_not_well(&self.doctor))
    }
}
