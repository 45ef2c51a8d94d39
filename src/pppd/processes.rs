//! What the kernel tells of processes: proc(5).

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::core::event::Pid;
use crate::node::NodeId;

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

/// The numbers of all processes.
///
/// # Errors
/// When `/proc` can't be read.
pub(super) fn all() -> io::Result<Vec<Pid>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<Pid>().ok()));
    }
    Ok(pids)
}

/// The process as one that was started as `pppd call connexa-node-N` in our own network.
pub(super) fn caller(pid: Pid) -> Option<Caller> {
    let node = called(&fs::read(entry(pid, "cmdline")).ok()?)?;
    let parent = parent(pid)?;
    (is_root_as_we(pid) && is_here(pid)).then_some(Caller { pid, parent, node })
}

/// Whether the process was started to call this node.
pub(super) fn calls(pid: Pid, node: NodeId) -> bool {
    fs::read(entry(pid, "cmdline")).is_ok_and(|line| called(&line) == Some(node))
}

/// The node that a command line calls: `pppd … call connexa-node-N …`.
fn called(line: &[u8]) -> Option<NodeId> {
    let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
    words.windows(2).find_map(|pair| match pair {
        [b"call", name] => NodeId::from_peer_name(std::str::from_utf8(name).ok()?),
        _ => None,
    })
}

/// Whether the process runs with the daemon's rights.
pub(super) fn is_root_as_we(pid: Pid) -> bool {
    let uid = fs::metadata(entry(pid, "")).map(|metadata| metadata.uid());
    uid.is_ok_and(|uid| uid == rustix::process::geteuid().as_raw())
}

/// Whether the process shares our network and numbers, as far as that can be read: a container
/// beside us may call nodes of its own with the same names.
pub(super) fn is_here(pid: Pid) -> bool {
    ["ns/net", "ns/pid"].iter().all(|space| {
        match (fs::read_link(entry(pid, space)), fs::read_link(Path::new("/proc/self").join(space)))
        {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            (Err(_), _) | (_, Err(_)) => true,
        }
    })
}

/// Whether the process runs the program, or another of its usual name. Its file may have been
/// replaced by an upgrade since, a script goes by its own name and a program may change its, so
/// either of its two names will do.
pub(super) fn runs(pid: Pid, program: &Path, usual: &str) -> bool {
    let exe = fs::read_link(entry(pid, "exe")).unwrap_or_default();
    let exe = exe.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let exe = exe.strip_suffix(b" (deleted)").unwrap_or(exe);
    let comm = fs::read(entry(pid, "comm")).unwrap_or_default();
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    let names = [program.file_name().map(OsStr::as_bytes), Some(usual.as_bytes())];
    let fits = |name: &[u8]| exe == name || comm == name.get(..COMM).unwrap_or(name);
    names.into_iter().flatten().any(fits)
}

/// The number of the process that started this one, or took it over.
pub(super) fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(entry(pid, "stat")).ok()?;
    // The program's name stands in brackets and may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// The mount namespace of the process.
pub(super) fn mount_namespace(pid: Pid) -> Option<PathBuf> {
    fs::read_link(entry(pid, "ns/mnt")).ok()
}

/// The mounts of the process, in the order they were made.
pub(super) fn mounts(pid: Pid) -> String {
    fs::read(entry(pid, "mountinfo"))
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default()
}

fn entry(pid: Pid, what: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_tells_the_node_whatever_else_it_says() {
        for line in [
            "pppd\0call\0connexa-node-2\0",
            "pppd\0call\0connexa-node-2\0nodetach\0",
            "/bin/sh\0/opt/pppd\0debug\0call\0provider\0call\0connexa-node-2\0updetach\0",
        ] {
            assert_eq!(called(line.as_bytes()), Some(NodeId(2)), "{line:?}");
        }
    }

    #[test]
    fn a_command_line_that_only_speaks_of_a_node_calls_none() {
        for line in ["", "vi\0connexa-node-2\0", "pppd\0call\0x\0connexa-node-2", "pppd\0call\0"] {
            assert_eq!(called(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn this_very_process_is_known_by_its_file_and_its_parent() {
        let (pid, exe) = (std::process::id(), std::env::current_exe().unwrap());
        assert!(runs(pid, &exe, "x") && !runs(pid, Path::new("/x/y"), "x"));
        assert_eq!(parent(pid), Some(std::os::unix::process::parent_id()));
        assert!(is_root_as_we(pid) && is_here(pid) && all().unwrap().contains(&pid));
    }
}
