//! Has the holder keep what is up, so that it outlives the daemon.
//!
//! One task speaks to the holder. It knows what is to be kept, and brings the holder to it: at each
//! change, when the holder was killed and another one is started, when one that was silent answers,
//! and every few seconds while that fails. Tunnels never wait for it but at their end, when the holder
//! has to let go first; one that is silent is not waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::blocking::Threads;
use crate::core::event::CallId;
use crate::pptp::holder::{Connection, HolderError};

/// A holder that ends so soon after its start is not started again at once.
const SHORT_LIFE: Duration = Duration::from_secs(10);
/// While something is due that it does not take, or nobody is there.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// A tunnel that is to be kept.
pub(super) struct Tunnel {
    /// The index of its link, which no other one ever has.
    pub(super) number: u32,
    pub(super) state: Vec<u8>,
    pub(super) control: Arc<TcpStream>,
    pub(super) socket: Arc<OwnedFd>,
    pub(super) unit: Arc<OwnedFd>,
}

enum Request {
    Keep(CallId, Tunnel),
    LetGo(CallId, oneshot::Sender<()>),
}

/// Asks for tunnels to be kept.
#[derive(Clone)]
pub(super) struct Keeping(mpsc::UnboundedSender<Request>);

impl Keeping {
    /// Asks, and the work: that goes on until nobody asks any more.
    pub(super) fn new(
        place: PathBuf,
        connection: Option<Connection>,
        found: BTreeMap<CallId, u32>,
        threads: Threads,
    ) -> (Self, impl Future<Output = ()>) {
        let (requests_in, requests) = mpsc::unbounded_channel();
        let holder = Holder {
            place,
            threads,
            connection,
            started: None,
            is_silent: false,
            warned: false,
            found,
            tunnels: BTreeMap::new(),
            due: BTreeSet::new(),
            ended: BTreeSet::new(),
            again: None,
        };
        (Keeping(requests_in), holder.work(requests))
    }

    /// Has a tunnel kept from now on.
    pub(super) fn keep(&self, call: CallId, tunnel: Tunnel) {
        // Its work ends with the daemon.
        let _ = self.0.send(Request::Keep(call, tunnel));
    }

    /// Has a call's tunnel kept no more, and returns when nobody else has its descriptors.
    pub(super) async fn let_go(&self, call: CallId) {
        let (done_in, done) = oneshot::channel();
        let _ = self.0.send(Request::LetGo(call, done_in));
        let _ = done.await;
    }
}

struct Holder {
    place: PathBuf,
    threads: Threads,
    connection: Option<Connection>,
    /// When this daemon has started one last.
    started: Option<Instant>,
    /// It owes an answer: nothing more is asked of it until it says something or ends.
    is_silent: bool,
    /// That tunnels end with the daemon was told.
    warned: bool,
    /// What the holder kept for an earlier daemon, by number, until it is handed over anew.
    found: BTreeMap<CallId, u32>,
    tunnels: BTreeMap<CallId, Tunnel>,
    /// Those that the holder does not have.
    due: BTreeSet<CallId>,
    /// Numbers of those that have ended and that it may have still.
    ended: BTreeSet<u32>,
    /// When it is tried again.
    again: Option<Instant>,
}

impl Holder {
    async fn work(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Keep(call, tunnel)) => {
                        self.found.remove(&call);
                        self.tunnels.insert(call, tunnel);
                        self.due.insert(call);
                        self.bring().await;
                    }
                    Some(Request::LetGo(call, done)) => {
                        self.let_go(call).await;
                        let _ = done.send(());
                    }
                    None => return,
                },
                () = gone(self.connection.as_ref()) => self.replace().await,
                () = sleep_until(self.again.unwrap_or_else(Instant::now)), if self.again.is_some() => {
                    self.bring().await;
                }
            }
        }
    }

    async fn let_go(&mut self, call: CallId) {
        self.due.remove(&call);
        let kept = self.tunnels.remove(&call).map(|tunnel| tunnel.number);
        if let Some(number) = kept.or_else(|| self.found.remove(&call)) {
            self.ended.insert(number);
            self.bring().await;
        }
    }

    /// The holder was killed, or answers at last: the daemon has all descriptors itself, so that no
    /// tunnel is touched.
    async fn replace(&mut self) {
        let before = self.connection.as_ref().map(|connection| connection.pid);
        self.is_silent = false;
        self.lose();
        if self.started.is_some_and(|started| started.elapsed() < SHORT_LIFE)
            && !self.tunnels.is_empty()
        {
            return self.fail("it ends as soon as it is started");
        }
        self.bring().await;
        if let Some(Connection { pid, .. }) = &self.connection
            && !self.is_silent
        {
            let kept = self.tunnels.len() - self.due.len();
            if before == Some(*pid) {
                tracing::info!(
                    "The process that keeps tunnels beyond the daemon's life answers again, and keeps {kept} \
                     (connexad --hold, pid {pid})"
                );
            } else {
                tracing::warn!(
                    "The process that keeps tunnels beyond the daemon's life has ended; tunnels go on, and \
                     another one keeps {kept} of them now (connexad --hold, pid {pid})"
                );
            }
        }
    }

    fn lose(&mut self) {
        self.connection = None;
        self.due = self.tunnels.keys().copied().collect();
    }

    /// Brings the holder to keep all that is to be kept and nothing else; one that is gone is
    /// replaced once, and later it is tried again.
    async fn bring(&mut self) {
        if self.is_silent {
            return;
        }
        self.again = None;
        let mut last = None;
        for _ in 0..2 {
            match self.try_once().await {
                Ok(None) => return self.works(),
                Ok(Some(why)) => return self.fail(&why),
                Err(HolderError::Silent) => return self.fall_silent(),
                Err(error) => {
                    tracing::debug!("The process that keeps tunnels is lost: {error}");
                    self.lose();
                    last = Some(error);
                }
            }
        }
        if let Some(error) = last {
            self.fail(&error.to_string());
        }
    }

    /// Returns why the holder does not want something, where it does not.
    async fn try_once(&mut self) -> Result<Option<String>, HolderError> {
        if self.due.is_empty() && self.ended.is_empty() {
            return Ok(None);
        }
        if self.connection.is_none() {
            self.connection = Connection::open(&self.place)?;
        }
        if self.connection.is_none() {
            self.ended.clear();
            if self.due.is_empty() {
                return Ok(None);
            }
            self.start().await?;
        }
        let refused = self.take_back().await?;
        Ok(self.hand_over().await?.or(refused))
    }

    async fn start(&mut self) -> Result<(), HolderError> {
        let place = self.place.clone();
        let connection = self.threads.run(move || Connection::start(&place)).await?;
        self.started = Some(Instant::now());
        tracing::debug!("Tunnels are kept by connexad --hold, pid {}", connection.pid);
        self.connection = Some(connection);
        Ok(())
    }

    async fn take_back(&mut self) -> Result<Option<String>, HolderError> {
        let Some(connection) = &self.connection else { return Ok(None) };
        let mut refused = None;
        for number in self.ended.clone() {
            match connection.let_go(number).await {
                Ok(()) => _ = self.ended.remove(&number),
                Err(HolderError::Refused(why)) => refused = Some(why),
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    async fn hand_over(&mut self) -> Result<Option<String>, HolderError> {
        let Some(connection) = &self.connection else { return Ok(None) };
        let mut refused = None;
        for call in self.due.clone() {
            if let Some(Tunnel { number, state, control, socket, unit }) = self.tunnels.get(&call) {
                let descriptors = [control.as_fd(), socket.as_fd(), unit.as_fd()];
                match connection.keep(*number, state, descriptors).await {
                    Ok(()) => {}
                    Err(HolderError::Refused(why)) => {
                        refused = Some(why);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.due.remove(&call);
        }
        Ok(refused)
    }

    /// The connection stays: by it the holder's late answer, or its end, is heard.
    fn fall_silent(&mut self) {
        self.is_silent = true;
        let pid = self.connection.as_ref().map_or(0, |connection| connection.pid);
        tracing::error!(
            "The process that keeps tunnels beyond the daemon's life (connexad --hold, pid {pid}) does not \
             answer: tunnels go on, new ones will not outlive this daemon, and those that it keeps stay \
             after their hang-up. Let it go on (kill -CONT {pid}) or end it (kill -KILL {pid}) while connexad \
             runs, and no tunnel is lost: the daemon starts another one. Don't restart connexad before"
        );
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.warned) && !self.tunnels.is_empty() {
            tracing::info!("Tunnels of the kernel engine outlive this daemon again");
        }
    }

    /// Told once, until it works again.
    fn fail(&mut self, why: &str) {
        self.again = Some(Instant::now() + TRY_AGAIN);
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                "Tunnels of the kernel engine work, and will not outlive this daemon: the process \
                 that would keep them, connexad --hold: {why}; tried again every {} s",
                TRY_AGAIN.as_secs()
            );
        }
    }
}

/// Returns when the holder is gone; never where there is none.
async fn gone(connection: Option<&Connection>) {
    match connection {
        Some(connection) => connection.gone().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
