//! The lines that explain the end of a call, one table for each way to know them.

use crate::core::failure::FailureKind;

pub(super) const VAGUE: bool = true;
pub(super) const PLAIN: bool = false;

/// What a server's pppd says as it is ended: its encryption goes before its link does (`ccp_down`
/// in ccp.c), so this follows a hang-up and is no cause.
pub(super) const OWN_WAKE: &str = "LCP terminated by peer (MPPE disabled)";

/// Why the server ended the call, from the text it gave; the first that is in it counts.
pub(super) const BY_SERVER: &[(&str, FailureKind)] = &[
    ("(MPPE disabled)", FailureKind::PeerClosed),
    ("MPPE", FailureKind::Mppe),
    ("uthentication failed", FailureKind::AuthRefused),
    // It asked for what is refused here, and for nothing else (auth.c).
    ("refused to authenticate", FailureKind::AuthUnsupported),
    ("couldn't negotiate eap", FailureKind::AuthUnsupported),
];

/// What a server that ends the call means by this text, which is empty where it gave none.
pub(super) fn ended_by_server(text: &str) -> (FailureKind, bool) {
    let known = BY_SERVER.iter().find(|(part, _)| text.contains(part));
    let without_a_word = if text.contains('(') { PLAIN } else { VAGUE };
    known.map_or((FailureKind::PeerClosed, without_a_word), |(_, kind)| (*kind, PLAIN))
}

/// Beginnings of lines; the first that fits counts.
pub(super) const BEGINNINGS: &[(&str, FailureKind, bool)] = &[
    // chap-new.c (chap.c in 2.5), chap_ms.c, upap.c, eap.c, auth.c
    ("CHAP authentication failed due to protocol-reject", FailureKind::AuthUnsupported, PLAIN),
    ("PAP authentication failed due to protocol-reject", FailureKind::AuthUnsupported, PLAIN),
    ("MS-CHAP authentication failed", FailureKind::AuthRefused, PLAIN),
    ("Unknown MS-CHAP authentication failure", FailureKind::AuthRefused, PLAIN),
    ("MS-CHAPv2 mutual authentication failed", FailureKind::AuthRefused, PLAIN),
    ("CHAP authentication failed", FailureKind::AuthRefused, PLAIN),
    ("PAP authentication failed", FailureKind::AuthRefused, PLAIN),
    ("EAP: peer reports authentication failure", FailureKind::AuthRefused, PLAIN),
    ("MS-CHAPv2 Success packet is badly formed", FailureKind::Negotiation, PLAIN),
    ("CHAP authentication timed out", FailureKind::Negotiation, PLAIN),
    ("No CHAP secret found for authenticating us", FailureKind::Files, PLAIN),
    ("Can't open chap secret file", FailureKind::Files, PLAIN),
    // utils.c of 2.5.3: a file or folder on the way to it is not root's alone to write.
    ("Can't safely use ", FailureKind::Files, PLAIN),
    ("peer refused to authenticate", FailureKind::Negotiation, PLAIN),
    ("Terminating connection due to lack of activity", FailureKind::IdleLimit, PLAIN),
    ("Connect time expired", FailureKind::SessionLimit, PLAIN),
    ("Traffic limit reached", FailureKind::SessionLimit, PLAIN),
    // ccp.c. Without MS-CHAP there are no keys.
    ("MPPE required, but MS-CHAP", FailureKind::AuthUnsupported, PLAIN),
    ("MPPE required", FailureKind::Mppe, PLAIN),
    ("Refusing MPPE stateful mode", FailureKind::Mppe, PLAIN),
    ("MPPE disabled, closing LCP", FailureKind::Mppe, PLAIN),
    // Also said in the wake of a hang-up.
    ("MPPE disabled", FailureKind::Mppe, VAGUE),
    ("Too many MPPE errors", FailureKind::KeysDisagree, PLAIN),
    ("Lost compression sync", FailureKind::KeysDisagree, VAGUE),
    // lcp.c: what the server can't read it takes for another protocol.
    ("Protocol-Reject for unsupported protocol 'Compressed'", FailureKind::KeysDisagree, VAGUE),
    // What comes before pptp in the peer file's pty.
    ("unshare: ", FailureKind::NotInstalled, PLAIN),
    ("mount: ", FailureKind::NotInstalled, PLAIN),
    // lcp.c, fsm.c, ipcp.c, main.c
    ("No response to ", FailureKind::EchoTimeout, PLAIN),
    ("Serial link appears to be disconnected", FailureKind::EchoTimeout, PLAIN),
    ("LCP: timeout sending ", FailureKind::Negotiation, PLAIN),
    ("IPCP: timeout sending ", FailureKind::Negotiation, PLAIN),
    ("Received Protocol-Reject for LCP", FailureKind::Negotiation, PLAIN),
    ("Serial line is looped back", FailureKind::Negotiation, PLAIN),
    ("Peer refused to agree to ", FailureKind::Negotiation, PLAIN),
    ("Could not determine local IP address", FailureKind::Negotiation, PLAIN),
    ("Peer is not authorized to use remote address", FailureKind::Negotiation, PLAIN),
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
    // pptp_ctrl.c, by syslog alone
    ("closing control connection due to missing echo", FailureKind::EchoTimeout, PLAIN),
    ("read returned zero, peer has closed", FailureKind::PeerClosed, VAGUE),
    ("Received Stop Control Connection Request", FailureKind::PeerClosed, VAGUE),
    ("Received Call Clear Request", FailureKind::PeerClosed, VAGUE),
];

/// A line of pptp after which the server's answer comes, in a line of its own (pptp_ctrl.c).
#[derive(Debug)]
pub(super) struct Answer {
    /// How the line begins.
    pub(super) line: &'static str,
    /// What the answer explains.
    pub(super) kind: FailureKind,
    /// Whether pppd may know better.
    pub(super) vague: bool,
    /// What it means.
    pub(super) meaning: &'static str,
}

/// All of them.
pub(super) const ANSWERS: &[Answer] = &[
    Answer {
        line: "Negative reply received to our Start Control",
        kind: FailureKind::Refused,
        vague: PLAIN,
        meaning: "the server refused the control connection",
    },
    Answer {
        line: "Our outgoing call request",
        kind: FailureKind::CallRefused,
        vague: PLAIN,
        meaning: "the server refused the call",
    },
    Answer {
        line: "Call disconnect notification received",
        kind: FailureKind::PeerClosed,
        vague: VAGUE,
        meaning: "the server ended the call",
    },
];

/// Parts of lines with which pppd refuses to start (options.c, auth.c, sys-linux.c).
pub(super) const AT_START: &[(&str, FailureKind)] = &[
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
