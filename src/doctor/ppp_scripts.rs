//! Which scripts of others does pppd run for every tunnel?
//!
//! The daemon needs none of them. They are told as information: an operator who looks for what
//! changes routes, resolver or firewall at each dial finds here where to look.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::restart_command::is_program;
use super::{ANSWER_WITHIN, Finding};
use crate::command;

const CHECK: &str = "ppp_scripts";

/// What pppd runs at a tunnel's coming and going (pppd(8)), and the folders that Debian's own run.
const SCRIPTS: &[&str] =
    &["ip-pre-up", "ip-pre-up.local", "ip-up", "ip-up.local", "ip-down", "ip-down.local"];
const FOLDERS: &[&str] = &["ip-pre-up.d", "ip-up.d", "ip-down.d"];

pub(super) async fn check(ppp_dir: &Path) -> Finding {
    let folder = ppp_dir.to_owned();
    let look = timeout(ANSWER_WITHIN, spawn_blocking(move || scripts(&folder))).await;
    let Ok(Ok(scripts)) = look else {
        let message = format!("the scripts in {} can't be seen", ppp_dir.display());
        return Finding::warning(CHECK, message, "see the kernel's log for a disk that hangs");
    };
    tell(&scripts, packaged(&scripts).await.as_deref())
}

/// Without a dpkg to ask, `packaged` is none, and all are told.
fn tell(scripts: &[PathBuf], packaged: Option<&[PathBuf]>) -> Finding {
    let is_stranger = |script: &&PathBuf| packaged.is_none_or(|known| !known.contains(script));
    let strangers: Vec<String> =
        scripts.iter().filter(is_stranger).map(|script| script.display().to_string()).collect();
    if strangers.is_empty() {
        return Finding::ok(CHECK, "no scripts of others run when a tunnel comes or goes");
    }
    let origin = if packaged.is_some() { ", which no package has brought" } else { "" };
    Finding::ok(CHECK, format!("pppd runs for every tunnel{origin}: {}", strangers.join(", ")))
}

/// The programs there are.
fn scripts(ppp_dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = SCRIPTS.iter().map(|name| ppp_dir.join(name)).collect();
    for folder in FOLDERS {
        let entries = fs::read_dir(ppp_dir.join(folder)).into_iter().flatten().flatten();
        let is_run = |path: &PathBuf| path.file_name().is_some_and(is_of_run_parts);
        let mut inside: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_run).collect();
        inside.sort();
        all.extend(inside);
    }
    all.retain(|file| is_program(file));
    all
}

/// Whether run-parts(8), which Debian's scripts run these folders by, takes a file of this name.
fn is_of_run_parts(name: &OsStr) -> bool {
    let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    name.as_encoded_bytes().iter().all(is_fit)
}

/// Those that a package has brought, where there is a dpkg to ask.
async fn packaged(scripts: &[PathBuf]) -> Option<Vec<PathBuf>> {
    if scripts.is_empty() {
        return Some(Vec::new());
    }
    let names = scripts.iter().map(|script| script.display().to_string());
    let argv = ["dpkg-query", "--search"].map(String::from).into_iter().chain(names);
    let answer = command::ask(&argv.collect::<Vec<_>>(), ANSWER_WITHIN).await.ok()?;
    // `ppp: /etc/ppp/ip-up`
    Some(answer.text.lines().filter_map(|line| Some(line.split_once(": ")?.1.into())).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Verdict;
    use super::*;

    #[tokio::test]
    async fn scripts_of_no_package_are_named_and_are_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ip-up.d")).unwrap();
        for (name, mode) in [
            ("ip-up.d/mine", 0o755),
            ("ip-up.d/notes", 0o644),
            ("ip-up.d/mine.disabled", 0o755),
            ("ip-pre-up", 0o755),
        ] {
            let file = dir.path().join(name);
            fs::write(&file, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let finding = check(dir.path()).await;
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.message.contains("ip-pre-up"), "{}", finding.message);
        assert!(finding.message.contains("ip-up.d/mine"), "{}", finding.message);
        assert!(!finding.message.contains("disabled"), "{}", finding.message);
        assert!(!finding.message.contains("notes"), "{}", finding.message);
    }

    #[test]
    fn scripts_of_packages_are_no_news() {
        let [ours, theirs] = ["/etc/ppp/ip-up", "/etc/ppp/ip-up.d/mine"].map(PathBuf::from);
        let finding = tell(&[ours.clone(), theirs], Some(&[ours]));
        assert!(finding.message.ends_with("brought: /etc/ppp/ip-up.d/mine"), "{finding:?}");
    }

    #[tokio::test]
    async fn a_host_without_scripts_is_well() {
        let finding = check(Path::new("/nowhere")).await;
        assert_eq!(finding.message, "no scripts of others run when a tunnel comes or goes");
    }
}
