//! A call from its order to its end.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::blocking::Threads;
use super::connect::{self, connect};
use super::data::{Data, Fault};
use super::echo::Carried;
use super::found::Whole;
use super::hold::{Held, Over};
use super::keeping::Keeping;
use super::link::LinkError;
use super::options::{Options, answered_within};
use super::state::Made;
use crate::core::event::{CallId, Event};
use crate::core::failure::{Failure, FailureKind};
use crate::node::{Node, NodeId};
use crate::pptp::{Dice, Settings};

/// Dials of one call when the server's call id is another call's already.
const MOST_TRIES: u32 = 3;

/// The rows that are known.
pub(super) type Nodes = BTreeMap<NodeId, Arc<Node>>;

/// What is wanted of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// That it goes on.
    #[default]
    GoOn,
    /// That it ends in order.
    HangUp,
    /// That it ends at once.
    End,
}

/// What a call is held by, whoever has dialled it.
pub(super) struct Reins {
    pub(super) call: CallId,
    pub(super) node: NodeId,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) wish: watch::Receiver<Wish>,
    pub(super) carried: watch::Receiver<Carried>,
    pub(super) nodes: watch::Receiver<Nodes>,
    pub(super) keeping: Keeping,
}

impl Reins {
    /// When nobody listens any more the daemon is about to end.
    pub(super) async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

/// All that a call is made with.
pub(super) struct Dial {
    pub(super) reins: Reins,
    pub(super) node: Arc<Node>,
    pub(super) options: Arc<Options>,
    pub(super) threads: Threads,
}

/// Makes a call and holds it; returns why it has ended.
pub(super) async fn run(dial: Dial) -> (CallId, Failure) {
    let (call, keeping) = (dial.reins.call, dial.reins.keeping.clone());
    to_its_end(call, &keeping, dial.hold()).await
}

/// Goes on with a call of an earlier daemon.
pub(super) async fn go_on(
    mut reins: Reins,
    options: Arc<Options>,
    threads: Threads,
    whole: Whole,
) -> (CallId, Failure) {
    let (call, keeping) = (reins.call, reins.keeping.clone());
    let held = async move {
        match Held::taken_over(&mut reins, &options, threads, whole) {
            Ok(held) => match held.run().await {
                Over::Ended(failure) => failure,
                Over::IdTaken => hung_up(),
            },
            Err(failure) => {
                reins.keeping.let_go(call).await;
                failure
            }
        }
    };
    to_its_end(call, &keeping, held).await
}

/// A call whose end is never told would hold its node for ever, so it is told even when this fails.
async fn to_its_end(
    call: CallId,
    keeping: &Keeping,
    held: impl Future<Output = Failure>,
) -> (CallId, Failure) {
    if let Ok(failure) = AssertUnwindSafe(held).catch_unwind().await {
        return (call, failure);
    }
    keeping.let_go(call).await;
    (call, Failure::new(FailureKind::Unexplained, "a fault of connexad, report it"))
}

impl Dial {
    async fn hold(mut self) -> Failure {
        let begun = Instant::now();
        self.reins.tell(Event::Started { call: self.reins.call, pid: None, suspect: None }).await;
        for _ in 0..MOST_TRIES {
            match self.once(begun).await {
                Ok(Over::Ended(failure)) | Err(failure) => return failure,
                Ok(Over::IdTaken) => {}
            }
        }
        let message = "the server gave call ids that other calls to it have; dial it again";
        Failure::new(FailureKind::Unexplained, message)
    }

    async fn once(&mut self, begun: Instant) -> Result<Over, Failure> {
        let server = self.node.server.ip();
        let within = connect::within(self.options.dial_timeout);
        let control = tokio::select! {
            biased;
            () = wished(&mut self.reins.wish, Wish::GoOn) => return Err(hung_up()),
            control = connect(server, within) => control?,
        };
        let data = self.open(&control).await.map_err(|fault| failure(&fault))?;
        let made = self.made(&data);
        let (settings, dice) = (self.settings(&made, begun), dice()?);
        Ok(Held::dialled(&mut self.reins, made, control, data, settings, dice).run().await)
    }

    /// The call's socket, by the address that the server sees.
    async fn open(&self, control: &TcpStream) -> Result<Data, Fault> {
        let unknown = |source| Fault::Refused { what: "getsockname", source };
        let local = match control.local_addr().map_err(unknown)?.ip() {
            std::net::IpAddr::V4(local) => local,
            std::net::IpAddr::V6(_) => std::net::Ipv4Addr::UNSPECIFIED,
        };
        let ways = self.options.ways(self.node.server.ip());
        let name = self.options.link_name(&self.node);
        Data::open(self.threads.clone(), local, ways, name).await
    }

    fn made(&self, data: &Data) -> Made {
        Made {
            node: self.node.id,
            server: self.node.server.ip(),
            login: self.node.login.as_str().to_owned(),
            mppe: self.options.mppe(&self.node),
            own_call_id: data.own_id(),
        }
    }

    fn settings(&self, made: &Made, begun: Instant) -> Settings {
        let left = self.options.dial_timeout.saturating_sub(begun.elapsed());
        Settings {
            password: Some(self.node.password.clone()),
            answered_within: answered_within(left),
            ..self.options.settings(made)
        }
    }
}

/// Returns when more is wished for than this; never where nobody wishes any more.
pub(super) async fn wished(wish: &mut watch::Receiver<Wish>, known: Wish) {
    if wish.wait_for(|wish| *wish > known).await.is_err() {
        std::future::pending().await
    }
}

/// The end of a call that was hung up.
pub(super) fn hung_up() -> Failure {
    Failure::new(FailureKind::Killed, "it was hung up")
}

/// What a fault of the kernel's side means to the core.
pub(super) fn failure(fault: &Fault) -> Failure {
    let kind = match fault {
        Fault::NoSupport(_) => FailureKind::NoPppSupport,
        Fault::Link(LinkError::NameTaken(_)) => FailureKind::NameTaken,
        Fault::Link(LinkError::Socket(_) | LinkError::Refused(_))
        | Fault::IdTaken(_)
        | Fault::NoCallId
        | Fault::Refused { .. }
        | Fault::TooEarly(_) => FailureKind::Unexplained,
    };
    Failure::new(kind, fault.to_string())
}

pub(super) fn dice() -> Result<Dice, Failure> {
    let mut seed = [0; 32];
    match getrandom(&mut seed, GetRandomFlags::empty()) {
        Ok(_) => Ok(Dice::new(seed)),
        Err(error) => {
            let message = format!("the kernel gives no random numbers: {error}");
            Err(Failure::new(FailureKind::Unexplained, message))
        }
    }
}

/// The time of calls: milliseconds since this.
#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Clock(Instant::now())
    }

    pub(super) fn now(self) -> crate::core::time::Monotonic {
        let millis = u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        crate::core::time::Monotonic(millis)
    }

    pub(super) fn instant(self, at: crate::core::time::Monotonic) -> Instant {
        self.0 + Duration::from_millis(at.0)
    }
}
