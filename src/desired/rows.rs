//! Rows of wild types become candidates.

use std::str::FromStr;

use zeroize::Zeroizing;

use super::columns::{COLUMNS, COUNT, Column, ID, IP, LOGIN, STATUS, node};
use crate::core::event::{Candidate, InvalidRow, Ranked};
use crate::node::{Invalid, NodeId};

/// A row as the query gives it: of each column bytes of text, or `None` for NULL. One of them is a
/// password.
#[derive(Clone, Default)]
pub(super) struct Row(pub(super) [Option<Zeroizing<Vec<u8>>>; COUNT]);

impl Row {
    pub(super) fn get(&self, column: &Column) -> Option<&[u8]> {
        let mut columns = COLUMNS.into_iter().zip(&self.0);
        columns
            .find(|(other, _)| *other == column)
            .and_then(|(_, bytes)| bytes.as_ref().map(|bytes| bytes.as_slice()))
    }

    /// A column as far as it can be shown; NULL is nothing.
    pub(super) fn shown(&self, column: &Column) -> String {
        shown(self.get(column).unwrap_or_default())
    }

    /// A column that must be text: bytes that are no UTF-8, as a blob may be, could not be written
    /// to pppd's files as they are.
    pub(super) fn text(&self, column: &Column) -> Result<&str, Invalid> {
        std::str::from_utf8(self.get(column).unwrap_or_default())
            .map_err(|_| Invalid::NotText(column.name.to_owned()))
    }

    /// A column that holds one of several words, or nothing.
    pub(super) fn word<T: FromStr<Err = Invalid>>(
        &self,
        column: &Column,
    ) -> Result<Option<T>, Invalid> {
        match self.shown(column).trim() {
            "" => Ok(None),
            word => word.parse().map(Some),
        }
    }
}

/// What one row comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Candidate(Ranked),
    /// Its id is none that a node can have; as far as it can be shown.
    NoId(String),
}

/// Judges a row by itself. Its rank is the place of its status among those of `priority`, which
/// takes ASCII letters of either case as the same, as LIKE does; other statuses come after them.
pub(super) fn judge(row: &Row, priority: &[String]) -> Judgement {
    let Some(id) = node_id(row.get(&ID)) else {
        return Judgement::NoId(row.get(&ID).map_or("NULL".to_owned(), shown));
    };
    let status = row.get(&STATUS).unwrap_or_default();
    let before = priority.iter().take_while(|other| !other.as_bytes().eq_ignore_ascii_case(status));
    let rank = before.fold(0, |rank: u32, _| rank.saturating_add(1));
    let candidate = match node(id, row) {
        Ok(node) => Candidate::Node(node.into()),
        Err(reason) => Candidate::Invalid(invalid(id, row, reason).into()),
    };
    Judgement::Candidate(Ranked { rank, candidate })
}

impl Judgement {
    /// The id that a node can have.
    pub(super) fn id(&self) -> Option<NodeId> {
        match self {
            Judgement::Candidate(row) => Some(row.candidate.id()),
            Judgement::NoId(_) => None,
        }
    }
}

/// What the rows of one id come to, in the order of the table. Several are one candidate that can't
/// be dialled, in the place of the one that is wanted most, and of these of the first.
pub(super) fn together(rows: &[&Ranked]) -> Option<Ranked> {
    let first = *rows.iter().min_by_key(|row| row.rank)?;
    let candidate = match rows {
        [row] => row.candidate.clone(),
        _ => Candidate::Invalid(duplicate(&first.candidate).into()),
    };
    Some(Ranked { rank: first.rank, candidate })
}

fn duplicate(first: &Candidate) -> InvalidRow {
    let reason = Invalid::DuplicateId;
    match first {
        Candidate::Invalid(row) => InvalidRow { reason, ..InvalidRow::clone(row) },
        Candidate::Node(node) => InvalidRow {
            id: node.id,
            ip: node.server.to_string(),
            login: node.login.as_str().to_owned(),
            status: node.status.clone(),
            reason,
        },
    }
}

fn invalid(id: NodeId, row: &Row, reason: Invalid) -> InvalidRow {
    let (ip, login, status) = (row.shown(&IP), row.shown(&LOGIN), row.shown(&STATUS));
    InvalidRow { id, ip, login, status, reason }
}

/// Digits and nothing else, so that one number is one id: `7` and ` 7 ` are the same node, and so
/// is `7.0`, which a column of type REAL makes of it.
pub(super) fn node_id(column: Option<&[u8]>) -> Option<NodeId> {
    let text = std::str::from_utf8(column?).ok()?.trim();
    let digits = text.strip_suffix(".0").unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(NodeId))?
}

/// Bytes of a column that are shown at most: beyond them lies nothing that anybody reads.
const LONGEST_SHOWN: usize = 255;

fn shown(bytes: &[u8]) -> String {
    let (shown, rest) = bytes.split_at(bytes.len().min(LONGEST_SHOWN));
    let text = String::from_utf8_lossy(shown);
    if rest.is_empty() { text.into_owned() } else { format!("{text}…") }
}

#[cfg(test)]
mod tests {
    use super::super::columns::{ENGINE, MPPE, PASSWORD};
    use super::*;
    use crate::node::{Engine, Mppe};

    fn row(id: &str) -> Row {
        let known = [(&ID, id), (&IP, "10.9.0.2"), (&LOGIN, "admin"), (&PASSWORD, "secret")];
        known.into_iter().fold(Row::default(), |row, (column, text)| row.with(column, text))
    }

    impl Row {
        fn with(self, column: &Column, bytes: impl AsRef<[u8]>) -> Self {
            self.set(column, Some(bytes.as_ref().to_vec()))
        }

        fn set(mut self, column: &Column, bytes: Option<Vec<u8>>) -> Self {
            let place = COLUMNS.iter().position(|other| *other == column).unwrap();
            self.0[place] = bytes.map(Into::into);
            self
        }
    }

    fn candidate(row: Row) -> Candidate {
        match judge(&row, &[]) {
            Judgement::Candidate(row) => row.candidate,
            Judgement::NoId(shown) => panic!("no id: {shown}"),
        }
    }

    fn reason(row: Row) -> Invalid {
        match candidate(row) {
            Candidate::Invalid(row) => row.reason.clone(),
            Candidate::Node(node) => panic!("valid: {node:?}"),
        }
    }

    #[test]
    fn a_good_row_is_a_node() {
        let candidate = candidate(row("7"));
        let Candidate::Node(node) = &candidate else { panic!("{candidate:?}") };
        assert_eq!((node.id, node.mppe), (NodeId(7), None));
    }

    #[test]
    fn an_id_may_be_text_with_blanks() {
        assert_eq!(candidate(row(" 7 ")).id(), NodeId(7));
    }

    #[test]
    fn a_whole_number_of_type_real_is_an_id() {
        assert_eq!(candidate(row("7.0")).id(), NodeId(7));
    }

    #[test]
    fn ids_that_are_no_node_are_set_aside() {
        let ids = ["", "x", "-1", "+1", "1.5", ".0", "4294967296"];
        for id in ids {
            assert_eq!(judge(&row(id), &[]), Judgement::NoId(id.to_owned()));
        }
        let null = row("1").set(&ID, None);
        assert_eq!(judge(&null, &[]), Judgement::NoId("NULL".to_owned()));
    }

    #[test]
    fn an_id_of_two_rows_can_not_be_dialled_and_shows_its_first_row() {
        let second = row("7").with(&IP, "10.9.0.3");
        let rows = [row("7"), second].map(|row| Ranked { rank: 0, candidate: candidate(row) });
        let [first, second] = &rows;
        let together = together(&[first, second]).unwrap().candidate;
        assert!(matches!(
            &together,
            Candidate::Invalid(row)
                if row.id == NodeId(7)
                    && row.reason == Invalid::DuplicateId
                    && row.ip == "10.9.0.2"
        ));
    }

    #[test]
    fn a_missing_password_is_told() {
        let row = row("7").set(&PASSWORD, None);
        assert_eq!(reason(row), Invalid::Empty("password".into()));
    }

    #[test]
    fn a_login_of_bytes_that_are_no_text_is_refused() {
        let row = row("7").with(&LOGIN, [0xff, 0xfe]);
        assert_eq!(reason(row), Invalid::NotText("login".into()));
    }

    #[test]
    fn an_ip_that_is_none_is_told() {
        let row = row("7").with(&IP, "vpn.example");
        assert_eq!(reason(row), Invalid::NotIpv4("vpn.example".into()));
    }

    #[test]
    fn the_mppe_column_is_read_and_may_be_empty() {
        let with = |mppe: &str| row("7").with(&MPPE, mppe);
        let mppe = |row| match candidate(row) {
            Candidate::Node(node) => node.mppe,
            Candidate::Invalid(row) => panic!("{}", row.reason),
        };
        assert_eq!([mppe(with("off")), mppe(with(""))], [Some(Mppe::Off), None]);
        assert_eq!(reason(with("maybe")), Invalid::Mppe("maybe".into()));
    }

    #[test]
    fn the_engine_column_is_read_and_may_be_empty() {
        let with = |engine: &str| row("7").with(&ENGINE, engine);
        let engine = |row| match candidate(row) {
            Candidate::Node(node) => node.engine,
            Candidate::Invalid(row) => panic!("{}", row.reason),
        };
        assert_eq!([engine(with("kernel")), engine(with(""))], [Some(Engine::Kernel), None]);
        assert_eq!(reason(with("l2tp")), Invalid::Engine("l2tp".into()));
    }
}
