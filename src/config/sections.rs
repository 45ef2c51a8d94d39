//! The sections of the file, with their defaults.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Metrics, Probe, Span};
use crate::node::{Engine, Mppe};

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the desired nodes are read from.
    pub database: Database,
    /// Which rows are candidates, and in which order.
    pub selection: Selection,
    /// How a tunnel is dialled and kept.
    pub tunnel: Tunnel,
    /// Routing tables for tunnels.
    pub routing: Routing,
    /// Programs that run when a tunnel comes or goes.
    pub hooks: Hooks,
    /// Probes through each tunnel that is up.
    pub probe: Probe,
    /// When an outage is declared.
    pub outage: Outage,
    /// What is restarted in an outage.
    pub backend: Backend,
    /// The socket that `connexactl` speaks to.
    pub control: Control,
    /// Metrics for Prometheus, which the control socket serves too.
    pub metrics: Metrics,
    /// What goes to the journal, and how.
    pub log: Log,
    /// Where the system keeps its things.
    pub paths: Paths,
}

/// The SQLite file, owned by the backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// The file; the environment's `CONNEXA_DB` wins over it.
    pub path: PathBuf,
    /// The table that holds the nodes.
    pub table: String,
    /// Names of columns where they are not the usual ones.
    pub columns: Columns,
    /// Whether the daemon writes into the database which tunnels are up, where the table has columns for that.
    pub write_back: bool,
}

impl Default for Database {
    fn default() -> Self {
        Database {
            path: "/app/backend/connexa.db".into(),
            table: "nodes".into(),
            columns: Columns::default(),
            write_back: false,
        }
    }
}

/// Names of columns; what is unset is detected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// Usually `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Usually `ip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Usually `login`, `username` or `user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// Usually `password` or `pass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Usually `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// Which rows are candidates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// LIKE patterns; any one matches.
    pub statuses: Vec<String>,
    /// LIKE patterns; one that matches wins over `statuses`.
    pub exclude: Vec<String>,
    /// Statuses that come first, in this order; ties by id.
    pub priority: Vec<String>,
    /// How long a node keeps its tunnel after its row is gone, not selected any more or wrong. Nothing
    /// is dialled for it meanwhile, and if its row is back in time, nothing has happened. "0s" hangs up
    /// at once, as `connexactl stop`, another valid row and a changed configuration always do. While
    /// the database can't be read, no row counts as gone.
    pub absence_grace: Span,
    /// How many tunnels to hold up at once; 0 is all. A node that keeps failing gives its place
    /// to the next candidate; one that is up never does.
    pub max_tunnels: u32,
    /// How many candidates there may be. A read with more of them is not used at all: the nodes of the
    /// read before stay. At the first read nothing is dialled then, and tunnels that are up stay.
    pub max_rows: u32,
}

impl Default for Selection {
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(|&t| t.to_owned()).collect();
        Selection {
            statuses: texts(&[
                "speed%",
                "ping%",
                "SpeedOculus",
                "SPEEDOG",
                "online",
                "tunnel_active",
            ]),
            exclude: texts(&["%_failed", "%invalid%"]),
            priority: texts(&["SpeedOculus", "SPEEDOG", "speed_ok", "ping_ok"]),
            absence_grace: Span::seconds(5),
            max_tunnels: 0,
            max_rows: 100_000,
        }
    }
}

/// How links are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceName {
    /// As the kernel counts: `ppp0`, `ppp1`, …
    Kernel,
    /// After the node, stable: `cx7`.
    Node,
}

/// How a tunnel is dialled and kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tunnel {
    /// What makes the calls, where the node's row says nothing.
    pub engine: Engine,
    /// Largest packet sent, 128 to 1500 bytes.
    pub mtu: u16,
    /// Largest packet received, 128 to 1500 bytes.
    pub mru: u16,
    /// Encryption, where the node's row says nothing.
    pub mppe: Mppe,
    /// Accept the stateful mode of MPPE where the server offers nothing else: with it, a lost packet
    /// makes those after it unreadable. For the engine `"kernel"`; with `"pppd"` it is never accepted.
    pub mppe_stateful: bool,
    /// Let the tunnel take the host's default route.
    pub default_route: bool,
    /// Let the tunnel change the host's resolver: the server is asked for name servers, and
    /// `resolv.conf` in `paths.ppp_dir` gets those of the last tunnel that came up. Programs use them
    /// where `/etc/resolv.conf` is a link to it, or, with the engine `"pppd"`, where a script in
    /// `ip-up.d` copies them.
    pub use_peer_dns: bool,
    /// How often the server is sent an LCP echo request; whole seconds. 0 is never.
    pub lcp_echo_interval: Span,
    /// Unanswered echo requests before the tunnel is given up.
    pub lcp_echo_failure: u16,
    /// How links are named.
    pub interface_name: InterfaceName,
    /// More pppd options, each one a line of the peer file; the engine `"kernel"` ignores them.
    pub extra_options: Vec<String>,
    /// Dials under way at once on this host, 1 or more.
    pub dial_concurrency: u32,
    /// Of those, to one server. A server that has not answered since the daemon's start, or did not
    /// answer its last call, gets one at a time; a tunnel that was taken over and is up is an answer.
    pub dial_concurrency_per_server: u32,
    /// How long a dial may take, from its start until the link has its addresses.
    pub dial_timeout: Span,
    /// How long a pppd that is told to end may take, before it is killed.
    pub stop_grace: Span,
    /// Between failed dials.
    pub backoff: Backoff,
    /// Up for this long, a tunnel's failures are forgotten.
    pub stable_after: Span,
    /// Authentication refusals in a row after which the node is quarantined.
    pub quarantine_after: u32,
    /// A login that has worked since the daemon's start is quarantined only when it is refused for
    /// this long: some servers keep an old session for a while, and refuse a second one meanwhile.
    pub quarantine_grace: Span,
    /// How often a quarantined node is dialled; `"0s"` is never.
    pub quarantine_rest: Span,
    /// Leave tunnels up when the daemon stops; the next one takes them over. A process `connexad-hold`
    /// keeps those of the engine `"kernel"`.
    pub keep_on_exit: bool,
}

impl Default for Tunnel {
    fn default() -> Self {
        Tunnel {
            mtu: 1400,
            mru: 1400,
            engine: Engine::Pppd,
            mppe: Mppe::Require,
            mppe_stateful: false,
            default_route: false,
            use_peer_dns: false,
            lcp_echo_interval: Span::seconds(10),
            lcp_echo_failure: 3,
            interface_name: InterfaceName::Kernel,
            extra_options: Vec::new(),
            dial_concurrency: 8,
            dial_concurrency_per_server: 4,
            dial_timeout: Span::seconds(30),
            stop_grace: Span::seconds(5),
            backoff: Backoff::default(),
            stable_after: Span::seconds(60),
            quarantine_after: 3,
            quarantine_grace: Span::seconds(600),
            quarantine_rest: Span::seconds(3600),
            keep_on_exit: true,
        }
    }
}

/// Exponential back-off between failed dials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The first wait.
    pub min: Span,
    /// The longest wait.
    pub max: Span,
    /// The random part of a wait, 0.0 to 1.0.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { min: Span::seconds(5), max: Span::seconds(300), jitter: 0.2 }
    }
}

/// What becomes of traffic for a tunnel that is not up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenDown {
    /// They leave by the main routing table, unencrypted.
    Main,
    /// None leaves, not even while no daemon runs.
    Unreachable,
}

/// Routing tables for tunnels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// The tunnel of node N gets the routing table `table_base` + N; unset: no such tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_base: Option<u32>,
    /// What happens to packets with the fwmark of a wanted node whose tunnel is not up; `"unreachable"`
    /// needs `table_base`.
    pub when_down: WhenDown,
    /// Leave the kernel's route to a tunnel's peer in the main table. By default it is removed, so that
    /// a server can't take other packets of the host by the address that it calls its own.
    pub peer_route: bool,
}

impl Default for Routing {
    fn default() -> Self {
        Routing { table_base: None, when_down: WhenDown::Main, peer_route: false }
    }
}

/// Programs that run when a tunnel comes or goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// Program and arguments, no shell; run when a tunnel is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<Vec<String>>,
    /// The same, when a tunnel that was up is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<Vec<String>>,
    /// How long each may take.
    pub timeout: Span,
}

impl Default for Hooks {
    fn default() -> Self {
        Hooks { up: None, down: None, timeout: Span::seconds(30) }
    }
}

/// When an outage is declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outage {
    /// How long a window is. `"365d"`, the longest, switches outages off, for a host without a backend.
    pub interval: Span,
    /// Empty windows in a row that make an outage, 1 or more.
    pub windows: u32,
    /// From the daemon's start to the first window.
    pub startup_delay: Span,
    /// Whether it counts as an outage when no node is wanted.
    pub restart_with_no_nodes: bool,
}

impl Outage {
    /// Whether outages are switched off.
    pub(crate) fn is_off(&self) -> bool {
        self.interval == Span::LONGEST
    }
}

impl Default for Outage {
    fn default() -> Self {
        Outage {
            interval: Span::seconds(30),
            windows: 3,
            startup_delay: Span::seconds(10),
            restart_with_no_nodes: false,
        }
    }
}

/// What is restarted in an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backend {
    /// Program and arguments, no shell.
    pub restart: Vec<String>,
    /// How long the restart command may take.
    pub restart_timeout: Span,
    /// The TCP port that the backend listens on.
    pub port: u16,
    /// How long the backend may take to open its port.
    pub ready_timeout: Span,
    /// systemd units that may start the backend a second time, beside supervisord; doctor looks for them.
    pub units: Vec<String>,
}

impl Default for Backend {
    fn default() -> Self {
        Backend {
            restart: ["supervisorctl", "restart", "backend"].map(str::to_owned).to_vec(),
            restart_timeout: Span::seconds(30),
            port: 8001,
            ready_timeout: Span::seconds(30),
            units: vec!["connexa-backend.service".to_owned()],
        }
    }
}

/// The socket that `connexactl` speaks to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Where the socket stands.
    pub socket: PathBuf,
    /// The group that may read.
    pub group: String,
    /// The group that may also change nodes, like root; its members must be in `control.group`
    /// too, to open the socket.
    pub admin_group: Option<String>,
}

impl Default for Control {
    fn default() -> Self {
        Control {
            socket: "/run/connexa/connexad.sock".into(),
            group: "connexa".into(),
            admin_group: None,
        }
    }
}

/// What goes to the journal, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// The lowest level that is written.
    pub level: LogLevel,
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Auto, level: LogLevel::Info }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// journald's native protocol under systemd, else text.
    Auto,
    /// A JSON object a line, on stderr.
    Json,
    /// Text on stderr.
    Text,
    /// journald's native protocol.
    Journald,
}

/// The least level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// True errors only.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And what happens.
    Info,
    /// And every line of pppd and pptp.
    Debug,
    /// And the inner workings.
    Trace,
}

/// Where the system keeps its things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Holds `peers/` and `chap-secrets`.
    pub ppp_dir: PathBuf,
    /// Holds pppd's pid files.
    pub run_dir: PathBuf,
    /// The pppd program.
    pub pppd: PathBuf,
    /// The pptp program.
    pub pptp: PathBuf,
    /// Holds what outlives the daemon: the list of nodes that the operator has stopped.
    pub state_dir: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Paths {
            ppp_dir: "/etc/ppp".into(),
            run_dir: "/run".into(),
            pppd: "/usr/sbin/pppd".into(),
            pptp: "/usr/sbin/pptp".into(),
            state_dir: "/var/lib/connexa".into(),
        }
    }
}
