//! Processes that were started to call one of our nodes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
pub(super) fn caller(pid: Pid) -> Option<Caller> {
    let proc = Proc::host();
    let node = called(&proc.command_line(pid))?;
    let parent = proc.parent(pid)?;
    (proc.has_our_rights(pid) && proc.is_here(pid)).then_some(Caller { pid, parent, node })
}

/// Whether the process was started to call this node.
pub(super) fn calls(pid: Pid, node: NodeId) -> bool {
    called(&Proc::host().command_line(pid)) == Some(node)
}

/// The node that a command line calls: `pppd … call connexa-node-N …`.
fn called(words: &[Vec<u8>]) -> Option<NodeId> {
    words.windows(2).find_map(|pair| match pair {
        [call, name] if call == b"call" => NodeId::from_peer_name(std::str::from_utf8(name).ok()?),
        _ => None,
    })
}

/// Whether the process runs the program, or another of its usual name. Its file may have been
/// replaced by an upgrade since, a script goes by its own name and a program may change its, so
/// either of its two names will do.
pub(super) fn runs(pid: Pid, program: &Path, usual: &str) -> bool {
    let exe = Proc::host().program(pid);
    let exe = exe.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let exe = exe.strip_suffix(b" (deleted)").unwrap_or(exe);
    let comm = Proc::host().name(pid);
    let names = [program.file_name().map(OsStr::as_bytes), Some(usual.as_bytes())];
    let fits = |name: &[u8]| exe == name || comm == name.get(..COMM).unwrap_or(name);
    names.into_iter().flatten().any(fits)
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
        assert!(runs(pid, &exe, "x") && !runs(pid, Path::new("/x/y"), "x"));
    }
}
