//! `connexad --purge`: ends our tunnels and takes away what connexad wrote on this host. It keeps
//! the configuration, the database and recordings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::atomic_file;
use crate::config::{Config, Routing};
use crate::control::lock;
use crate::control::socket::{self, SocketError};
use crate::core::effect::Order;
use crate::core::event::{CallId, Event, FoundCall};
use crate::engines::{self, Engines};
use crate::firewall;
use crate::node::NodeId;
use crate::pppd::{self, LookError};
use crate::pptp::driver::{Found, resolver};
use crate::pptp::holder;
use crate::routing::Router;
use crate::stopped;

/// Events of the engine that may wait; it waits beyond that.
const EVENTS: usize = 64;
/// After SIGKILL, the kernel ends a process within this.
const KILLED_WITHIN: Duration = Duration::from_secs(5);
/// For what calls leave behind, and for rules and routes.
const CLEARED_WITHIN: Duration = Duration::from_secs(5);
/// For the holder of the kernel engine's tunnels, once it has none.
const HOLDER_ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Why not all is gone.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// A daemon runs. `connexactl` may be gone already where a package is purged.
    #[error(
        "a connexad runs and holds {}: `systemctl stop connexad`, or end its process where systemd did not start it; \
         then purge again",
        .0.display()
    )]
    DaemonRuns(PathBuf),
    /// Its lock can't be had.
    #[error(transparent)]
    Lock(SocketError),
    /// It can't be told which pppds run.
    #[error(transparent)]
    Running(#[from] LookError),
    /// Something is left.
    #[error("not all is gone: {0}; see why, and run connexad --purge again")]
    Left(String),
}

impl From<SocketError> for PurgeError {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::AlreadyRunning { lock } => PurgeError::DaemonRuns(lock),
            SocketError::Taken { .. } | SocketError::NoLock { .. } | SocketError::File { .. } => {
                PurgeError::Lock(error)
            }
        }
    }
}

/// Purges this host, or only tells what would be done; a line for each thing.
///
/// # Errors
/// When a daemon runs, or something can't be taken away.
pub async fn purge(config: &Config, dry_run: bool) -> Result<Vec<String>, PurgeError> {
    let mut told = list(config, &engines::running(&config.paths).await?);
    if dry_run {
        told.push("nothing was changed".to_owned());
        return Ok(told);
    }
    let only = lock::be_the_only(&config.paths)?;
    let mut left = end_calls(config).await;
    pppd::clear_at_the_end(&config.paths, CLEARED_WITHIN).await;
    clear_routes().await;
    left.extend(firewall::remove(None).await.err().map(|error| error.to_string()));
    let peers = config.paths.ppp_dir.join("peers");
    left.extend(
        own_names(&peers).iter().map(|name| format!("{} stays", peers.join(name).display())),
    );
    let place = holder::socket(&config.paths);
    if let Some(pid) = holder::outlives(&place, HOLDER_ENDS_WITHIN).await {
        left.push(format!("connexad --hold (pid {pid}) goes on, and keeps tunnels"));
    }
    let holder = holder::clear_the_place(&place);
    left.extend(holder.err().map(|error| format!("{} stays: {error}", place.display())));
    let list = stopped::remove(&stopped::file(&config.paths));
    left.extend(list.err().map(|error| error.to_string()));
    left.extend(socket::remove_own(&config.control, &only).err().map(|error| error.to_string()));
    let resolver = resolver::remove(&resolver::file(&config.paths));
    left.extend(resolver.err().map(|error| error.to_string()));
    let lock = atomic_file::remove(&lock::file(&config.paths));
    left.extend(lock.err().map(|error| error.to_string()));
    if left.is_empty() {
        told.push("all of this is gone".to_owned());
        Ok(told)
    } else {
        Err(PurgeError::Left(left.join("; ")))
    }
}

/// What there is to be taken away.
fn list(config: &Config, calls: &[FoundCall]) -> Vec<String> {
    let mut told = Vec::new();
    for FoundCall { node, pid, .. } in calls {
        told.push(match pid {
            Some(pid) => format!("tunnel of node {node}: its pppd (pid {pid}) is ended"),
            None => format!("tunnel of node {node}: it is hung up"),
        });
    }
    let peers = config.paths.ppp_dir.join("peers");
    let files = own_names(&peers).into_iter().map(|name| peers.join(name));
    let files = files.chain([stopped::file(&config.paths)]).filter(|file| file.exists());
    let resolver = Some(resolver::file(&config.paths)).filter(|file| resolver::is_there(file));
    let files = files.chain(resolver);
    told.extend(files.map(|file| format!("file {}", file.display())));
    told.push(format!(
        "connexad's block in {}, where it is there; other lines stay",
        config.paths.ppp_dir.join("chap-secrets").display()
    ));
    told.push("routes and rules of tunnels (ip route and ip rule, proto 201)".to_owned());
    told.push("rules that `connexactl firewall apply` has put".to_owned());
    told
}

/// Ends every call of our nodes, and has their files and passwords removed. What is left.
async fn end_calls(config: &Config) -> Vec<String> {
    let (events_in, events) = mpsc::channel(EVENTS);
    let (engines, works) = Engines::new(config, &events_in, Found::TakeOver);
    drop(events_in);
    let orders = async move {
        let mut calls = Calls { engines, events, found: false, running: BTreeMap::new() };
        calls.engines.order(Order::KeepOnly(Vec::new()));
        let patience = Instant::now() + config.tunnel.stop_grace.get();
        if !calls.end_before(patience).await {
            calls.kill();
            calls.end_before(patience + KILLED_WITHIN).await;
        }
        calls.running
    };
    // An engine's work ends once it is gone and its files are done.
    let works = join_all(works.into_iter().map(|(_, work)| work));
    let (running, _) = tokio::join!(orders, works);
    running.values().map(|node| format!("the call of node {node} goes on")).collect()
}

/// Calls on their way out.
struct Calls {
    engines: Engines,
    events: mpsc::Receiver<Event>,
    /// It is known which run.
    found: bool,
    running: BTreeMap<CallId, NodeId>,
}

impl Calls {
    /// Whether all have ended by then.
    async fn end_before(&mut self, deadline: Instant) -> bool {
        while !self.found || !self.running.is_empty() {
            match timeout_at(deadline, self.events.recv()).await {
                Ok(Some(event)) => self.hear(event),
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }

    fn hear(&mut self, event: Event) {
        if let Event::Found(found) = event {
            self.found = true;
            for FoundCall { call, node, .. } in found {
                if self.running.insert(call, node).is_none() {
                    self.engines.order(Order::HangUp { call });
                }
            }
        } else if let Event::Ended { call, .. } = event {
            self.running.remove(&call);
        }
    }

    fn kill(&mut self) {
        for call in self.running.keys() {
            self.engines.order(Order::End { call: *call });
        }
    }
}

/// Has the kernel keep no route, rule or address of ours.
async fn clear_routes() {
    let nothing = Routing { table_base: None, peer_route: true, ..Routing::default() };
    let (router, route) = Router::new(&nothing);
    let finish = async move {
        router.begin();
        router.finish(CLEARED_WITHIN).await;
    };
    tokio::join!(finish, route);
}

/// Peer files of ours.
fn own_names(peers: &Path) -> Vec<String> {
    let names = atomic_file::names(peers).unwrap_or_default();
    names.into_iter().filter(|name| NodeId::from_peer_name(name).is_some()).collect()
}
