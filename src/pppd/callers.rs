//! Processes that were started to call one of our nodes.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::core::event::Pid;
use crate::node::NodeId;
use crate::process::Proc;

/// The kernel keeps this much of a program's name in `comm`, in bytes.
const COMM: usize = 15;

/// A process that calls one of our nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Its number.
    pub(super) pid: Pid,
    /// Its parent's.
    pub(super) parent: Pid,
    /// Whom it calls.
    pub(super) node: NodeId,
}

/// The process as one that was started as `pppd call connexa-node-N` in our own network.
///
/// # Errors
/// When that is not known, for want of descriptors or memory.
pub(super) fn caller(pid: Pid) -> io::Result<Option<Caller>> {
    let proc = Proc::host();
    let Some(node) = called(&proc.command_line(pid)?) else { return Ok(None) };
    let Some(parent) = proc.parent(pid)? else { return Ok(None) };
    let is_ours = proc.has_our_rights(pid)? && proc.is_here(pid);
    Ok(is_ours.then_some(Caller { pid, parent, node }))
}

/// Whether the process was started to call this node.
///
/// # Errors
/// When that is not known, for want of descriptors or memory.
pub(super) fn calls(pid: Pid, node: NodeId) -> io::Result<bool> {
    Ok(called(&Proc::host().command_line(pid)?) == Some(node))
}

/// The node that a command line calls: `pppd … call connexa-node-N …`.
fn called(words: &[Vec<u8>]) -> Option<NodeId> {
    words.windows(2).find_map(|pair| match pair {
        [call, name] if call == b"call" => NodeId::from_peer_name(std::str::from_utf8(name).ok()?),
        _ => None,
    })
}

/// What a process runs, beside the program that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    /// That very program, or the one that stood in its place before an upgrade.
    Itself,
    /// A program of the same name in another place.
    Namesake,
    /// Something else.
    Other,
}

/// Whether the process runs the program, or one of its name or of the usual one. The name that a
/// process goes by proves nothing, for it can choose it: what counts is the file that it runs, or
/// that its interpreter does.
///
/// # Errors
/// When that is not known, for want of descriptors or memory.
pub(super) fn runs(pid: Pid, program: &Path, usual: &str) -> io::Result<Runs> {
    let real = fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let names = [program.file_name(), real.file_name(), Some(OsStr::new(usual))];
    let mut files = script(pid, &names)?;
    files.extend(executable(pid)?);
    Ok(if files.iter().any(|file| *file == real || file == program) {
        Runs::Itself
    } else if files.iter().any(|file| names.contains(&file.file_name())) {
        Runs::Namesake
    } else {
        Runs::Other
    })
}

/// The file that the process runs. It may be gone since, or another may have taken its place.
pub(super) fn executable(pid: Pid) -> io::Result<Option<PathBuf>> {
    let file = Proc::host().program(pid)?;
    let name = file.as_os_str().as_bytes();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    Ok((!name.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(name))))
}

/// The script that the process runs, as it is written and where that leads: the process goes by the
/// script's name, and its command line begins with the interpreter, at most one option for that, and
/// the script (execve(2)).
fn script(pid: Pid, names: &[Option<&OsStr>]) -> io::Result<Vec<PathBuf>> {
    let proc = Proc::host();
    let comm = proc.name(pid)?;
    let fits = |name: &OsStr| comm == name.as_bytes().get(..COMM).unwrap_or(name.as_bytes());
    if !names.iter().flatten().any(|name| fits(name)) {
        return Ok(Vec::new());
    }
    for word in proc.command_line(pid)?.iter().skip(1).take(2) {
        let path = PathBuf::from(OsStr::from_bytes(word));
        if let Some(file) = proc.resolve(pid, &path)? {
            return Ok(vec![file, path]);
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_command_line_tells_the_node_whatever_else_it_says() {
        for line in [
            "pppd call connexa-node-2",
            "pppd call connexa-node-2 nodetach",
            "/bin/sh /opt/pppd debug call provider call connexa-node-2 updetach",
        ] {
            assert_eq!(called(&words(line)), Some(NodeId(2)), "{line:?}");
        }
    }

    #[test]
    fn a_command_line_that_only_speaks_of_a_node_calls_none() {
        for line in ["", "vi connexa-node-2", "pppd call x connexa-node-2", "pppd call"] {
            assert_eq!(called(&words(line)), None, "{line:?}");
        }
    }

    #[test]
    fn this_very_process_is_known_by_its_file() {
        let (pid, exe) = (std::process::id(), std::env::current_exe().unwrap());
        let runs = |program: &Path| runs(pid, program, "x").unwrap();
        assert_eq!(runs(&exe), Runs::Itself);
        assert_eq!(runs(&Path::new("/x").join(exe.file_name().unwrap())), Runs::Namesake);
        assert_eq!(runs(Path::new("/x/y")), Runs::Other);
    }
}
