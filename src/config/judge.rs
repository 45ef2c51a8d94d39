//! Values that parse and yet can't work.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Config, Routing, Span, WhenDown, pppd_options};

/// What is wrong with the value of a key, or with those of several keys together.
#[derive(Debug)]
pub(super) struct Judgement {
    /// The keys, dotted; where there are several, each is well for itself.
    pub(super) keys: Vec<&'static str>,
    /// What is wrong, and what would be right.
    pub(super) message: String,
}

/// The longest path of a Unix socket, in bytes (`sun_path` of unix(7), less the NUL at its end).
const LONGEST_SOCKET: usize = 107;

/// The longest path of pptp, in bytes: it is part of a command that pppd reads as one word, of which
/// it takes 1023 bytes (`MAXWORDLEN` of pppd/pppd.h).
pub(crate) const LONGEST_PPTP: usize = 512;

/// A key whose value is a whole number within bounds.
struct Number {
    key: &'static str,
    least: u32,
    most: u32,
    value: fn(&Config) -> Option<u32>,
}

const fn number(
    key: &'static str,
    least: u32,
    most: u32,
    value: fn(&Config) -> Option<u32>,
) -> Number {
    Number { key, least, most, value }
}

const NUMBERS: &[Number] = &[
    number("selection.max_rows", 1, u32::MAX, |c| Some(c.selection.max_rows)),
    // The least that PPP knows (RFC 1661, pppd(8)), and the most that Ethernet carries.
    number("tunnel.mtu", 128, 1500, |c| Some(c.tunnel.mtu.into())),
    number("tunnel.mru", 128, 1500, |c| Some(c.tunnel.mru.into())),
    number("tunnel.dial_concurrency", 1, u32::MAX, |c| Some(c.tunnel.dial_concurrency)),
    number("tunnel.dial_concurrency_per_server", 1, u32::MAX, |c| {
        Some(c.tunnel.dial_concurrency_per_server)
    }),
    number("tunnel.quarantine_after", 1, u32::MAX, |c| Some(c.tunnel.quarantine_after)),
    // The highest is none that the kernel gives to a table (RT_TABLE_MAX of rtnetlink(7)).
    number("routing.table_base", 1, u32::MAX - 1, |c| c.routing.table_base),
    number("probe.loss", 1, u32::MAX, |c| Some(c.probe.loss)),
    number("outage.windows", 1, u32::MAX, |c| Some(c.outage.windows)),
    number("backend.port", 1, 65535, |c| Some(c.backend.port.into())),
];

/// A key and its value.
type Time = (&'static str, fn(&Config) -> Span);
type Command = (&'static str, fn(&Config) -> Option<&Vec<String>>);
type File = (&'static str, fn(&Config) -> &Path);

/// Durations that can't be nothing.
const TIMES: &[Time] = &[
    ("tunnel.dial_timeout", |c| c.tunnel.dial_timeout),
    ("tunnel.stop_grace", |c| c.tunnel.stop_grace),
    ("tunnel.backoff.min", |c| c.tunnel.backoff.min),
    ("hooks.timeout", |c| c.hooks.timeout),
    ("probe.interval", |c| c.probe.interval),
    ("probe.timeout", |c| c.probe.timeout),
    ("outage.interval", |c| c.outage.interval),
    ("backend.restart_timeout", |c| c.backend.restart_timeout),
    ("backend.ready_timeout", |c| c.backend.ready_timeout),
];

/// Programs with their arguments.
const COMMANDS: &[Command] = &[
    ("hooks.up", |c| c.hooks.up.as_ref()),
    ("hooks.down", |c| c.hooks.down.as_ref()),
    ("backend.restart", |c| Some(&c.backend.restart)),
];

const PATHS: &[File] = &[
    ("database.path", |c| &c.database.path),
    ("control.socket", |c| &c.control.socket),
    ("paths.ppp_dir", |c| &c.paths.ppp_dir),
    ("paths.run_dir", |c| &c.paths.run_dir),
    ("paths.pppd", |c| &c.paths.pppd),
    ("paths.pptp", |c| &c.paths.pptp),
    ("paths.state_dir", |c| &c.paths.state_dir),
];

/// Pairs of keys of which the first must not be the longer one.
const NO_LONGER: &[[Time; 2]] = &[
    [
        ("tunnel.backoff.min", |c| c.tunnel.backoff.min),
        ("tunnel.backoff.max", |c| c.tunnel.backoff.max),
    ],
    [("probe.timeout", |c| c.probe.timeout), ("probe.interval", |c| c.probe.interval)],
];

/// The whole numbers that a key takes, of which its type has none above `most`.
pub(super) fn whole_number(key: &str, most: u32) -> String {
    let known = NUMBERS.iter().find(|number| number.key == key);
    let (least, most) = known.map_or((0, most), |number| (number.least, number.most));
    format!("a whole number from {least} to {most}")
}

/// All that is wrong. Keys that could not be taken are at their defaults, and prove nothing against
/// others.
pub(super) fn judge(config: &Config, refused: &BTreeSet<String>) -> Vec<Judgement> {
    let found = [numbers(config), times(config), commands(config), paths(config), others(config)];
    let found = found.concat();
    let bad: BTreeSet<&str> = found.iter().map(|(key, _)| *key).collect();
    let is_well = |key: &&str| !bad.contains(key) && !refused.contains(*key);
    let together = contradictions(config).into_iter().filter(|both| both.keys.iter().all(is_well));
    let alone = found.into_iter().map(|(key, message)| Judgement { keys: vec![key], message });
    alone.chain(together).collect()
}

/// Keys, and what is wrong with each.
type Found = Vec<(&'static str, String)>;

fn numbers(config: &Config) -> Found {
    let judge = |Number { key, least, most, value }: &Number| {
        let value = value(config).filter(|value| !(*least..=*most).contains(value))?;
        Some((*key, format!("is {value}; give {}", whole_number(key, *most))))
    };
    NUMBERS.iter().filter_map(judge).collect()
}

fn times(config: &Config) -> Found {
    let message = "must be longer than 0s; give a duration such as \"30s\"";
    let zero = TIMES.iter().filter(|(_, value)| value(config).get().is_zero());
    zero.map(|(key, _)| (*key, message.to_owned())).collect()
}

fn commands(config: &Config) -> Found {
    let message = "names no program; give one and its arguments, or leave it out";
    let no_program = |argv: &Vec<String>| argv.first().is_none_or(String::is_empty);
    let bad = COMMANDS.iter().filter(|(_, command)| command(config).is_some_and(no_program));
    bad.map(|(key, _)| (*key, message.to_owned())).collect()
}

fn paths(config: &Config) -> Found {
    let judge = |(key, path): &File| Some((*key, refuse_path(path(config))?));
    PATHS.iter().filter_map(judge).collect()
}

fn contradictions(config: &Config) -> Vec<Judgement> {
    let too_long = |&[(key, value), (other, limit)]: &[Time; 2]| {
        let (value, limit) = (value(config), limit(config));
        let message = format!(
            "is {value}, longer than {other}, which is {limit}; make this one shorter or the other \
             one longer"
        );
        (value > limit).then(|| Judgement { keys: vec![key, other], message })
    };
    let unguarded = || {
        let Routing { table_base, when_down, .. } = config.routing;
        let message = "is \"unreachable\", which needs a table for each tunnel; set routing.table_base, for \
                       example to 1000, or leave this out";
        (table_base.is_none() && when_down == WhenDown::Unreachable).then(|| Judgement {
            keys: vec!["routing.when_down", "routing.table_base"],
            message: message.to_owned(),
        })
    };
    NO_LONGER.iter().filter_map(too_long).chain(unguarded()).collect()
}

/// Of the keys that are like no other.
fn others(config: &Config) -> Found {
    let Config { tunnel, backend, database, .. } = config;
    let mut found = Vec::new();
    let mut add = |key, message: String| found.push((key, message));
    if !(0.0..=1.0).contains(&tunnel.backoff.jitter) {
        let jitter = tunnel.backoff.jitter;
        add("tunnel.backoff.jitter", format!("is {jitter}; give a number from 0.0 to 1.0"));
    }
    let echo = tunnel.lcp_echo_interval;
    if echo.get().subsec_millis() != 0 || echo > Span::seconds(3600) {
        add("tunnel.lcp_echo_interval", format!("is {echo}; give whole seconds, at most \"1h\""));
    }
    for unit in backend.units.iter().filter(|unit| !is_unit_name(unit)) {
        add("backend.units", format!("has {unit:?}; name services, e.g. \"x.service\""));
    }
    if database.table.is_empty() {
        add("database.table", "is empty; name the table of nodes".to_owned());
    }
    for message in tunnel.extra_options.iter().filter_map(|line| pppd_options::refuse(line)) {
        add("tunnel.extra_options", message);
    }
    found.extend(too_long_a_socket(&config.control.socket));
    found.extend(too_long_a_pptp(&config.paths.pptp));
    let paths = [("paths.pptp", &config.paths.pptp), ("paths.run_dir", &config.paths.run_dir)];
    found.extend(paths.into_iter().filter_map(|(key, path)| unsafe_path(key, path)));
    found
}

fn too_long_a_socket(socket: &Path) -> Option<(&'static str, String)> {
    let length = socket.as_os_str().len();
    let message = format!("is {length} bytes long; give a path of at most {LONGEST_SOCKET} bytes");
    (length > LONGEST_SOCKET).then_some(("control.socket", message))
}

fn too_long_a_pptp(pptp: &Path) -> Option<(&'static str, String)> {
    let length = pptp.as_os_str().len();
    let message = format!("is {length} bytes long; give a path of at most {LONGEST_PPTP} bytes");
    (length > LONGEST_PPTP).then_some(("paths.pptp", message))
}

fn unsafe_path(key: &'static str, path: &Path) -> Option<(&'static str, String)> {
    let message = format!(
        "is {path:?}; give a path of letters, digits and /._- only, because pppd hands it to a shell"
    );
    // Of other faults something else is told.
    (refuse_path(path).is_none() && !is_shell_safe(path)).then_some((key, message))
}

fn refuse_path(path: &Path) -> Option<String> {
    let is_plain = path.to_str().is_some_and(|text| !text.chars().any(char::is_control));
    let problem = match (is_plain, path.is_absolute()) {
        (true, true) => return None,
        (true, false) => "not an absolute path; let it begin with /",
        (false, _) => "not a plain path; leave out control characters and what is no UTF-8",
    };
    Some(format!("is {path:?}, {problem}"))
}

/// Letters of a unit's name (systemd.unit(5)), and nothing that systemctl would take for an option.
fn is_unit_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
}

/// pppd runs its `pty` option through `sh -c`.
fn is_shell_safe(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b)))
}
