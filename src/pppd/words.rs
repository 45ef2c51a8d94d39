//! What the lines of pppd and pptp mean.
//!
//! The lines are those of pppd 2.4.9 and 2.5, and of pptp 1.10. pppd runs pptp with its own output,
//! so what pptp says before its call is made comes through one pipe with pppd's; the rest goes to
//! syslog alone ([`pptp`]). Text that the server chose stands only behind the words looked for here,
//! so it can't pass for pppd's own.

mod causes;
mod pptp;

use crate::core::failure::{Failure, FailureKind};
use causes::{AT_START, BEGINNINGS, PLAIN, VAGUE};
use pptp::{Pptp, Reached};

/// What pppd and pptp say that matters to the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The call's link has this name.
    Interface(String),
    /// Why the call is about to end.
    Explains {
        /// The cause.
        failure: Failure,
        /// Said after many causes; worth little beside a plain one.
        vague: bool,
    },
}

/// What a line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// What it tells the core, if anything.
    pub(super) word: Option<Word>,
    /// How much it matters to people.
    pub(super) weight: Weight,
    /// The line without where in pptp's source it came from.
    pub(super) line: String,
}

/// How much a line matters to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Something here must be put right by a person.
    Error,
    /// A gateway that makes no sense, of whoever's making.
    GatewayWarning,
    /// The rest; the state of the tunnel tells what matters of it.
    Debug,
}

/// Reads the lines of one call, in order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pptp: Pptp,
    /// The server has spoken PPP.
    speaks_ppp: bool,
}

impl Reader {
    /// Reads a line of the call's output.
    pub(super) fn line(&mut self, line: &str) -> Said {
        let line = without_origin(line);
        self.speaks_ppp |= line.starts_with("CHAP authentication") || line.starts_with("local  IP");
        let explained = self.explain(line);
        let word = explained.as_ref().map(Cause::word);
        let word = word.or_else(|| interface(line).map(|name| Word::Interface(name.to_owned())));
        let weight = weight(line, explained.as_ref());
        Said { word, weight, line: with_advice(line) }
    }

    /// Reads a line that pptp has sent to syslog.
    pub(super) fn syslog(&mut self, datagram: &str) -> Said {
        let line = without_origin(pptp::payload(datagram));
        let explained = self.pptp.hear(line).or_else(|| cause(line));
        let weight = weight(line, explained.as_ref());
        Said { word: explained.as_ref().map(Cause::word), weight, line: line.to_owned() }
    }

    fn explain(&self, line: &str) -> Option<Cause> {
        if line.starts_with("LCP: timeout sending ") && !self.speaks_ppp {
            return self.silence(line);
        }
        cause(line)
    }

    /// Why pppd has never heard from the server's.
    fn silence(&self, line: &str) -> Option<Cause> {
        let (kind, what) = match self.pptp.reached() {
            Reached::Nothing => (FailureKind::Timeout, "nothing of PPP came from the server"),
            Reached::Started => {
                (FailureKind::Unreachable, "the server does not answer on TCP port 1723")
            }
            Reached::Connection => {
                (FailureKind::CallRefused, "the server leaves the request for a call unanswered")
            }
            Reached::Call => (
                FailureKind::GreBlocked,
                "the server took the call, and nothing of PPP came from it: GRE (IP protocol 47) is blocked on the way",
            ),
        };
        Some(Cause { kind, vague: PLAIN, message: format!("{what} ({line})") })
    }
}

/// What explains the end of a call.
#[derive(Debug)]
struct Cause {
    kind: FailureKind,
    vague: bool,
    message: String,
}

impl Cause {
    fn word(&self) -> Word {
        let failure = Failure::new(self.kind, self.message.clone());
        Word::Explains { failure, vague: self.vague }
    }
}

fn weight(line: &str, explained: Option<&Cause>) -> Weight {
    if line.to_ascii_lowercase().contains("invalid gateway") || is_no_default_route(line) {
        Weight::GatewayWarning
    } else if explained.is_some_and(|cause| cause.kind.needs_a_person()) || is_trouble(line) {
        Weight::Error
    } else {
        Weight::Debug
    }
}

/// pppd was told to take the default route, and the host has one (sys-linux.c).
fn is_no_default_route(line: &str) -> bool {
    line.starts_with("not replacing ") && line.contains("default route")
        || line.starts_with("Unable to add IPv4 default")
}

fn with_advice(line: &str) -> String {
    if is_no_default_route(line) {
        let advice =
            "the host has a default route, which stays: tunnel.default_route does nothing here";
        return format!(
            "{line}: {advice}; remove that route, or set tunnel.default_route to false"
        );
    }
    line.to_owned()
}

/// pptp begins its lines with `anon warn[function:file.c:line]: ` (util.c).
fn without_origin(line: &str) -> &str {
    match line.split_once("]: ") {
        Some((origin, rest)) if origin.contains('[') && origin.contains(".c:") => rest,
        _ => line,
    }
}

/// The name of the call's link, where the line tells it.
fn interface(line: &str) -> Option<&str> {
    let name = if let Some(rest) = line.strip_prefix("Using interface ") {
        rest
    } else if let Some(rest) = line.strip_prefix("Renamed interface ") {
        rest.split_once(" to ")?.1
    } else {
        line.strip_prefix("Connect: ")?.split_once(" <--> ")?.0
    };
    // The kernel's limit, IFNAMSIZ without the NUL.
    let fits = (1..=15).contains(&name.len());
    (fits && !name.contains(|c: char| c.is_whitespace() || c == '/')).then_some(name)
}

/// The cause that a line tells by itself.
fn cause(line: &str) -> Option<Cause> {
    let (kind, vague) = match line.strip_prefix("LCP terminated by peer") {
        Some(rest) => causes::ended_by_server(rest),
        None => told(line)?,
    };
    Some(Cause { kind, vague, message: in_plain_words(kind, line) })
}

fn told(line: &str) -> Option<(FailureKind, bool)> {
    let starts = |(start, ..): &&(&str, FailureKind, bool)| line.starts_with(start);
    if let Some((_, kind, vague)) = BEGINNINGS.iter().find(starts) {
        return Some((*kind, *vague));
    }
    // While it reads its options pppd begins its lines with its own path, and the shell that runs
    // pptp with its own name.
    if line.starts_with("sh: ") {
        let missing = line.ends_with("not found") || line.ends_with("Permission denied");
        return missing.then_some((FailureKind::NotInstalled, PLAIN));
    }
    let (program, line) = line.split_once(": ")?;
    if !program.starts_with('/') && program != "pppd" {
        return None;
    }
    let found = AT_START.iter().find(|(part, _)| line.contains(part));
    // Its own name before a line means that pppd still reads its options (option_error in options.c).
    let is_pppd = program.rsplit('/').next() == Some("pppd");
    let other = is_pppd.then_some((FailureKind::BadOptions, VAGUE));
    found.map(|(_, kind)| (*kind, PLAIN)).or(other)
}

/// A line as people understand it, with the line itself for who looks it up.
fn in_plain_words(kind: FailureKind, line: &str) -> String {
    let line = line.trim_end_matches([':', ' ']);
    let of_line = LINES.iter().find(|(known, _)| *known == line).map(|(_, meaning)| meaning);
    let of_kind = KINDS.iter().find(|(known, _)| *known == kind).map(|(_, meaning)| meaning);
    match of_line.or(of_kind) {
        Some(meaning) => format!("{meaning} ({line})"),
        None => line.to_owned(),
    }
}

/// Lines that say something else to whoever does not know pppd.
const LINES: &[(&str, &str)] = &[
    // pppd calls whatever carries the call a modem.
    ("Modem hangup", "the connection to the server broke"),
    ("MPPE required, but kernel has no support.", "this host's kernel has no MPPE, load ppp_mppe"),
    (causes::OWN_WAKE, "the server hung up"),
];

/// Kinds whose lines say too little.
const KINDS: &[(FailureKind, &str)] = &[
    (FailureKind::AuthRefused, "the server refused login or password"),
    (FailureKind::AuthUnsupported, "the server does not ask for MS-CHAPv2"),
    (FailureKind::KeysDisagree, "neither side can read what the other encrypts"),
];

/// Trouble of this host that explains no kind of failure.
fn is_trouble(line: &str) -> bool {
    [
        "Couldn't ",
        "Can't ",
        "Cannot ",
        "Failed to ",
        "Fatal signal ",
        "fork failed",
        "Out of memory",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
