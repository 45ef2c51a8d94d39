//! Gives the programs their version: in a release build with the commit that it was made of.
//!
//! A build for development or tests says that it is one, and no commit: to name it would mean to
//! build the library and every test anew after each commit.

use std::path::Path;
use std::process::Command;

/// What a build is made of.
const SOURCES: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];
/// Files of git that change when another commit is checked out or made (gitrepository-layout(5)).
const WATCHED: [&str; 3] = ["HEAD", "logs/HEAD", "packed-refs"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let number = env!("CARGO_PKG_VERSION");
    let version = if std::env::var("PROFILE").as_deref() == Ok("release") {
        SOURCES.iter().for_each(|source| println!("cargo:rerun-if-changed={source}"));
        commit().map_or_else(|| number.to_owned(), |commit| format!("{number} ({commit})"))
    } else {
        format!("{number} (development build)")
    };
    println!("cargo:rustc-env=CONNEXA_VERSION={version}");
}

/// The commit of this very project, and whether the sources differ from it. `None` where there is no
/// git, or where the project lies unpacked within another one's repository.
fn commit() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(env!("CARGO_MANIFEST_DIR")) {
        return None;
    }
    let reference = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for file in WATCHED.into_iter().chain(reference.as_deref()) {
        // What is watched and not there would have everything built each time.
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&[&["status", "--porcelain", "--"], &SOURCES[..]].concat())?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, changed since") })
}

/// What git answers, without the end of its line.
fn git(arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    // It must not wait for, or take, the lock of somebody's own git.
    git.arg("--no-optional-locks").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let answer = git.output().ok().filter(|answer| answer.status.success())?;
    Some(String::from_utf8(answer.stdout).ok()?.trim_end().to_owned())
}
