//! A call to a node's server: what is known of it, and how far it has come.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::Turn;
use super::change::{Change, UpTunnel};
use super::event::{CallId, Dialled, IfIndex, Pid};
use super::failure::{Explanation, Failure, FailureKind};
use super::links::{Addresses, Links, Sight};
use super::notice::Notice;
use super::policy::Policy;
use super::state::State;
use super::time::Monotonic;
use crate::node::{Engine, Node, NodeId};

/// What is known of a call from its beginning to its end.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) id: CallId,
    pub(super) engine: Engine,
    pub(super) pid: Option<Pid>,
    /// Number of the input that began it: older links aren't its own.
    pub(super) began: u64,
    /// What it has told of its end.
    pub(super) said: Explanation,
}

/// A call that is dialled or holds a tunnel.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) run: Run,
    /// Whom an adopted call was made to, where that is known.
    pub(super) dialled: Option<Box<Dialled>>,
    /// Our end's address when it was up last.
    pub(super) was_up_with: Option<OurEnd>,
    /// What made an adopted call, as long as that must be what the row says.
    pub(super) found_by: Option<Engine>,
    pub(super) standing: Standing,
}

/// The address of our end of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OurEnd {
    pub(super) local: Ipv4Addr,
    /// Number of the input by which the tunnel was first up with it, as far as it has had no other
    /// since.
    pub(super) since: u64,
}

/// How far a call has come.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// What must be done before the dial is not done yet. People are told so at `tell_at`, once.
    Ordered { tell_at: Option<Monotonic> },
    /// It is under way, and no link is known to be its own.
    NoLink { give_up: Monotonic, sought: Sought },
    /// Its link is there, and is not up.
    Link(Linked),
    /// The kernel shows its link up, with an address.
    Up(Up),
}

/// The link that a call without one is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// One that is made by it.
    New,
    /// One that it had when it was found. `missed` is the number of the input by which it should
    /// have been seen, and was not: later ones aren't its own.
    Old { missed: Option<u64> },
}

/// A call whose link is not up.
#[derive(Clone, Debug)]
pub(super) struct Linked {
    pub(super) index: IfIndex,
    pub(super) name: String,
    pub(super) give_up: Monotonic,
    /// An address without its peer counts then.
    pub(super) settle: Option<Monotonic>,
    pub(super) past: Past,
}

/// What a call whose link is not up has behind it.
#[derive(Clone, Debug)]
pub(super) enum Past {
    NeverUp,
    /// It was up and fell.
    WasUp {
        /// The fall, as long as people were not told.
        untold: Option<Fall>,
        /// Whether people were told that its probes are lost.
        silence_told: bool,
    },
}

/// A call whose link is up.
#[derive(Clone, Debug)]
pub(super) struct Up {
    pub(super) index: IfIndex,
    pub(super) name: String,
    pub(super) addresses: Addresses,
    pub(super) since: Monotonic,
    /// A vanished address, or one without its peer, counts then.
    pub(super) settle: Option<Monotonic>,
    /// Whether people were told that its probes are lost.
    pub(super) silence_told: bool,
}

/// A tunnel was up and fell; its cause is given a moment to become known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fall {
    pub(super) index: IfIndex,
    pub(super) interface: String,
    pub(super) tell_by: Monotonic,
}

/// pppd sets the local address, then the peer's, and the kernel shows the second step as a
/// removal and an addition. So an address without a peer, or one that vanished under a link that
/// is up, is given this long.
const SETTLE: Duration = Duration::from_millis(250);

impl Call {
    /// One that is to be dialled; people are told at `tell_at` where it is not under way by then.
    pub(super) fn ordered(run: Run, tell_at: Monotonic) -> Self {
        let standing = Standing::Ordered { tell_at: Some(tell_at) };
        Call { run, dialled: None, was_up_with: None, found_by: None, standing }
    }

    /// One that was found, and is given up unless its link is known by then.
    pub(super) fn found(run: Run, dialled: Option<Dialled>, give_up: Monotonic) -> Self {
        let (found_by, dialled) = (Some(run.engine), dialled.map(Box::new));
        let standing = Standing::NoLink { give_up, sought: Sought::New };
        Call { run, dialled, was_up_with: None, found_by, standing }
    }
}

impl Run {
    pub(super) fn new(id: CallId, engine: Engine, pid: Option<Pid>, began: u64) -> Self {
        Run { id, engine, pid, began, said: Explanation::default() }
    }

    pub(super) fn is_adopted(&self) -> bool {
        matches!(self.id, CallId::Found(_))
    }

    /// The tunnel that its link is, with these addresses.
    fn tunnel(
        &self,
        node: NodeId,
        index: IfIndex,
        interface: &str,
        Addresses { local, remote }: Addresses,
    ) -> Arc<UpTunnel> {
        let (call, adopted, interface) = (self.id, self.is_adopted(), interface.to_owned());
        Arc::new(UpTunnel { node, call, index, interface, local, remote, adopted })
    }

    /// The inputs that may have shown its link first. One of an adopted call is older than the call.
    pub(super) fn link_seen(&self) -> RangeInclusive<u64> {
        let first = if self.is_adopted() { 0 } else { self.began + 1 };
        first..=u64::MAX
    }
}

impl Call {
    /// Whether it was adopted and goes elsewhere than the row says by now.
    pub(super) fn is_for_another(&self, node: &Node, policy: &Policy) -> bool {
        self.found_by.is_some_and(|engine| engine != policy.engine_of(Some(node)))
            || self.dialled.as_ref().is_some_and(|dialled| !dialled.is_for(node, policy.mppe))
    }

    /// Whether it is a tunnel, as far as is known, whose link is not to be found.
    pub(super) fn is_out_of_sight(&self) -> bool {
        matches!(self.standing, Standing::NoLink { sought: Sought::Old { .. }, .. })
    }

    /// The inputs that may have shown its link first, while it has none.
    pub(super) fn sought(&self) -> Option<RangeInclusive<u64>> {
        let seen = self.run.link_seen();
        match self.standing {
            Standing::NoLink { sought: Sought::Old { missed: Some(missed) }, .. } => {
                Some(*seen.start()..=missed)
            }
            Standing::Ordered { .. } | Standing::NoLink { .. } => Some(seen),
            Standing::Link(_) | Standing::Up(_) => None,
        }
    }

    /// Its link: index and name.
    pub(super) fn link(&self) -> Option<(IfIndex, &str)> {
        match &self.standing {
            Standing::Ordered { .. } | Standing::NoLink { .. } => None,
            Standing::Link(Linked { index, name, .. }) | Standing::Up(Up { index, name, .. }) => {
                Some((*index, name))
            }
        }
    }

    pub(super) fn up(&self) -> Option<&Up> {
        match &self.standing {
            Standing::Up(up) => Some(up),
            Standing::Ordered { .. } | Standing::NoLink { .. } | Standing::Link(_) => None,
        }
    }

    pub(super) fn state(&self) -> State {
        match self.standing {
            Standing::Ordered { .. } | Standing::NoLink { .. } => State::Dialing,
            Standing::Link(_) => State::Negotiating,
            Standing::Up(_) => State::Up,
        }
    }

    /// When it must be looked at without an event.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match &self.standing {
            Standing::Ordered { tell_at } => *tell_at,
            Standing::NoLink { give_up, .. } => Some(*give_up),
            Standing::Link(link) => {
                let tell_by = link.past.untold().map(|fall| fall.tell_by);
                [Some(link.give_up), link.settle, tell_by].into_iter().flatten().min()
            }
            Standing::Up(up) => up.settle,
        }
    }

    /// The kernel gives its link this name now.
    pub(super) fn follow_name(&mut self, node: NodeId, interface: &str, turn: &mut Turn) {
        match &mut self.standing {
            Standing::Ordered { .. } | Standing::NoLink { .. } => {}
            Standing::Link(link) => interface.clone_into(&mut link.name),
            Standing::Up(up) if up.name == interface => {}
            Standing::Up(up) => {
                let (index, interface) = (up.index, interface.to_owned());
                let from = std::mem::replace(&mut up.name, interface.clone());
                let tunnel = self.run.tunnel(node, index, &interface, up.addresses);
                turn.change(Change::Renamed(tunnel));
                turn.tell(Notice::Renamed { node, index, from, interface });
            }
        }
    }
}

/// What a look at a call's link comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It stands as it stood.
    Stays,
    /// It is up with these addresses.
    Rises(Addresses),
    /// It is up no more.
    Falls,
    /// There is no such link.
    IsGone,
}

impl Call {
    /// The kernel shows a link that is its own; `limit` is for one that had no time of its own so
    /// far. Whether that is news.
    pub(super) fn take_link(&mut self, index: IfIndex, name: &str, limit: Monotonic) -> bool {
        let give_up = match self.standing {
            Standing::Ordered { .. } => limit,
            Standing::NoLink { sought: Sought::Old { missed: Some(_) }, .. } => limit,
            Standing::NoLink { give_up, .. } => give_up,
            Standing::Link(_) | Standing::Up(_) => return false,
        };
        let (name, past) = (name.to_owned(), Past::NeverUp);
        self.standing = Standing::Link(Linked { index, name, give_up, settle: None, past });
        true
    }

    /// The encryption that it was found to be dialled with speaks against no row any more.
    pub(super) fn forget_encryption(&mut self) {
        if let Some(dialled) = &mut self.dialled {
            dialled.mppe = None;
        }
    }

    /// The engine that it was found by speaks against no row any more.
    pub(super) fn forget_engine(&mut self) {
        self.found_by = None;
    }

    /// It is found to have a link by now, whose name may be another's.
    pub(super) fn had_link(&mut self) {
        if let Standing::NoLink { sought: sought @ Sought::New, .. } = &mut self.standing {
            *sought = Sought::Old { missed: None };
        }
    }

    /// Its dial is under way. It may have told of its link before.
    pub(super) fn started(&mut self, give_up: Monotonic) {
        match &mut self.standing {
            Standing::Ordered { .. } => {
                self.standing = Standing::NoLink { give_up, sought: Sought::New };
            }
            Standing::Link(link) if self.run.pid.is_none() && link.past.is_never_up() => {
                link.give_up = give_up;
            }
            Standing::NoLink { .. } | Standing::Link(_) | Standing::Up(_) => {}
        }
    }

    /// The kernel shows its link so.
    pub(super) fn look(&mut self, sight: Sight, at: Monotonic) -> Look {
        let (is_up, settle) = match &mut self.standing {
            Standing::Ordered { .. } | Standing::NoLink { .. } => return Look::Stays,
            Standing::Link(link) => (false, &mut link.settle),
            Standing::Up(up) => (true, &mut up.settle),
        };
        let has_settled = settle.is_some_and(|settle| settle <= at);
        match sight {
            Sight::Full(addresses) => {
                *settle = None;
                Look::Rises(addresses)
            }
            Sight::Half(addresses) if has_settled => {
                *settle = None;
                Look::Rises(addresses)
            }
            Sight::Half(_) => {
                settle.get_or_insert(at + SETTLE);
                Look::Stays
            }
            Sight::Bare if is_up && !has_settled => {
                settle.get_or_insert(at + SETTLE);
                Look::Stays
            }
            Sight::Bare | Sight::Down if is_up => Look::Falls,
            Sight::Bare | Sight::Down => {
                *settle = None;
                Look::Stays
            }
            Sight::Gone => Look::IsGone,
        }
    }

    /// Its link is up with these addresses, and became so by the input `since`. Whether that is news.
    pub(super) fn rise(
        &mut self,
        node: NodeId,
        addresses: Addresses,
        since: u64,
        turn: &mut Turn,
    ) -> bool {
        let (index, interface, was_up) = match &mut self.standing {
            Standing::Ordered { .. } | Standing::NoLink { .. } => return false,
            Standing::Up(up) if up.addresses == addresses => return false,
            Standing::Up(up) => {
                up.addresses = addresses;
                (up.index, up.name.clone(), true)
            }
            Standing::Link(Linked { index, name, past, .. }) => {
                let (index, name) = (*index, std::mem::take(name));
                let silence_told = past.is_silence_told();
                let (name_now, at) = (name.clone(), turn.at());
                let up =
                    Up { index, name: name_now, addresses, since: at, settle: None, silence_told };
                self.standing = Standing::Up(up);
                (index, name, false)
            }
        };
        let Addresses { local, remote } = addresses;
        // It has become a tunnel.
        self.run.said.suspects(None);
        let had = self.was_up_with.filter(|had| had.local == local);
        self.was_up_with = had.or(Some(OurEnd { local, since }));
        let (adopted, pid) = (self.run.is_adopted(), self.run.pid);
        let tunnel = self.run.tunnel(node, index, &interface, addresses);
        turn.change(if was_up { Change::Readdressed(tunnel) } else { Change::Rose(tunnel) });
        turn.tell(Notice::Up { node, index, interface, local, remote, pid, adopted });
        true
    }

    /// Its link is up no more: since when it was; `None` where it was not.
    pub(super) fn fall(&mut self, tell_by: Monotonic, give_up: Monotonic) -> Option<Monotonic> {
        let Standing::Up(up) = &mut self.standing else { return None };
        let (index, name, since) = (up.index, std::mem::take(&mut up.name), up.since);
        let untold = Some(Fall { index, interface: name.clone(), tell_by });
        let past = Past::WasUp { untold, silence_told: up.silence_told };
        self.standing = Standing::Link(Linked { index, name, give_up, settle: None, past });
        Some(since)
    }
}

/// What is due of a call when its deadline may have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// People are to be told that it is not under way yet.
    NotStarted,
    /// The link that it had when it was found is one of those of nobody, and can't be told from them.
    OutOfSight,
    /// It has had its time.
    End,
}

impl Call {
    /// Its deadline may have come, in this input. `links` are there once the kernel's are known.
    pub(super) fn expire(
        &mut self,
        at: Monotonic,
        dial_timeout: Duration,
        input: u64,
        links: Option<&Links>,
    ) -> Due {
        match &mut self.standing {
            Standing::Ordered { tell_at } => match tell_at.take_if(|tell_at| *tell_at <= at) {
                Some(_) => Due::NotStarted,
                None => Due::Nothing,
            },
            Standing::NoLink { give_up, .. } | Standing::Link(Linked { give_up, .. })
                if *give_up > at =>
            {
                Due::Nothing
            }
            Standing::NoLink { give_up, sought: Sought::Old { missed } }
                if links.is_none_or(|links| links.has_unowned(missed.unwrap_or(input))) =>
            {
                *give_up = at + dial_timeout;
                if links.is_none() || missed.is_some() {
                    return Due::Nothing;
                }
                *missed = Some(input);
                Due::OutOfSight
            }
            Standing::NoLink { .. } | Standing::Link(_) => Due::End,
            Standing::Up(_) => Due::Nothing,
        }
    }

    /// Why it is given up when it has had its time; `sight` is what the kernel shows of its link.
    pub(super) fn overdue(&self, sight: Option<Sight>, policy: &Policy) -> Failure {
        let what = match &self.standing {
            Standing::Link(Linked { past: Past::WasUp { .. }, .. }) => {
                let grace = humantime::format_duration(policy.stop_grace);
                let message = if sight == Some(Sight::Bare) {
                    format!("the link lost its address, and had none for {grace}")
                } else {
                    format!("the link stayed down for {grace}")
                };
                return Failure::new(FailureKind::LinkLost, message);
            }
            Standing::Ordered { .. } | Standing::NoLink { .. } => "no link",
            Standing::Link(_) | Standing::Up(_) => "a link but no address",
        };
        let limit = humantime::format_duration(policy.dial_timeout);
        let message = match self.run.said.best() {
            Some(said) => format!("{what} within {limit}: {said}"),
            None => format!("{what} within {limit}"),
        };
        self.run.said.with_suspect(Failure::new(FailureKind::Timeout, message))
    }
}

impl Past {
    pub(super) fn is_never_up(&self) -> bool {
        matches!(self, Past::NeverUp)
    }

    fn is_silence_told(&self) -> bool {
        matches!(self, Past::WasUp { silence_told: true, .. })
    }

    pub(super) fn untold(&self) -> Option<&Fall> {
        match self {
            Past::NeverUp => None,
            Past::WasUp { untold, .. } => untold.as_ref(),
        }
    }

    pub(super) fn take_untold(&mut self) -> Option<Fall> {
        match self {
            Past::NeverUp => None,
            Past::WasUp { untold, .. } => untold.take(),
        }
    }
}

impl Fall {
    /// Tells of it.
    pub(super) fn tell(self, node: NodeId, pid: Option<Pid>, reason: &str, turn: &mut Turn) {
        let Fall { index, interface, .. } = self;
        let reason = reason.to_owned();
        turn.change(Change::Explained { node, reason: reason.clone() });
        turn.tell(Notice::Down { node, index, interface, reason, pid });
    }
}

#[cfg(test)]
mod tests;
