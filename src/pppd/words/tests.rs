use super::*;

fn read(line: &str) -> Said {
    Reader::default().line(line)
}

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
fn a_default_route_that_is_not_taken_is_a_warning_that_says_what_to_do() {
    for line in [
        "not replacing default route to eth0 [10.9.255.1]",
        "not replacing existing default route through eth0",
        "Unable to add IPv4 default route: File exists",
    ] {
        let said = read(line);
        assert_eq!(said.weight, Weight::GatewayWarning, "{line}");
        assert!(said.line.contains("set tunnel.default_route to false"), "{}", said.line);
    }
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
