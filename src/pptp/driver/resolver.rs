//! `tunnel.use_peer_dns`: name servers that a server names, where pppd puts them, which is `resolv.conf`
//! in `paths.ppp_dir`. The last tunnel to come up has its own there, as with pppd.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::atomic_file::{self, FileError};
use crate::config::Paths;

/// What the file begins with: by this it is known to be connexad's.
const MARK: &str = "# Written by connexad";

/// One at a time: a draft has one name.
static WRITES: Mutex<()> = Mutex::new(());

/// Where it is.
pub(crate) fn file(paths: &Paths) -> PathBuf {
    paths.ppp_dir.join("resolv.conf")
}

/// Why the file is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolverError {
    /// It can't be written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Somebody else's file has its name.
    #[error("{} is neither connexad's, which begins with {MARK:?}, nor pppd's, and nothing of others is replaced; move it away", .0.display())]
    Stranger(PathBuf),
}

/// Writes the name servers that a server has named, if it has, and tells them. A tunnel is one
/// without them, too.
pub(super) fn keep(file: &Path, server: Ipv4Addr, named: &[Ipv4Addr]) {
    if named.is_empty() {
        return;
    }
    let list = named.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let about = format!("Name servers by the tunnel to {server}: {list}");
    match write(file, server, named) {
        Ok(()) => tracing::info!("{about}; {} has them", file.display()),
        Err(error) => tracing::warn!("{about}; no file has them: {error}"),
    }
}

/// Writes the name servers that a server has named.
///
/// # Errors
/// When that fails, or another's file stands there; then it is as it was.
fn write(file: &Path, server: Ipv4Addr, named: &[Ipv4Addr]) -> Result<(), ResolverError> {
    let _one = WRITES.lock().unwrap_or_else(PoisonError::into_inner);
    let old = content(file);
    if !is_of_peers(&old) {
        return Err(ResolverError::Stranger(file.to_owned()));
    }
    Ok(atomic_file::write_for_all(file, text(server, named).as_bytes())?)
}

/// Whether it is there and connexad's.
pub(crate) fn is_there(file: &Path) -> bool {
    is_ours(&content(file))
}

/// Removes it where it is connexad's.
///
/// # Errors
/// When it can't be removed.
pub(crate) fn remove(file: &Path) -> Result<(), ResolverError> {
    if is_there(file) {
        atomic_file::remove(file)?;
    }
    Ok(())
}

fn text(server: Ipv4Addr, named: &[Ipv4Addr]) -> String {
    let about =
        format!("{MARK}: the name servers that {server} named last (tunnel.use_peer_dns)\n");
    named.iter().fold(about, |mut text, address| {
        let _ = writeln!(text, "nameserver {address}");
        text
    })
}

/// What can't be read is for its writing to tell.
fn content(file: &Path) -> String {
    let content = atomic_file::read(file).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&content).into_owned()
}

/// Whether it holds what servers of tunnels have named: written by connexad, or by pppd.
pub(crate) fn is_of_peers(content: &str) -> bool {
    is_ours(content) || is_of_pppd(content)
}

fn is_ours(content: &str) -> bool {
    content.starts_with(MARK)
}

/// Whether it holds nothing but what pppd writes, which each of its calls replaces (`create_resolv` in its
/// ipcp.c).
fn is_of_pppd(content: &str) -> bool {
    content.lines().all(|line| {
        line.strip_prefix("nameserver ").is_some_and(|ip| ip.parse::<Ipv4Addr>().is_ok())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
    const NAMED: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 50, 0, 53), Ipv4Addr::new(10, 50, 0, 54)];

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        (folder, file)
    }

    #[test]
    fn name_servers_are_written_for_everybody_to_read_and_the_last_ones_stand() {
        let (_folder, file) = place();
        write(&file, SERVER, &NAMED).unwrap();
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "# Written by connexad: the name servers that 10.9.0.2 named last (tunnel.use_peer_dns)\n\
             nameserver 10.50.0.53\nnameserver 10.50.0.54\n"
        );
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        write(&file, SERVER, &NAMED[1..]).unwrap();
        assert!(fs::read_to_string(&file).unwrap().ends_with(")\nnameserver 10.50.0.54\n"));
    }

    #[test]
    fn what_pppd_has_written_is_replaced_as_its_own_calls_do() {
        let (_folder, file) = place();
        fs::write(&file, "nameserver 10.9.0.99\nnameserver 10.9.0.98\n").unwrap();
        write(&file, SERVER, &NAMED).unwrap();
        assert!(is_there(&file));
    }

    #[test]
    fn a_file_of_others_stays_and_is_told() {
        let (folder, file) = place();
        for text in ["# mine\nnameserver 10.9.0.99\n", "search example.org\n", "nameserver ::1\n"] {
            fs::write(&file, text).unwrap();
            let told = write(&file, SERVER, &NAMED).unwrap_err();
            assert!(matches!(told, ResolverError::Stranger(_)), "{told}");
            remove(&file).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        let theirs = folder.path().join("theirs");
        fs::write(&theirs, "nameserver 10.9.0.99\n").unwrap();
        fs::remove_file(&file).unwrap();
        symlink(&theirs, &file).unwrap();
        let told = write(&file, SERVER, &NAMED).unwrap_err();
        assert!(told.to_string().contains("is a symbolic link"), "{told}");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "nameserver 10.9.0.99\n");
    }

    #[test]
    fn only_a_file_of_connexads_is_removed() {
        let (_folder, file) = place();
        remove(&file).unwrap();
        write(&file, SERVER, &NAMED).unwrap();
        remove(&file).unwrap();
        assert!(!file.exists());
        fs::write(&file, "nameserver 10.9.0.99\n").unwrap();
        remove(&file).unwrap();
        assert!(file.exists());
    }
}
