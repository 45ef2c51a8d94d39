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
];

/// What is wrong with an entry, if anything. pppd splits its file into words, whatever the lines, so
/// every word is looked at.
pub(super) fn refuse(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().peekable();
    if words.peek().is_none() || line.chars().any(|c| c.is_control() || "\"'\\#".contains(c)) {
        return Some(format!("has {line:?}; each entry is one pppd option, without quotes"));
    }
    words
        .find(|word| {
            OWNED.contains(word)
                || ["/", "tty", "require-", "+"].iter().any(|start| word.starts_with(start))
        })
        .map(|word| format!("has {word:?}, which the daemon sets itself; remove it"))
}
