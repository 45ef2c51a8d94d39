//! Rows of wild types become candidates.

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
        let null = Row { id: None, ..row("1") };
        assert_eq!(judge(&null, &[]), Judgement::NoId("NULL".to_owned()));
    }

    #[test]
    fn an_id_of_two_rows_can_not_be_dialled_and_shows_its_first_row() {
        let second = Row { ip: Some(b"10.9.0.3".to_vec()), ..row("7") };
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
        let mppe = |row| match candidate(row) {
            Candidate::Node(node) => node.mppe,
            Candidate::Invalid(row) => panic!("{}", row.reason),
        };
        assert_eq!([mppe(with("off")), mppe(with(""))], [Some(Mppe::Off), None]);
        assert_eq!(reason(with("maybe")), Invalid::Mppe("maybe".into()));
    }
}
