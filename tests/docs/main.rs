//! The documents: what they name exists, what they show as a command is run, the page of the
//! configuration and those of the manual are made from the source.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../netns/database.rs"]
#[allow(dead_code, reason = "the netns tests use the rest")]
mod database;
#[path = "../netns/gateway.rs"]
#[allow(dead_code, reason = "the netns tests use the rest")]
mod gateway;
#[path = "../netns/namespace.rs"]
#[allow(dead_code, reason = "the netns tests use the rest")]
mod namespace;

mod commands;
mod configuration;
mod installing;
mod keys;
mod manual;
mod names;
mod pages;
mod programs;
mod ranges;
mod source;
mod types;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};

/// A file or folder of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the project.
pub(crate) fn text_of(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
