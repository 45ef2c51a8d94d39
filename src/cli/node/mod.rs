//! `connexactl node`: the node database, edited by the file itself, with or without a daemon.

mod arguments;
mod import;
mod list;
mod password;
mod problem;

pub use arguments::{NodeArguments, NodeCommand};
pub use problem::NodeError;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::Number;

use crate::cli::Named;
use crate::config;
use crate::control::api::seconds;
use crate::desired::{self, Editor, Listed, ListedId, Problem, Settings};
use crate::node::NodeId;
use crate::printable::printable;
use crate::unknown::{nearest, no_id};
use arguments::{Added, Changed};

/// Does what is asked, and returns the text to print.
///
/// # Errors
/// When it can't be done; then nothing has changed.
pub async fn node(
    arguments: &NodeArguments,
    config: Option<&Path>,
    as_json: bool,
) -> Result<String, NodeError> {
    let settings = Settings::from(&config::load(config, |_| ())?);
    let (done, ids) = match &arguments.command {
        NodeCommand::List => return list::show(&desired::list(&settings).await?, as_json),
        NodeCommand::Init => return init(&settings, as_json).await,
        NodeCommand::Add(new) => ("added", add(&settings, new).await?),
        NodeCommand::Set(change) => ("changed", set(&settings, change).await?),
        NodeCommand::Remove { nodes } => ("removed", remove(&settings, nodes).await?),
        NodeCommand::Import { file } => {
            // Read to its end before the database is locked.
            let nodes = import::read(file)?;
            ("added", import::add(&settings, file, &nodes).await?)
        }
    };
    // Of what is no candidate nothing would be dialled, and nobody would be told why. The change
    // is made, whether that can be looked up or not.
    let rows = if done == "removed" { Ok(Vec::new()) } else { desired::list(&settings).await };
    let not_selected = rows.map(|rows| not_selected(&ids, &rows));
    let why = match not_selected.as_deref() {
        Ok([first, ..]) => why_not(&settings, *first).await,
        Ok([]) | Err(_) => String::new(),
    };
    let stays = (done == "removed").then(|| settings.selection.absence_grace.get());
    tell(done, &ids, not_selected, &why, stays, as_json)
}

/// Why a row is not selected.
async fn why_not(settings: &Settings, id: NodeId) -> String {
    match desired::unselected(settings, id).await {
        Ok(Some(row)) => printable(&row.message()),
        // Somebody has changed it meanwhile.
        Ok(None) | Err(_) => format!("`connexactl explain {id}` tells why"),
    }
}

async fn init(settings: &Settings, as_json: bool) -> Result<String, NodeError> {
    #[derive(Serialize)]
    struct Made<'a> {
        made: &'a std::path::Path,
    }
    desired::create(&settings.database).await?;
    let path = &settings.database.path;
    if as_json {
        return Ok(super::json(&Made { made: path })?);
    }
    let next = "add a node by `connexactl node add`";
    Ok(format!("{} made, with an empty table; {next}\n", path.display()))
}

async fn add(settings: &Settings, new: &Added) -> Result<Vec<NodeId>, NodeError> {
    let mut fields = new.fields()?;
    fields.set_password(new.password.ask()?);
    let mut editor = Editor::begin(settings).await?;
    let id = editor.add(new.id.map(NodeId), &fields).await?;
    editor.commit().await?;
    Ok(vec![id])
}

async fn set(settings: &Settings, change: &Changed) -> Result<Vec<NodeId>, NodeError> {
    let id = id(&change.node, settings).await?;
    let mut fields = change.fields()?;
    if change.sets_password() {
        // Nobody is asked for the password of a node that is not there.
        find(&desired::list(settings).await?, id, settings)?;
        fields.set_password(change.password.ask()?);
    }
    let mut editor = Editor::begin(settings).await?;
    editor.set(id, &fields).await?;
    editor.commit().await?;
    Ok(vec![id])
}

async fn remove(settings: &Settings, nodes: &[Named]) -> Result<Vec<NodeId>, NodeError> {
    let mut ids = BTreeSet::new();
    for node in nodes {
        ids.insert(id(node, settings).await?);
    }
    let mut editor = Editor::begin(settings).await?;
    for id in &ids {
        editor.remove(*id).await?;
    }
    editor.commit().await?;
    Ok(ids.into_iter().collect())
}

/// The id that was named; where it is none, the rows that have this address or login are told.
async fn id(node: &Named, settings: &Settings) -> Result<NodeId, NodeError> {
    match node {
        Named::Id(id) => Ok(NodeId(*id)),
        Named::Other(text) => {
            let rows = desired::list(settings).await.unwrap_or_default();
            Err(NodeError::NoId(no_id(text, rows.iter().filter_map(Listed::known))))
        }
    }
}

fn find(rows: &[Listed], id: NodeId, settings: &Settings) -> Result<(), NodeError> {
    if rows.iter().any(|row| row.id == ListedId::Node(id)) {
        return Ok(());
    }
    let database = &settings.database;
    let (path, table) = (database.path.clone(), database.table.clone());
    let ids: Vec<u32> = rows.iter().filter_map(|row| row.id.number()).collect();
    let nearest = nearest(id.0, ids.into_iter());
    Err(desired::EditError::Unknown { path, table, id, nearest }.into())
}

/// What was done to which nodes, and which of them are not dialled for all that: why the first of
/// them is not. Tunnels of those that were removed stay for so long.
fn tell(
    done: &'static str,
    ids: &[NodeId],
    not_selected: Result<Vec<NodeId>, Problem>,
    why: &str,
    stays: Option<Duration>,
    as_json: bool,
) -> Result<String, NodeError> {
    #[derive(Serialize)]
    struct Done<'a> {
        done: &'static str,
        nodes: &'a [NodeId],
        /// `None` where the rows could not be read after the change.
        not_selected: Option<Vec<NodeId>>,
        /// How long the tunnels of removed nodes stay.
        #[serde(skip_serializing_if = "Option::is_none")]
        tunnels_stay_seconds: Option<Number>,
    }
    if as_json {
        let (not_selected, tunnels_stay_seconds) = (not_selected.ok(), stays.map(seconds));
        let done = Done { done, nodes: ids, not_selected, tunnels_stay_seconds };
        return Ok(super::json(&done)?);
    }
    let mut text = match ids {
        [id] => format!("node {id} {done}\n"),
        ids => format!("{} nodes {done}\n", ids.len()),
    };
    text.extend(stays.filter(|stays| !stays.is_zero()).map(|stays| told_stays(ids, stays)));
    match not_selected.as_deref() {
        Ok([]) => {}
        Ok([one]) => text.push_str(&format!("node {one} will not be dialled: {why}\n")),
        Ok(several @ [first, ..]) => text.push_str(&format!(
            "{} of them will not be dialled, such as node {first}: {why}\n",
            several.len()
        )),
        Err(problem) => {
            let problem = printable(&problem.to_string());
            text.push_str(&format!("whether they will be dialled is not known: {problem}\n"));
        }
    }
    Ok(text)
}

fn told_stays(ids: &[NodeId], stays: Duration) -> String {
    let stays = humantime::format_duration(stays);
    match ids {
        [id] => format!(
            "its tunnel is hung up in {stays} unless the row is back by then (selection.absence_grace); \
             `connexactl stop {id}` hangs up at once\n"
        ),
        _ => format!(
            "their tunnels are hung up in {stays} unless the rows are back by then (selection.absence_grace)\n"
        ),
    }
}

/// Those of the nodes that the selection leaves out.
fn not_selected(ids: &[NodeId], rows: &[Listed]) -> Vec<NodeId> {
    let id_of = |row: &Listed| match row.id {
        ListedId::Node(id) if !row.selected => Some(id),
        ListedId::Node(_) | ListedId::Other(_) => None,
    };
    let left_out: BTreeSet<NodeId> = rows.iter().filter_map(id_of).collect();
    ids.iter().filter(|id| left_out.contains(id)).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::desired::What;

    #[test]
    fn a_change_is_told_though_the_rows_can_not_be_read_after_it() {
        let unreadable = || Err(Problem { path: Path::new("/c.db").into(), what: What::Locked });
        let text = tell("added", &[NodeId(7)], unreadable(), "", None, false).unwrap();
        assert!(text.starts_with("node 7 added\nwhether they will be dialled is not known: /c.db"));
        let json = tell("added", &[NodeId(7)], unreadable(), "", None, true).unwrap();
        assert!(json.contains("\"not_selected\": null"), "{json}");
    }
}
