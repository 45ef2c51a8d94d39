//! What takes back the options of the host's own files.
//!
//! pppd reads `/etc/ppp/options` and `~/.ppprc` before the peer file, so the peer file has the last
//! word on whatever has an opposite; for times and counts that is pppd's own default. What has no
//! opposite is in [`super::host_options`]; `docs/ppp-options.md` goes through all of pppd(8).
//! pppd 2.4.9 and 2.5.x know every one of these.

/// Said in every peer file.
pub(super) const ALWAYS: &[&str] = &[
    // The secret of a `password` or `+ua` would win over chap-secrets; an empty one does not.
    "password \"\"",
    "allow-number *",
    "allow-ip *",
    // 40 bit is as good as none, and stateful encryption loses packets after each lost one.
    "nomppe-40",
    "nomppe-stateful",
    "nopredictor1",
    "noreplacedefaultroute",
    "noproxyarp",
    // Whatever address a file asks for, the server's word counts.
    "ipcp-accept-local",
    "ipcp-accept-remote",
    "nomp",
    // The daemon alone ends a tunnel, and dials again.
    "nopersist",
    "idle 0",
    "maxconnect 0",
    "maxoctets 0",
    // The daemon hears pppd by its standard output, whatever log file there is.
    "logfd 1",
    "kdebug 0",
    // Programs that talk to a modem.
    "connect \"\"",
    "disconnect \"\"",
    "init \"\"",
    "welcome \"\"",
    "connect-delay 1000",
    "child-timeout 5",
    "nocrtscts",
    "datarate 0",
    // How long and how often each side is asked, in seconds and times.
    "lcp-restart 3",
    "lcp-max-terminate 2",
    "lcp-max-failure 5",
    "chap-timeout 60",
    "ipcp-restart 3",
    "ipcp-max-terminate 2",
    "ipcp-max-configure 10",
    "ipcp-max-failure 5",
];

/// Said where the host's resolver is not the tunnel's to change. `usepeerdns` has no opposite, but
/// the scripts in `ip-up.d` go by these, which pppd takes out of their environment.
pub(super) const LEAVE_RESOLVER: &[&str] = &["unset USEPEERDNS", "unset DNS1", "unset DNS2"];
