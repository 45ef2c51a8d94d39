//! What is told of a file.

use std::fmt::Write;
use std::path::Path;

use super::{Config, parse};
use crate::node::Engine;

/// What is told of this text, a line for each fault, without the file's name.
fn told(text: &str) -> Vec<String> {
    let lines = parse(Path::new("c.toml"), text).unwrap_err().lines();
    lines.iter().map(|line| line.strip_prefix("c.toml: ").unwrap().to_owned()).collect()
}

/// The same of a text with one fault, without the place.
fn fault(text: &str) -> String {
    let lines = told(text);
    let [line] = lines.as_slice() else { panic!("one fault, not: {lines:#?}") };
    line.split_once("`): ").expect("a place").1.to_owned()
}

#[test]
fn an_empty_file_means_defaults() {
    assert_eq!(parse(Path::new("c.toml"), "").unwrap(), Config::default());
}

#[test]
fn what_check_config_prints_reads_back_the_same() {
    let text = toml::to_string(&Config::default()).unwrap();
    assert_eq!(parse(Path::new("c.toml"), &text).unwrap(), Config::default());
}

#[test]
fn an_error_names_the_file() {
    assert_eq!(
        parse(Path::new("c.toml"), "[tunnel]\nmtuu = 1400\n").unwrap_err().to_string(),
        "c.toml: line 2, column 1 (`mtuu = 1400`): unknown key `mtuu`; did you mean `mtu`?"
    );
}

#[test]
fn all_faults_are_told_in_the_order_of_the_file() {
    let text = "probe.loss = 0
[outage]
interval = \"soon\"
windows = \"3\"
[tunnel]
mtuu = 1400
mtu = 90
backoff = { min = \"9m\", jitter = 2.0 }
interface_name = \"nodes\"
[nonsense]
a = 1
b = 2
[backend]
restart = [\"supervisorctl\", 5]
";
    assert_eq!(
        told(text),
        [
            "line 1, column 14 (`probe.loss = 0`): probe.loss is 0; give a whole number from 1 to 4294967295",
            "line 3, column 12 (`interval = \"soon\"`): outage.interval: \"soon\" is not a duration such as \"90s\" or \"5m\"",
            "line 4, column 11 (`windows = \"3\"`): outage.windows is \"3\"; give a whole number from 1 to 4294967295",
            "line 6, column 1 (`mtuu = 1400`): unknown key `mtuu`; did you mean `mtu`?",
            "line 7, column 7 (`mtu = 90`): tunnel.mtu is 90; give a whole number from 128 to 1500",
            "line 8, column 19 (`backoff = { min = \"9m\", jitter = 2.0 }`): tunnel.backoff.min is 9m, longer than tunnel.backoff.max, which is 5m; make this one shorter or the other one longer",
            "line 8, column 34 (`backoff = { min = \"9m\", jitter = 2.0 }`): tunnel.backoff.jitter is 2; give a number from 0.0 to 1.0",
            "line 9, column 18 (`interface_name = \"nodes\"`): tunnel.interface_name is \"nodes\"; give \"kernel\" or \"node\"",
            "line 10, column 2 (`[nonsense]`): unknown key `nonsense`, expected one of `database`, `selection`, `tunnel`, `routing`, `hooks`, `probe`, `outage`, `backend`, `control`, `metrics`, `log`, `paths`",
            "line 14, column 29 (`restart = [\"supervisorctl\", 5]`): backend.restart has 5 in it; give a list of texts in quotes",
        ]
    );
}

#[test]
fn a_fault_of_the_grammar_is_told_alone() {
    let text = "[tunnel]\nmtu = 90\nmru = oops\nmtuu = 1\n";
    let lines = told(text);
    assert!(
        lines.len() == 1 && lines[0].starts_with("line 3, column 7 (`mru = oops`): "),
        "{lines:?}"
    );
}

#[test]
fn a_key_that_is_there_twice_is_told_with_its_place() {
    assert_eq!(
        told("[tunnel]\nmtu = 1400\nmtu = 1300\n"),
        ["line 3, column 1 (`mtu = 1300`): this key is there already; leave one out"]
    );
}

#[test]
fn a_value_that_could_not_be_read_proves_nothing_against_another() {
    // Against its default, 5m, the other would be too long.
    let text = "[tunnel]\nbackoff = { min = \"9m\", max = \"long\" }\n";
    assert!(fault(text).starts_with("tunnel.backoff.max: \"long\" is not a duration"));
}

#[test]
fn a_value_that_is_wrong_in_itself_is_not_told_again_against_another() {
    let text = "[probe]\ninterval = \"0s\"\n";
    assert!(fault(text).starts_with("probe.interval must be longer than 0s"));
}

#[test]
fn of_two_keys_that_contradict_each_other_the_place_is_that_of_the_one_in_the_file() {
    let lines = told("[probe]\ninterval = \"2s\"\n");
    assert!(
        lines[0].starts_with(
            "line 2, column 12 (`interval = \"2s\"`): probe.timeout is 3s, longer than"
        ),
        "{lines:?}"
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_told_without_the_types_of_rust() {
    for (text, message) in [
        ("tunnel.mtu = 70000", "tunnel.mtu is 70000; give a whole number from 128 to 1500"),
        ("tunnel.mtu = -1", "tunnel.mtu is -1; give a whole number from 128 to 1500"),
        ("tunnel.mtu = 1e3", "tunnel.mtu is 1e3; give a whole number from 128 to 1500"),
        (
            "tunnel.mtu = 99999999999999999999",
            "tunnel.mtu is 99999999999999999999; give a whole number from 128 to 1500",
        ),
        ("tunnel.mtu = { a = 1 }", "tunnel.mtu is a section; give a whole number from 128 to 1500"),
        (
            "tunnel.mtu = 1979-05-27",
            "tunnel.mtu is the time 1979-05-27; give a whole number from 128 to 1500",
        ),
        (
            "tunnel.lcp_echo_failure = \"3\"",
            "tunnel.lcp_echo_failure is \"3\"; give a whole number from 0 to 65535",
        ),
        (
            "tunnel.keep_on_exit = \"yes\"",
            "tunnel.keep_on_exit is \"yes\"; give true or false, without quotes",
        ),
        (
            "tunnel.backoff.jitter = \"a\"",
            "tunnel.backoff.jitter is \"a\"; give a number such as 0.2, without quotes",
        ),
        (
            "outage.interval = 30",
            "outage.interval is 30; give a duration in quotes, such as \"30s\"",
        ),
        (
            "probe.target = 5",
            "probe.target is 5; give a target in quotes, such as \"icmp:10.0.0.1\"",
        ),
        ("database.table = 5", "database.table is 5; give a text in quotes"),
        ("database.path = 5", "database.path is 5; give an absolute path in quotes"),
        ("hooks.up = \"x\"", "hooks.up is \"x\"; give a list of texts such as [\"a\", \"b\"]"),
        ("tunnel.interface_name = 5", "tunnel.interface_name is 5; give \"kernel\" or \"node\""),
        ("tunnel = 5", "tunnel is 5, not a section; write [tunnel] once, and its keys below it"),
        (
            "tunnel = [1400]",
            "tunnel is a list, not a section; write [tunnel] once, and its keys below it",
        ),
        (
            "[[tunnel]]\nmtu = 1400",
            "tunnel is a list, not a section; write [tunnel] once, and its keys below it",
        ),
    ] {
        assert_eq!(fault(text), message, "{text}");
    }
}

#[test]
fn a_key_of_another_section_is_told_with_that_section() {
    assert_eq!(fault("mtu = 1400"), "unknown key `mtu` here; it belongs into [tunnel]");
    let message = fault("[selection]\ninterval = \"30s\"");
    assert_eq!(message, "unknown key `interval` here; it belongs into [outage] or [probe]");
}

#[test]
fn an_engine_that_there_is_not_is_told_with_those_there_are() {
    let names = Engine::ALL.map(|engine| format!("\"{engine}\""));
    let (last, before) = names.split_last().unwrap();
    let message = format!("tunnel.engine is \"l2tp\"; give {} or {last}", before.join(", "));
    assert_eq!(fault("[tunnel]\nengine = \"l2tp\""), message);
}

#[test]
fn every_entry_of_a_list_is_judged() {
    let lines = told("backend.units = [\"--force\", \"x.service\", \"-a\"]");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn a_fault_stays_one_line_and_short_whatever_the_file_holds() {
    let long = "x".repeat(5000);
    for text in [
        format!("database.table = 5 # {long}"),
        format!("tunnel.interface_name = \"{long}\""),
        "outage.interval = \"\"\"a\nb\\u001b[2J\"\"\"".to_owned(),
        "tunnel.mtu = 5 # \u{202e}".to_owned(),
    ] {
        let lines = told(&text);
        let is_plain = |line: &String| {
            line.len() < 400 && !line.chars().any(|c| c.is_control() || c == '\u{202e}')
        };
        assert!(lines.len() == 1 && lines.iter().all(is_plain), "{lines:?}");
    }
}

#[test]
fn of_very_many_faults_some_are_told_and_that_there_are_more() {
    let text = (0..1000).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "nonsense{number} = 1");
        text
    });
    let lines = told(&text);
    assert_eq!(lines.len(), 101);
    assert_eq!(lines[100], "and more faults than these 100; mend these first");
}

#[test]
fn values_that_can_not_work_are_refused() {
    for (text, key) in [
        ("[tunnel]\nmtu = 90", "tunnel.mtu"),
        ("[hooks]\nup = []", "hooks.up"),
        ("[probe]\ntimeout = \"20s\"", "probe.timeout"),
        ("[probe]\nloss = 0", "probe.loss"),
        ("[routing]\ntable_base = 0", "routing.table_base"),
        ("[routing]\nwhen_down = \"unreachable\"", "routing.when_down"),
        ("[tunnel]\ndial_concurrency = 0", "tunnel.dial_concurrency"),
        ("[tunnel]\nbackoff = { min = \"9m\" }", "tunnel.backoff.min"),
        ("[backend]\nrestart = []", "backend.restart"),
        ("[backend]\nrestart = [\"\"]", "backend.restart"),
        ("[backend]\nrestart_timeout = \"0s\"", "backend.restart_timeout"),
        ("[backend]\nready_timeout = \"0s\"", "backend.ready_timeout"),
        ("[backend]\nport = 0", "backend.port"),
        ("[hooks]\nup = [\"\"]", "hooks.up"),
        ("[backend]\nunits = [\"--force\"]", "backend.units"),
        ("[paths]\npptp = \"/usr/sbin/pptp; reboot\"", "paths.pptp"),
        ("[paths]\nstate_dir = \"here\"", "paths.state_dir"),
        ("[tunnel]\nextra_options = [\"persist\"]", "tunnel.extra_options"),
        ("[tunnel]\nextra_options = [\"debug\\npty x\"]", "tunnel.extra_options"),
        ("[tunnel]\nextra_options = [\"ms-dns 1.1.1.1 pty x\"]", "tunnel.extra_options"),
        ("[tunnel]\nextra_options = ['\"persist\"']", "tunnel.extra_options"),
        ("[tunnel]\nextra_options = [\"require-pap\"]", "tunnel.extra_options"),
        ("[tunnel]\nextra_options = [\"refuse-mschap-v2\"]", "tunnel.extra_options"),
        ("[outage]\ninterval = \"0s\"", "outage.interval"),
    ] {
        assert!(fault(text).starts_with(key), "{text}: {}", fault(text));
    }
}
