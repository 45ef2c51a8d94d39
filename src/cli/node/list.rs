//! `connexactl node list`: every row, without passwords.

use comfy_table::{ContentArrangement, Table, presets};

use super::problem::NodeError;
use crate::control::api::counted;
use crate::desired::{COLUMNS, Listed};
use crate::printable::printable;

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
    Ok(format!("{}\n{}\n", table.trim_fmt(), counted(rows.len(), "node")))
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "-".to_owned(), printable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::ListedId;

    #[test]
    fn what_a_row_holds_can_not_change_how_the_list_is_read() {
        let evil = "ad\u{202e}min\x1b[2J\n";
        let values = COLUMNS.into_iter().filter(|column| column.heading.is_some());
        let row = Listed {
            id: ListedId::Other(evil.to_owned()),
            values: values.map(|column| (column, Some(evil.to_owned()))).collect(),
            selected: true,
            problem: Some(evil.to_owned()),
        };
        let text = show(&[row], false).unwrap();
        assert!(!text.contains(['\u{202e}', '\x1b']), "{text:?}");
        assert_eq!(text.lines().count(), 3, "{text:?}");
    }
}
