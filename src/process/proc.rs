//! The one reader of proc(5).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::there;
use crate::core::event::Pid;

/// More of one of its files is not read, bytes: a process chooses its own command line and
/// environment.
const LARGEST: u64 = 1024 * 1024;

/// Parts of a second that the kernel counts the times of processes in (`USER_HZ`, asm-generic/param.h).
const TICKS: u64 = 100;

/// Where proc(5) is mounted. What can't be read of a process, for it is gone or another's, is
/// empty. That it can't be read for want of descriptors or memory tells nothing of a process, and is
/// an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proc<'a>(&'a Path);

impl Proc<'static> {
    /// The processes of this host, or of this container.
    pub(crate) fn host() -> Self {
        Proc(Path::new("/proc"))
    }
}

#[cfg(test)]
impl<'a> Proc<'a> {
    /// A folder that looks like it.
    pub(crate) fn at(folder: &'a Path) -> Self {
        Proc(folder)
    }
}

impl Proc<'_> {
    /// The numbers of all processes.
    ///
    /// # Errors
    /// When they can't be listed.
    pub(crate) fn pids(self) -> io::Result<Vec<Pid>> {
        numbers(self.0)
    }

    /// The words of its command line.
    ///
    /// # Errors
    /// For want of descriptors or memory.
    pub(crate) fn command_line(self, pid: Pid) -> io::Result<Vec<Vec<u8>>> {
        let line = read(&self.entry(pid, "cmdline"))?;
        if line.is_empty() {
            return Ok(Vec::new());
        }
        let line = line.strip_suffix(b"\0").unwrap_or(&line);
        Ok(line.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect())
    }

    /// The name that the process goes by, of which the kernel keeps 15 bytes.
    ///
    /// # Errors
    /// For want of descriptors or memory.
    pub(crate) fn name(self, pid: Pid) -> io::Result<Vec<u8>> {
        let mut name = read(&self.entry(pid, "comm"))?;
        name.pop_if(|last| *last == b'\n');
        Ok(name)
    }

    /// The program that it runs; ` (deleted)` follows where that file is gone.
    ///
    /// # Errors
    /// For want of memory.
    pub(crate) fn program(self, pid: Pid) -> io::Result<PathBuf> {
        there(fs::read_link(self.entry(pid, "exe"))).map(Option::unwrap_or_default)
    }

    /// A path as the process means it, without links in it; `None` where it leads nowhere.
    ///
    /// # Errors
    /// For want of memory.
    pub(crate) fn resolve(self, pid: Pid, path: &Path) -> io::Result<Option<PathBuf>> {
        there(fs::canonicalize(self.entry(pid, "cwd").join(path)))
    }

    /// Where it works, as it is called; it need not be there any more.
    pub(crate) fn folder(self, pid: Pid) -> Option<PathBuf> {
        fs::read_link(self.entry(pid, "cwd")).ok()
    }

    /// The process that started it, or took it over.
    ///
    /// # Errors
    /// For want of descriptors or memory.
    pub(crate) fn parent(self, pid: Pid) -> io::Result<Option<Pid>> {
        let status = text(&self.entry(pid, "status"))?;
        // Its name stands before, with line breaks escaped.
        Ok(status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok()))
    }

    /// For how long it runs, by the kernel's own clock, which nobody sets. No time where it is gone.
    ///
    /// # Errors
    /// For want of descriptors or memory.
    pub(crate) fn age(self, pid: Pid) -> io::Result<Duration> {
        let stat = text(&self.entry(pid, "stat"))?;
        let now = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
        let started = started(&stat).unwrap_or(now);
        Ok(now.saturating_sub(started))
    }

    /// A value of its environment as it was at its start. The rest may be secret, and is dropped.
    pub(crate) fn variable(self, pid: Pid, name: &str) -> Option<Vec<u8>> {
        let environment = read(&self.entry(pid, "environ")).ok()?;
        let mut variables = environment.split(|&byte| byte == 0);
        variables
            .find_map(|v| v.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .map(<[u8]>::to_vec)
    }

    /// Its control groups, as cgroups(7) lists them.
    pub(crate) fn cgroups(self, pid: Pid) -> String {
        text(&self.entry(pid, "cgroup")).unwrap_or_default()
    }

    /// Those of the process that asks.
    pub(crate) fn own_cgroups(self) -> String {
        text(&self.0.join("self/cgroup")).unwrap_or_default()
    }

    /// The numbers of the sockets that it holds.
    pub(crate) fn sockets(self, pid: Pid) -> Vec<u32> {
        let files = self.entry(pid, "fd");
        let sockets = numbers::<u32>(&files).unwrap_or_default().into_iter().filter_map(|file| {
            let target = fs::read_link(files.join(file.to_string())).ok()?;
            socket(target.as_os_str().as_bytes())
        });
        sockets.collect()
    }

    /// Its mount namespace.
    ///
    /// # Errors
    /// For want of memory.
    pub(crate) fn mount_namespace(self, pid: Pid) -> io::Result<Option<PathBuf>> {
        there(fs::read_link(self.entry(pid, "ns/mnt")))
    }

    /// Its mounts, in the order they were made.
    ///
    /// # Errors
    /// For want of descriptors or memory.
    pub(crate) fn mounts(self, pid: Pid) -> io::Result<String> {
        text(&self.entry(pid, "mountinfo"))
    }

    /// Whether it runs with this process's rights.
    ///
    /// # Errors
    /// For want of memory.
    pub(crate) fn has_our_rights(self, pid: Pid) -> io::Result<bool> {
        let uid = there(fs::metadata(self.entry(pid, "")))?.map(|metadata| metadata.uid());
        Ok(uid.is_some_and(|uid| uid == rustix::process::geteuid().as_raw()))
    }

    /// The groups beside its first one, as long as it is this user's alone: not one that took
    /// another's rights by its file.
    pub(crate) fn groups_of(self, pid: Pid, uid: u32) -> Vec<u32> {
        let status = text(&self.entry(pid, "status")).unwrap_or_default();
        let numbers = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let words = line.unwrap_or_default().split_whitespace();
            words.filter_map(|word| word.parse().ok()).collect::<Vec<u32>>()
        };
        let uids = numbers("Uid:");
        let is_theirs = !uids.is_empty() && uids.iter().all(|of| *of == uid);
        if is_theirs { numbers("Groups:") } else { Vec::new() }
    }

    /// Whether it shares our network and numbers, as far as that can be read: a container beside us
    /// may run the same programs.
    pub(crate) fn is_here(self, pid: Pid) -> bool {
        ["ns/net", "ns/pid"].iter().all(|space| {
            let ours = fs::read_link(self.0.join("self").join(space));
            match (fs::read_link(self.entry(pid, space)), ours) {
                (Ok(theirs), Ok(ours)) => theirs == ours,
                (Err(_), _) | (_, Err(_)) => true,
            }
        })
    }

    fn entry(self, pid: Pid, what: &str) -> PathBuf {
        self.0.join(pid.to_string()).join(what)
    }
}

/// The names in a folder that are numbers.
fn numbers<T: std::str::FromStr>(folder: &Path) -> io::Result<Vec<T>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<T>().ok()));
    }
    Ok(numbers)
}

/// The number in `socket:[NUMBER]`.
fn socket(link: &[u8]) -> Option<u32> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// When a process started, since the boot: the 22nd field of its `stat`, of which the second, its name in
/// parentheses, may have any text (proc_pid_stat(5)).
fn started(stat: &str) -> Option<Duration> {
    let (_, behind) = stat.rsplit_once(')')?;
    let ticks: u64 = behind.split_whitespace().nth(22 - 3)?.parse().ok()?;
    Some(Duration::from_millis(ticks.saturating_mul(1000 / TICKS)))
}

fn text(file: &Path) -> io::Result<String> {
    read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // What was read before the process was gone is as good as a file that is shorter.
    there(File::open(file).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes)))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_process_is_seen_as_it_is() {
        let (proc, pid) = (Proc::host(), std::process::id());
        assert_eq!(proc.program(pid).unwrap(), std::env::current_exe().unwrap());
        assert_eq!(proc.parent(pid).unwrap(), Some(std::os::unix::process::parent_id()));
        assert!(proc.has_our_rights(pid).unwrap() && proc.is_here(pid));
        assert!(proc.pids().unwrap().contains(&pid));
        let words: Vec<String> = std::env::args().collect();
        assert_eq!(
            proc.command_line(pid).unwrap(),
            words.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_process_is_younger_than_the_one_that_started_it_and_that_than_the_boot() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let [young, old] = [child.id(), std::process::id()].map(|p| Proc::host().age(p).unwrap());
        child.wait().unwrap();
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
        assert!(young <= old && old.as_secs_f64() <= uptime, "{young:?} {old:?} {uptime}");
    }

    #[test]
    fn the_name_of_a_process_hides_its_start_in_no_way() {
        let stat = "7 (a) 1 2) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 1250 1 1";
        assert_eq!(started(stat), Some(Duration::from_millis(12_500)));
        assert_eq!(started("7 (pppd"), None);
    }

    #[test]
    fn a_process_that_is_not_there_is_empty() {
        let (dir, pid) = (tempfile::tempdir().unwrap(), 7);
        let proc = Proc::at(dir.path());
        assert_eq!(proc.command_line(pid).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!((proc.parent(pid).unwrap(), proc.name(pid).unwrap()), (None, Vec::new()));
        assert_eq!((proc.program(pid).unwrap(), proc.sockets(pid)), (PathBuf::new(), Vec::new()));
        assert_eq!(proc.age(pid).unwrap(), Duration::ZERO);
    }
}
