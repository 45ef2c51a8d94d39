//! `connexactl node`: the node database, edited by the file itself, with or without a daemon.

mod arguments;
mod import;
mod list;
mod password;
mod problem;

pub use arguments::{NodeArguments, NodeCommand};
pub use problem::NodeError;

use serde::Serialize;

use crate::config;
use crate::desired::{self, Editor, Fields, Listed, ListedId, Settings};
use crate::node::NodeId;
use arguments::{Added, Changed};

/// Does what is asked, and returns the text to print.
///
/// # Errors
/// When it can't be done; then nothing has changed.
pub async fn node(arguments: &NodeArguments, as_json: bool) -> Result<String, NodeError> {
    let settings = Settings::from(&config::load(arguments.config.as_deref(), |_| ())?);
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
    // Of what is no candidate nothing would be dialled, and nobody would be told why.
    let rows = if done == "removed" { Vec::new() } else { desired::list(&settings).await? };
    tell(done, &ids, &rows, as_json)
}

async fn init(settings: &Settings, as_json: bool) -> Result<String, NodeError> {
    #[derive(Serialize)]
    struct Made<'a> {
        made: &'a std::path::Path,
    }
    desired::create(&settings.database).await?;
    let path = &settings.database.path;
    if as_json {
        return super::json(&Made { made: path }).map_err(NodeError::Json);
    }
    let next = "add a node by `connexactl node add`";
    Ok(format!("{} made, with an empty table; {next}\n", path.display()))
}

async fn add(settings: &Settings, new: &Added) -> Result<Vec<NodeId>, NodeError> {
    let mut fields = new.fields()?;
    fields.password = Some(new.password.ask()?);
    let mut editor = Editor::begin(settings).await?;
    let id = editor.add(new.id.map(NodeId), &fields).await?;
    editor.commit().await?;
    Ok(vec![id])
}

async fn set(settings: &Settings, change: &Changed) -> Result<Vec<NodeId>, NodeError> {
    let id = NodeId(change.node);
    let mut fields: Fields = change.fields()?;
    if change.sets_password() {
        // Nobody is asked for the password of a node that is not there.
        find(&desired::list(settings).await?, id, settings)?;
        fields.password = Some(change.password.ask()?);
    }
    let mut editor = Editor::begin(settings).await?;
    editor.set(id, &fields).await?;
    editor.commit().await?;
    Ok(vec![id])
}

async fn remove(settings: &Settings, nodes: &[u32]) -> Result<Vec<NodeId>, NodeError> {
    let ids: Vec<NodeId> = nodes.iter().copied().map(NodeId).collect();
    let mut editor = Editor::begin(settings).await?;
    for id in &ids {
        editor.remove(*id).await?;
    }
    editor.commit().await?;
    Ok(ids)
}

fn find(rows: &[Listed], id: NodeId, settings: &Settings) -> Result<(), NodeError> {
    if rows.iter().any(|row| row.id == ListedId::Node(id)) {
        return Ok(());
    }
    let database = &settings.database;
    let (path, table) = (database.path.clone(), database.table.clone());
    Err(desired::EditError::Unknown { path, table, id }.into())
}

/// What was done to which nodes, and which of them are not dialled for all that.
fn tell(
    done: &'static str,
    ids: &[NodeId],
    rows: &[Listed],
    as_json: bool,
) -> Result<String, NodeError> {
    #[derive(Serialize)]
    struct Done<'a> {
        done: &'static str,
        nodes: &'a [NodeId],
        not_selected: &'a [NodeId],
    }
    let is_left_out =
        |id: &&NodeId| rows.iter().any(|row| row.id == ListedId::Node(**id) && !row.selected);
    let not_selected: Vec<NodeId> = ids.iter().filter(is_left_out).copied().collect();
    if as_json {
        let done = Done { done, nodes: ids, not_selected: &not_selected };
        return super::json(&done).map_err(NodeError::Json);
    }
    let mut text = match ids {
        [id] => format!("node {id} {done}\n"),
        ids => format!("{} nodes {done}\n", ids.len()),
    };
    if let Some(first) = not_selected.first() {
        text.push_str(&format!(
            "{} of them will not be dialled, such as node {first}: section [selection] of the \
             configuration does not take its status\n",
            not_selected.len()
        ));
    }
    Ok(text)
}
