//! The name servers of the host's resolver: resolv.conf(5).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::Path;

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
pub(super) async fn read() -> BTreeSet<Ipv4Addr> {
    let read = tokio::task::spawn_blocking(|| {
        FILES.iter().flat_map(|file| servers(&text(Path::new(file)))).collect()
    });
    read.await.unwrap_or_default()
}

/// A file that is no plain one may hang whoever reads it.
fn text(file: &Path) -> String {
    let mut bytes = Vec::new();
    if file.metadata().is_ok_and(|about| about.is_file())
        && let Ok(file) = File::open(file)
    {
        let _ = file.take(MOST).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
    use super::*;

    #[test]
    fn the_servers_of_a_file_are_found_among_its_other_lines() {
        let text = "# nameserver 1.1.1.1\nsearch example\nnameserver 9.9.9.9\n\tnameserver\t8.8.8.8 # x\n\
                    nameserver 2001:db8::1\nnameserver\noptions edns0\n";
        assert_eq!(servers(text), [Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(8, 8, 8, 8)]);
    }

    #[test]
    fn what_is_no_plain_file_is_not_opened() {
        assert_eq!(text(Path::new("/dev/zero")), "");
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
