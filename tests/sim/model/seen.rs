//! What the model sees of links.

use connexa::core::effect::Signal;
use connexa::core::event::{CallId, LinkChange};
use connexa::node::NodeId;

use super::{Addresses, Call, Ending, Host, Model, SETTLE, TELL_WITHIN, Told, Why};

impl Call {
    pub(super) fn new(id: CallId, began: u64) -> Self {
        Call {
            id,
            began,
            dialled: None,
            slot: None,
            claim: None,
            has_named: false,
            missed: None,
            link: None,
            up: None,
            was_up: false,
            settle: None,
            give_up: None,
            ending: None,
            owed: None,
            plain: None,
            vague: None,
        }
    }

    /// It was found, and the link that it had is nowhere: it is left alone while one of nobody's may be it.
    pub(super) fn is_out_of_sight(&self) -> bool {
        matches!(self.id, CallId::Found(_)) && self.has_named && self.link.is_none()
    }
}

impl Model {
    pub(super) fn take_link(&mut self, change: &LinkChange) {
        let index = change.index.0;
        match &change.link {
            None => {
                let gone = self.links.remove(&index);
                self.look_at(gone.and_then(|told| told.owner));
            }
            Some(link) => {
                let new = Told { link: link.clone(), since: self.inputs, owner: None };
                self.links.entry(index).or_insert(new).link.clone_from(link);
                let name = &link.name;
                let claimer = self.calls.iter().find(|(_, c)| c.claim.as_ref() == Some(name));
                if let Some(id) = claimer.map(|(id, _)| *id) {
                    self.bind(id);
                }
                let owner = self.links.get(&index).and_then(|told| told.owner);
                self.look_at(owner);
            }
        }
    }

    fn look_at(&mut self, owner: Option<CallId>) {
        let call = self.calls.iter().find(|(_, call)| Some(call.id) == owner);
        if let Some(id) = call.map(|(id, _)| *id) {
            self.look(id);
        }
    }

    /// The node's call says that its link has this name; the last to say so is believed.
    pub(super) fn claim(&mut self, id: NodeId, name: &str) {
        if self.calls.get(&id).is_none_or(|call| call.link.is_some()) {
            return;
        }
        for call in self.calls.values_mut() {
            call.claim = call.claim.take().filter(|claimed| claimed != name);
        }
        if let Some(call) = self.calls.get_mut(&id) {
            call.claim = Some(name.to_owned());
        }
        self.bind(id);
    }

    /// A call gets the link of its name that nobody had, and that is younger than its dial.
    fn bind(&mut self, id: NodeId) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.link.is_none()) else {
            return;
        };
        let found = matches!(call.id, CallId::Found(_));
        let fits = |told: &Told| Some(&told.link.name) == call.claim.as_ref();
        // Two may have a name for a moment, when the end of one is told last.
        let youngest =
            self.links.iter_mut().filter(|(_, told)| fits(told)).max_by_key(|(_, t)| t.since);
        if let Some((index, told)) = youngest
            && told.owner.is_none()
            && (found || told.since > call.began)
            && call.missed.is_none_or(|input| told.since <= input)
        {
            told.owner = Some(call.id);
            (call.link, call.claim) = (Some(*index), None);
            if call.missed.is_some() {
                call.give_up = Some(self.now + self.policy.dial_timeout.as_millis() as u64);
            }
            self.host = Host { fit: self.inputs, ..Host::default() };
        }
    }

    /// Compares a node's call with what is wanted and what the kernel shows.
    pub(super) fn look(&mut self, id: NodeId) {
        let Some(call) = self.calls.get(&id).filter(|call| call.ending.is_none()) else { return };
        if self.unwanted(id, call) {
            self.hang_up(id, Why::Unwanted);
            return;
        }
        let Some(index) = call.link else { return };
        let (up, settled) = (call.up.is_some(), call.settle.is_some_and(|at| at <= self.now));
        let Some(told) = self.links.get(&index) else {
            self.fall(id);
            let next = self.now + self.grace();
            let ending = Ending { why: Why::Itself, next, signal: Signal::Terminate };
            self.calls.entry(id).and_modify(|call| call.ending = Some(ending));
            return;
        };
        let whole = told.link.addresses.iter().find(|address| address.remote.is_some());
        let address = whole.or(told.link.addresses.first()).map(|a| (a.local, a.remote));
        match address.filter(|_| told.link.up) {
            Some(address) if address.1.is_some() || settled => self.rise(id, address),
            None if !up => self.set_settle(id, None),
            None if !told.link.up || settled => {
                self.fall(id);
                let give_up = Some(self.now + self.grace());
                self.calls.entry(id).and_modify(|call| call.give_up = give_up);
            }
            Some(_) | None => self.set_settle(id, Some(self.now + SETTLE)),
        }
    }

    fn set_settle(&mut self, id: NodeId, at: Option<u64>) {
        self.calls
            .entry(id)
            .and_modify(|call| call.settle = at.map(|at| call.settle.unwrap_or(at)));
    }

    fn rise(&mut self, id: NodeId, address: Addresses) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let since = call.up.map_or(self.now, |(_, since)| since);
        call.settle = None;
        if call.up.is_some_and(|(old, _)| old == address) {
            return;
        }
        if call.owed.take().is_some() {
            self.due.downs.insert(id);
        }
        (call.up, call.was_up, call.give_up) = (Some((address, since)), true, None);
        call.slot = None;
        self.due.ups.insert(id);
        self.last_up = Some(self.now);
        if let Some(trouble) = self.trouble.get_mut(&id) {
            trouble.refusals = 0;
        }
        if let Some(server) = self.node(id).map(|node| node.server) {
            self.doubted.remove(&server);
        }
        self.part_with_seconds(id);
    }

    pub(super) fn fall(&mut self, id: NodeId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some((_, since)) = call.up.take() else { return };
        call.settle = None;
        call.owed = Some(self.now + TELL_WITHIN);
        self.last_up = Some(self.now);
        if self.now - since >= self.policy.stable_after.as_millis() as u64 {
            self.trouble.remove(&id);
        }
    }
}
