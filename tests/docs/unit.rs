//! What systemd says of the unit is what docs/security.md says of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::pages::Page;
use crate::project;

/// A point of `systemd-analyze security`, in its JSON; one without an exposure is well.
#[derive(Deserialize)]
struct Point {
    name: String,
    exposure: Option<String>,
}

/// What is wrong with a unit, by the names of the points.
type Exposure = BTreeMap<String, String>;

/// The unit in a folder of its own, with these drop-ins.
fn unit(drop_ins: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(project("systemd/connexad.service"), folder.path().join("connexad.service")).unwrap();
    let beside = folder.path().join("connexad.service.d");
    fs::create_dir(&beside).unwrap();
    for name in drop_ins {
        fs::copy(project("systemd").join(name), beside.join(name)).unwrap();
    }
    folder
}

/// `threshold` is in tenths. Debian 12 has systemd 252; another one may count otherwise.
fn analyze(folder: &Path, threshold: u32) -> (bool, Exposure) {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--json=short"])
        .arg(format!("--threshold={threshold}"))
        .arg(folder.join("connexad.service"))
        .output()
        .expect("systemd-analyze of the Debian package systemd");
    let points: Vec<Point> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(points.len() > 50, "all of it is looked at");
    let exposed = points.into_iter().filter_map(|point| Some((point.name, point.exposure?)));
    (output.status.success(), exposed.collect())
}

/// A column of the table of docs/security.md, without empty cells.
fn told(column: usize) -> Exposure {
    let page = Page::read("docs/security.md");
    let rows = page.column("point").into_iter().map(|(line, _)| line);
    let rows: Vec<usize> = rows.collect();
    let lines = page.prose.into_iter().filter(|(line, _)| rows.contains(line));
    let cells = lines.filter_map(|(_, text)| {
        // `\|` is a line that does not part cells.
        let text = text.replace("\\|", "\0");
        let cells: Vec<String> =
            text.split('|').map(|cell| cell.trim().trim_matches('`').replace('\0', "|")).collect();
        (!cells[column].is_empty()).then(|| (cells[1].clone(), cells[column].clone()))
    });
    cells.collect()
}

#[test]
fn the_unit_s_exposure_is_what_the_table_says() {
    for (drop_ins, at_most, column) in [(&[][..], 50, 2), (&["kernel-engine.conf"][..], 30, 3)] {
        let unit = unit(drop_ins);
        let (is_within, exposed) = analyze(unit.path(), at_most);
        assert!(is_within, "at most {at_most} tenths, with {drop_ins:?}: {exposed:?}");
        assert!(!analyze(unit.path(), at_most - 1).0, "the total that docs/security.md says");
        assert_eq!(told(column), exposed, "with {drop_ins:?}");
    }
}
