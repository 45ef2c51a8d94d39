use proptest::prelude::*;

use super::super::getword::{self, Found};
use super::*;
use crate::node::Login;

fn entry(id: NodeId, login: &str, password: &str) -> (NodeId, Arc<Node>) {
    (id, Arc::new(Node::example(id, login, password)))
}

fn entries(list: &[(u32, &str, &str)]) -> BTreeMap<NodeId, Arc<Node>> {
    list.iter().map(|(id, login, password)| entry(NodeId(*id), login, password)).collect()
}

fn only(ids: &[u32]) -> Strangers {
    Strangers::Only(ids.iter().copied().map(NodeId).collect())
}

fn all() -> Strangers {
    Strangers::AllBut(BTreeSet::new())
}

fn rewritten(old: &str, list: &[(u32, &str, &str)], strangers: &Strangers) -> String {
    String::from_utf8(rewrite(old.as_bytes(), &entries(list), strangers).to_vec()).unwrap()
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
    let found = getword::secret(new.as_bytes(), b"admin", b"connexa-node-2");
    assert_eq!(found, Some(Found::Secret(b"secret".to_vec())));
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

/// What nobody would type, and pppd gives a meaning to.
fn wild() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"\"'\\#@/* \t\n\r\x0b\0nxs018\xc3\xa9\x7f\x85".to_vec());
    prop_oneof![
        prop::collection::vec(special, 0..12),
        prop::collection::vec(any::<u8>(), 0..6),
        "[^\\p{Cc}]{0,300}".prop_map(String::into_bytes),
        credential().prop_map(String::into_bytes),
    ]
}

fn known() -> impl Strategy<Value = BTreeMap<NodeId, Arc<Node>>> {
    let entry = ((0..20_u32), credential(), credential())
        .prop_map(|(id, login, password)| entry(NodeId(id), &login, &password));
    prop::collection::vec(entry, 0..6).prop_map(|entries| entries.into_iter().collect())
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
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn lines_of_others_stay_byte_for_byte(others in foreign(), entries in known()) {
        let new = rewrite(&others, &entries, &all());
        prop_assert!(new.ends_with(&others));
        prop_assert_eq!(&*rewrite(&new, &BTreeMap::new(), &only(&[])), &others);
    }

    #[test]
    fn writing_twice_changes_nothing(others in foreign(), entries in known()) {
        let once = rewrite(&others, &entries, &all());
        prop_assert_eq!(rewrite(&once, &entries, &all()), once);
    }

    #[test]
    fn content_has_one_piece_of_memory_of_its_own_length(others in foreign(), before in known(), entries in known()) {
        let new = rewrite(&rewrite(&others, &before, &all()), &entries, &all());
        // It would be more if it had grown.
        prop_assert_eq!(new.capacity(), new.len());
    }

    #[test]
    fn pppd_reads_back_the_same_secrets(others in foreign(), entries in known()) {
        let new = rewrite(&others, &entries, &all());
        for (id, node) in &entries {
            let name = id.peer_name();
            let found = getword::secret(&new, node.login.as_str().as_bytes(), name.as_bytes());
            let secret = node.password.reveal().as_bytes().to_vec();
            prop_assert_eq!(found, Some(Found::Secret(secret)));
        }
    }

    /// Whatever bytes a row has, it is invalid, or pppd reads its entry and nothing more.
    #[test]
    fn a_login_and_a_password_of_any_bytes_are_read_back_or_refused(
        login in wild(),
        password in wild(),
        others in foreign(),
    ) {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let login = text(&login).and_then(|login| Login::parse(login).ok());
        let password = text(&password).and_then(|password| Secret::parse(password).ok());
        let (Some(login), Some(password)) = (login, password) else { return Ok(()) };
        let entries = entries(&[
            (1, "admin", "secret"),
            (2, login.as_str(), password.reveal()),
            (3, "admin", "secret"),
        ]);
        let line = |(id, node): (&NodeId, &Arc<Node>)| {
            let name = id.peer_name();
            [node.login.as_str(), &name, node.password.reveal(), "*"]
                .map(|word| word.as_bytes().to_vec())
                .to_vec()
        };
        let mut lines: Vec<_> = entries.iter().map(line).collect();
        lines.extend(getword::lines(&others));
        let new = rewrite(&others, &entries, &all());
        prop_assert_eq!(getword::lines(&new), lines);
    }
}

#[test]
fn the_secrets_of_all_are_those_that_pppd_would_use() {
    let file =
        "# a * comment *\nbob * pw1 *\n\"carol\" srv \"pw \\\"2\" *\nan entry\n* * 'pw\n3' *\n";
    let found = of_all(file.as_bytes());
    let found: Vec<&str> = found.iter().map(|secret| str::from_utf8(secret).unwrap()).collect();
    assert_eq!(found, ["pw1", "pw \"2", "pw\n3"]);
}
