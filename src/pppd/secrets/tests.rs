use proptest::prelude::*;

use super::*;

fn entry(login: &str, password: &str) -> Entry {
    Entry { login: Login::parse(login).unwrap(), password: Secret::parse(password).unwrap() }
}

fn entries(list: &[(u32, &str, &str)]) -> BTreeMap<NodeId, Entry> {
    list.iter().map(|(id, login, password)| (NodeId(*id), entry(login, password))).collect()
}

fn only(ids: &[u32]) -> Strangers {
    Strangers::Only(ids.iter().copied().map(NodeId).collect())
}

fn all() -> Strangers {
    Strangers::AllBut(BTreeSet::new())
}

fn rewritten(old: &str, list: &[(u32, &str, &str)], strangers: &Strangers) -> String {
    String::from_utf8(rewrite(old.as_bytes(), &entries(list), strangers)).unwrap()
}

#[test]
fn our_entries_stand_in_one_block_above_the_lines_of_others() {
    assert_eq!(
        rewritten("# theirs\nbob * pw *", &[(2, "admin", "se\"cret"), (10, "x", "y")], &all()),
        "# BEGIN connexad\n\
         \"admin\" \"connexa-node-2\" \"se\\\"cret\" *\n\
         \"x\" \"connexa-node-10\" \"y\" *\n\
         # END connexad\n\
         # theirs\nbob * pw *"
    );
}

#[test]
fn with_no_entries_there_is_no_block() {
    assert_eq!(
        rewritten("# BEGIN connexad\n# END connexad\nbob * pw *", &[], &all()),
        "bob * pw *"
    );
}

#[test]
fn an_entry_of_the_older_manager_gives_way_to_ours_quoted_or_not() {
    for old in [
        "admin connexa-node-2 stale *\n",
        "\"admin\"\t\"connexa-node-2\"\t\"stale\"\t*\n",
        "other 'connexa-node-2' stale",
        "  admin connexa-node-2 stale * # comment\n",
    ] {
        let new = rewritten(old, &[(2, "admin", "fresh")], &all());
        assert!(!new.contains("stale") && new.contains("fresh"), "{new}");
    }
}

#[test]
fn before_the_sweep_unknown_entries_are_moved_in_and_stay() {
    assert_eq!(
        rewritten("bob * pw *\nadmin connexa-node-7 old *", &[(2, "a", "b")], &all()),
        "# BEGIN connexad\n\"a\" \"connexa-node-2\" \"b\" *\nadmin connexa-node-7 old *\n\
         # END connexad\nbob * pw *\n"
    );
}

#[test]
fn after_the_sweep_unknown_entries_are_dropped() {
    let old = "admin connexa-node-7 old *\nadmin connexa-node-007 old *\nbob * pw *\n";
    assert_eq!(rewritten(old, &[], &only(&[2])), "bob * pw *\n");
}

#[test]
fn the_entry_of_a_removed_node_is_dropped_before_the_sweep_too() {
    let mut strangers = all();
    strangers.remove(NodeId(7));
    assert_eq!(rewritten("admin connexa-node-7 old *\n", &[], &strangers), "");
}

#[test]
fn names_that_only_look_like_ours_are_others() {
    let old = "a connexa-node- x *\na connexa-node-1b x *\nconnexa-node-3 server x *\n\
               # a connexa-node-4 x *\na \"connexa-node-5 \" x *\n";
    assert_eq!(rewritten(old, &[], &only(&[])), old);
}

#[test]
fn a_damaged_block_costs_nobody_a_line() {
    for old in [
        "# BEGIN connexad\n\"a\" \"connexa-node-2\" \"b\" *\nbob * pw *\n",
        "bob * pw *\n# END connexad\n",
        "# BEGIN connexad\n# BEGIN connexad\nbob * pw *\n# END connexad\n",
    ] {
        assert_eq!(rewritten(old, &[], &only(&[])), "bob * pw *\n");
    }
}

#[test]
fn an_entry_that_runs_over_a_line_break_is_left_alone() {
    let old = "bob connexa-node-3 it's *\ncarol * that's *\n";
    assert_eq!(rewritten(old, &[], &only(&[])), old);
}

#[test]
fn an_open_quote_of_others_does_not_hide_our_entries() {
    let new = rewritten("bob * it's *\n", &[(2, "admin", "secret")], &all());
    assert_eq!(reference::lookup(new.as_bytes(), "admin", "connexa-node-2"), Some("secret".into()));
}

fn password_of_2(file: &str) -> Option<String> {
    password(file.as_bytes(), NodeId(2), "admin").map(|secret| secret.reveal().to_owned())
}

#[test]
fn a_nodes_password_is_read_inside_our_block_and_outside_it() {
    for file in [
        rewritten("bob * pw *\n", &[(2, "admin", "se\"cret"), (3, "admin", "x")], &all()),
        "bob * it\\'s *\n'admin' connexa-node-2 se\\\"cret *".to_owned(),
        "other connexa-node-2 x *\nadmin connexa-node-2 \"se\\\"cret\"\nbob * it's".to_owned(),
    ] {
        assert_eq!(password_of_2(&file).as_deref(), Some("se\"cret"), "{file}");
    }
}

#[test]
fn a_password_that_is_not_there_for_certain_is_not_known() {
    for file in [
        "",
        "admin connexa-node-3 x *\nbob connexa-node-2 x *\n* connexa-node-2 x *\n",
        "admin connexa-node-2 one *\nadmin connexa-node-2 two *\n",
        "bob * it's *\nadmin connexa-node-2 one *\n",
        "admin connexa-node-2 @/etc/secret *\nadmin connexa-node-2\n",
    ] {
        assert_eq!(password_of_2(file), None, "{file}");
    }
}

fn credential() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,40}", "[\"'\\\\# @*a]{1,12}", "[^\\p{Cc}]{1,40}",]
        // pppd reads `@/…` as the name of a file; see the module of nodes.
        .prop_filter("a file's name", |text| !text.starts_with("@/"))
}

fn known() -> impl Strategy<Value = BTreeMap<NodeId, Entry>> {
    prop::collection::btree_map(
        (0..20_u32).prop_map(NodeId),
        (credential(), credential()).prop_map(|(login, password)| entry(&login, &password)),
        0..6,
    )
}

/// Lines of others: bytes of any kind, without our names.
fn foreign() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "([ -~]{0,20}\n){0,6}[ -~]{0,10}".prop_map(String::into_bytes),
        Just(b"* * \"x y\" *\nbob\t*\tit's *\n\\".to_vec()),
    ]
}

proptest! {
    #[test]
    fn lines_of_others_stay_byte_for_byte(others in foreign(), entries in known()) {
        let new = rewrite(&others, &entries, &all());
        prop_assert!(new.ends_with(&others));
        prop_assert_eq!(rewrite(&new, &BTreeMap::new(), &only(&[])), others);
    }

    #[test]
    fn writing_twice_changes_nothing(others in foreign(), entries in known()) {
        let once = rewrite(&others, &entries, &all());
        prop_assert_eq!(rewrite(&once, &entries, &all()), once);
    }

    #[test]
    fn pppd_reads_back_the_same_secrets(others in foreign(), entries in known()) {
        let new = rewrite(&others, &entries, &all());
        for (id, Entry { login, password }) in &entries {
            let found = reference::lookup(&new, login.as_str(), &id.peer_name());
            prop_assert_eq!(found.as_deref(), Some(password.reveal()));
        }
    }
}

/// pppd's reader once more, after the shape of its own code rather than ours.
mod reference {
    struct Reader<'a> {
        bytes: &'a [u8],
        at: usize,
    }

    impl Reader<'_> {
        fn next(&mut self) -> Option<u8> {
            let byte = self.bytes.get(self.at).copied();
            self.at += 1;
            byte
        }

        /// The next word, and whether it is the first of its line.
        fn word(&mut self) -> Option<(Vec<u8>, bool)> {
            let (mut first, mut comment, mut escape) = (false, false, false);
            let mut c;
            loop {
                c = self.next();
                match c {
                    Some(b'\n') if escape => escape = false,
                    Some(b'\n') => (first, comment) = (true, false),
                    Some(_) if comment => {}
                    Some(_) if escape => break,
                    Some(b'\\') => escape = true,
                    Some(b'#') => comment = true,
                    Some(b' ' | 9..=13) => {}
                    Some(_) | None => break,
                }
            }
            let (mut word, mut quote) = (Vec::new(), None);
            while let Some(byte) = c {
                if escape {
                    escape = false;
                    if byte != b'\n' {
                        word.push(byte);
                    }
                } else if byte == b'\\' {
                    escape = true;
                } else if quote == Some(byte) {
                    quote = None;
                } else if quote.is_none() && matches!(byte, b'"' | b'\'') {
                    quote = Some(byte);
                } else if quote.is_none() && matches!(byte, b' ' | 9..=13 | b'#') {
                    self.at -= 1;
                    break;
                } else {
                    word.push(byte);
                }
                c = self.next();
            }
            (c.is_some() || !word.is_empty()).then_some((word, first))
        }
    }

    /// The secret that pppd takes; numeric escapes are not in what we write.
    pub(super) fn lookup(file: &[u8], client: &str, server: &str) -> Option<String> {
        let mut reader = Reader { bytes: file, at: 0 };
        let mut lines: Vec<Vec<Vec<u8>>> = Vec::new();
        while let Some((word, first)) = reader.word() {
            match lines.last_mut() {
                Some(line) if !first => line.push(word),
                _ => lines.push(vec![word]),
            }
        }
        let fits = |word: &[u8], name: &str| match word {
            b"*" => Some(0),
            word if word == name.as_bytes() => Some(1),
            _ => None,
        };
        let mut best: Option<(usize, &[u8])> = None;
        for line in &lines {
            let [c, s, secret, ..] = line.as_slice() else { continue };
            let Some(score) = fits(c, client).zip(fits(s, server)).map(|(c, s)| 2 * c + s) else {
                continue;
            };
            if best.is_none_or(|(top, _)| score > top) {
                best = Some((score, secret));
            }
        }
        best.map(|(_, secret)| String::from_utf8(secret.to_vec()).unwrap())
    }
}
