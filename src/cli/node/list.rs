//! `connexactl node list`: every row, without passwords.

use comfy_table::{ContentArrangement, Table, presets};

use super::problem::NodeError;
use crate::cli::status::printable;
use crate::desired::Listed;

/// A table, or JSON.
pub(super) fn show(rows: &[Listed], as_json: bool) -> Result<String, NodeError> {
    if as_json {
        return crate::cli::json(&rows).map_err(NodeError::Json);
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["NODE", "SERVER", "LOGIN", "STATUS", "MPPE", "DIALLED", "PROBLEM"]);
    for row in rows {
        table.add_row([
            printable(&row.id.to_string()),
            printable(&row.ip),
            printable(&row.login),
            printable(&row.status),
            row.mppe.as_deref().map_or_else(|| "-".to_owned(), printable),
            if row.selected && row.problem.is_none() { "yes" } else { "no" }.to_owned(),
            row.problem.as_deref().map(printable).unwrap_or_default(),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    Ok(format!("{}\n{} nodes\n", table.trim_fmt(), rows.len()))
}
