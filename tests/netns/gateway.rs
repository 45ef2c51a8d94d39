//! A gateway of its own for each test: sandbox, database, PPTP servers, daemon.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use connexa::control::api::{Node, Status};
use connexa::control::client;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::database::{Database, SCHEMA};
use crate::namespace::{Namespace, kill, lives, run};

/// The daemon under test.
pub(crate) const CONNEXAD: &str = env!("CARGO_BIN_EXE_connexad");
/// The client under test.
pub(crate) const CONNEXACTL: &str = env!("CARGO_BIN_EXE_connexactl");

/// The longest that anything here may take. Only a test that fails waits so long: it is there for a
/// machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks: a share of what was waited already, within bounds, so that what comes soon is
/// seen soon, and what takes seconds is not looked for hundreds of times.
const GLANCE: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(50)];
const SHARE: u32 = 8;
/// A look that takes long, as one by a program does, is followed by so many times its length: what
/// looks must not be what keeps the machine busy.
const REST: u32 = 4;

/// A sandbox in a network namespace, with or without a daemon that runs.
pub(crate) struct Gateway {
    daemon: Option<Child>,
    pub(crate) namespace: Namespace,
    sandbox: TempDir,
}

/// A line of the fake pppd's own log.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DialLine {
    /// `start`, `up` or `end`.
    pub(crate) what: String,
    /// Of the peer file.
    pub(crate) name: String,
    /// By the monotonic clock, in seconds.
    pub(crate) at: f64,
}

impl Gateway {
    /// An empty table of nodes, no server, no daemon yet. Outages are not watched.
    pub(crate) fn new() -> Self {
        Self::configured("")
    }

    /// The same with more configuration, which wins over the sandbox's.
    pub(crate) fn configured(toml: &str) -> Self {
        let gateway = Self::without_database(toml);
        gateway.sql(SCHEMA);
        gateway
    }

    /// The same, and the database file does not exist.
    pub(crate) fn without_database(toml: &str) -> Self {
        let namespace = Namespace::new();
        let sandbox = tempfile::Builder::new().prefix("connexa-").tempdir().unwrap();
        let gateway = Gateway { daemon: None, namespace, sandbox };
        fs::set_permissions(gateway.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["bin", "ppp/peers", "run", "servers"] {
            fs::create_dir_all(gateway.path(folder)).unwrap();
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netns");
        gateway.install("pppd", &here.join("fake_pppd.py"));
        gateway.install("restart-backend", &here.join("fake_backend.py"));
        gateway.install("pptp", Path::new("/bin/true"));
        gateway.configure(toml);
        gateway
    }

    /// A place in the sandbox.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.sandbox.path().join(inside)
    }

    /// What a file of the sandbox holds; nothing when there is none.
    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read(self.path(inside)).map(|b| String::from_utf8_lossy(&b).into()).unwrap_or_default()
    }

    /// Puts a program into the sandbox's `bin`.
    pub(crate) fn install(&self, name: &str, target: &Path) {
        symlink(target, self.path("bin").join(name)).unwrap();
    }

    /// Writes a script into the sandbox's `bin`. Another program writes it: a file that this process
    /// had open could be open still in a child that another test is about to start, and the kernel
    /// runs no program that is open for writing (execve(2), `ETXTBSY`).
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path("bin").join(name);
        let mut install = Command::new("install");
        install.args(["--mode=755", "/dev/stdin"]).arg(&path).stdin(Stdio::piped());
        let mut install = install.spawn().unwrap();
        install.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(install.wait().unwrap().success());
        path
    }

    /// A copy of a program that every user may run, as the checkout may be closed to others. It is
    /// made as scripts are.
    pub(crate) fn copy(&self, program: &str) -> PathBuf {
        let copy = self.path(program.rsplit('/').next().unwrap());
        run(Command::new("cp").arg(program).arg(&copy));
        copy
    }

    /// Writes the configuration: the sandbox's, changed by `toml`.
    pub(crate) fn configure(&self, toml: &str) {
        let sandbox = self.sandbox.path().display();
        let mut config: toml::Table = toml::from_str(&format!(
            "database.path = \"{sandbox}/connexa.db\"
            selection.absence_grace = \"0s\"
            tunnel.backoff = {{ min = \"200ms\", max = \"1s\", jitter = 0.0 }}
            tunnel.stop_grace = \"1m\"
            outage = {{ interval = \"1h\", startup_delay = \"0s\" }}
            backend.restart = [\"{sandbox}/bin/restart-backend\", \"8001\"]
            backend.ready_timeout = \"300ms\"
            control.socket = \"{sandbox}/control/connexad.sock\"
            log.format = \"text\"
            [paths]
            ppp_dir = \"{sandbox}/ppp\"
            run_dir = \"{sandbox}/run\"
            pppd = \"{sandbox}/bin/pppd\"
            pptp = \"{sandbox}/bin/pptp\"
            state_dir = \"{sandbox}/state\""
        ))
        .unwrap();
        overlay(&mut config, toml::from_str(toml).unwrap());
        self.configure_raw(&toml::to_string(&config).unwrap());
    }

    /// Writes the configuration file as it is, good or bad.
    pub(crate) fn configure_raw(&self, text: &str) {
        fs::write(self.path("connexad.toml"), text).unwrap();
    }

    /// Runs statements as the backend would, on a connection of their own.
    pub(crate) fn sql(&self, statements: &str) {
        Database::open(&self.path("connexa.db")).execute(statements);
    }

    /// Adds or replaces a row that is to be dialled.
    pub(crate) fn node(&self, id: u32, ip: &str, password: &str) {
        self.sql(&format!(
            "INSERT OR REPLACE INTO nodes (id, ip, login, password, status) \
             VALUES ({id}, '{ip}', 'admin', '{password}', 'speed_ok');"
        ));
    }

    /// Says how the PPTP server at `ip` behaves from now on; the keys are in `fake_pppd.py`.
    pub(crate) fn server(&self, ip: &str, behaviour: &Value) {
        let whole = self.path("servers/.next");
        fs::write(&whole, behaviour.to_string()).unwrap();
        fs::rename(whole, self.path(&format!("servers/{ip}.json"))).unwrap();
    }

    /// Nodes 1 to `count`, each on a server of its own at `10.9.0.{id}` that accepts it.
    pub(crate) fn nodes(&self, count: u32) {
        for id in 1..=count {
            let ip = format!("10.9.0.{id}");
            self.server(&ip, &json!({}));
            self.node(id, &ip, "secret");
        }
    }

    /// Nodes 1 and 2 are up, 3 is quarantined, 4 can't be dialled.
    pub(crate) fn mixed() -> Self {
        let mut gateway = Self::configured("tunnel.quarantine_after = 1");
        gateway.nodes(2);
        gateway.server("10.9.0.3", &json!({ "password": "another" }));
        gateway.node(3, "10.9.0.3", "secret");
        gateway.node(4, "nowhere", "secret");
        gateway.start().wait_until("all settled", |status| {
            let is = |state: &str| status.counts.get(state).copied().unwrap_or_default();
            (is("up"), is("quarantined"), is("invalid")) == (2, 1, 1)
        });
        gateway
    }

    /// A thousand nodes, of which the first is up and no other can be dialled.
    pub(crate) fn thousand() -> Self {
        let mut gateway = Self::new();
        gateway.nodes(1);
        let row = |id: u32| format!("({id}, 'nowhere', 'admin', 'secret', 'speed_ok')");
        let rows: Vec<String> = (2..=1000).map(row).collect();
        let into = "INSERT INTO nodes (id, ip, login, password, status) VALUES ";
        gateway.sql(&format!("{into}{}", rows.join(",")));
        gateway.start().wait_state(1, "up");
        gateway
    }

    /// A command line of the daemon, in the namespace, on this sandbox's configuration.
    pub(crate) fn connexad(&self, arguments: &[&str]) -> Command {
        let mut command = self.namespace.command(CONNEXAD);
        command.arg("--config").arg(self.path("connexad.toml")).args(arguments);
        for name in ["CONNEXA_DB", "NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// A command line of the client.
    pub(crate) fn connexactl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(CONNEXACTL);
        command.args(arguments).arg("--socket").arg(self.path("control/connexad.sock"));
        command.env_remove("CONNEXA_DB");
        command.stdin(Stdio::null());
        command
    }

    /// Starts the daemon; its log goes on in one file over all its lives.
    pub(crate) fn start(&mut self) -> &mut Self {
        self.start_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn start_as(&mut self, arguments: &[&str]) -> &mut Self {
        let command = self.connexad(arguments);
        self.launch(command)
    }

    /// The same with more environment.
    pub(crate) fn start_with(&mut self, environment: &[(&str, &str)]) -> &mut Self {
        let mut command = self.connexad(&[]);
        command.envs(environment.iter().copied());
        self.launch(command)
    }

    /// Starts a command of [`Gateway::connexad`]'s kind as the daemon.
    pub(crate) fn launch(&mut self, mut command: Command) -> &mut Self {
        let log = self.path("connexad.log");
        let log = fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().unwrap());
        self
    }

    /// Sends the daemon a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.daemon.as_ref().unwrap().id(), signal);
    }

    /// Whether the daemon has not ended by itself.
    pub(crate) fn lives(&self) -> bool {
        self.daemon.as_ref().is_some_and(|daemon| lives(daemon.id()))
    }

    /// Sends the daemon a signal that ends it, and waits for that.
    pub(crate) fn end(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        let mut daemon = self.daemon.take().unwrap();
        self.wait_for("the daemon to end", || daemon.try_wait().unwrap())
    }

    /// What the daemon's socket says, while there is a daemon that answers.
    pub(crate) fn status(&self) -> Option<Status> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client::status(&self.path("control/connexad.sock"))).ok()
    }

    /// Looks again and again until `look` finds something.
    pub(crate) fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let looked = Instant::now();
            if let Some(found) = look() {
                return found;
            }
            if begun.elapsed() > DEADLINE {
                panic!("waited in vain for {what}\n{}", self.scene());
            }
            let glance = (begun.elapsed() / SHARE).clamp(GLANCE[0], GLANCE[1]);
            std::thread::sleep(glance.max(looked.elapsed() * REST));
        }
    }

    /// Waits until the status is as wished.
    pub(crate) fn wait_until(&self, what: &str, wish: impl Fn(&Status) -> bool) -> Status {
        self.wait_for(what, || self.status().filter(|status| wish(status)))
    }

    /// Waits until the node is as wished.
    pub(crate) fn wait_node(&self, id: u32, what: &str, wish: impl Fn(&Node) -> bool) -> Node {
        self.wait_for(&format!("node {id}: {what}"), || {
            self.status()?.nodes.into_iter().find(|node| node.id == id && wish(node))
        })
    }

    /// Waits until the node is in this state.
    pub(crate) fn wait_state(&self, id: u32, state: &str) -> Node {
        self.wait_node(id, state, |node| node.state == state)
    }

    /// Waits until the log holds this.
    pub(crate) fn wait_log(&self, text: &str) {
        self.wait_for(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }

    /// The daemon's log, over all its lives.
    pub(crate) fn log(&self) -> String {
        self.read("connexad.log")
    }

    /// So many lines of the log hold this, now or in a moment: lines are written by a thread.
    pub(crate) fn assert_logged(&self, text: &str, times: usize) {
        let enough = || (self.logged(text) >= times).then_some(());
        self.wait_for(&format!("{text:?} in the log"), enough);
        assert_eq!(self.logged(text), times, "{text:?} in {}", self.log());
    }

    /// How many lines of the log hold this so far.
    pub(crate) fn logged(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// What the fake pppds did, in order.
    pub(crate) fn dials(&self) -> Vec<DialLine> {
        self.read("dials.log").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many calls of this node were begun.
    pub(crate) fn dialled(&self, id: u32) -> usize {
        let name = format!("connexa-node-{id}");
        self.dials().iter().filter(|line| line.what == "start" && line.name == name).count()
    }

    /// How many times the backend was restarted.
    pub(crate) fn restarts(&self) -> usize {
        self.read("restarts.log").lines().count()
    }

    /// Everything that tells why a test failed.
    fn scene(&self) -> String {
        let status = self.connexactl(&["status"]).output().unwrap();
        format!(
            "--- status\n{}{}--- log\n{}--- calls\n{}--- links\n{}",
            String::from_utf8_lossy(&status.stdout),
            String::from_utf8_lossy(&status.stderr),
            self.log(),
            self.read("dials.log"),
            self.namespace.ip(&["-brief", "address"]),
        )
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn overlay(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => overlay(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}
