//! Files that exist whole or not at all, with mode 0600 from their first byte.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

const MODE: u32 = 0o600;

/// Files larger than this are nobody's secrets or options, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Why a file is not as it should be.
#[derive(Debug, thiserror::Error)]
#[error("can't {verb} {}: {source}; {REMEDY}", path.display())]
pub(crate) struct FileError {
    verb: &'static str,
    path: PathBuf,
    source: io::Error,
}

const REMEDY: &str =
    "make its folder writable for connexad (space, read-only mount, ReadWritePaths= of its unit)";

/// For `map_err`: puts place and purpose to an I/O error.
fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError { verb, path: path.to_owned(), source }
}

/// Makes the file hold `content`, replacing even a link: only the daemon writes it. It holds that
/// after a power failure, too.
///
/// # Errors
/// When it can't be written; then it is as it was.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    put(path, content).and_then(|()| sync_folder(path)).map_err(failed("write", path))
}

/// The same for a file that is written anew from the database at every start: a power failure may
/// bring the former one back, and never half of one.
///
/// # Errors
/// When it can't be written; then it is as it was.
pub(crate) fn write_for_now(path: &Path, content: &[u8]) -> Result<(), FileError> {
    put(path, content).map_err(failed("write", path))
}

/// Gives the file the content that `change` makes of the present one; a missing file is empty,
/// and stays missing when nothing is to be in it. A power failure may bring the former one back,
/// as with [`write_for_now`].
///
/// A link is followed and the file that it leads to is replaced: others edit this file too, and
/// whoever keeps it elsewhere (a data volume, a folder under version control) would find his own
/// file out of use without a word.
///
/// # Errors
/// When it can't be read or written; then it is as it was.
pub(crate) fn edit(path: &Path, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<(), FileError> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            path.to_owned()
        }
        Err(error) => return Err(failed("follow", path)(error)),
    };
    let old = read(&target).map_err(failed("read", path))?;
    let new = change(old.as_deref().unwrap_or_default());
    if old.is_none() && new.is_empty() {
        return Ok(());
    }
    put(&target, &new).map_err(failed("write", path))
}

/// Removes the file; a missing one is fine.
///
/// # Errors
/// When it is there and can't be removed.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The names in a folder that are text; none when the folder is missing.
///
/// # Errors
/// When it can't be read.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("read", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("read", folder))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// The name under which a file is written before it takes its own.
fn draft_name(name: &str) -> String {
    format!(".{name}.connexad-new")
}

/// The file that a draft was to become, for a name left behind by a crash.
pub(crate) fn of_draft(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".connexad-new")
}

fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    if !path.is_symlink() && read(path).is_ok_and(|old| old.as_deref() == Some(content)) {
        return right_mode(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    fs::create_dir_all(folder)?;
    let draft = folder.join(draft_name(name));
    let result = write_draft(&draft, content).and_then(|()| fs::rename(&draft, path));
    if result.is_err() {
        let _ = fs::remove_file(&draft);
    }
    result
}

/// Puts the file's name on disk, too; its content is there already.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn write_draft(draft: &Path, content: &[u8]) -> io::Result<()> {
    // One that a crash left behind. What can't be removed makes create_new fail.
    let _ = fs::remove_file(draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(draft)?;
    file.write_all(content)?;
    file.sync_all()
}

fn right_mode(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode == MODE { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(MODE)) }
}

/// The content of a plain file; `None` when there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_at_most(path, LARGEST)
}

/// The same, and a file of more bytes than `most` is an error.
pub(crate) fn read_at_most(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    // Not to hang on a fifo.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|len| len <= most) {
        Ok(Some(content))
    } else {
        Err(io::ErrorKind::FileTooLarge.into())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn listing(folder: &Path) -> Vec<String> {
        let mut names = names(folder).unwrap();
        names.sort();
        names
    }

    #[test]
    fn a_written_file_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/peers/a");
        write(&path, b"one").unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o600));
        assert_eq!(listing(path.parent().unwrap()), ["a"]);
    }

    #[test]
    fn the_same_content_is_not_written_again_and_its_mode_is_put_right() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        write(&path, b"one").unwrap();
        assert_eq!((fs::metadata(&path).unwrap().ino(), mode(&path)), (inode, 0o600));
    }

    #[test]
    fn a_file_is_replaced_not_written_into() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "one").unwrap();
        let mut reader = File::open(&path).unwrap();
        write(&path, b"other").unwrap();
        let mut seen = String::new();
        reader.read_to_string(&mut seen).unwrap();
        assert_eq!((seen.as_str(), fs::read(&path).unwrap()), ("one", b"other".to_vec()));
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind_and_names_path_cause_and_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::create_dir_all(path.join("full")).unwrap();
        let message = write(&path, b"one").unwrap_err().to_string();
        assert!(message.starts_with(&format!("can't write {}: Is a directory", path.display())));
        assert!(message.contains("; make its folder writable"), "{message}");
        assert_eq!(listing(dir.path()), ["a"]);
    }

    #[test]
    fn a_draft_left_by_a_crash_is_overwritten_and_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, dir.path().join(draft_name("a"))).unwrap();
        write(&dir.path().join("a"), b"one").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        assert_eq!(listing(dir.path()), ["a", "victim"]);
    }

    #[test]
    fn our_own_file_replaces_a_link_and_spares_what_it_led_to() {
        let dir = tempfile::tempdir().unwrap();
        let [victim, path] = ["victim", "a"].map(|name| dir.path().join(name));
        fs::write(&victim, "one").unwrap();
        symlink(&victim, &path).unwrap();
        write(&path, b"one").unwrap();
        assert!(!path.is_symlink());
    }

    #[test]
    fn a_linked_file_of_others_is_edited_where_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        let [link, target] = ["link", "sub/target"].map(|name| dir.path().join(name));
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(&target, "one").unwrap();
        symlink(&target, &link).unwrap();
        edit(&link, |old| [old, b"two"].concat()).unwrap();
        assert!(link.is_symlink());
        assert_eq!((fs::read(&target).unwrap(), mode(&target)), (b"onetwo".to_vec(), 0o600));
    }

    #[test]
    fn a_link_to_nowhere_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink(dir.path().join("gone"), &link).unwrap();
        assert!(
            edit(&link, |_| b"x".to_vec()).unwrap_err().to_string().starts_with("can't follow")
        );
    }

    #[test]
    fn a_missing_file_stays_missing_when_nothing_is_to_be_in_it() {
        let dir = tempfile::tempdir().unwrap();
        edit(&dir.path().join("a"), |_| Vec::new()).unwrap();
        assert_eq!(listing(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_missing_file_is_removed_already() {
        let dir = tempfile::tempdir().unwrap();
        assert!(remove(&dir.path().join("a")).is_ok());
    }
}
