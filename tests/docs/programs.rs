//! The command lines of the two programs, as their own help tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::gateway::{CONNEXACTL, CONNEXAD};

/// A program or one of its commands.
#[derive(Debug, Default)]
struct Help {
    commands: BTreeSet<String>,
    /// Whether each option has a value.
    options: BTreeMap<String, bool>,
}

/// All that can be said to the two programs.
#[derive(Debug)]
pub(crate) struct Programs(BTreeMap<String, Help>);

impl Programs {
    pub(crate) fn ask() -> Self {
        let mut programs = Programs(BTreeMap::new());
        programs.learn("connexad", CONNEXAD, &[]);
        programs.learn("connexactl", CONNEXACTL, &[]);
        programs
    }

    fn learn(&mut self, name: &str, program: &str, path: &[&str]) {
        let output = Command::new(program).args(path).arg("--help").output().unwrap();
        let mut help = Help::default();
        let mut section = String::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some(_) if line.ends_with(':') && !line.starts_with(' ') => {
                    section = line.to_owned()
                }
                Some(word) if section == "Commands:" && word != "help" => {
                    help.commands.insert(word.to_owned());
                }
                Some(word) if word.starts_with('-') => {
                    let mut long = [Some(word), words.next()].into_iter().flatten();
                    let option = long.rfind(|word| word.starts_with("--")).unwrap_or(word);
                    help.options.insert(option.to_owned(), line.contains('<'));
                }
                _ => {}
            }
        }
        for command in &help.commands {
            let path: Vec<&str> = path.iter().copied().chain([&**command]).collect();
            self.learn(&format!("{name} {command}"), program, &path);
        }
        self.0.insert(name.to_owned(), help);
    }

    /// Whether any of them has this option.
    pub(crate) fn have_option(&self, option: &str) -> bool {
        self.0.values().any(|help| help.options.contains_key(option))
    }

    /// What is wrong with a command line, in those of its parts that are these programs'.
    pub(crate) fn refuse(&self, line: &str) -> Option<String> {
        line.split(['|', ';', '&']).find_map(|part| self.refuse_one(part))
    }

    fn refuse_one(&self, line: &str) -> Option<String> {
        let mut words = line.split_whitespace().skip_while(|word| *word == "sudo");
        let mut name = words.next()?.to_owned();
        let mut help = self.0.get(&name)?;
        while let Some(word) = words.next() {
            if word == "#" || "<>".contains(word) {
                break;
            }
            let option = word.split('=').next().unwrap_or(word);
            if option.starts_with("--") {
                match help.options.get(option) {
                    None => return Some(format!("{name} has no option {option}")),
                    Some(true) if option == word => drop(words.next()),
                    Some(_) => {}
                }
            } else if !help.commands.is_empty() {
                if !help.commands.contains(word) {
                    return Some(format!("{name} has no command {word}"));
                }
                name = format!("{name} {word}");
                help = &self.0[&name];
            }
        }
        None
    }
}

#[test]
fn a_command_line_that_the_programs_do_not_take_is_found() {
    let programs = Programs::ask();
    for line in [
        "connexactl statsu",
        "connexactl status --jsno",
        "connexad --onec",
        "connexactl status --password-stdin",
        "echo | connexactl node",
    ] {
        let longer = format!("{line} x");
        assert!(programs.refuse(&longer).is_some(), "{longer}");
    }
    for line in [
        "connexactl --socket /run/x.sock status 2 --json # exit code 1",
        "systemctl status --what",
        "connexactl node set 6 --mppe off",
    ] {
        assert_eq!(programs.refuse(line), None, "{line}");
    }
}
