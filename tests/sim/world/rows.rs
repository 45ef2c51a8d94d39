//! The database.

use std::collections::BTreeMap;

use connexa::core::event::{Candidate, InvalidRow, Ranked};
use connexa::node::{Invalid, Login, Mppe, Node, NodeId, Secret, ServerAddr};

use super::{Happening, Way, World};
use crate::wire::News;

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) password: String,
    pub(super) server: usize,
    pub(super) mppe: Option<Mppe>,
    pub(super) status: u64,
    pub(super) rank: u32,
    pub(super) valid: bool,
}

impl World {
    pub(super) fn new_row(&self, id: u32) -> Row {
        Row {
            password: "right".into(),
            server: id as usize % self.servers.len(),
            mppe: None,
            status: 0,
            rank: id,
            valid: true,
        }
    }

    pub(super) fn change_row(&mut self, id: u32, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.rows.get_mut(&id) {
            change(row);
        }
        self.rows_changed();
    }

    pub(super) fn rows_changed(&mut self) {
        self.send(Way::Rows, Happening::DatabaseIsRead);
    }

    /// The table is emptied and filled again within so long, half of it earlier.
    pub(super) fn write_table_anew(&mut self, for_ms: u64) {
        let rows = std::mem::take(&mut self.rows);
        self.rows_changed();
        let (first, second) = rows.into_iter().partition(|(id, _)| id % 2 == 0);
        self.later(for_ms / 2, Happening::RowsReturn(first));
        self.later(for_ms, Happening::RowsReturn(second));
    }

    /// Tables that are being written anew are whole at once.
    pub(super) fn finish_tables(&mut self) {
        let is_due = |happening: &Happening| matches!(happening, Happening::RowsReturn(_));
        let due: Vec<_> =
            self.agenda.iter().filter(|(_, h)| is_due(h)).map(|(at, _)| *at).collect();
        for at in due {
            self.agenda.remove(&at).into_iter().for_each(|happening| self.happen(happening));
        }
    }

    pub(super) fn rows_return(&mut self, rows: BTreeMap<u32, Row>) {
        for (id, row) in rows {
            self.rows.entry(id).or_insert(row);
        }
        self.rows_changed();
    }

    /// Shows the rows as they are by then.
    pub(super) fn read_database(&mut self) {
        if !self.can_read {
            return self.feed(News::RowsUnreadable);
        }
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(id, row)| (row.rank, **id));
        let ranked =
            |(id, row): (&u32, &Row)| Ranked { rank: row.rank, candidate: candidate(*id, row) };
        let rows = rows.into_iter().map(ranked).collect();
        self.feed(News::Rows { rows, places: 0, reselected: false });
    }
}

pub(super) fn node(id: u32, row: &Row) -> Node {
    let (server, login) = (server_address(row.server), Login::parse("admin").unwrap());
    let new = Node::new(NodeId(id), server, login, Secret::parse(&row.password).unwrap());
    Node { status: format!("speed_{}", row.status), mppe: row.mppe, ..new }
}

fn candidate(id: u32, row: &Row) -> Candidate {
    if row.valid {
        return Candidate::Node(node(id, row).into());
    }
    let row = InvalidRow {
        id: NodeId(id),
        ip: "nowhere".into(),
        login: "admin".into(),
        status: format!("speed_{}", row.status),
        reason: Invalid::NotIpv4("nowhere".into()),
    };
    Candidate::Invalid(row.into())
}

fn server_address(server: usize) -> ServerAddr {
    ServerAddr::parse(&format!("10.9.{}.{}", server / 200, server % 200 + 1)).unwrap()
}

pub(super) fn server_of(node: &Node) -> usize {
    let [_, _, high, low] = node.server.ip().octets();
    usize::from(high) * 200 + usize::from(low) - 1
}
