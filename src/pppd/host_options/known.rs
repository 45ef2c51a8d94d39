//! How many words an option takes: without that, an argument could be taken for an option.

/// The words that follow an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arguments {
    /// None.
    None,
    /// One; no option of pppd takes more.
    One,
    /// It is no option of pppd's own.
    Unknown,
}

/// The words that follow this one.
pub(super) fn arguments(word: &str) -> Arguments {
    if WITH_ONE.contains(&word) {
        Arguments::One
    } else if WITH_NONE.contains(&word) || is_value(word) {
        Arguments::None
    } else {
        Arguments::Unknown
    }
}

/// Whether it is the name of an option: as such pppd takes it first.
pub(super) fn is_option(word: &str) -> bool {
    WITH_ONE.contains(&word) || WITH_NONE.contains(&word)
}

/// A device, a speed or a pair of addresses, which stand alone.
fn is_value(word: &str) -> bool {
    super::rules::is_device(word) || word.contains(':') || word.parse::<u32>().is_ok()
}

/// Every option.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    WITH_ONE.iter().chain(WITH_NONE).copied()
}

/// Options with an argument, of pppd 2.4.9 to 2.5.3.
#[rustfmt::skip]
const WITH_ONE: &[&str] = &[
    "+ua", "-as", "active-filter", "allow-ip", "allow-number", "asyncmap", "auth-down-script",
    "auth-up-script", "bsdcomp", "bundle", "ca", "call", "callback", "capath", "cert",
    "chap-interval", "chap-max-challenge", "chap-restart", "chap-secrets", "chap-timeout",
    "child-timeout", "connect", "connect-delay", "crl", "crl-dir", "datarate",
    "defaultroute-metric", "defaultroute6-metric", "deflate", "disconnect", "domain",
    "eap-interval", "eap-max-rreq", "eap-max-sreq", "eap-restart", "eap-timeout", "endpoint",
    "escape", "file", "holdoff", "idle", "ifname", "init", "ip-down-script", "ip-pre-up-script",
    "ip-up-script", "ipcp-max-configure", "ipcp-max-failure", "ipcp-max-terminate",
    "ipcp-restart", "ipparam", "ipv6", "ipv6-down-script", "ipv6-up-script",
    "ipv6cp-max-configure", "ipv6cp-max-failure", "ipv6cp-max-terminate", "ipv6cp-restart",
    "ipx-network", "ipx-node", "ipx-router-name", "ipx-routing", "ipxcp-max-configure",
    "ipxcp-max-failure", "ipxcp-max-terminate", "ipxcp-restart", "kdebug", "key",
    "lcp-echo-failure", "lcp-echo-interval", "lcp-max-configure", "lcp-max-failure",
    "lcp-max-terminate", "lcp-restart", "lcp-rtt-file", "linkname", "logfd", "logfile",
    "max-tls-version", "maxconnect", "maxfail", "maxoctets", "mo", "mo-direction", "mo-timeout",
    "mrru", "mru", "ms-dns", "ms-wins", "mtu", "name", "net-down-script", "net-init-script",
    "net-pre-up-script", "netmask", "pap-max-authreq", "pap-restart", "pap-secrets",
    "pap-timeout", "pass-filter", "password", "pkcs12", "plugin", "privgroup", "pty", "record",
    "remotename", "remotenumber", "set", "socket", "srp-interval", "srp-pn-secret", "stop-bits",
    "tls-verify-method", "unit", "unset", "user", "vj-max-slots", "vrf", "welcome",
];

/// Options without one.
#[rustfmt::skip]
const WITH_NONE: &[&str] = &[
    "+chap", "+ipv6", "+ipx", "+mppe", "+mppe-128", "+mppe-40", "+mschap", "+mschap-v2", "+pap",
    "--help", "--version", "-ac", "-all", "-am", "-bsdcomp", "-ccp", "-chap", "-crtscts", "-d",
    "-defaultroute", "-defaultroute6", "-deflate", "-detach", "-ecp", "-h", "-ip", "-ipv6",
    "-ipx", "-mn", "-mppe", "-mppe-128", "-mppe-40", "-mru", "-mschap", "-mschap-v2", "-p",
    "-pap", "-pc", "-predictor1", "-proxyarp", "-v", "-vj", "-vjccomp", "auth", "cdtrcts",
    "chapms-strip-domain", "crtscts", "debug", "default-asyncmap", "default-mru", "defaultroute",
    "defaultroute6", "demand", "dryrun", "dump", "enable-session", "hide-password",
    "ipcp-accept-local", "ipcp-accept-remote", "ipcp-no-address", "ipcp-no-addresses",
    "ipv6cp-accept-local", "ipv6cp-accept-remote", "ipv6cp-noremote", "ipv6cp-nosend",
    "ipv6cp-use-ipaddr", "ipv6cp-use-persistent", "ipv6cp-use-remotenumber", "ipx",
    "ipxcp-accept-local", "ipxcp-accept-network", "ipxcp-accept-remote", "ktune",
    "lcp-echo-adaptive", "local", "lock", "login", "master_detach", "modem", "mp",
    "mppe-stateful", "mpshortseq", "multilink", "need-peer-eap", "noaccomp", "noauth",
    "nobsdcomp", "noccp", "nocdtrcts", "nocrtscts", "nodefaultroute", "nodefaultroute6",
    "nodeflate", "nodeflatedraft", "nodetach", "noecp", "noendpoint", "noip", "noipdefault",
    "noipv6", "noipx", "noktune", "nolock", "nolog", "nologfd", "nomagic", "nomp", "nomppe",
    "nomppe-128", "nomppe-40", "nomppe-stateful", "nompshortseq", "nomultilink", "nopcomp",
    "nopersist", "nopredictor1", "noproxyarp", "noremoteip", "noreplacedefaultroute",
    "noresolvconf", "nosendip", "notty", "novj", "novjccomp", "papcrypt", "passive", "persist",
    "predictor1", "proxyarp", "receive-all", "refuse-chap", "refuse-eap", "refuse-mschap",
    "refuse-mschap-v2", "refuse-pap", "replacedefaultroute", "require-chap", "require-eap",
    "require-mppe", "require-mppe-128", "require-mppe-40", "require-mschap", "require-mschap-v2",
    "require-pap", "show-options", "show-password", "silent", "srp-use-pseudonym", "sync",
    "tls-verify-key-usage", "up_sdnotify", "updetach", "usehostname", "usepeerdns", "usepeerwins",
    "xonxoff",
];
