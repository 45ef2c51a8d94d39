//! Files that exist whole or not at all, with their mode, 0600 but where it is said, from their first
//! byte, in place of plain files alone: what has a name of ours and is of another kind is not ours.

mod edit;
mod in_place;

use std::fs::{self, File, FileType, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::process::is_want;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

pub(crate) use edit::{Edited, edit};

const MODE: u32 = 0o600;
/// Of what everybody may read.
const MODE_FOR_ALL: u32 = 0o644;

/// Files larger than this are nobody's secrets or options, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Room beside what a file is said to hold.
const SPARE: usize = 64;

/// Why a file is not as it should be.
#[derive(Debug, thiserror::Error)]
#[error("can't {verb} {}: {fault}", path.display())]
pub(crate) struct FileError {
    verb: &'static str,
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{source}; {}", remedy(source))]
    Io {
        #[from]
        source: io::Error,
    },
    #[error("{} is {kind}, which connexad has not made; move it away", path.display())]
    Stranger { path: PathBuf, kind: &'static str },
    #[error("another program holds a lock on it; end that one")]
    Locked,
    #[error("others change it all the time; see which programs write it")]
    Restless,
    #[error("{0}; this is a fault of connexad, report it")]
    Own(String),
}

fn remedy(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::BUSY) => "it is a mount point: unmount it",
        Some(Errno::NOENT) => {
            "its folder does not exist: make it, or correct paths in connexad.toml"
        }
        Some(Errno::NOSPC | Errno::DQUOT) => "make space",
        // And not EACCES, as root has every right.
        Some(Errno::PERM) => "see whether it or its folder is immutable (lsattr, chattr -i)",
        Some(_) | None => {
            "make its folder writable for connexad (read-only mount, ReadWritePaths= of its unit)"
        }
    }
}

/// For `map_err`: puts place and purpose to a fault.
fn failed<E: Into<Fault>>(verb: &'static str, path: &Path) -> impl FnOnce(E) -> FileError {
    move |fault| FileError { verb, path: path.to_owned(), fault: fault.into() }
}

impl FileError {
    /// Whether it is for want of descriptors or memory, and so another time is better.
    pub(crate) fn is_for_want(&self) -> bool {
        matches!(&self.fault, Fault::Io { source } if is_want(source))
    }

    /// The work on this file has failed by a fault of the program.
    pub(crate) fn of_a_panic(path: &Path, how: &dyn std::fmt::Display) -> Self {
        failed("write", path)(Fault::Own(how.to_string()))
    }
}

/// Makes the file hold `content`. It holds that after a power failure, too.
///
/// # Errors
/// When it can't be written, or what stands there is no plain file; then it is as it was.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let synced = |()| sync_folder(path).map_err(Fault::from);
    put(path, content, MODE).and_then(synced).map_err(failed("write", path))
}

/// The same for a file that is written anew from the database at every start: a power failure may
/// bring the former one back, and never half of one.
///
/// # Errors
/// When it can't be written, or what stands there is no plain file; then it is as it was.
pub(crate) fn write_for_now(path: &Path, content: &[u8]) -> Result<(), FileError> {
    put(path, content, MODE).map_err(failed("write", path))
}

/// The same for a file that everybody may read, mode 0644.
///
/// # Errors
/// When it can't be written, or what stands there is no plain file; then it is as it was.
pub(crate) fn write_for_all(path: &Path, content: &[u8]) -> Result<(), FileError> {
    put(path, content, MODE_FOR_ALL).map_err(failed("write", path))
}

/// Removes the file; a missing one is fine.
///
/// # Errors
/// When it is there and can't be removed, or is no plain file.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    remove_plain(path).map_err(failed("remove", path))
}

fn remove_plain(path: &Path) -> Result<(), Fault> {
    if !is_plain(path)? {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether a plain file stands there; what is of another kind is an error, as it is not ours.
fn is_plain(path: &Path) -> Result<bool, Fault> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => Ok(true),
        Ok(there) => {
            let kind = kind(there.file_type());
            Err(Fault::Stranger { path: path.to_owned(), kind })
        }
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether nothing stands there, or what is named as its folder is none.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A kind of file, for people.
pub(crate) fn kind(there: FileType) -> &'static str {
    if there.is_symlink() {
        "a symbolic link"
    } else if there.is_dir() {
        "a folder"
    } else if there.is_fifo() {
        "a named pipe"
    } else if there.is_socket() {
        "a socket"
    } else if there.is_file() {
        "a file"
    } else {
        "a device"
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

/// The folder and the name of a path.
fn parts(path: &Path) -> Result<(&Path, &str), Fault> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent().zip(name).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename).into())
}

/// What a plain file holds; `None` where there is none.
fn plain(path: &Path) -> Result<Option<Content>, Fault> {
    if is_plain(path)? { Ok(read(path)?) } else { Ok(None) }
}

fn put(path: &Path, content: &[u8], mode: u32) -> Result<(), Fault> {
    if plain(path)?.is_some_and(|old| *old == content) {
        return Ok(right_mode(path, mode)?);
    }
    let (folder, name) = parts(path)?;
    fs::create_dir_all(folder)?;
    let draft = folder.join(draft_name(name));
    write_draft(&draft, content, mode)?;
    let renamed = fs::rename(&draft, path);
    if renamed.is_err() {
        let _ = fs::remove_file(&draft);
    }
    Ok(renamed?)
}

/// Puts the file's name on disk, too; its content is there already.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Writes a new file, in place of one of this name that a crash has left.
fn write_draft(draft: &Path, content: &[u8], mode: u32) -> Result<(), Fault> {
    remove_plain(draft)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(draft)?;
    // What this process masks does not decide who may read it.
    let written = right_mode(draft, mode).and_then(|()| file.write_all(content));
    let written = written.and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(draft);
    }
    Ok(written?)
}

fn right_mode(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    let set = || fs::set_permissions(path, Permissions::from_mode(mode));
    match set() {
        // Another's file. The unit leaves the daemon the right to make it its own, and not that to
        // change what stays another's.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            chown(path, Some(geteuid().as_raw()), None)?;
            set()
        }
        set => set,
    }
}

/// What a file holds, which may be passwords: it is wiped when it is dropped.
pub(crate) type Content = Zeroizing<Vec<u8>>;

/// The content of a plain file; `None` when there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Content>> {
    Ok(read_at_most(path, LARGEST)?.map(Content::new))
}

/// The same, and a file of more bytes than `most` is an error.
pub(crate) fn read_at_most(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    // Not to hang on a fifo.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let there = file.metadata()?;
    if !there.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    // As much room as it needs from the start: content that grows leaves its former place unwiped.
    let room = usize::try_from(there.len().min(most)).unwrap_or_default();
    let mut content = Vec::with_capacity(room + SPARE);
    file.take(most + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|len| len <= most) {
        Ok(Some(content))
    } else {
        Err(io::ErrorKind::FileTooLarge.into())
    }
}

#[cfg(test)]
mod tests;
