//! `connexactl node list`: every row, without passwords.

use comfy_table::{ContentArrangement, Table, presets};

use super::problem::NodeError;
use crate::cli::status::printable;
use crate::desired::{COLUMNS, Listed};

/// A table, or JSON.
pub(super) fn show(rows: &[Listed], as_json: bool) -> Result<String, NodeError> {
    if as_json {
        return crate::cli::json(&rows).map_err(NodeError::Json);
    }
    let mut table = Table::new();
    let headings = COLUMNS.into_iter().filter_map(|column| column.heading);
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["NODE"].into_iter().chain(headings).chain(["DIALLED", "PROBLEM"]));
    for row in rows {
        let is_dialled = row.selected && row.problem.is_none();
        let mut cells = vec![printable(&row.id.to_string())];
        cells.extend(row.values.iter().map(|(_, value)| shown(value.as_deref())));
        cells.push(if is_dialled { "yes" } else { "no" }.to_owned());
        cells.push(row.problem.as_deref().map(printable).unwrap_or_default());
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    Ok(format!("{}\n{} nodes\n", table.trim_fmt(), rows.len()))
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "-".to_owned(), printable)
}
