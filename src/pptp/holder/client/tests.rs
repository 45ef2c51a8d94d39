use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, mknodat};

use super::*;

#[test]
fn what_stands_where_its_socket_is_to_be_stays_and_is_told_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let [theirs, inside] = ["theirs", "folder/inside"].map(|name| folder.path().join(name));
    let place = |name: &str| folder.path().join(name);
    fs::create_dir(place("folder")).unwrap();
    for file in [&theirs, &inside, &place("file")] {
        fs::write(file, "precious").unwrap();
    }
    mknodat(CWD, place("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    symlink(&theirs, place("link")).unwrap();
    symlink(place("nothing"), place("dangling")).unwrap();
    let _listener = UnixListener::bind(place("socket")).unwrap();
    for name in ["file", "folder", "pipe", "link", "dangling", "socket"] {
        let inode = |path: &Path| fs::symlink_metadata(path).unwrap().ino();
        let (place, before) = (place(name), inode(&place(name)));
        clear_the_place(&place).unwrap();
        let found = Connection::open(&place);
        let told = match found {
            Ok(None) => Connection::start(&place).unwrap_err(),
            other => other.map(drop).unwrap_err(),
        };
        assert!(matches!(&told, HolderError::Taken(path) if *path == place), "{name}: {told}");
        assert!(!told.may_pass() && inode(&place) == before, "{name}");
    }
    for file in [theirs, inside, place("file")] {
        assert_eq!(fs::read_to_string(file).unwrap(), "precious");
    }
    assert!(!place("nothing").exists());
}

#[test]
fn a_socket_that_can_not_be_made_is_told_with_where_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("missing/socket");
    let told = Connection::start(&place).unwrap_err().to_string();
    assert!(
        told.contains(&format!("can't make its socket {}: No such", place.display())),
        "{told}"
    );
}
