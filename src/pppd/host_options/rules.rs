//! What an option does to a tunnel when it can't be taken back.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::known::is_option;
use crate::config::Config;
use crate::node::Mppe;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// No call becomes the tunnel that is wanted.
    NoTunnel,
    /// Tunnels come up, but maybe not with every server or not each time.
    Maybe,
    /// Tunnels come up, with something beside that nobody asked for.
    Beside,
}

/// What the daemon wants of a call, where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    encrypted: bool,
    default_route: bool,
    resolver: bool,
}

impl Wish {
    /// That of a peer file.
    pub(super) fn of_peer_file(text: &str) -> Self {
        let has = |option| text.lines().any(|line| line.trim() == option);
        Wish {
            encrypted: has("require-mppe-128"),
            default_route: has("defaultroute"),
            resolver: has("usepeerdns"),
        }
    }
}

impl From<&Config> for Wish {
    fn from(config: &Config) -> Self {
        let tunnel = &config.tunnel;
        Wish {
            encrypted: tunnel.mppe == Mppe::Require,
            default_route: tunnel.default_route,
            resolver: tunnel.use_peer_dns,
        }
    }
}

/// What is wrong with an option, given with its argument, if anything.
pub(super) fn judge(option: &str, wish: Wish) -> Option<(Harm, &'static str)> {
    let (name, argument) = option.split_once(' ').unwrap_or((option, ""));
    if !is_option(name) && is_device(name) {
        return Some((Harm::NoTunnel, DEVICE));
    }
    if matches!(name, "set" | "unset") {
        let variable = argument.split('=').next().unwrap_or_default();
        return FOR_PROGRAMS.contains(&variable).then_some((Harm::Maybe, PROGRAMS));
    }
    let (_, when, harm, why) = RULES.iter().find(|(names, ..)| names.contains(&name))?;
    let counts = match when {
        When::Always => true,
        When::Encrypted => wish.encrypted,
        When::DefaultRoute => wish.default_route,
        When::OwnResolver => !wish.resolver,
    };
    counts.then_some((*harm, *why))
}

/// Whether pppd takes the word for a serial device: it looks below `/dev` for it (tty.c).
pub(super) fn is_device(word: &str) -> bool {
    let is_device = |metadata: fs::Metadata| metadata.file_type().is_char_device();
    !word.is_empty() && fs::metadata(Path::new("/dev").join(word)).is_ok_and(is_device)
}

/// When a rule counts.
#[derive(Clone, Copy)]
pub(super) enum When {
    Always,
    Encrypted,
    DefaultRoute,
    OwnResolver,
}

const DEVICE: &str = "pppd refuses a device beside the peer file's pty";
const PROGRAMS: &str = "it changes how pptp and scripts are started, which may then fail";

/// Variables that change what a program does at its start. PATH is seen to by the peer file.
const FOR_PROGRAMS: &[&str] = &["LD_PRELOAD", "LD_LIBRARY_PATH", "IFS", "ENV"];

pub(super) type Rule = (&'static [&'static str], When, Harm, &'static str);

pub(super) const RULES: &[Rule] = &[
    (
        &["dryrun", "--version", "--help", "-h", "-v", "show-options"],
        When::Always,
        Harm::NoTunnel,
        "pppd ends before it calls",
    ),
    (
        &["demand"],
        When::Always,
        Harm::NoTunnel,
        "the link is there and up before any call is made, and may never carry one",
    ),
    (
        &["notty", "socket"],
        When::Always,
        Harm::NoTunnel,
        "pppd refuses it beside the peer file's pty",
    ),
    (&["record"], When::Always, Harm::NoTunnel, "pptp hears nothing of what pppd then sends"),
    (&["sync"], When::Always, Harm::NoTunnel, "pptp does not understand what pppd then sends"),
    (
        &["-all", "refuse-mschap-v2", "-mschap-v2"],
        When::Always,
        Harm::NoTunnel,
        "pppd then never answers by MS-CHAPv2, the one way to log in that is left open",
    ),
    (
        &["need-peer-eap"],
        When::Always,
        Harm::NoTunnel,
        "pppd then logs in by EAP alone, and the daemon's logins are for MS-CHAPv2",
    ),
    (&["noip", "-ip"], When::Always, Harm::NoTunnel, "the tunnel never gets an IPv4 address"),
    (
        &["noccp", "-ccp"],
        When::Encrypted,
        Harm::NoTunnel,
        "pppd then never asks for MPPE, and goes on unencrypted where the server lets it",
    ),
    (
        &["nodefaultroute", "-defaultroute"],
        When::DefaultRoute,
        Harm::NoTunnel,
        "pppd then refuses the defaultroute of tunnel.default_route",
    ),
    (
        &["chap-secrets"],
        When::Always,
        Harm::NoTunnel,
        "pppd then looks for passwords elsewhere than where the daemon writes them",
    ),
    (
        &["usepeerdns"],
        When::OwnResolver,
        Harm::Beside,
        "pppd writes the server's name servers into /etc/ppp/resolv.conf; where /etc/resolv.conf leads \
         there, they are the host's",
    ),
    (&["plugin"], When::Always, Harm::Maybe, "a plug-in may change anything about a call"),
    (&["pass-filter"], When::Always, Harm::Beside, "what the filter does not let pass is dropped"),
    (
        &["silent"],
        When::Always,
        Harm::Maybe,
        "pppd waits for the server's first word, and some servers wait for pppd's",
    ),
    (
        &["passive", "-p"],
        When::Always,
        Harm::Maybe,
        "a server that does not answer is waited for until tunnel.dial_timeout",
    ),
    (
        &["ipcp-no-address", "nosendip"],
        When::Always,
        Harm::Maybe,
        "some servers then give the tunnel no address",
    ),
    (&["callback"], When::Always, Harm::Maybe, "pppd asks the server to call back"),
    (
        &["vrf"],
        When::Always,
        Harm::Beside,
        "links then lie in that VRF, and their routes with them",
    ),
    (
        &["ip-up-script", "ip-down-script"],
        When::Always,
        Harm::Beside,
        "that script runs for every tunnel, and may change anything on this host",
    ),
    (
        &["ip-pre-up-script", "net-pre-up-script", "net-init-script"],
        When::Always,
        Harm::Maybe,
        "that script runs for every tunnel, and one that hangs holds the tunnel up before it is there",
    ),
];
