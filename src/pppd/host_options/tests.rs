use std::fs;

use super::*;
use crate::config::Config;
use crate::pppd::overrides;

/// A host with this in `/etc/ppp/options`.
fn host(options: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("options"), options).unwrap();
    dir
}

/// What is found of such a host, without its folder.
fn found(options: &str) -> Vec<String> {
    let dir = host(options);
    let folder = format!("{}/", dir.path().display());
    let all = culprits(dir.path(), Wish::from(&Config::default()));
    all.iter().map(|culprit| culprit.to_string().replace(&folder, "")).collect()
}

/// What is said before a dial with this peer file.
fn said_before(options: &str, peer_file: &str) -> Result<Option<String>, String> {
    let (host, node) = (host(options), NodeId(2));
    fs::create_dir(host.path().join("peers")).unwrap();
    fs::write(host.path().join("peers").join(node.peer_name()), peer_file).unwrap();
    check(host.path(), node).map_err(|failure| failure.message)
}

#[test]
fn a_culprit_is_told_with_its_file_and_line() {
    assert_eq!(
        found("auth\n\n# one\ndryrun\n"),
        ["options, line 4, has \"dryrun\": pppd ends before it calls"]
    );
}

#[test]
fn debians_own_file_is_well() {
    let own = "asyncmap 0\nauth\ncrtscts\nlock\nhide-password\nmodem\nlcp-echo-interval 30\n\
               lcp-echo-failure 4\nnoipx\n";
    assert_eq!(found(own), [""; 0]);
}

#[test]
fn an_argument_is_no_option() {
    let innocent = "linkname demand\nconnect 'sync \n dryrun'\nname \"noip\"\nset A=sync # demand\nradius-x sync\n";
    assert_eq!(found(innocent), [""; 0]);
}

#[test]
fn options_are_found_however_they_are_written() {
    for written in
        ["idle 5 demand", "\"demand\"", "\\144emand", "de\\\nmand", "logfile\n/x\ndemand"]
    {
        assert_eq!(found(written).len(), 1, "{written:?}");
    }
}

#[test]
fn files_that_are_taken_in_are_read_too() {
    let dir = host("call provider\nfile /nowhere/else\n");
    fs::create_dir(dir.path().join("peers")).unwrap();
    fs::write(dir.path().join("peers/provider"), "call provider\nnotty\n").unwrap();
    let all = culprits(dir.path(), Wish::from(&Config::default()));
    assert!(all[0].to_string().contains("peers/provider, line 2, has \"notty\""), "{:?}", all[0]);
}

#[test]
fn a_device_is_known_by_its_name_alone() {
    assert_eq!(found("null\n").len(), 1);
    assert_eq!(found("/dev/null\n").len(), 1);
}

#[test]
fn what_only_some_calls_suffer_from_forbids_those_alone() {
    for (options, peer_file, culprit) in [
        ("noccp", "require-mppe-128", Some("\"noccp\"")),
        ("noccp", "nomppe", None),
        ("nodefaultroute", "defaultroute", Some("\"nodefaultroute\"")),
        ("nodefaultroute", "nodefaultroute", None),
        ("usepeerdns", "require-mppe-128", None),
        ("silent\nnoip", "", Some("\"noip\"")),
    ] {
        let forbidden = said_before(options, peer_file).err();
        let said = forbidden.as_deref().unwrap_or_default();
        assert_eq!(culprit.is_some(), !said.is_empty(), "{options} {peer_file}: {said}");
        assert!(said.contains(culprit.unwrap_or_default()), "{options} {peer_file}: {said}");
    }
}

#[test]
fn what_may_keep_a_call_from_becoming_a_tunnel_is_known_before_its_dial() {
    let suspect = said_before("vrf blue\npassive\nsilent\n", "").unwrap().unwrap();
    assert!(suspect.contains("options, line 2, has \"passive\": a server that"), "{suspect}");
    assert!(suspect.ends_with("own peer files"), "{suspect}");
}

#[test]
fn what_a_tunnel_only_has_beside_it_explains_no_failure() {
    assert_eq!(said_before("vrf blue\nusepeerdns\npass-filter \"tcp\"\n", ""), Ok(None));
}

#[test]
fn a_host_without_the_file_is_well() {
    assert_eq!(culprits(Path::new("/nowhere"), Wish::from(&Config::default())), []);
}

#[test]
fn the_page_goes_through_every_option_of_pppd() {
    let page = include_str!("../../../docs/ppp-options.md");
    let told: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let untold = known::all().filter(|option| !told.contains(option)).collect::<Vec<_>>();
    assert_eq!(untold, [""; 0]);
}

#[test]
fn the_page_shows_what_the_peer_file_says_against_them() {
    let page = include_str!("../../../docs/ppp-options.md");
    let ours = overrides::ALWAYS.iter().chain(overrides::LEAVE_RESOLVER);
    let name = |option: &str| option.split(' ').next().unwrap().to_owned();
    let untold = ours.copied().filter(|option| !page.contains(&name(option))).collect::<Vec<_>>();
    assert_eq!(untold, [""; 0]);
}

#[test]
fn the_page_tells_the_harm_that_each_rule_finds() {
    let page = include_str!("../../../docs/ppp-options.md");
    let parts: Vec<&str> = page.split("\n## ").collect();
    for (part, is_deadly) in [(parts[1], true), (parts[2], false)] {
        let names = rules::RULES.iter();
        let names = names.filter(|(.., harm, _)| (*harm == Harm::NoTunnel) == is_deadly);
        for name in names.flat_map(|(names, ..)| *names) {
            assert!(part.contains(&format!("`{name}`")), "{name} is not in: {part}");
        }
    }
}
