use super::*;

fn explains(line: &str) -> Option<(FailureKind, bool, String)> {
    match read(line).word? {
        Word::Explains { failure, vague } => Some((failure.kind, vague, failure.message)),
        Word::Interface(_) => None,
    }
}

fn plain(line: &str) -> Option<FailureKind> {
    explains(line).filter(|(_, vague, _)| !vague).map(|(kind, ..)| kind)
}

#[test]
fn the_name_of_the_link_is_heard() {
    for (line, name) in [
        ("Using interface ppp0", "ppp0"),
        ("Renamed interface ppp0 to cx2", "cx2"),
        ("Connect: ppp0 <--> /dev/pts/0", "ppp0"),
    ] {
        assert_eq!(read(line).word, Some(Word::Interface(name.into())), "{line}");
    }
}

#[test]
fn what_can_not_name_a_link_is_not_taken_for_one() {
    for line in ["Using interface ", "Using interface ../../x", "Using interface a b", "Connect: x"]
    {
        assert_eq!(read(line).word, None, "{line}");
    }
    assert_eq!(read(&format!("Using interface {}", "x".repeat(16))).word, None);
}

#[test]
fn plain_causes_are_told_apart() {
    use FailureKind::{
        AuthRefused, BadOptions, EchoTimeout, Files, Killed, Mppe, Negotiation, NoPppSupport,
        NotInstalled, PeerClosed, Refused, Unreachable,
    };
    for (line, kind) in [
        ("MS-CHAP authentication failed: Access denied", AuthRefused),
        ("CHAP authentication failed", AuthRefused),
        ("PAP authentication failed", AuthRefused),
        ("LCP terminated by peer (Authentication failed)", AuthRefused),
        ("LCP terminated by peer (MPPE required but peer refused)", Mppe),
        ("MPPE required but peer negotiation failed", Mppe),
        ("LCP terminated by peer (peer refused to authenticate)", Negotiation),
        ("LCP terminated by peer (User request)", PeerClosed),
        ("No response to 3 echo-requests", EchoTimeout),
        ("Serial link appears to be disconnected.", EchoTimeout),
        ("LCP: timeout sending Config-Requests", Negotiation),
        ("IPCP: timeout sending Config-Requests", Negotiation),
        ("Terminating on signal 15", Killed),
        ("Hangup (SIGHUP)", Killed),
        ("Couldn't open the /dev/ppp device: No such file or directory", NoPppSupport),
        ("/usr/sbin/pppd: You need to create the /dev/ppp device node by", NoPppSupport),
        ("/usr/sbin/pppd: Please load the ppp_generic kernel module.", NoPppSupport),
        ("/usr/sbin/pppd: This system lacks kernel support for PPP.  This could be", NoPppSupport),
        ("/usr/sbin/pppd: Sorry - this system lacks PPP kernel support", NoPppSupport),
        (
            "/usr/sbin/pppd: In file /etc/ppp/peers/connexa-node-2: unrecognized option 'x'",
            BadOptions,
        ),
        ("/usr/sbin/pppd: The remote system is required to authenticate itself", BadOptions),
        (
            "/usr/sbin/pppd: but I couldn't find any suitable secret (password) for it to use to do so.",
            BadOptions,
        ),
        (
            "/usr/sbin/pppd: Can't open options file /etc/ppp/peers/connexa-node-2: No such file or directory",
            Files,
        ),
        ("No CHAP secret found for authenticating us to \"connexa-node-2\"", Files),
        ("anon warn[open_inetsock:pptp_callmgr.c:352]: connect: No route to host", Unreachable),
        (
            "anon warn[open_inetsock:pptp_callmgr.c:352]: connect: Network is unreachable",
            Unreachable,
        ),
        ("anon warn[open_inetsock:pptp_callmgr.c:352]: connect: Connection timed out", Unreachable),
        ("anon warn[open_inetsock:pptp_callmgr.c:352]: connect: Connection refused", Refused),
        ("sh: 1: exec: /usr/sbin/pptp: not found", NotInstalled),
        ("sh: 1: exec: /usr/sbin/pptp: Permission denied", NotInstalled),
        ("unshare: unshare failed: Operation not permitted", NotInstalled),
        ("mount: /run/pptp: permission denied.", NotInstalled),
    ] {
        assert_eq!(plain(line), Some(kind), "{line}");
    }
}

#[test]
fn what_follows_many_causes_is_vague() {
    for line in [
        "Modem hangup",
        "MPPE disabled",
        "LCP terminated by peer",
        "anon fatal[callmgr_main:pptp_callmgr.c:136]: Could not open control connection to 10.9.0.66",
        "anon fatal[open_callmgr:pptp.c:487]: Call manager exited with error 256",
    ] {
        assert!(explains(line).is_some_and(|(_, vague, _)| vague), "{line}");
    }
}

#[test]
fn the_message_is_the_line_without_its_place_in_pptps_source() {
    let line = "anon warn[open_inetsock:pptp_callmgr.c:352]: connect: No route to host";
    assert_eq!(explains(line).unwrap().2, "connect: No route to host");
}

#[test]
fn a_modem_is_explained_to_people_who_have_none() {
    let message = explains("Modem hangup").unwrap().2;
    assert_eq!(message, "the connection to the server broke (Modem hangup)");
}

#[test]
fn a_tunnel_that_comes_up_explains_nothing() {
    for line in [
        "CHAP authentication succeeded",
        "MPPE 128-bit stateless compression enabled",
        "local  IP address 10.50.0.100",
        "remote IP address 10.50.0.1",
        "IPV6CP: timeout sending Config-Requests",
        "Connection terminated.",
        "garbage: In file",
    ] {
        let said = read(line);
        assert_eq!((said.word, said.weight), (None, Weight::Debug), "{line}");
    }
}

#[test]
fn words_of_the_server_do_not_pass_for_pppds_own() {
    let line = "LCP terminated by peer (No response to 3 echo-requests)";
    assert_eq!(plain(line), Some(FailureKind::PeerClosed));
}

#[test]
fn gateway_noise_is_a_warning() {
    for line in ["Nexthop has invalid gateway", "RTNETLINK answers: Invalid Gateway 10.0.0.1"] {
        assert_eq!(read(line).weight, Weight::GatewayWarning, "{line}");
    }
}

#[test]
fn only_what_a_person_must_put_right_is_an_error() {
    for line in ["MS-CHAP authentication failed: Access denied", "Couldn't allocate pseudo-tty"] {
        assert_eq!(read(line).weight, Weight::Error, "{line}");
    }
    for line in ["Modem hangup", "connect: No route to host", "No response to 3 echo-requests"] {
        assert_eq!(read(line).weight, Weight::Debug, "{line}");
    }
}
