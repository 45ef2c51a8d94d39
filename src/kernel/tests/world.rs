//! Links that change at random, by a seed. Names are few, so that they come back at once on links
//! of other kinds; indexes come back, too.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const NAMES: usize = 24;
const CHANGES_A_ROUND: usize = 20;

/// Attaches itself to the tun links that it is told, which gives them a carrier; told nothing, it
/// leaves the oldest. TUNSETIFF, IFF_TUN and IFF_NO_PI are of linux/if_tun.h.
const HOLDER: &str = "
import fcntl, os, struct, sys
held = []
print(flush=True)
for line in sys.stdin:
    name = line.strip().encode()
    if name:
        held.append(os.open('/dev/net/tun', os.O_RDWR))
        try: fcntl.ioctl(held[-1], 0x400454CA, struct.pack('16sH22x', name, 0x1001))
        except OSError: pass
    elif held:
        os.close(held.pop(0))
    print(flush=True)
";

/// The generator splitmix64.
pub(super) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(limit).unwrap()).unwrap()
    }

    /// True in `part` of `whole` cases.
    pub(super) fn chance(&mut self, part: usize, whole: usize) -> bool {
        self.below(whole) < part
    }

    fn pick(&mut self, from: &[String]) -> String {
        if from.is_empty() { format!("ppp{NAMES}") } else { from[self.below(from.len())].clone() }
    }
}

/// A process that takes a line, does something, and says when it is done.
struct Helper {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Helper {
    /// Comes back when it is ready.
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut helper = Helper { process, input, output };
        helper.wait();
        helper
    }

    fn wait(&mut self) {
        self.output.read_line(&mut String::new()).unwrap();
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        self.wait();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) struct World {
    pub(super) dice: Dice,
    holder: Helper,
    /// A second namespace: links that come back from it bring their index along.
    elsewhere: Helper,
    /// This namespace, as `ip` wants it.
    here: String,
    made: Arc<AtomicUsize>,
    alive: Vec<String>,
    free: Vec<String>,
    indexes: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        World {
            dice: Dice(seed),
            holder: Helper::start(Command::new("python3").args(["-c", HOLDER])),
            elsewhere: Helper::start(Command::new("unshare").args([
                "--net",
                "sh",
                "-c",
                "echo; cat",
            ])),
            here: rustix::thread::gettid().as_raw_nonzero().to_string(),
            made: Arc::default(),
            alive: Vec::new(),
            free: Vec::new(),
            indexes: Vec::new(),
        }
    }

    /// How many changes the kernel has accepted.
    pub(super) fn changes_made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Some changes, to be made by whoever calls what this gives back.
    pub(super) fn round(&mut self) -> impl FnOnce() + Send + use<> {
        self.look();
        if self.dice.chance(1, 2) {
            let name = if self.dice.chance(1, 2) { &self.alive } else { &self.free };
            let name = self.dice.pick(name);
            self.holder.tell(&name);
        } else if self.dice.chance(1, 4) {
            self.holder.tell("");
        }
        let mut here = Vec::new();
        while here.len() < CHANGES_A_ROUND {
            here.extend(self.change());
        }
        let there: Vec<_> = (0..2).flat_map(|_| self.return_of_a_link()).collect();
        let pid = self.elsewhere.process.id().to_string();
        let made = Arc::clone(&self.made);
        move || {
            let mut enter = Command::new("nsenter");
            enter.args(["--target", &pid, "--net", "ip", "-force", "-batch", "-"]);
            made.fetch_add(
                batch(Command::new("ip").args(["-force", "-batch", "-"]), &here),
                Ordering::Relaxed,
            );
            made.fetch_add(batch(&mut enter, &there), Ordering::Relaxed);
        }
    }

    /// Learns which names are taken, by which indexes.
    fn look(&mut self) {
        let output = Command::new("ip").args(["-o", "link"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let pairs = text.lines().filter_map(|line| {
            let (index, rest) = line.split_once(": ")?;
            let name = rest.split([':', '@']).next()?;
            name.starts_with("ppp").then(|| (index.to_owned(), name.to_owned()))
        });
        (self.indexes, self.alive) = pairs.unzip();
        let names = (0..NAMES).map(|n| format!("ppp{n}"));
        self.free = names.filter(|name| !self.alive.contains(name)).collect();
    }

    /// One change, or some that belong together. What does not fit the links of the moment is
    /// refused by the kernel, which is no matter.
    fn change(&mut self) -> Vec<String> {
        let old = self.dice.pick(&self.alive);
        let new = self.dice.pick(&self.free);
        let (local, peer) = (self.address(), self.address());
        match self.dice.below(16) {
            0 | 1 => vec![self.make(&new)],
            2 => vec![format!("link del {old}"), self.make(&old)],
            3 => vec![format!("link del {old}")],
            4 => self.take_over(&new),
            5 => vec![format!("link set {old} name {new}"), format!("link set {new} name {old}")],
            6 => vec![format!("link set {old} name {new}")],
            7 | 8 => vec![format!("link set {old} up")],
            9 => vec![format!("link set {old} down")],
            10 => vec![format!("link set {old} mtu {}", 1400 + self.dice.below(100))],
            11 => vec![format!("address add {local} peer {peer} dev {old}")],
            12 => vec![format!("address add {local}/{} dev {old}", 24 + 8 * self.dice.below(2))],
            // As pppd sets a peer.
            13 => vec![
                format!("address add {local} dev {old}"),
                format!("address del {local}/32 dev {old}"),
                format!("address add {local} peer {peer} dev {old}"),
            ],
            14 => vec![format!("address flush dev {old}")],
            _ => vec![format!("link set {old} netns {}", self.elsewhere.process.id())],
        }
    }

    fn address(&mut self) -> String {
        format!("10.50.0.{}", 1 + self.dice.below(8))
    }

    fn make(&mut self, name: &str) -> String {
        match self.dice.below(6) {
            0 => format!("tuntap add mode tap name {name}"),
            1 => format!("link add {name} type bridge"),
            2 => format!("link add {name} type veth peer name {}", self.dice.pick(&self.free)),
            _ => format!("tuntap add mode tun name {name}"),
        }
    }

    /// A foreign link gets the index of one that has just gone.
    fn take_over(&mut self, name: &str) -> Vec<String> {
        let which = self.dice.below(self.alive.len().max(1));
        let (Some(old), Some(index)) = (self.alive.get(which), self.indexes.get(which)) else {
            return Vec::new();
        };
        vec![
            format!("link del {old}"),
            format!("link add {name} index {index} type veth peer name {old}"),
        ]
    }

    /// What the other namespace sends back was here before, or is new.
    fn return_of_a_link(&mut self) -> Vec<String> {
        let name = format!("ppp{}", self.dice.below(NAMES));
        let mut commands = vec![format!("link set {name} netns {}", self.here)];
        if self.dice.chance(1, 4) {
            commands.insert(0, format!("tuntap add mode tun name {name}"));
        }
        commands
    }
}

/// How many of these commands succeeded.
fn batch(ip: &mut Command, commands: &[String]) -> usize {
    let ip = ip.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut ip = ip.spawn().unwrap();
    ip.stdin.take().unwrap().write_all(commands.join("\n").as_bytes()).unwrap();
    let output = ip.wait_with_output().unwrap();
    let refused = String::from_utf8_lossy(&output.stderr).matches("Command failed").count();
    commands.len() - refused
}
