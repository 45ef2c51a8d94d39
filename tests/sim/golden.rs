//! Recordings of incidents, which `connexactl replay` must give again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use connexa::recording::FORMAT;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn recordings() -> Vec<PathBuf> {
    let files = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let recordings: Vec<_> = files.filter(|file| file.extension().unwrap() == "jsonl").collect();
    assert!(recordings.len() >= 3, "{recordings:?}");
    recordings
}

fn replay(file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connexactl"));
    command.arg("replay").arg(file);
    command.output().unwrap()
}

/// What a replay of this text says on stderr, and its exit code.
fn refusal(text: &str) -> (String, Option<i32>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let output = replay(file.path());
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

fn golden() -> String {
    fs::read_to_string(Path::new(FOLDER).join("outage.jsonl")).unwrap()
}

#[test]
fn recordings_of_incidents_are_replayed_as_ever() {
    for file in recordings() {
        let expected = fs::read_to_string(file.with_extension("expected")).unwrap();
        let output = replay(&file);
        let replayed = String::from_utf8(output.stdout).unwrap();
        let (hint, name) = String::from_utf8(output.stderr).map(|e| (e, file.display())).unwrap();
        let remedy = "where that is right: raise recording::FORMAT and run make golden";
        assert!(replayed == expected, "{name}: {hint}\n{replayed}\n{remedy}");
    }
}

#[test]
fn a_recording_of_another_format_is_refused_in_one_line_that_names_both() {
    let other = FORMAT + 1;
    let (ours, theirs) = (format!("\"format\":{FORMAT}"), format!("\"format\":{other}"));
    let (told, exit) = refusal(&golden().replacen(&ours, &theirs, 1));
    let says =
        format!("it is of format {other} and this is format {FORMAT}; replay it by the build");
    assert!(told.contains(&says), "{told}");
    assert_eq!((told.lines().count(), exit), (1, Some(1)));
}

#[test]
fn a_recording_of_another_version_and_the_same_format_is_replayed() {
    let golden = golden();
    let other = golden.replacen("\"version\":\"", "\"version\":\"7.", 1);
    assert_ne!(golden, other);
    assert_eq!(refusal(&other), (String::new(), Some(0)));
}

#[test]
fn a_recording_without_a_format_number_is_refused_in_one_line() {
    let (told, exit) = refusal(&golden().replacen(&format!("\"format\":{FORMAT},"), "", 1));
    let says = format!("it has no format number and this is format {FORMAT}");
    assert!(told.contains(&says), "{told}");
    assert_eq!((told.lines().count(), exit), (1, Some(1)));
}

#[test]
fn a_recording_whose_first_line_is_cut_is_refused_in_one_line() {
    let golden = golden();
    let (first, _) = golden.split_once('\n').unwrap();
    let (told, exit) = refusal(first.strip_suffix('}').unwrap());
    assert!(told.contains("its first line is cut short"), "{told}");
    assert_eq!((told.lines().count(), exit), (1, Some(1)));
}
