//! Completions, asked for by real shells in their own ways, with nodes of a daemon that runs.

use std::path::Path;
use std::process::Command;

use crate::gateway::{CONNEXACTL, Gateway};
use crate::namespace::run;

/// Of a shell that hangs, seconds.
const LIMIT: &str = "60";

/// What a shell completes is asked by its script of these words.
struct Host(Gateway);

impl Host {
    fn new() -> Self {
        let host = Host(Gateway::mixed());
        host.0.install("connexactl", Path::new(CONNEXACTL));
        host
    }

    /// A shell that finds `connexactl`, and the file of its completions.
    fn shell(&self, shell: &str) -> (Command, String) {
        let file = self.0.path(&format!("completions.{shell}"));
        std::fs::write(&file, run(&mut self.0.connexactl(&["completions", shell]))).unwrap();
        let mut command = Command::new("timeout");
        command.args([LIMIT, shell]).env("HOME", self.0.path(""));
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.0.path("bin").display()));
        (command, file.display().to_string())
    }

    fn socket(&self) -> String {
        self.0.path("control/connexad.sock").display().to_string()
    }

    /// As bash does at the tab key: the function that is registered, with the line's words.
    fn bash(&self, words: &[&str]) -> String {
        let (mut command, file) = self.shell("bash");
        let script = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
            [[ $(complete -p connexactl) =~ -F\\ ([^ ]+) ]] || exit 1
            \"${BASH_REMATCH[1]}\" connexactl \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"
            printf '%s\\n' \"${COMPREPLY[@]}\"";
        command.args(["--norc", "-c", script, "bash", &file, "connexactl", "--socket"]);
        run(command.arg(self.socket()).args(words))
    }

    fn fish(&self, words: &str) -> String {
        let (mut command, file) = self.shell("fish");
        let line = format!("connexactl --socket {} {words}", self.socket());
        run(command.args([
            "--no-config",
            "-c",
            "source $argv[1]; complete -C $argv[2]",
            &file,
            &line,
        ]))
    }

    /// What is listed up to this end, with one blank between words. The script is sourced, or loaded
    /// by zsh itself, where it stands as packages have it.
    fn zsh(&self, loaded: bool, words: &str, end: &str) -> String {
        let (mut command, file) = self.shell("zsh");
        let of_package = self.0.path("_connexactl").display().to_string();
        std::fs::copy(&file, &of_package).unwrap();
        let file = if loaded { of_package } else { file };
        let terminal = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/complete.zsh");
        let line = format!("connexactl --socket {} {words}", self.socket());
        let shown = run(command.args(["-f", terminal, &file, &line, end]));
        shown.replace('\0', "").split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn bash_completes_commands_and_the_nodes_of_the_daemon() {
    let host = Host::new();
    assert_eq!(host.bash(&["expl"]).trim(), "explain");
    assert_eq!(host.bash(&["retry", ""]).lines().take(4).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
}

#[test]
fn fish_completes_commands_and_the_nodes_of_the_daemon() {
    let host = Host::new();
    assert!(host.fish("expl").starts_with("explain\tTell why"), "{}", host.fish("expl"));
    let nodes = host.fish("retry ");
    assert!(nodes.starts_with("1\tup 10.9.0.1\n2\tup 10.9.0.2\n3\tquarantined"), "{nodes}");
}

#[test]
fn zsh_completes_commands_and_the_nodes_of_the_daemon() {
    let host = Host::new();
    for loaded in [false, true] {
        assert!(host.zsh(loaded, "expl", "-- Tell why").contains("explain"));
        let nodes = host.zsh(loaded, "retry ", "-- invalid nowhere");
        for node in ["1 -- up 10.9.0.1", "2 -- up 10.9.0.2", "3 -- quarantined 10.9.0.3"] {
            assert!(nodes.contains(node), "{node} in {nodes}");
        }
    }
}
