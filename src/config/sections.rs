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
    /// Routes of their own for tunnels.
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
    /// Figures for Prometheus, which the control socket serves too.
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
    /// Whether the daemon writes into it which links are up, where it has columns for that.
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
    /// How long a node goes on as it is though a read no longer shows it: its row is gone, not
    /// selected or not to be dialled any more. It keeps its tunnel, and nothing is dialled for it;
    /// one that is back in time was never gone. "0s" hangs up at once, as `connexactl stop`, a row
    /// that is changed and a changed configuration always do. A database that can't be read is no
    /// absence.
    pub absence_grace: Span,
    /// How many tunnels to hold up at once; 0 is all. A node that keeps failing yields its place
    /// to the next candidate; one that is up never does.
    pub max_tunnels: u32,
    /// How many candidates there may be. A read with more of them is refused whole: what was wanted
    /// before stays, and at the first read nothing is dialled and tunnels that are found stay.
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
    /// What makes the calls, where the node's row says nothing: `"pppd"`, with three processes for
    /// each tunnel, or `"kernel"`: the daemon speaks PPTP and PPP itself and the kernel carries the
    /// data, without a process or a file for a tunnel.
    pub engine: Engine,
    /// Largest packet sent, 128 to 1500 bytes.
    pub mtu: u16,
    /// Largest packet received, 128 to 1500 bytes.
    pub mru: u16,
    /// Encryption, where the node's row says nothing.
    pub mppe: Mppe,
    /// Take the stateful mode of MPPE where the server offers nothing else: with it, a packet that
    /// is lost costs those after it. For the engine `"kernel"`; pppd never takes it.
    pub mppe_stateful: bool,
    /// Let the tunnel take the host's default route.
    pub default_route: bool,
    /// Let the tunnel change the host's resolver: the server is asked for name servers, and
    /// `resolv.conf` in `paths.ppp_dir` gets them, of the last tunnel to come up. Programs go by them
    /// where `/etc/resolv.conf` is a link to it, or, with the engine `"pppd"`, where a script in
    /// `ip-up.d` copies them.
    pub use_peer_dns: bool,
    /// How often the peer is asked whether it is there; whole seconds.
    pub lcp_echo_interval: Span,
    /// Unanswered questions before the tunnel is given up.
    pub lcp_echo_failure: u16,
    /// How links are named.
    pub interface_name: InterfaceName,
    /// More pppd options, one a line; the engine `"kernel"` has none of them.
    pub extra_options: Vec<String>,
    /// Dials under way at once on this host, 1 or more.
    pub dial_concurrency: u32,
    /// Of those, to one server. A server that has not answered since the daemon's start, or did not
    /// answer its last call, gets one at a time; a tunnel that was taken over and is up is an answer.
    pub dial_concurrency_per_server: u32,
    /// From the start of pppd to addresses on the link.
    pub dial_timeout: Span,
    /// From TERM to KILL.
    pub stop_grace: Span,
    /// Between failed dials.
    pub backoff: Backoff,
    /// Up for this long, a tunnel's failures are forgotten.
    pub stable_after: Span,
    /// Authentication refusals in a row that end the tries.
    pub quarantine_after: u32,
    /// A login that has worked since the daemon's start is quarantined only when it was refused for
    /// so long, too: servers hold old sessions, and refuse a second one meanwhile.
    pub quarantine_grace: Span,
    /// A quarantined node is dialled once per such time; `"0s"` is never.
    pub quarantine_rest: Span,
    /// Leave tunnels up when the daemon stops; the next one takes them over. Those of the engine
    /// `"kernel"` are kept by a process of their own meanwhile, `connexad-hold`.
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
    /// The share of a wait that is left to chance, 0.0 to 1.0.
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
    /// It leaves by the main routes, in the clear.
    Main,
    /// Nothing of it leaves, also while no daemon runs.
    Unreachable,
}

/// Routes of their own for tunnels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// The tunnel of node N gets the table `table_base` + N; unset is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_base: Option<u32>,
    /// What becomes of traffic that is marked for a wanted node whose tunnel is not up; `"unreachable"`
    /// needs `table_base`.
    pub when_down: WhenDown,
    /// Let the kernel's route to a tunnel's peer stand in the main table. Without it, no address
    /// that a server names as its own changes where other packets of the host go.
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
    /// The same, when a tunnel that was up is not.
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
    /// How long a window is.
    pub interval: Span,
    /// Empty windows in a row that make an outage, 1 or more.
    pub windows: u32,
    /// From the daemon's start to the first window.
    pub startup_delay: Span,
    /// Whether an empty desired set counts.
    pub restart_with_no_nodes: bool,
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
    /// Services of systemd that would run the backend too, to be looked for beside supervisord's
    /// program.
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
    /// The group that may also change nodes, beside root; its members must be in `control.group`
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
    /// The least level that is written.
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
