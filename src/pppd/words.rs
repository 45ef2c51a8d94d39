//! What a line of pppd or pptp means.
//!
//! The lines are those of pppd 2.4.9 and pptp 1.10. pppd runs pptp with its own output, so both
//! speak through one pipe. Text that the server chose stands only behind the words looked for
//! here, so it can't pass for pppd's own.

use crate::core::failure::{Failure, FailureKind};

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

/// Reads a line.
pub(super) fn read(line: &str) -> Said {
    let line = without_origin(line);
    let explained = explain(line);
    let weight = if line.to_ascii_lowercase().contains("invalid gateway") {
        Weight::GatewayWarning
    } else if explained.is_some_and(|(kind, _)| kind.needs_a_person()) || is_trouble(line) {
        Weight::Error
    } else {
        Weight::Debug
    };
    let word = match explained {
        Some((kind, vague)) => Some(Word::Explains {
            failure: Failure::new(kind, in_plain_words(line)),
            vague: vague == VAGUE,
        }),
        None => interface(line).map(|name| Word::Interface(name.to_owned())),
    };
    Said { word, weight, line: line.to_owned() }
}

/// pppd calls whatever carries the call a modem.
fn in_plain_words(line: &str) -> String {
    match line {
        "Modem hangup" => "the connection to the server broke (Modem hangup)".to_owned(),
        other => other.to_owned(),
    }
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

const VAGUE: bool = true;
const PLAIN: bool = false;

/// The cause that a line tells, and whether it is said after many causes.
fn explain(line: &str) -> Option<(FailureKind, bool)> {
    if let Some(rest) = line.strip_prefix("LCP terminated by peer") {
        return Some(ended_by_server(rest));
    }
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

/// Why the server ended the call, from the text it gave.
fn ended_by_server(text: &str) -> (FailureKind, bool) {
    if text.contains("MPPE") {
        (FailureKind::Mppe, PLAIN)
    } else if text.contains("uthentication failed") {
        (FailureKind::AuthRefused, PLAIN)
    } else if text.contains("refused to authenticate") {
        (FailureKind::Negotiation, PLAIN)
    } else if text.contains('(') {
        (FailureKind::PeerClosed, PLAIN)
    } else {
        (FailureKind::PeerClosed, VAGUE)
    }
}

/// Beginnings of lines; the first that fits counts.
const BEGINNINGS: &[(&str, FailureKind, bool)] = &[
    // chap-new.c, chap_ms.c, upap.c, eap.c
    ("CHAP authentication failed due to protocol-reject", FailureKind::Negotiation, PLAIN),
    ("PAP authentication failed due to protocol-reject", FailureKind::Negotiation, PLAIN),
    ("MS-CHAP authentication failed", FailureKind::AuthRefused, PLAIN),
    ("Unknown MS-CHAP authentication failure", FailureKind::AuthRefused, PLAIN),
    ("MS-CHAPv2 mutual authentication failed", FailureKind::AuthRefused, PLAIN),
    ("CHAP authentication failed", FailureKind::AuthRefused, PLAIN),
    ("PAP authentication failed", FailureKind::AuthRefused, PLAIN),
    ("EAP: peer reports authentication failure", FailureKind::AuthRefused, PLAIN),
    ("CHAP authentication timed out", FailureKind::Negotiation, PLAIN),
    ("No CHAP secret found for authenticating us", FailureKind::Files, PLAIN),
    ("Can't open chap secret file", FailureKind::Files, PLAIN),
    ("peer refused to authenticate", FailureKind::Negotiation, PLAIN),
    // ccp.c
    ("MPPE required", FailureKind::Mppe, PLAIN),
    // Also said in the wake of a hang-up.
    ("MPPE disabled", FailureKind::Mppe, VAGUE),
    ("Too many MPPE errors", FailureKind::Mppe, PLAIN),
    // What comes before pptp in the peer file's pty.
    ("unshare: ", FailureKind::NotInstalled, PLAIN),
    ("mount: ", FailureKind::NotInstalled, PLAIN),
    // lcp.c, fsm.c, ipcp.c, main.c
    ("No response to ", FailureKind::EchoTimeout, PLAIN),
    ("Serial link appears to be disconnected", FailureKind::EchoTimeout, PLAIN),
    ("LCP: timeout sending ", FailureKind::Negotiation, PLAIN),
    ("IPCP: timeout sending ", FailureKind::Negotiation, PLAIN),
    ("Serial line is looped back", FailureKind::Negotiation, PLAIN),
    ("Peer refused to agree to our IP address", FailureKind::Negotiation, PLAIN),
    ("Could not determine local IP address", FailureKind::Negotiation, PLAIN),
    ("Terminating on signal ", FailureKind::Killed, PLAIN),
    ("Hangup (SIGHUP)", FailureKind::Killed, PLAIN),
    ("Modem hangup", FailureKind::Hangup, VAGUE),
    // sys-linux.c; the later lines of a long message follow by themselves
    ("Couldn't open the /dev/ppp device", FailureKind::NoPppSupport, PLAIN),
    ("Couldn't open /dev/ppp", FailureKind::NoPppSupport, PLAIN),
    ("Couldn't set tty to PPP discipline", FailureKind::NoPppSupport, PLAIN),
    ("This system lacks kernel support for PPP", FailureKind::NoPppSupport, PLAIN),
    ("Sorry - this system lacks PPP kernel support", FailureKind::NoPppSupport, PLAIN),
    ("Couldn't rename interface ", FailureKind::NameTaken, PLAIN),
    // pptp_callmgr.c
    ("connect: Connection refused", FailureKind::Refused, PLAIN),
    ("connect: ", FailureKind::Unreachable, PLAIN),
    ("Could not open control connection", FailureKind::Unreachable, VAGUE),
    ("Call manager for ", FailureKind::Hangup, PLAIN),
    // pptp.c
    ("Call manager exited with error", FailureKind::Hangup, VAGUE),
    ("Could not launch call manager", FailureKind::Hangup, VAGUE),
    // pptp_ctrl.c
    ("Negative reply received to our Start Control", FailureKind::Refused, PLAIN),
    ("Our outgoing call request", FailureKind::Refused, PLAIN),
    ("closing control connection due to missing echo", FailureKind::EchoTimeout, PLAIN),
    ("read returned zero, peer has closed", FailureKind::PeerClosed, VAGUE),
    ("Call disconnect notification received", FailureKind::PeerClosed, VAGUE),
];

/// Parts of lines with which pppd refuses to start (options.c, auth.c, sys-linux.c).
const AT_START: &[(&str, FailureKind)] = &[
    ("Can't open options file", FailureKind::Files),
    ("/dev/ppp device node", FailureKind::NoPppSupport),
    ("Please load the ppp_generic", FailureKind::NoPppSupport),
    ("lacks kernel support for PPP", FailureKind::NoPppSupport),
    ("lacks PPP kernel support", FailureKind::NoPppSupport),
    ("unrecognized option", FailureKind::BadOptions),
    ("In file ", FailureKind::BadOptions),
    ("The remote system", FailureKind::BadOptions),
    ("couldn't find any suitable secret", FailureKind::BadOptions),
    ("too few parameters for option", FailureKind::BadOptions),
    ("invalid numeric parameter", FailureKind::BadOptions),
    ("no device specified", FailureKind::BadOptions),
    ("must be root", FailureKind::NotInstalled),
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
mod tests;
