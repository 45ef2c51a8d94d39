//! Has the holder keep what is up, so that it outlives the daemon.
//!
//! One task speaks to the holder. It knows what is to be kept, and brings the holder to it: at each
//! change, and when the holder was killed and another one is started. Tunnels never wait for it but
//! at their end, when the holder has to let go first.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::blocking::Threads;
use crate::core::event::CallId;
use crate::pptp::holder::{Connection, HolderError};

/// A holder that ends so soon after its start is not started again before another tunnel is up.
const SHORT_LIFE: Duration = Duration::from_secs(10);

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
    /// There is one that does not answer; nothing is asked of it any more.
    is_silent: bool,
    /// That tunnels end with the daemon was told.
    warned: bool,
    /// What the holder kept for an earlier daemon, by number, until it is handed over anew.
    found: BTreeMap<CallId, u32>,
    tunnels: BTreeMap<CallId, Tunnel>,
    /// Those that the holder does not have.
    due: BTreeSet<CallId>,
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
                        self.hand_over().await;
                    }
                    Some(Request::LetGo(call, done)) => {
                        self.let_go(call).await;
                        let _ = done.send(());
                    }
                    None => return,
                },
                () = gone(self.connection.as_ref()) => self.replace().await,
            }
        }
    }

    /// The holder was killed: the daemon has all descriptors itself, so that no tunnel is touched.
    async fn replace(&mut self) {
        self.lose();
        if self.tunnels.is_empty() {
            return;
        }
        if self.started.is_some_and(|started| started.elapsed() < SHORT_LIFE) {
            return self.warn("it ends as soon as it is started");
        }
        self.hand_over().await;
        if let Some(Connection { pid, .. }) = &self.connection {
            let kept = self.tunnels.len() - self.due.len();
            tracing::warn!(
                "The process that keeps tunnels beyond the daemon's life has ended; tunnels go on, and \
                 another one keeps {kept} of them now (connexad --hold, pid {pid})"
            );
        }
    }

    fn lose(&mut self) {
        self.connection = None;
        self.due = self.tunnels.keys().copied().collect();
    }

    /// Brings the holder to keep all that is to be kept; one that is gone is replaced once.
    async fn hand_over(&mut self) {
        let mut last = None;
        for _ in 0..2 {
            if self.is_silent || self.due.is_empty() {
                return;
            }
            if let Err(error) = self.connect().await {
                return self.warn(&error.to_string());
            }
            match self.hand_over_what_is_due().await {
                Ok(None) => return self.warned = false,
                Ok(Some(why)) => return self.warn(&why),
                Err(error) => {
                    self.failed(&error);
                    last = Some(error);
                }
            }
        }
        if let Some(error) = last.filter(|_| !self.is_silent) {
            self.warn(&error.to_string());
        }
    }

    async fn connect(&mut self) -> Result<(), HolderError> {
        if self.connection.is_none() {
            self.connection = Connection::open(&self.place)?;
        }
        if self.connection.is_none() {
            let place = self.place.clone();
            let connection = self.threads.run(move || Connection::start(&place)).await?;
            self.started = Some(Instant::now());
            tracing::debug!("Tunnels are kept by connexad --hold, pid {}", connection.pid);
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Returns why the holder does not want one of them, where it does not.
    async fn hand_over_what_is_due(&mut self) -> Result<Option<String>, HolderError> {
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

    async fn let_go(&mut self, call: CallId) {
        self.due.remove(&call);
        let kept = self.tunnels.remove(&call).map(|tunnel| tunnel.number);
        let Some(number) = kept.or_else(|| self.found.remove(&call)) else { return };
        if self.connection.is_none() && !self.is_silent {
            // One that was lost may keep it still.
            self.connection = Connection::open(&self.place).unwrap_or_default();
        }
        let Some(connection) = &self.connection else { return };
        if let Err(error) = connection.let_go(number).await {
            self.failed(&error);
            self.hand_over().await;
        }
    }

    fn failed(&mut self, error: &HolderError) {
        match error {
            HolderError::Refused(why) => self.warn(why),
            HolderError::Silent => {
                self.is_silent = true;
                let pid = self.connection.as_ref().map_or(0, |connection| connection.pid);
                tracing::error!(
                    "The process that keeps tunnels beyond the daemon's life (connexad --hold, pid {pid}) \
                     does not answer: a tunnel that it keeps stays after its hang-up; end that process \
                     and restart connexad"
                );
            }
            HolderError::Start { .. }
            | HolderError::Unseen(_)
            | HolderError::Taken(_)
            | HolderError::Stranger(_)
            | HolderError::Elsewhere(_)
            | HolderError::Wire(_) => {
                tracing::debug!("The process that keeps tunnels is lost: {error}");
            }
        }
        self.lose();
    }

    /// Once, until it works again.
    fn warn(&mut self, why: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                "Tunnels of the kernel engine work, and will not outlive this daemon: the process \
                 that would keep them, connexad --hold: {why}; tried again with the next tunnel"
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
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::pptp::holder::testing::holder_at;

    fn place() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("socket");
        (folder, place)
    }

    async fn tunnel(number: u32) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let control = Arc::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        let other = || Arc::new(std::fs::File::open("/dev/null").unwrap().into());
        let state = format!("state of {number}").into_bytes();
        Tunnel { number, state, control, socket: other(), unit: other() }
    }

    async fn kept(place: &Path) -> Vec<u32> {
        let connection = Connection::open(place).unwrap().unwrap();
        connection.all().await.unwrap().iter().map(|(number, _)| *number).collect()
    }

    #[tokio::test]
    async fn what_is_handed_over_is_kept_when_the_daemon_is_gone_and_until_it_is_let_go() {
        let (_folder, place) = place();
        let holder = holder_at(&place);
        let (keeping, work) = Keeping::new(place.clone(), None, BTreeMap::new(), Threads::new());
        let work = tokio::spawn(work);
        keeping.keep(CallId::Dialled(1), tunnel(7).await);
        keeping.keep(CallId::Dialled(2), tunnel(9).await);
        keeping.let_go(CallId::Dialled(1)).await;
        assert_eq!(kept(&place).await, [9]);
        drop(keeping);
        work.await.unwrap();
        assert_eq!(kept(&place).await, [9]);
        Connection::open(&place).unwrap().unwrap().let_go(9).await.unwrap();
        holder.join().unwrap();
        assert!(!place.exists(), "its socket is left");
    }

    #[tokio::test]
    async fn a_hang_up_reaches_a_holder_that_this_daemon_has_no_connection_to() {
        let (_folder, place) = place();
        let holder = holder_at(&place);
        let Tunnel { number, state, control, socket, unit } = tunnel(7).await;
        let descriptors = [control.as_fd(), socket.as_fd(), unit.as_fd()];
        let earlier = Connection::open(&place).unwrap().unwrap();
        earlier.keep(number, &state, descriptors).await.unwrap();
        drop(earlier);
        let found = BTreeMap::from([(CallId::Found(0), number)]);
        let (keeping, work) = Keeping::new(place.clone(), None, found, Threads::new());
        let work = tokio::spawn(work);
        keeping.let_go(CallId::Found(0)).await;
        assert!(kept(&place).await.is_empty());
        drop(keeping);
        work.await.unwrap();
        holder.join().unwrap();
    }

    #[tokio::test]
    async fn where_none_can_be_had_tunnels_go_on_and_end_as_at_any_time() {
        let place = PathBuf::from("/proc/nowhere/socket");
        let (keeping, work) = Keeping::new(place, None, BTreeMap::new(), Threads::new());
        let work = tokio::spawn(work);
        let tunnel = tunnel(7).await;
        let unit = tunnel.unit.clone();
        keeping.keep(CallId::Dialled(1), tunnel);
        keeping.let_go(CallId::Dialled(1)).await;
        assert_eq!(Arc::strong_count(&unit), 1);
        drop(keeping);
        work.await.unwrap();
    }
}
