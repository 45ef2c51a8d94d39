//! `docs/columns.md`, made from the table.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{COLUMNS, Column, Edited, OfNew, Presence};

const HEAD: &str = "# Columns of the table of nodes

Made from the source by `make docs`, which overwrites every change; `make test` fails when it is stale.

A table may have any other columns beside these, and names are found whatever their case. Where several of the names
stand in a table, the first one counts. `connexactl node import` knows the same names; a column that must be there and
has no default must have a value in each of its lines. `connexactl node init` makes a table with all of them.

| column | other names | key of the configuration | of a new row | what it holds |
| --- | --- | --- | --- | --- |
";

#[test]
fn the_page_of_the_columns_is_what_the_source_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/columns.md");
    let rows: String = COLUMNS.into_iter().map(row).collect();
    let page = format!("{HEAD}{rows}");
    if std::env::var_os("CONNEXA_WRITE_DOCS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == page, "docs/columns.md is stale; write it anew by `make docs`");
}

fn row(column: &Column) -> String {
    let others: Vec<String> = column.aliases.iter().map(|name| format!("`{name}`")).collect();
    let key = match column.presence {
        Presence::Needed(_) => format!("`database.columns.{}`", column.name),
        Presence::Optional { .. } => "none; the table may lack it".to_owned(),
    };
    let of_new = match &column.edited {
        Edited::Id => "the next one, unless given".to_owned(),
        Edited::Secret => "asked for".to_owned(),
        Edited::Value(choice) => match choice.of_new {
            OfNew::Needed => format!("`--{}`", column.name),
            OfNew::Unless(text) => format!("`--{}`, else `{text}`", column.name),
            OfNew::Null => format!("`--{}`, else NULL", column.name),
        },
    };
    let mut row = String::new();
    let (name, about) = (column.name, column.about.join(" "));
    let _ = writeln!(row, "| `{name}` | {} | {key} | {of_new} | {about} |", others.join(", "));
    row
}
