//! Throw-away network namespaces.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Runs what follows where the host's own files of these programs are empty, and its name servers those
/// of the file `RESOLV_CONF`, if any. A network namespace's
/// commands have a mount namespace of their own (ip-netns(8)).
const HIDE: &str = "for place in /etc/ppp /etc/connexa /etc/supervisor /etc/supervisord.d \
    /etc/supervisord.conf /var/lib/connexa /run/connexa; do \
    [ ! -d $place ] || mount -t tmpfs hidden $place || exit 125; \
    [ ! -f $place ] || mount --bind /dev/null $place || exit 125; \
    done; mount --bind \"${RESOLV_CONF:-/dev/null}\" /etc/resolv.conf || exit 125; exec \"$@\"";

/// A network namespace that goes, with every process in it, when the test ends.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// An empty one with its loopback up.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let here = rustix::process::geteuid().is_root() && Path::new("/dev/net/tun").exists();
        assert!(here, "the netns tests need root and /dev/net/tun; nothing was tested here");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Namespace { name: format!("cx-{}-{number}", std::process::id()) };
        run(Command::new("ip").args(["netns", "add", &namespace.name]));
        run(Command::new("ip").args(["-n", &namespace.name, "link", "set", "lo", "up"]));
        namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside, and not see what the host has of ours or of supervisord's, nor
    /// its name servers.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "sh", "-c", HIDE, "sh"]).arg(program.as_ref());
        command.env_remove("CONNEXA_DB").env_remove("RESOLV_CONF");
        command
    }

    /// Runs `ip` inside and gives back what it printed.
    pub(crate) fn ip(&self, arguments: &[&str]) -> String {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments))
    }

    /// Runs commands of `ip` inside, all of which have to succeed, before whatever else keeps the
    /// machine busy: what the daemon takes for one change has to come as one.
    pub(crate) fn batch(&self, commands: impl IntoIterator<Item = String>) {
        let commands: Vec<String> = commands.into_iter().collect();
        let mut ip = Command::new("nice")
            .args(["--adjustment=-20", "ip", "-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        ip.stdin.take().unwrap().write_all(commands.join("\n").as_bytes()).unwrap();
        assert!(ip.wait().unwrap().success(), "ip says above what is wrong");
    }

    /// What a function gives back that runs inside, in a thread of its own.
    pub(crate) fn within<T: Send>(&self, function: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(Path::new("/run/netns").join(&self.name)).unwrap();
        let enter = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).unwrap();
            function()
        };
        std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }

    /// The processes inside.
    fn pids(&self) -> Vec<u32> {
        let output = Command::new("ip").args(["netns", "pids", &self.name]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }
}

impl Drop for Namespace {
    /// Whatever runs in here was started by this test.
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            let pids = self.pids();
            if pids.is_empty() {
                break;
            }
            for pid in pids {
                kill(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Something that is mounted until the test ends. Daemons that are started later see it.
#[derive(Debug)]
pub(crate) struct Mount(pub(crate) PathBuf);

impl Mount {
    /// A file system of 256 KiB in a folder that is made where there is none.
    pub(crate) fn small(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "test"]).arg(&folder));
        Mount(folder)
    }

    /// One thing in the place of another.
    pub(crate) fn bind(thing: &Path, place: PathBuf) -> Self {
        run(Command::new("mount").arg("--bind").arg(thing).arg(&place));
        Mount(place)
    }

    /// A folder that can't be written.
    pub(crate) fn read_only(folder: PathBuf) -> Self {
        let mount = Mount::bind(&folder, folder.clone());
        run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&folder));
        mount
    }

    /// Fills it; gives the file to be removed.
    pub(crate) fn fill(&self) -> PathBuf {
        let file = self.0.join("ballast");
        // As much as there is room for.
        let _ = fs::write(&file, vec![0; 1 << 20]);
        file
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Signals a process that this test started; one that is gone already is no matter.
pub(crate) fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether the process is there and not a zombie.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// Runs a command that has to succeed; gives back what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}{complaint}", output.status);
    said
}

/// A process that is killed when the test ends.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
