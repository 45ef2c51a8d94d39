//! Who listens on the backend's port, and restarts of the backend that go wrong.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Command, Stdio};

use connexa::backend::listeners;
use connexa::backend::port::{self, Listening};
use connexa::control::api::Status;
use rustix::process::Signal;

use crate::gateway::Gateway;
use crate::namespace::{Namespace, Running, kill, lives, run};

const PORT: u16 = 8001;

/// Opens what is asked for, tells the number of the first socket, and stays.
const LISTENER: &str = r"
import os, signal, socket, sys
def listen(family, address, port=8001):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((address, port)); s.listen(); return s
V4, V6 = socket.AF_INET, socket.AF_INET6
exec(sys.argv[1])
print(os.fstat(a.fileno()).st_ino, flush=True)
signal.pause()
";

/// A process in the namespace that runs `what` in [`LISTENER`], and its first socket's number.
pub(crate) fn listener(mut command: Command, what: &str) -> (Running, u32) {
    command.args(["-c", LISTENER, what]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Running(child), line.trim().parse().unwrap())
}

fn python(namespace: &Namespace) -> Command {
    namespace.command("/usr/bin/python3")
}

fn look(namespace: &Namespace) -> Vec<Listening> {
    namespace.within(|| port::look(PORT).unwrap())
}

fn script(gateway: &Gateway, name: &str, text: &str) -> String {
    gateway.script(name, text).display().to_string()
}

/// A gateway in an outage, whose backend is restarted by this.
fn in_outage(restart: &[String], toml: &str) -> Gateway {
    let gateway = Gateway::configured(&format!(
        "outage = {{ interval = \"300ms\" }}\nbackend.restart = {restart:?}\n{toml}"
    ));
    gateway.node(2, "10.9.0.2", "secret");
    gateway
}

#[test]
fn listeners_of_both_families_are_seen_and_no_other_socket() {
    let namespace = Namespace::new();
    let other =
        "a = listen(V4, '127.0.0.1'); b = listen(V6, '::1'); c = listen(V4, '0.0.0.0', 8002)
d = socket.create_connection(('127.0.0.1', 8001)); e = a.accept()
f = socket.socket(); f.bind(('127.0.0.2', 8001))";
    let (_process, inode) = listener(python(&namespace), other);
    let seen = namespace.within(|| listeners::on(PORT).unwrap());
    let addresses: Vec<IpAddr> = seen.iter().map(|listener| listener.address).collect();
    assert_eq!(addresses, ["127.0.0.1", "::1"].map(|a| a.parse::<IpAddr>().unwrap()));
    assert_eq!((seen[0].inode, seen[0].v6_only, seen[1].v6_only), (inode, false, true));
}

#[test]
fn a_port_on_which_nobody_listens_has_no_listener() {
    let namespace = Namespace::new();
    assert_eq!(namespace.within(|| listeners::on(PORT).unwrap()), []);
}

#[test]
fn a_socket_shared_by_several_processes_is_one_listener_and_its_opener_comes_first() {
    let namespace = Namespace::new();
    let shared = "a = listen(V4, '0.0.0.0')
if os.fork() == 0: signal.pause()";
    let (process, inode) = listener(python(&namespace), shared);
    let listening = look(&namespace);
    assert_eq!((listening.len(), listening[0].listener.inode), (1, inode));
    let owners = &listening[0].owners;
    assert_eq!((owners.len(), owners[0].pid), (2, process.0.id()));
    assert!(owners[0].command.starts_with("/usr/bin/python3 -c "), "{}", owners[0].command);
}

/// Named so, it is taken for supervisord; it starts what it is given as its program `backend`.
pub(crate) const SUPERVISORD: &str = "#!/usr/bin/python3 -IS
import os, signal, subprocess, sys
names = {'SUPERVISOR_PROCESS_NAME': 'backend', 'SUPERVISOR_GROUP_NAME': 'backend'}
subprocess.run(['/usr/bin/python3', *sys.argv[1:]], env={**os.environ, **names})
";

#[test]
fn a_process_below_supervisord_is_its_program() {
    let gateway = Gateway::new();
    let supervisord = script(&gateway, "supervisord", SUPERVISORD);
    let command = gateway.namespace.command(supervisord);
    let (_process, _) = listener(command, "a = listen(V4, '127.0.0.1')");
    let owner = look(&gateway.namespace)[0].owners[0].clone();
    assert_eq!(owner.service.unwrap().to_string(), "program backend (supervisord)");
}

#[test]
fn a_restart_is_held_back_while_another_holds_the_port_and_begins_when_it_is_gone() {
    let gateway = Gateway::new();
    gateway.install("supervisorctl", &gateway.path("bin/restart-backend"));
    let supervisorctl = gateway.path("bin/supervisorctl").display().to_string();
    let mut gateway = gateway;
    gateway.configure(&format!(
        "outage = {{ interval = \"300ms\" }}\n\
         backend.restart = [{supervisorctl:?}, \"restart\", \"backend\"]"
    ));
    gateway.node(2, "10.9.0.2", "secret");
    let (other, _) = listener(python(&gateway.namespace), "a = listen(V4, '127.0.0.1')");
    let pid = other.0.id();
    gateway.start();
    gateway.wait_log(&format!("port 8001 is held by pid {pid} (/usr/bin/python3 -c "));
    gateway.wait_log(&format!("[Errno 98] address already in use\"; end it: kill {pid}"));
    assert_eq!(gateway.restarts(), 0, "{}", gateway.log());
    drop(other);
    gateway.wait_for("the restart", || (gateway.restarts() > 0).then_some(()));
}

#[test]
fn a_restart_command_that_hangs_is_ended_with_all_that_it_started() {
    let gateway = Gateway::new();
    run(Command::new("mkfifo").arg(gateway.path("never")));
    let sandbox = gateway.path("").display().to_string();
    let deaf = |then: &str| {
        format!(
            "#!/bin/sh\ntrap '' TERM\necho $$ >> {sandbox}/deaf\n{then}\n\
             read never < {sandbox}/never\n"
        )
    };
    let child = script(&gateway, "child", &deaf(""));
    let hangs = script(&gateway, "hangs", &deaf(&format!("{child} &")));
    let mut gateway = gateway;
    gateway.configure(&format!(
        "outage = {{ interval = \"300ms\" }}\nbackend.restart = [{hangs:?}]\n\
         backend.restart_timeout = \"500ms\""
    ));
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start();
    gateway.wait_log("hangs` took longer than 500ms and was ended");
    let deaf = || gateway.read("deaf").lines().map(|line| line.parse().unwrap()).collect();
    let pids: Vec<u32> =
        gateway.wait_for("both", || Some(deaf()).filter(|pids: &Vec<_>| pids.len() > 1));
    gateway.wait_for("the end of both", || (!pids.iter().any(|&pid| lives(pid))).then_some(()));
}

#[test]
fn what_a_restart_command_leaves_running_when_it_ends_in_time_is_left_alone() {
    let mut gateway =
        Gateway::configured("outage = { interval = \"300ms\" }\nbackend.ready_timeout = \"1m\"");
    fs::write(gateway.path("backend-works"), "").unwrap();
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start();
    gateway.wait_log("Backend ready after ");
    let pid = look(&gateway.namespace)[0].owners[0].pid;
    gateway.end(Signal::TERM);
    assert!(lives(pid));
    kill(pid, Signal::KILL);
}

#[test]
fn a_restart_that_leaves_the_old_listener_in_place_is_not_ready() {
    let mut gateway = in_outage(&["/bin/true".to_owned()], "");
    let (old, _) = listener(python(&gateway.namespace), "a = listen(V4, '127.0.0.1')");
    gateway.start();
    let pid = old.0.id();
    gateway.wait_log(&format!(
        "Backend not ready: port 8001 is still held by the same process pid {pid} (/usr/bin/python3 -c "
    ));
}

#[test]
fn a_restart_command_that_fails_is_told_with_its_exit_code_and_last_line() {
    let script = "echo first; echo 'no such file: supervisor.sock' >&2; exit 7";
    let mut gateway = in_outage(&["/bin/sh", "-c", script].map(str::to_owned), "");
    gateway.start();
    gateway.wait_log("ended with exit code 7: no such file: supervisor.sock; try it by hand");
    let failed = |status: &Status| {
        let last = status.outage.last_restart.as_ref();
        last.and_then(|last| last.message.as_ref())
            .is_some_and(|said| said.contains(": no such file: "))
    };
    gateway.wait_until("the status to say it", failed);
}

#[test]
fn a_restart_command_that_fails_in_silence_is_told_to_have_said_nothing() {
    let mut gateway = in_outage(&["/bin/false".to_owned()], "");
    gateway.start();
    gateway
        .wait_log("Backend restart failed: `/bin/false` ended with exit code 1 and said nothing; ");
}
