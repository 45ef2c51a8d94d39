//! The options of one call: `peers/connexa-node-N`, read by pppd(8).

use std::fmt::Write;
use std::time::Duration;

use super::log_socket;
use super::options::Options;
use super::overrides::{ALWAYS, LEAVE_RESOLVER};
use super::quoting::{quote, second_word};
use crate::core::event::Dialled;
use crate::node::{Mppe, Node, NodeId};
use crate::routing::server_route;

/// The content of the node's peer file. It holds no password, and works by hand as well:
/// `pppd call connexa-node-N`.
///
/// The server may ask us for a password and not we the server, hence `noauth`; the four
/// `refuse-*` leave MS-CHAPv2 as the only way that we answer.
pub(super) fn text(node: &Node, options: &Options) -> String {
    let name = node.id.peer_name();
    let mut lines = Lines(String::new());
    lines.add("# Written by connexad, which overwrites every change.");
    lines.add(format_args!("# By hand: pppd call {name}"));
    lines.add(format_args!("pty \"{}\"", pptp_command(node, options)));
    // Both: `user` in a file of the host would win over `name`.
    for option in ["name", "user"] {
        lines.add(format_args!("{option} {}", quote(node.login.as_str())));
    }
    for option in ["remotename", "linkname", "ipparam"] {
        lines.add(format_args!("{option} {name}"));
    }
    lines.add("noauth");
    lines.add("refuse-pap\nrefuse-eap\nrefuse-chap\nrefuse-mschap");
    lines.add(match node.mppe.unwrap_or(options.mppe) {
        Mppe::Require => REQUIRE_MPPE,
        Mppe::Off => NO_MPPE,
    });
    lines.add("nobsdcomp\nnodeflate\nnoipdefault");
    // Nothing of the daemon's uses it, and a server could advertise itself as the host's router.
    lines.add("noipv6");
    lines.add(if options.default_route { "defaultroute" } else { "nodefaultroute" });
    let resolver = if options.use_peer_dns { &["usepeerdns"] } else { LEAVE_RESOLVER };
    for option in ALWAYS.iter().chain(resolver) {
        lines.add(option);
    }
    lines.add(format_args!("lcp-max-configure {}", lcp_requests(options.dial_timeout)));
    lines.add(format_args!("mtu {}\nmru {}", options.mtu, options.mru));
    // Said even when it is 0, which is off: Debian's own options file sets another.
    lines.add(format_args!("lcp-echo-interval {}", options.lcp_echo_interval));
    if options.lcp_echo_interval > 0 {
        lines.add(format_args!("lcp-echo-failure {}", options.lcp_echo_failure));
    }
    let link = if options.names_links() { node.id.link_name() } else { String::new() };
    lines.add(format_args!("ifname \"{link}\""));
    // Last, so that an open quote in one of them can't swallow the daemon's own.
    for option in &options.extra_options {
        lines.add(option);
    }
    lines.0
}

/// How often pppd asks a server that does not answer: every 3 s (`lcp-restart`), and so often that it
/// gives up, and says so, before the dial's time is over. At most 10 times, as is pppd's own default.
fn lcp_requests(dial_timeout: Duration) -> u64 {
    (dial_timeout.as_secs() / 3).saturating_sub(2).clamp(3, 10)
}

/// pppd gives this to `sh -c`: only a parsed address and a path judged by the configuration may
/// stand in it. `exec` saves two shells per tunnel. pptp never removes its own route to the server, so
/// where the tunnel may take the default route there is one that bears the daemon's mark
/// ([`server_route`]), unless somebody has made one before.
///
/// All pptp processes that find each other's socket below `/var/run/pptp` share one control
/// connection to a server, and a second call on it ends the first at servers that know one call a
/// connection, Linux's pptpd among them: it closes that call without telling this side. With a
/// mount namespace of its own, each call has a control connection of its own, and what its pptp says
/// to syslog goes to the daemon's socket for it, where there is one ([`log_socket`]).
///
/// What hides the sockets bears the node's name: by that mount every process of a call is known,
/// whoever its parent has become ([`marked`]). Names won't do: pptp changes its own.
fn pptp_command(node: &Node, options: &Options) -> String {
    let server = node.server.ip();
    let pptp = format!("{} {server} --nolaunchpppd --nohostroute", options.pptp.display());
    let route = if options.default_route {
        let protocol = server_route::PROTOCOL;
        let way = format!("$(ip route get {server} | sed -n s/.uid.*//p)");
        format!("{{ ip route add {way} proto {protocol} || :; }} 2>/dev/null && ")
    } else {
        String::new()
    };
    let mount = format!("mount -t tmpfs -o size=64k,mode=700 {} {SOCKETS}", node.id.peer_name());
    let hear = match log_socket::path(&options.run_dir, node.id) {
        log if log.as_os_str().len() <= log_socket::LONGEST => {
            format!("{{ mount --bind {} /dev/log || :; }} 2>/dev/null && ", log.display())
        }
        _ => String::new(),
    };
    let unshared = format!("mkdir -p {SOCKETS} && {mount} && {hear}{route}exec {pptp}");
    format!("PATH=$PATH:{FOLDERS}; exec unshare --mount sh -c '{unshared}'")
}

/// Where the programs are, whatever PATH a `set` in the host's own options has left.
const FOLDERS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Where pptp processes find each other.
const SOCKETS: &str = "/var/run/pptp";

/// The node whose call a process belongs to, by the process's mounts: a line of `mountinfo` ends in
/// `- TYPE SOURCE OPTIONS` (proc(5)).
pub(super) fn marked(mounts: &str) -> Option<NodeId> {
    mounts.lines().rev().find_map(|line| {
        let mut mount = line.rsplit_once(" - ")?.1.split(' ');
        let is_tmpfs = mount.next() == Some("tmpfs");
        NodeId::from_peer_name(mount.next()?).filter(|_| is_tmpfs)
    })
}

/// What a peer file of this form makes a call with. It was read before it is written anew, so it
/// is the one that a running call was made by. Its first word on encryption is the daemon's own.
pub(super) fn dialled(text: &str) -> Option<Dialled> {
    let value = |option: &str| {
        let mut lines = text.lines();
        let line = lines.find(|l| l.split_whitespace().next() == Some(option))?;
        String::from_utf8(second_word(line.as_bytes())?).ok()
    };
    let command = value("pty")?;
    let mut words = command.split_whitespace();
    let server = words.find_map(|word| word.parse().ok())?;
    let mppe = text.lines().find_map(|line| match line.trim() {
        REQUIRE_MPPE => Some(Mppe::Require),
        NO_MPPE => Some(Mppe::Off),
        _ => None,
    });
    Some(Dialled { server, login: value("name")?, password: None, mppe })
}

const REQUIRE_MPPE: &str = "require-mppe-128";
const NO_MPPE: &str = "nomppe";

struct Lines(String);

impl Lines {
    fn add(&mut self, line: impl std::fmt::Display) {
        // Writing to a String can't fail.
        let _ = writeln!(self.0, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::getword;
    use super::*;
    use crate::config::{Config, InterfaceName, LONGEST_PPTP};
    use crate::node::Login;

    fn node(login: &str) -> Node {
        Node::example(NodeId(2), login, "hunter2")
    }

    fn options() -> Options {
        Options::from(&Config::default())
    }

    #[test]
    fn a_peer_file_tells_whom_it_calls() {
        let text = text(&node(r#"DOM\a" b"#), &options());
        let server = "10.9.0.2".parse().unwrap();
        let (login, mppe) = (r#"DOM\a" b"#.into(), Some(Mppe::Require));
        assert_eq!(dialled(&text), Some(Dialled { server, login, password: None, mppe }));
    }

    #[test]
    fn a_peer_file_tells_the_daemons_own_word_on_encryption() {
        let extra_options = vec!["nomppe".into()];
        let text = text(&node("admin"), &Options { extra_options, ..options() });
        assert_eq!(dialled(&text).and_then(|d| d.mppe), Some(Mppe::Require));
    }

    #[test]
    fn the_processes_of_a_call_are_known_by_their_mounts() {
        let mounts = "22 1 0:20 / /proc rw - proc proc rw\n\
            89 67 0:40 / /run/pptp rw,relatime - tmpfs connexa-node-12 rw,size=64k,mode=700\n";
        assert_eq!(marked(mounts), Some(NodeId(12)));
    }

    #[test]
    fn mounts_of_others_mark_nothing() {
        for line in [
            "",
            "89 67 0:40 / /run/connexa-node-1 rw - tmpfs tmpfs rw",
            "89 67 0:40 / /x rw - ext4 connexa-node-1 rw",
            "connexa-node-1",
            " - tmpfs",
        ] {
            assert_eq!(marked(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_peer_file_of_another_form_tells_nothing() {
        assert_eq!(dialled("name admin\nconnect x\n"), None);
    }

    fn has(text: &str, line: &str) -> bool {
        text.lines().any(|l| l == line)
    }

    #[test]
    fn the_defaults_give_the_file_that_is_known_to_work() {
        assert_eq!(
            text(&node("admin"), &options()),
            format!(
                "\
# Written by connexad, which overwrites every change.
# By hand: pppd call connexa-node-2
pty \"PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin; exec unshare --mount sh -c 'mkdir -p /var/run/pptp && \
mount -t tmpfs -o size=64k,mode=700 connexa-node-2 /var/run/pptp && \
{{ mount --bind /run/connexa-node-2.log /dev/log || :; }} 2>/dev/null && \
exec /usr/sbin/pptp 10.9.0.2 --nolaunchpppd --nohostroute'\"
name \"admin\"
user \"admin\"
remotename connexa-node-2
linkname connexa-node-2
ipparam connexa-node-2
noauth
refuse-pap
refuse-eap
refuse-chap
refuse-mschap
require-mppe-128
nobsdcomp
nodeflate
noipdefault
noipv6
nodefaultroute
{}
{}
lcp-max-configure 8
mtu 1400
mru 1400
lcp-echo-interval 10
lcp-echo-failure 3
ifname \"\"
",
                ALWAYS.join("\n"),
                LEAVE_RESOLVER.join("\n")
            )
        );
    }

    #[test]
    fn a_login_can_not_break_out_of_its_line() {
        let text = text(&node(r#"DOM\a" pty "reboot"#), &options());
        assert!(has(&text, r#"name "DOM\\a\" pty \"reboot""#), "{text}");
    }

    #[test]
    fn the_nodes_own_mppe_wins_over_the_configuration() {
        let node = Node { mppe: Some(Mppe::Off), ..node("admin") };
        let text = text(&node, &options());
        assert!(has(&text, "nomppe") && !has(&text, "require-mppe-128"), "{text}");
    }

    #[test]
    fn a_tunnel_that_takes_the_default_route_has_a_route_to_its_server_that_is_known_as_ours() {
        let text = text(&node("admin"), &Options { default_route: true, ..options() });
        assert!(has(&text, "defaultroute") && text.contains(" proto 201 "), "{text}");
        assert!(text.contains("--nohostroute"), "{text}");
    }

    #[test]
    fn pppd_gives_a_silent_server_up_before_the_daemon_gives_the_dial_up() {
        let requests = [10, 30, 60].map(|seconds| lcp_requests(Duration::from_secs(seconds)));
        assert_eq!(requests, [3, 8, 10]);
    }

    #[test]
    fn no_echo_interval_switches_echoes_off() {
        let text = text(&node("admin"), &Options { lcp_echo_interval: 0, ..options() });
        assert!(has(&text, "lcp-echo-interval 0") && !text.contains("lcp-echo-failure"), "{text}");
    }

    #[test]
    fn links_are_named_after_nodes_when_asked() {
        let options = Options { interface_name: InterfaceName::Node, ..options() };
        assert!(has(&text(&node("admin"), &options), "ifname \"cx2\""));
    }

    #[test]
    fn extra_options_come_last() {
        let extra_options = vec!["debug".into(), "novj".into()];
        let text = text(&node("admin"), &Options { extra_options, ..options() });
        assert!(text.ends_with("\ndebug\nnovj\n"), "{text}");
    }

    #[test]
    fn the_resolver_is_left_alone_unless_it_is_the_tunnels_to_change() {
        let own = text(&node("admin"), &options());
        assert!(has(&own, "unset USEPEERDNS") && !has(&own, "usepeerdns"), "{own}");
        let theirs = text(&node("admin"), &Options { use_peer_dns: true, ..options() });
        assert!(has(&theirs, "usepeerdns") && !has(&theirs, "unset USEPEERDNS"), "{theirs}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// To pppd every word may be an option: a login adds none and takes none away.
        #[test]
        fn a_login_of_any_bytes_is_read_back_or_refused(
            bytes in prop_oneof![
                prop::collection::vec(prop::sample::select(b"\"'\\# \n\t\0nx01-p\xc3\xa9".to_vec()), 0..12),
                "[^\\p{Cc}]{0,300}".prop_map(String::into_bytes),
                "[ -~]{0,40}".prop_map(String::into_bytes),
            ],
        ) {
            let login = std::str::from_utf8(&bytes).ok().and_then(|text| Login::parse(text).ok());
            let Some(login) = login else { return Ok(()) };
            let words = |login: Login| {
                let node = Node { login, ..node("admin") };
                getword::options(text(&node, &options()).as_bytes())
            };
            let mut plain = words(Login::parse("admin").unwrap());
            for word in plain.iter_mut().filter(|word| *word == b"admin") {
                word.clone_from(&bytes);
            }
            prop_assert_eq!(words(login), plain);
        }
    }

    #[test]
    fn the_longest_command_is_a_word_that_pppd_reads_whole() {
        let pptp = "/".repeat(LONGEST_PPTP).into();
        let run_dir = format!("/{}", "r".repeat(log_socket::LONGEST - 29)).into();
        let options = Options { pptp, run_dir, default_route: true, ..options() };
        let node = Node { id: NodeId(u32::MAX), ..node("admin") };
        assert!(pptp_command(&node, &options).contains(".log /dev/log"));
        let words = getword::options(text(&node, &options).as_bytes());
        let command = pptp_command(&node, &options);
        assert_eq!(words.get(1).map(Vec::as_slice), Some(command.as_bytes()));
    }

    #[test]
    fn the_password_is_not_in_it() {
        assert!(!text(&node("admin"), &options()).contains("hunter2"));
    }
}
