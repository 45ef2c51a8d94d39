//! Can others read a password?

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, Finding};
use crate::config::Config;
use crate::desired::beside;

const CHECK: &str = "secret_files";

/// Bits of a mode (inode(7)).
const NOT_THE_OWNERS: u32 = 0o077;
const EVERY_USERS: u32 = 0o007;
const OTHERS_WRITE: u32 = 0o022;

/// A finding for each file that others can read, or one that all is well.
pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let (ppp_dir, database) = (config.paths.ppp_dir.clone(), config.database.path.clone());
    let look = spawn_blocking(move || look(&ppp_dir, &database));
    timeout(ANSWER_WITHIN, look).await.ok().and_then(Result::ok).unwrap_or_else(|| {
        let message = "who can read the passwords can't be seen";
        vec![Finding::warning(CHECK, message, "see the kernel's log for a disk that hangs")]
    })
}

fn look(ppp_dir: &Path, database: &Path) -> Vec<Finding> {
    let peers = ppp_dir.join("peers");
    let mut ours = vec![ppp_dir.join("chap-secrets")];
    ours.extend(names(&peers).filter(|path| is_peer_file(path)));
    let mut findings: Vec<Finding> = ours.iter().filter_map(|file| of_root(file)).collect();
    findings.extend([ppp_dir, &peers].into_iter().filter_map(folder));
    // The backend may be of a user and a group of its own.
    let database_files =
        ["", "-wal", "-journal"].map(|end| PathBuf::from(beside(database.as_os_str(), end)));
    findings.extend(database_files.iter().filter_map(|file| of_backend(file)));
    if findings.is_empty() {
        let message = format!(
            "no other user can read the passwords in {} and {}",
            ppp_dir.display(),
            database.display()
        );
        findings.push(Finding::ok(CHECK, message));
    }
    findings
}

fn names(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn is_peer_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"connexa-node-"))
}

/// A file that is root's alone.
fn of_root(file: &Path) -> Option<Finding> {
    let there = match fs::metadata(file) {
        Ok(there) => there,
        Err(error) => return unseen(file, &error),
    };
    if there.mode() & NOT_THE_OWNERS == 0 && there.uid() == 0 {
        return None;
    }
    let shown = file.display();
    let message =
        format!("{shown} can be read or changed by others than root ({})", rights(&there));
    Some(Finding::failed(CHECK, message, format!("chown root:root {shown} && chmod 600 {shown}")))
}

/// A folder of such files: who writes it puts files of its own in their place.
fn folder(folder: &Path) -> Option<Finding> {
    let there = match fs::metadata(folder) {
        Ok(there) => there,
        Err(error) => return unseen(folder, &error),
    };
    if there.mode() & OTHERS_WRITE == 0 && there.uid() == 0 {
        return None;
    }
    let shown = folder.display();
    let message = format!("others than root can replace files in {shown} ({})", rights(&there));
    Some(Finding::failed(CHECK, message, format!("chown root:root {shown} && chmod go-w {shown}")))
}

fn of_backend(file: &Path) -> Option<Finding> {
    let there = match fs::metadata(file) {
        Ok(there) => there,
        Err(error) => return unseen(file, &error),
    };
    if there.mode() & EVERY_USERS == 0 {
        return None;
    }
    let shown = file.display();
    let message = format!("every user can read the passwords in {shown} ({})", rights(&there));
    Some(Finding::warning(CHECK, message, format!("chmod o= {shown}")))
}

fn rights(there: &fs::Metadata) -> String {
    format!("mode {:03o}, owner {}", there.mode() & 0o777, there.uid())
}

/// A file that is not there holds nothing.
fn unseen(file: &Path, error: &io::Error) -> Option<Finding> {
    let is_gone = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let message = format!("who can read {} can't be seen: {error}", file.display());
    (!is_gone).then(|| Finding::warning(CHECK, message, "ask again as root"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Verdict;
    use super::*;

    /// What is found where files and folders have these modes, each with what it is about. Tests
    /// that run as another user than root find that on top, of the files that are root's.
    fn found(modes: &[(&str, u32)]) -> Vec<(Verdict, String)> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("ppp/peers")).unwrap();
        for file in ["ppp/chap-secrets", "ppp/peers/connexa-node-2", "ppp/peers/mine", "nodes.db"] {
            fs::write(dir.path().join(file), "").unwrap();
            fs::set_permissions(dir.path().join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::set_permissions(dir.path().join("ppp/peers/mine"), fs::Permissions::from_mode(0o644))
            .unwrap();
        for (name, mode) in modes {
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(*mode)).unwrap();
        }
        let all = look(&dir.path().join("ppp"), &dir.path().join("nodes.db"));
        all.into_iter()
            .map(|finding| (finding.verdict, finding.remedy.unwrap_or_default()))
            .collect()
    }

    fn has(found: &[(Verdict, String)], verdict: Verdict, remedy: &str) -> bool {
        found.iter().any(|(of, told)| *of == verdict && told.ends_with(remedy))
    }

    #[test]
    fn a_host_whose_secrets_are_roots_is_well() {
        if rustix::process::geteuid().is_root() {
            assert_eq!(found(&[]), [(Verdict::Ok, String::new())]);
        }
    }

    #[test]
    fn each_file_that_others_can_read_is_told_with_the_command_that_helps() {
        let found = found(&[
            ("ppp/chap-secrets", 0o640),
            ("ppp/peers/connexa-node-2", 0o604),
            ("nodes.db", 0o644),
        ]);
        assert!(has(&found, Verdict::Failed, "ppp/chap-secrets"), "{found:?}");
        assert!(has(&found, Verdict::Failed, "connexa-node-2"), "{found:?}");
        assert!(has(&found, Verdict::Warning, "nodes.db"), "{found:?}");
        assert!(!found.iter().any(|(_, told)| told.contains("mine")), "{found:?}");
    }

    #[test]
    fn a_folder_that_others_can_write_fails() {
        assert!(has(&found(&[("ppp/peers", 0o777)]), Verdict::Failed, "peers"));
    }

    #[test]
    fn a_host_without_such_files_is_well() {
        let found = look(Path::new("/nowhere"), Path::new("/nowhere/nodes.db"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].verdict, Verdict::Ok);
    }
}
