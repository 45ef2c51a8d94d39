//! What pppd, pptp and others write, changed at any place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use super::getword::{self, Found};
use super::lines::Lines;
use super::secrets::{self, Strangers};
use super::words::{Reader, Word};
use super::{found, host_options, peer_file};
use crate::fuzz::{self, fuzz, is_shown_safely};
use crate::node::{Node, NodeId};

#[test]
fn words_of_pppd_and_pptp_are_read_whatever_comes_between_them() {
    fuzz("src/pppd/words/corpus", |bytes| {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for piece in bytes.chunks(700) {
            lines.feed(piece, |line| all.push(line));
        }
        all.extend(lines.rest());
        let mut reader = Reader::default();
        for line in all {
            for said in [reader.line(&line), reader.syslog(&line)] {
                is_shown_safely(&said.line);
                match said.word {
                    Some(Word::Interface(name)) => assert!(!name.is_empty()),
                    Some(Word::Explains { failure, .. }) => is_shown_safely(&failure.message),
                    None => {}
                }
            }
        }
    });
}

#[test]
fn secrets_of_others_stay_and_pppd_finds_ours_whatever_the_file_has() {
    let entry = |id: NodeId, password: &str| (id, Arc::new(Node::example(id, "admin", password)));
    let entries = BTreeMap::from([entry(NodeId(2), "se\"cret"), entry(NodeId(7), "\\x")]);
    let none = Strangers::Only(BTreeSet::new());
    let without = |file: &[u8]| secrets::rewrite(file, &BTreeMap::new(), &none);
    fuzz("tests/fuzz/corpus/secrets", |file| {
        let new = secrets::rewrite(file, &entries, &none);
        assert!(secrets::rewrite(&new, &entries, &none) == new, "a second time changes it");
        assert!(without(&new) == without(file), "a line of others is not what it was");
        for (id, node) in &entries {
            let secret = getword::secret(&new, b"admin", id.peer_name().as_bytes());
            assert_eq!(secret, Some(Found::Secret(node.password.reveal().into())));
        }
        if let Some(password) = secrets::password(file, NodeId(2), "admin") {
            let theirs = getword::secret(file, b"admin", b"connexa-node-2");
            assert_eq!(theirs, Some(Found::Secret(password.reveal().into())));
        }
    });
}

#[test]
fn peer_files_are_read_whatever_they_hold() {
    fuzz("tests/fuzz/corpus/peer-file", |bytes| {
        let dialled = peer_file::dialled(&String::from_utf8_lossy(bytes));
        assert!(dialled.is_none_or(|dialled| dialled.password.is_none()));
    });
}

#[test]
fn mounts_are_read_whatever_they_are_called() {
    fuzz("tests/fuzz/corpus/mounts", |bytes| {
        let mounts = String::from_utf8_lossy(bytes);
        let node = peer_file::marked(&mounts);
        assert!(node.is_none_or(|node| mounts.contains(&node.peer_name())));
    });
}

#[test]
fn pid_files_are_read_whatever_they_hold() {
    let folder = fuzz::folder();
    let file = folder.path().join("ppp-connexa-node-2.pid");
    fuzz("tests/fuzz/corpus/pid-file", |bytes| {
        fs::write(&file, bytes).unwrap();
        let named = found::named_with_link(&file).unwrap();
        let link = named.and_then(|(_, link)| link);
        assert!(link.is_none_or(|link| !link.is_empty() && !link.contains('\n')));
    });
}

#[test]
fn options_of_the_host_are_judged_whatever_they_are() {
    let folder = fuzz::folder();
    fs::create_dir(folder.path().join("peers")).unwrap();
    fuzz("tests/fuzz/corpus/host-options", |bytes| {
        fs::write(folder.path().join("options"), bytes).unwrap();
        match host_options::check(folder.path(), NodeId(2)) {
            Ok(suspect) => is_shown_safely(&suspect.unwrap_or_default()),
            Err(failure) => is_shown_safely(&failure.message),
        }
    });
}
