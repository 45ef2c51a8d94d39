//! What may stand in `tunnel.extra_options`.

/// Options that would take from the daemon what it owns: retries, the device, identity, detaching.
const OWNED: &[&str] = &[
    "persist",
    "nopersist",
    "maxfail",
    "holdoff",
    "demand",
    "connect",
    "pty",
    "linkname",
    "ipparam",
    "name",
    "remotename",
    "user",
    "password",
    "nodetach",
    "updetach",
    "detach",
    "ifname",
    "unit",
    "call",
    "file",
    "plugin",
    "init",
    "disconnect",
    "welcome",
    "socket",
    "notty",
    "dryrun",
    "auth",
    "idle",
    "maxconnect",
    "logfile",
    "logfd",
    "nolog",
    "nologfd",
];

/// Options with which no call becomes a tunnel, or which end pppd before it calls.
const DEADLY: &[&str] = &[
    "--version",
    "--help",
    "-h",
    "-v",
    "show-options",
    "-all",
    "refuse-mschap-v2",
    "-mschap-v2",
    "need-peer-eap",
    "noip",
    "-ip",
    "sync",
    "record",
    "chap-secrets",
];

/// What is wrong with an entry, if anything. pppd splits its file into words, whatever the lines, so
/// every word is looked at.
pub(super) fn refuse(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().peekable();
    if words.peek().is_none() || line.chars().any(|c| c.is_control() || "\"'\\#".contains(c)) {
        return Some(format!("has {line:?}; each entry is one pppd option, without quotes"));
    }
    words.find_map(|word| {
        let is_owned = OWNED.contains(&word)
            || ["/", "tty", "require-", "+"].iter().any(|start| word.starts_with(start));
        if is_owned {
            Some(format!("has {word:?}, which the daemon sets itself; remove it"))
        } else if DEADLY.contains(&word) {
            Some(format!("has {word:?}, with which no tunnel comes up; remove it"))
        } else {
            None
        }
    })
}
