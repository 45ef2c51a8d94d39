//! `chap-secrets`: our entries in one block, everybody else's lines as they were.
//!
//! pppd takes the best match, and of equals the first (`scan_authfile` in pppd/auth.c), and lets
//! a quoted word run over line breaks (`getword` in pppd/options.c). So the block stands at the
//! top: neither an old entry nor an open quote in somebody's line can come before ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::quoting::{quote, second_word, words};
use crate::atomic_file::Content;
use crate::node::{Node, NodeId, PEER_PREFIX, Secret};

/// Its name, in the folder of pppd's files.
pub(super) const FILE: &str = "chap-secrets";

const BEGIN: &str = "# BEGIN connexad";
const END: &str = "# END connexad";

/// Entries with our names that the daemon did not write: the older manager's, or those of a
/// daemon before this one.
#[derive(Clone, Debug)]
pub(super) enum Strangers {
    /// Not yet known which nodes there are: all stay, but those of removed nodes.
    AllBut(BTreeSet<NodeId>),
    /// Only those of these nodes stay.
    Only(BTreeSet<NodeId>),
}

impl Strangers {
    /// The node is gone.
    pub(super) fn remove(&mut self, id: NodeId) {
        match self {
            Strangers::AllBut(ids) => ids.insert(id),
            Strangers::Only(ids) => ids.remove(&id),
        };
    }

    /// Whether an entry stays; `None` is one whose number no node can have.
    pub(super) fn keep(&self, id: Option<NodeId>) -> bool {
        match (self, id) {
            (Strangers::AllBut(ids), Some(id)) => !ids.contains(&id),
            (Strangers::AllBut(_), None) => true,
            (Strangers::Only(ids), Some(id)) => ids.contains(&id),
            (Strangers::Only(_), None) => false,
        }
    }
}

/// The file with the entries of these nodes in it, made from the file as it is.
///
/// Every line is judged by itself: marker lines and entries with our names are taken out wherever
/// they stand, and nothing else is. So a damaged or doubled block costs nobody a line.
pub(super) fn rewrite(
    old: &[u8],
    nodes: &BTreeMap<NodeId, Arc<Node>>,
    strangers: &Strangers,
) -> Content {
    let (mut others, mut kept) = (Vec::new(), Vec::new());
    for line in old.split_inclusive(|&byte| byte == b'\n') {
        match Line::of(line) {
            Line::Others => others.push(line),
            Line::Marker => {}
            Line::Ours(id) => {
                let ours = id.is_some_and(|id| nodes.contains_key(&id));
                if !ours && strangers.keep(id) {
                    kept.push(line);
                }
            }
        }
    }
    let mut length = 0;
    write(nodes, &kept, &others, |piece| length += piece.len());
    // Content that grows leaves its former place unwiped.
    let mut new = Content::new(Vec::with_capacity(length));
    write(nodes, &kept, &others, |piece| new.extend_from_slice(piece));
    new
}

/// Writes a block with the entries of these nodes and those of strangers that stay, and then the
/// lines of others, piece by piece.
fn write(
    nodes: &BTreeMap<NodeId, Arc<Node>>,
    kept: &[&[u8]],
    others: &[&[u8]],
    mut put: impl FnMut(&[u8]),
) {
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| put(piece));
    if !nodes.is_empty() || !kept.is_empty() {
        put(&[BEGIN.as_bytes(), b"\n"]);
        for (id, node) in nodes {
            let (login, name) = (quote(node.login.as_str()), id.peer_name());
            let password = Zeroizing::new(quote(node.password.reveal()));
            let [login, name, password] = [&login, &name, &*password].map(|word| word.as_bytes());
            put(&[login, b" \"", name, b"\" ", password, b" *\n"]);
        }
        for line in kept {
            put(&[line.strip_suffix(b"\n").unwrap_or(line), b"\n"]);
        }
        put(&[END.as_bytes(), b"\n"]);
    }
    put(others);
}

/// The password that the file gives a node under this login; `None` where it has none or several,
/// or one that pppd reads from elsewhere. Nothing is read past a line that goes on in the next.
pub(super) fn password(file: &[u8], node: NodeId, login: &str) -> Option<Secret> {
    let name = node.peer_name();
    let mut found = None;
    for line in file.split(|&byte| byte == b'\n') {
        let Some(words) = words(line) else { break };
        let [client, server, secret, ..] = words.as_slice() else { continue };
        if **client != login.as_bytes() || **server != name.as_bytes() {
            continue;
        }
        if found.replace(secret.clone()).is_some() {
            return None;
        }
    }
    Secret::parse(std::str::from_utf8(&found?).ok()?).ok()
}

enum Line {
    Others,
    Marker,
    Ours(Option<NodeId>),
}

impl Line {
    fn of(line: &[u8]) -> Line {
        let trimmed = line.trim_ascii();
        if trimmed == BEGIN.as_bytes() || trimmed == END.as_bytes() {
            return Line::Marker;
        }
        let server = second_word(line).and_then(|word| String::from_utf8(word).ok());
        let digits = server.as_deref().and_then(|name| name.strip_prefix(PEER_PREFIX));
        match (&server, digits) {
            (Some(name), Some(digits))
                if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Line::Ours(NodeId::from_peer_name(name))
            }
            _ => Line::Others,
        }
    }
}

/// The secrets of all entries of pppd's files, whosever they are.
///
/// # Errors
/// When a file that is there can't be read.
pub(crate) fn all_secrets(ppp_dir: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
    let mut secrets = Vec::new();
    for file in [FILE, "pap-secrets"] {
        let path = ppp_dir.join(file);
        match fs::read(&path) {
            Ok(bytes) => secrets.extend(of_all(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(Unreadable { path, source }),
        }
    }
    Ok(secrets)
}

/// A file of secrets that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read {}: {source}", path.display())]
pub(crate) struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

/// The secret of every entry of a file, whosever it is.
fn of_all(file: &[u8]) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    let mut entry = Vec::new();
    for line in file.split_inclusive(|&byte| byte == b'\n') {
        entry.extend_from_slice(line);
        // An entry whose quotes are open goes on in the next line.
        if let Some(words) = words(&entry) {
            secrets.extend(words.get(2).map(|word| word.to_vec()));
            entry.clear();
        }
    }
    secrets
}

#[cfg(test)]
mod tests;
