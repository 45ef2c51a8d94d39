//! Starting `pppd call connexa-node-N nodetach`.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{Access, access};
use tokio::net::unix::pipe;

use super::log_socket::{self, LogSocket};
use crate::core::event::Pid;
use crate::core::failure::{Failure, FailureKind};
use crate::node::NodeId;
use crate::process::{Process, take_hold};

/// The programs of a call.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// pppd.
    pub(super) pppd: PathBuf,
    /// pptp, which pppd starts.
    pub(super) pptp: PathBuf,
}

/// A pppd that runs.
#[derive(Debug)]
pub(super) struct Started {
    /// Its number.
    pub(super) pid: Pid,
    /// To be signalled, waited for and reaped.
    pub(super) process: Process,
    /// What it and pptp print.
    pub(super) output: pipe::Receiver,
    /// What pptp says to syslog, where that can be heard.
    pub(super) log: Option<LogSocket>,
    /// What of the host's own options may keep it from becoming a tunnel.
    pub(super) suspect: Option<String>,
}

/// Starts pppd for a node. Blocks until the program is loaded; call it within the runtime.
///
/// # Errors
/// With a failure of kind `NotInstalled` when pppd or pptp can't be run, else `Unexplained`.
pub(super) fn start(programs: &Programs, node: NodeId, run_dir: &Path) -> Result<Started, Failure> {
    check(&programs.pppd, "paths.pppd")?;
    check(&programs.pptp, "paths.pptp")?;
    let (reader, writer) = io::pipe().map_err(|error| cant_start(programs, &error))?;
    let log = LogSocket::open(run_dir, node)
        .inspect_err(|error| {
            let path = log_socket::path(run_dir, node);
            tracing::debug!(
                NODE_ID = node.0,
                "pptp of node {node} is not heard: {}: {error}",
                path.display()
            );
        })
        .ok();
    let mut command = Command::new(&programs.pppd);
    command.args(["call", &node.peer_name(), "nodetach"]);
    // A group of its own: ^C at the daemon's terminal is not meant for the tunnels.
    command.current_dir("/").process_group(0);
    command.env_clear().env("LANG", "C").env("PATH", search_path());
    command.stdin(Stdio::null());
    let spawned = writer.try_clone().and_then(|second| {
        command.stdout(writer).stderr(second);
        command.spawn()
    });
    // The command holds the pipe's other end; while it is open here the pipe has no end.
    drop(command);
    let mut child = spawned.map_err(|error| cant_start(programs, &error))?;
    match hold(&child, reader.into()) {
        Ok((process, output)) => {
            Ok(Started { pid: child.id(), process, output, log, suspect: None })
        }
        Err(error) => {
            // Not reaped yet, so its number is still its own.
            let _ = child.kill();
            let _ = child.wait();
            Err(cant_start(programs, &error))
        }
    }
}

fn hold(child: &Child, output: OwnedFd) -> io::Result<(Process, pipe::Receiver)> {
    let process = Process::new(take_hold(child.id())?)?;
    Ok((process, pipe::Receiver::from_owned_fd(output)?))
}

fn search_path() -> std::ffi::OsString {
    let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::env::var_os("PATH").unwrap_or_else(|| usual.into())
}

/// Judges a program before pppd is started: pppd itself tells of a missing pptp by a mere hangup.
fn check(program: &Path, key: &str) -> Result<(), Failure> {
    let problem = match std::fs::metadata(program) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => "is missing".to_owned(),
        Err(error) => format!("can't be looked at ({error})"),
        Ok(metadata) if metadata.is_file() && access(program, Access::EXEC_OK).is_ok() => {
            return Ok(());
        }
        Ok(_) => "is not an executable file".to_owned(),
    };
    Err(Failure::new(FailureKind::NotInstalled, format!("{} ({key}) {problem}", program.display())))
}

fn cant_start(programs: &Programs, error: &io::Error) -> Failure {
    let pppd = programs.pppd.display();
    let of_the_program =
        [rustix::io::Errno::NOENT, rustix::io::Errno::ACCESS, rustix::io::Errno::NOEXEC]
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    if of_the_program {
        Failure::new(FailureKind::NotInstalled, format!("{pppd} can't be run: {error}"))
    } else {
        let remedy = "raise the limits of the connexad unit (LimitNOFILE=, TasksMax=)";
        Failure::new(FailureKind::Unexplained, format!("can't start {pppd}: {error}; {remedy}"))
    }
}
