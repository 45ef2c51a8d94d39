//! Rows of wild types become candidates.

use std::collections::BTreeSet;

use crate::core::event::{Candidate, InvalidRow, Ranked};
use crate::node::{Invalid, Login, Mppe, Node, NodeId, Secret, ServerAddr};

/// A row as the query gives it: bytes of text, or `None` for NULL.
#[derive(Clone, Default)]
pub(super) struct Row {
    pub(super) id: Option<Vec<u8>>,
    pub(super) ip: Option<Vec<u8>>,
    pub(super) login: Option<Vec<u8>>,
    pub(super) password: Option<Vec<u8>>,
    pub(super) status: Option<Vec<u8>>,
    pub(super) mppe: Option<Vec<u8>>,
}

/// What the rows come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Most wanted first; each id once.
    pub(super) candidates: Vec<Ranked>,
    /// Ids, as far as they can be shown, of rows that no node can be made of: no number from 0
    /// to 4294967295.
    pub(super) unusable_ids: Vec<String>,
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
    let Some(id) = node_id(row.id.as_deref()) else {
        return Judgement::NoId(row.id.as_deref().map_or("NULL".to_owned(), shown));
    };
    let status = row.status.as_deref().unwrap_or_default();
    let before = priority.iter().take_while(|other| !other.as_bytes().eq_ignore_ascii_case(status));
    let rank = before.fold(0, |rank: u32, _| rank.saturating_add(1));
    let candidate = match node(id, row) {
        Ok(node) => Candidate::Node(node.into()),
        Err(reason) => Candidate::Invalid(invalid(id, row, reason).into()),
    };
    Judgement::Candidate(Ranked { rank, candidate })
}

/// What rows come to together. An id of several rows is one candidate that can't be dialled, in the
/// place of the one that is wanted most, and of these of the first.
pub(super) fn together(rows: &[Judgement]) -> Judged {
    let mut candidates = Vec::with_capacity(rows.len());
    let mut unusable_ids = Vec::new();
    for row in rows {
        match row {
            Judgement::Candidate(row) => candidates.push((row.rank, row.candidate.id(), row)),
            Judgement::NoId(shown) => unusable_ids.push(shown.clone()),
        }
    }
    candidates.sort_by_key(|(rank, id, _)| (*rank, *id));
    let several = ids_of_several(candidates.iter().map(|(_, id, _)| *id).collect());
    let mut told = BTreeSet::new();
    let candidates = candidates.into_iter().filter_map(|(rank, id, row)| {
        if !several.contains(&id) {
            return Some(row.clone());
        }
        let candidate = Candidate::Invalid(duplicate(&row.candidate).into());
        told.insert(id).then_some(Ranked { rank, candidate })
    });
    Judged { candidates: candidates.collect(), unusable_ids }
}

fn ids_of_several(mut ids: Vec<NodeId>) -> BTreeSet<NodeId> {
    ids.sort_unstable();
    let pairs = ids.iter().zip(ids.iter().skip(1));
    pairs.filter(|(one, other)| one == other).map(|(id, _)| *id).collect()
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

pub(super) fn node(id: NodeId, row: &Row) -> Result<Node, Invalid> {
    Ok(Node {
        id,
        server: ServerAddr::parse(&shown(row.ip.as_deref().unwrap_or_default()))?,
        login: Login::parse(text("login", row.login.as_deref())?)?,
        password: Secret::parse(text("password", row.password.as_deref())?)?,
        status: shown(row.status.as_deref().unwrap_or_default()),
        mppe: match shown(row.mppe.as_deref().unwrap_or_default()).trim() {
            "" => None,
            text => Some(text.parse::<Mppe>()?),
        },
    })
}

fn invalid(id: NodeId, row: &Row, reason: Invalid) -> InvalidRow {
    let shown = |column: &Option<Vec<u8>>| shown(column.as_deref().unwrap_or_default());
    InvalidRow {
        id,
        ip: shown(&row.ip),
        login: shown(&row.login),
        status: shown(&row.status),
        reason,
    }
}

/// Digits and nothing else, so that one number is one id: `7` and ` 7 ` are the same node, and so
/// is `7.0`, which a column of type REAL makes of it.
pub(super) fn node_id(column: Option<&[u8]>) -> Option<NodeId> {
    let text = std::str::from_utf8(column?).ok()?.trim();
    let digits = text.strip_suffix(".0").unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(NodeId))?
}

/// Bytes that are no UTF-8, as a blob may be, could not be written to pppd's files as they are.
fn text<'a>(what: &str, column: Option<&'a [u8]>) -> Result<&'a str, Invalid> {
    std::str::from_utf8(column.unwrap_or_default()).map_err(|_| Invalid::NotText(what.to_owned()))
}

/// Bytes of a column that are shown at most: beyond them lies nothing that anybody reads.
const LONGEST_SHOWN: usize = 255;

pub(super) fn shown(bytes: &[u8]) -> String {
    let (shown, rest) = bytes.split_at(bytes.len().min(LONGEST_SHOWN));
    let text = String::from_utf8_lossy(shown);
    if rest.is_empty() { text.into_owned() } else { format!("{text}…") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str) -> Row {
        let column = |text: &str| Some(text.as_bytes().to_vec());
        Row {
            id: column(id),
            ip: column("10.9.0.2"),
            login: column("admin"),
            password: column("secret"),
            status: column("online"),
            mppe: None,
        }
    }

    fn judged(rows: impl IntoIterator<Item = Row>) -> Judged {
        together(&rows.into_iter().map(|row| judge(&row, &[])).collect::<Vec<_>>())
    }

    fn reason(row: Row) -> Invalid {
        match judged([row]).candidates.remove(0).candidate {
            Candidate::Invalid(row) => row.reason.clone(),
            Candidate::Node(node) => panic!("valid: {node:?}"),
        }
    }

    #[test]
    fn a_good_row_is_a_node() {
        let judged = judged([row("7")]);
        let [Ranked { candidate: Candidate::Node(node), .. }] = &judged.candidates[..] else {
            panic!("{judged:?}")
        };
        assert_eq!((node.id, node.mppe), (NodeId(7), None));
    }

    #[test]
    fn an_id_may_be_text_with_blanks() {
        assert_eq!(judged([row(" 7 ")]).candidates[0].candidate.id(), NodeId(7));
    }

    #[test]
    fn a_whole_number_of_type_real_is_an_id() {
        assert_eq!(judged([row("7.0")]).candidates[0].candidate.id(), NodeId(7));
    }

    #[test]
    fn the_order_is_that_of_ids() {
        let rows = judged([row("3"), row("10"), row("2")]).candidates;
        let ids: Vec<_> = rows.iter().map(|row| row.candidate.id().0).collect();
        assert_eq!(ids, [2, 3, 10]);
    }

    #[test]
    fn ids_that_are_no_node_are_set_aside() {
        let rows = ["", "x", "-1", "+1", "1.5", ".0", "4294967296"].map(row);
        let null = Row { id: None, ..row("1") };
        let judged = judged(rows.into_iter().chain([null]));
        assert_eq!(judged.unusable_ids, ["", "x", "-1", "+1", "1.5", ".0", "4294967296", "NULL"]);
        assert_eq!(judged.candidates, []);
    }

    #[test]
    fn an_id_of_two_rows_can_not_be_dialled_and_shows_its_first_row() {
        let second = Row { ip: Some(b"10.9.0.3".to_vec()), ..row("7") };
        let judged = judged([row("7"), row("8"), second]);
        assert_eq!(judged.candidates.len(), 2);
        assert!(matches!(
            &judged.candidates[0].candidate,
            Candidate::Invalid(row)
                if row.id == NodeId(7)
                    && row.reason == Invalid::DuplicateId
                    && row.ip == "10.9.0.2"
        ));
    }

    #[test]
    fn a_missing_password_is_told() {
        let row = Row { password: None, ..row("7") };
        assert_eq!(reason(row), Invalid::Empty("password".into()));
    }

    #[test]
    fn a_login_of_bytes_that_are_no_text_is_refused() {
        let row = Row { login: Some(vec![0xff, 0xfe]), ..row("7") };
        assert_eq!(reason(row), Invalid::NotText("login".into()));
    }

    #[test]
    fn an_ip_that_is_none_is_told() {
        let row = Row { ip: Some(b"vpn.example".to_vec()), ..row("7") };
        assert_eq!(reason(row), Invalid::NotIpv4("vpn.example".into()));
    }

    #[test]
    fn the_mppe_column_is_read_and_may_be_empty() {
        let with = |mppe: &str| Row { mppe: Some(mppe.into()), ..row("7") };
        let mppe = |row| match judged([row]).candidates.remove(0).candidate {
            Candidate::Node(node) => node.mppe,
            Candidate::Invalid(row) => panic!("{}", row.reason),
        };
        assert_eq!([mppe(with("off")), mppe(with(""))], [Some(Mppe::Off), None]);
        assert_eq!(reason(with("maybe")), Invalid::Mppe("maybe".into()));
    }
}
