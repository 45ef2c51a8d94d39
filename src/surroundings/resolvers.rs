//! The name servers of the host's resolver: resolv.conf(5).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::pptp::driver::resolver;
use crate::watch::{Interest, Watch};

/// The file, and where it lives on hosts where that is a symbolic link, as programs that manage it make
/// it: their own names are watched. systemd-resolved's own holds the servers that it asks.
const FILES: [&str; 4] = [
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/resolvconf/resolv.conf",
    "/run/NetworkManager/resolv.conf",
];

/// Of each file so much is read, in bytes.
const MOST: u64 = 64 * 1024;

/// Tells when one of the files may have changed.
pub(super) struct Watcher(Watch);

impl Watcher {
    pub(super) fn new() -> Self {
        let interest = |file: &&str| {
            let file = Path::new(file);
            Some(Interest::files(file.parent()?, vec![file.file_name()?.to_owned()]))
        };
        Watcher(Watch::new(FILES.iter().filter_map(interest).collect()))
    }

    pub(super) async fn changed(&mut self) {
        self.0.changed().await;
    }
}

/// The servers of all files. One that can't be read names none.
pub(super) async fn read(of_peers: PathBuf) -> BTreeSet<Ipv4Addr> {
    let read = tokio::task::spawn_blocking(move || {
        let named = named_by_peers(&of_peers);
        FILES.iter().flat_map(|file| of_the_host(Path::new(file), named.as_ref())).collect()
    });
    read.await.unwrap_or_default()
}

/// What servers of tunnels have named, and when that was written (`tunnel.use_peer_dns`).
type Named = (Vec<Ipv4Addr>, SystemTime);

fn named_by_peers(file: &Path) -> Option<Named> {
    let (text, written) = read_one(file)?;
    resolver::is_of_peers(&text).then(|| (servers(&text), written))
}

/// None where the file names what servers of tunnels have named: it leads to the file where that stands,
/// or is the copy that Debian's `ip-up.d/0000usepeerdns` makes of it. They are no choice of the host's,
/// and a server may name whatever it likes. A file that was there before is the host's own.
fn of_the_host(file: &Path, by_peers: Option<&Named>) -> Vec<Ipv4Addr> {
    let Some((text, written)) = read_one(file) else { return Vec::new() };
    let servers = servers(&text);
    match by_peers {
        Some((named, at)) if *named == servers && written >= *at => Vec::new(),
        Some(_) | None => servers,
    }
}

/// Its text, and when that was written. A file that is no plain one may hang whoever reads it.
fn read_one(file: &Path) -> Option<(String, SystemTime)> {
    let about = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    let _ = File::open(file).ok()?.take(MOST).read_to_end(&mut bytes);
    Some((String::from_utf8_lossy(&bytes).into_owned(), about.modified().ok()?))
}

fn servers(text: &str) -> Vec<Ipv4Addr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then_some(words.next()?.parse().ok()).flatten()
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_servers_of_a_file_are_found_among_its_other_lines() {
        let text = "# nameserver 1.1.1.1\nsearch example\nnameserver 9.9.9.9\n\tnameserver\t8.8.8.8 # x\n\
                    nameserver 2001:db8::1\nnameserver\noptions edns0\n";
        assert_eq!(servers(text), [Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(8, 8, 8, 8)]);
    }

    #[test]
    fn what_servers_of_tunnels_have_named_is_no_server_of_the_host_where_its_file_has_it_from_there()
     {
        let folder = tempfile::tempdir().unwrap();
        let [there, link, copy] = ["there", "link", "copy"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink(&there, &link).unwrap();
        let named = vec![Ipv4Addr::new(10, 50, 0, 100)];
        for (about, of_the_file) in [
            ("# Written by connexad: the name servers that 10.9.0.2 named last\n", Vec::new()),
            ("", Vec::new()),
            ("# mine\n", named.clone()),
        ] {
            std::fs::write(&there, format!("{about}nameserver 10.50.0.100\n")).unwrap();
            std::fs::write(&copy, "search example\nnameserver 10.50.0.100\n").unwrap();
            let by_peers = named_by_peers(&there);
            assert_eq!(of_the_host(&link, by_peers.as_ref()), of_the_file, "{about}");
            assert_eq!(of_the_host(&copy, by_peers.as_ref()), of_the_file, "{about}");
            let before = there.metadata().unwrap().modified().unwrap() - Duration::from_secs(1);
            File::options().write(true).open(&copy).unwrap().set_modified(before).unwrap();
            assert_eq!(of_the_host(&copy, by_peers.as_ref()), named, "{about}");
        }
    }

    #[test]
    fn what_is_no_plain_file_is_not_opened() {
        assert!(read_one(Path::new("/dev/zero")).is_none());
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::fuzz;

    #[test]
    fn resolvers_are_read_whatever_else_the_file_has() {
        fuzz("tests/fuzz/corpus/resolvers", |bytes| {
            servers(&String::from_utf8_lossy(bytes));
        });
    }
}
