//! What `make install` puts somewhere, `make uninstall` takes away, and the tarball has it, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gateway::CONNEXAD;
use crate::project;

/// The folder of the programs under test.
fn programs() -> &'static Path {
    Path::new(CONNEXAD).parent().unwrap()
}

/// Runs a command of the project; what it prints.
fn run(command: &mut Command) -> String {
    command.current_dir(project("")).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn make(target: &str, below: &Path) {
    run(Command::new("make").arg(target).args([
        format!("DESTDIR={}", below.display()),
        format!("PROGRAMS={}", programs().display()),
    ]));
}

/// All files below a folder, by their paths in it.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found
}

fn paths(names: &[&str]) -> BTreeSet<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[test]
fn what_make_install_puts_make_uninstall_takes_away_but_for_the_configuration() {
    let host = tempfile::tempdir().unwrap();
    make("install", host.path());
    let put = files(host.path());
    let parts = paths(&[
        "etc/connexa/connexad.toml",
        "etc/systemd/system/connexad.service",
        "usr/local/bin/connexactl",
        "usr/local/sbin/connexad",
        "usr/local/share/bash-completion/completions/connexactl",
        "usr/local/share/connexa/alerts.yml",
        "usr/local/share/doc/connexad/examples/practice",
        "usr/local/share/man/man8/connexad.8",
    ]);
    assert!(put.is_superset(&parts), "not there: {:?}", parts.difference(&put));

    let configuration = host.path().join("etc/connexa/connexad.toml");
    fs::write(&configuration, "# edited by hand\n").unwrap();
    make("install", host.path());
    assert_eq!(fs::read_to_string(&configuration).unwrap(), "# edited by hand\n");
    make("uninstall", host.path());
    assert_eq!(files(host.path()), paths(&["etc/connexa/connexad.toml"]));
}

#[test]
fn the_tarball_has_what_make_install_puts_and_overwrites_no_configuration() {
    let host = tempfile::tempdir().unwrap();
    make("install", host.path());
    let configuration = Path::new("etc/connexa/connexad.toml");
    let mut expected = files(host.path());
    expected.remove(configuration);
    expected.insert("usr/local/share/doc/connexad/examples/connexad.toml".into());

    let folder = tempfile::tempdir().unwrap();
    let mut tarball = Command::new(project("systemd/tarball"));
    let archive = run(tarball.arg(folder.path()).env("CONNEXA_BIN", programs()));
    let unpacked = tempfile::tempdir().unwrap();
    let rights = fs::metadata(unpacked.path()).unwrap().permissions();
    let mut tar = Command::new("tar");
    run(tar.arg("-xzf").arg(archive.trim()).arg("-C").arg(unpacked.path()));
    assert_eq!(files(unpacked.path()), expected);
    assert_eq!(
        fs::metadata(unpacked.path()).unwrap().permissions(),
        rights,
        "folders of the host keep their rights"
    );
}
