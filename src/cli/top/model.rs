//! What `connexactl top` shows, and what answers of the daemon make of it. Nothing here knows a
//! terminal, a socket or a clock.

use std::cmp::Reverse;
use std::ops::Range;

use super::rates::{Rate, Rates};
use crate::cli::status::{address, rank};
use crate::control::api::{Node, NodeInFull, Status, Traffic};

/// What the lines are in order of; those that are alike, by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Worst first.
    State,
    Id,
    Server,
    /// The newest state first.
    Since,
    /// Who carries most first.
    Rate,
}

impl Order {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Order::State => "state",
            Order::Id => "id",
            Order::Server => "server",
            Order::Since => "time",
            Order::Rate => "rate",
        }
    }
}

/// What the next key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// To look around.
    Looking,
    /// To type a filter.
    Filtering,
    /// To say whether this node is to be hung up.
    Asking { stop: u32 },
    /// To go back from the list of keys.
    Help,
}

/// What the daemon answers.
#[derive(Debug)]
pub(super) enum Update {
    /// All that is shown.
    Whole {
        status: Box<Status>,
        /// None where this daemon does not tell it.
        traffic: Option<Traffic>,
        /// The node that is looked at, where it is there.
        full: Option<Box<NodeInFull>>,
    },
    /// The node that is looked at.
    Full(Box<NodeInFull>),
    /// It does not answer, and why.
    Lost(String),
    /// What became of a change.
    Told(String),
}

/// All of it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) status: Status,
    pub(super) rates: Rates,
    /// Why the daemon does not answer; what is shown is from before.
    pub(super) lost: Option<String>,
    /// What became of the last change.
    pub(super) told: Option<String>,
    pub(super) mode: Mode,
    pub(super) order: Order,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// Whether the pane of the selected node is open.
    pub(super) pane: bool,
    full: Option<Box<NodeInFull>>,
    /// Which of the nodes are shown, in order.
    lines: Vec<usize>,
    /// Which line is selected, and its node.
    at: usize,
    selected: Option<u32>,
    /// The first line on the screen, and how many there is room for.
    first: usize,
    room: usize,
}

impl Model {
    pub(super) fn new(status: Status, traffic: Option<Traffic>) -> Self {
        let mut rates = Rates::default();
        rates.take(traffic);
        let mut model = Model {
            status,
            rates,
            lost: None,
            told: None,
            mode: Mode::Looking,
            order: Order::State,
            reversed: false,
            filter: String::new(),
            pane: false,
            full: None,
            lines: Vec::new(),
            at: 0,
            selected: None,
            first: 0,
            room: 1,
        };
        model.arrange();
        model
    }

    /// Takes in what the daemon answers.
    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Whole { status, traffic, full } => {
                self.status = *status;
                self.rates.take(traffic);
                self.full = full;
                self.lost = None;
                self.arrange();
            }
            Update::Full(full) => self.full = Some(full),
            Update::Lost(why) => self.lost = Some(why),
            Update::Told(what) => self.told = Some(what),
        }
    }

    /// The node of which the pane tells.
    pub(super) fn looked_at(&self) -> Option<u32> {
        self.selected.filter(|_| self.pane)
    }

    /// The selected node.
    pub(super) fn selected(&self) -> Option<&Node> {
        self.node_at(self.at)
    }

    /// The same with what it went through, once that is known.
    pub(super) fn selected_in_full(&self) -> Option<&NodeInFull> {
        self.full.as_deref().filter(|full| Some(full.node.id) == self.selected)
    }

    /// How many nodes are shown.
    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }

    /// The nodes of these lines, each with whether it is selected.
    pub(super) fn nodes(&self, lines: Range<usize>) -> impl Iterator<Item = (&Node, bool)> {
        lines.filter_map(|line| Some((self.node_at(line)?, line == self.at)))
    }

    fn node_at(&self, line: usize) -> Option<&Node> {
        self.lines.get(line).and_then(|index| self.status.nodes.get(*index))
    }

    /// The lines that are on the screen, where it has room for so many: the selected one is always
    /// among them.
    pub(super) fn window(&mut self, room: usize) -> Range<usize> {
        self.room = room.max(1);
        let last = self.lines.len().saturating_sub(self.room);
        let lowest = (self.at + 1).saturating_sub(self.room);
        self.first = self.first.clamp(lowest, self.at.max(lowest)).min(last);
        self.first..(self.first + room).min(self.lines.len())
    }

    pub(super) fn select(&mut self, line: usize) {
        self.at = line.min(self.lines.len().saturating_sub(1));
        self.selected = self.node_at(self.at).map(|node| node.id);
    }

    pub(super) fn up(&mut self, lines: usize) {
        self.select(self.at.saturating_sub(lines));
    }

    pub(super) fn down(&mut self, lines: usize) {
        self.select(self.at.saturating_add(lines));
    }

    /// How many lines a page has.
    pub(super) fn page(&self) -> usize {
        self.room
    }

    /// Orders the lines so; a second time, the other way round.
    pub(super) fn order_by(&mut self, order: Order) {
        self.reversed = self.order == order && !self.reversed;
        self.order = order;
        self.arrange();
    }

    pub(super) fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.arrange();
    }

    /// Which nodes are shown, in which order. The selected one stays selected where it is shown
    /// still; else the one that is in its place now.
    fn arrange(&mut self) {
        let wanted = self.filter.to_lowercase();
        let nodes = &self.status.nodes;
        let mut lines: Vec<(usize, &Node)> =
            nodes.iter().enumerate().filter(|(_, node)| matches(node, &wanted)).collect();
        match self.order {
            Order::State => lines.sort_by_key(|(_, node)| (rank(&node.state), node.id)),
            Order::Id => lines.sort_by_key(|(_, node)| node.id),
            Order::Server => lines.sort_by_key(|(_, node)| (address(node), node.id)),
            Order::Since => lines.sort_by_key(|(_, node)| (node.state_seconds, node.id)),
            Order::Rate => lines.sort_by_key(|(_, node)| {
                (Reverse(self.rates.of(node.id).map(Rate::both)), node.id)
            }),
        }
        if self.reversed {
            lines.reverse();
        }
        let stays = lines.iter().position(|(_, node)| Some(node.id) == self.selected);
        self.lines = lines.into_iter().map(|(index, _)| index).collect();
        self.select(stays.unwrap_or(self.at));
    }
}

/// Whether any text of the node holds the wanted one, which is in small letters.
fn matches(node: &Node, wanted: &str) -> bool {
    let id = node.id.to_string();
    let reason = node.reason.as_ref().map(|reason| &*reason.message);
    let texts = [Some(&*id), node.ip.as_deref(), node.login.as_deref(), Some(&*node.state)];
    let more = [node.status.as_deref(), node.interface.as_deref(), reason];
    texts.into_iter().chain(more).flatten().any(|text| text.to_lowercase().contains(wanted))
}
