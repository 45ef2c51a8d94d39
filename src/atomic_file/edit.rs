//! Changing a file that others write, too: nothing of what they write is lost.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use super::{
    Content, Fault, FileError, MODE, draft_name, failed, in_place, parts, plain, read,
    remove_plain, right_mode, write_draft,
};

/// How often a change is begun anew because somebody else has changed the file meanwhile.
const TRIES: u32 = 20;
/// How often, and how long apart, a lock of another program is asked for.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How a file was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edited {
    /// As a whole, or not at all, as it was right.
    Whole,
    /// In place, as its name can't be given to another file.
    InPlace,
}

/// Gives the file the content that `change` makes of the present one; a missing file is empty,
/// and stays missing when nothing is to be in it. A power failure may bring the former one back,
/// as with [`super::write_for_now`].
///
/// A link is followed and the file that it leads to is changed: whoever keeps it elsewhere (a data
/// volume, a folder under version control) would find his own file out of use without a word.
/// Where that file can't be replaced (it is a mount point, or its folder can't be written), it is
/// written in place; a draft and the old content are in its folder or in `spare` until that is done.
///
/// Others may write it at the same time. pppd and its kin have no lock for such files, so that of
/// flock(1) on the file itself is taken; and as most take none, the file is looked at again when the
/// new one has taken its name, and if somebody has changed it, all begins anew with what he wrote.
///
/// # Errors
/// When it can't be read or written; then it is as it was.
pub(crate) fn edit(
    path: &Path,
    spare: &Path,
    change: impl Fn(&[u8]) -> Content,
) -> Result<Edited, FileError> {
    let target = follow(path)?;
    let changed = || {
        in_place::mend(&target, spare)?;
        for _ in 0..TRIES {
            if let Some(edited) = once(&target, spare, &change)? {
                return Ok(edited);
            }
        }
        Err(Fault::Restless)
    };
    changed().map_err(failed("write", path))
}

fn follow(path: &Path) -> Result<PathBuf, FileError> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            Ok(path.to_owned())
        }
        Err(error) => Err(failed("follow", path)(error)),
    }
}

/// Changes the file, or returns `None` where somebody else has changed it meanwhile. The lock, once
/// taken, is held to the end.
fn once(
    target: &Path,
    spare: &Path,
    change: &impl Fn(&[u8]) -> Content,
) -> Result<Option<Edited>, Fault> {
    let (folder, name) = parts(target)?;
    let draft = folder.join(draft_name(name));
    let old = plain(target)?;
    let former = old.as_ref().map_or(&[][..], |old| old);
    let new = change(former);
    if old.as_ref().map_or(new.is_empty(), |old| *old == new) {
        if old.is_some() {
            right_mode(target, MODE)?;
        }
        // A crash may have left one that nothing is written over; what is none of ours stays.
        let _ = remove_plain(&draft);
        return Ok(Some(Edited::Whole));
    }
    fs::create_dir_all(folder)?;
    let lock = if old.is_some() { lock(target)? } else { None };
    if lock.is_some() != old.is_some() || plain(target)? != old {
        return Ok(None);
    }
    match write_draft(&draft, &new, MODE) {
        Ok(()) => {}
        Err(Fault::Io { source }) if old.is_some() && no_new_files(&source) => {
            fs::create_dir_all(spare)?;
            let draft = spare.join(draft_name(name));
            write_draft(&draft, &new, MODE)?;
            return in_place::write(target, &draft, former, &new);
        }
        Err(fault) => return Err(fault),
    }
    match replace(&draft, target, old.as_ref().map(|_| former), &new) {
        Ok(true) => Ok(Some(Edited::Whole)),
        Err(fault) if is_fixed(&fault) => in_place::write(target, &draft, former, &new),
        not_replaced => {
            let _ = remove_plain(&draft);
            not_replaced.map(|_| None)
        }
    }
}

/// Whether nothing can be made in the folder, which says nothing of the files in it.
fn no_new_files(error: &io::Error) -> bool {
    // EPERM is what an immutable folder says.
    matches!(Errno::from_io_error(error), Some(Errno::ROFS | Errno::ACCESS | Errno::PERM))
}

/// Whether a file's name can't be given to another one: it is a mount point.
fn is_fixed(fault: &Fault) -> bool {
    matches!(fault, Fault::Io { source } if matches!(
        Errno::from_io_error(source), Some(Errno::BUSY | Errno::XDEV)
    ))
}

/// Takes the lock of flock(1) on the file. `None` where that file is not this one any more.
fn lock(path: &Path) -> Result<Option<File>, Fault> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    for _ in 0..LOCK_TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => sleep(LOCK_PAUSE),
            // A file system without locks has nobody who locks.
            Ok(()) | Err(_) => {
                let [ours, theirs] = [file.metadata()?, fs::symlink_metadata(path)?];
                let same = ours.ino() == theirs.ino() && ours.dev() == theirs.dev();
                return Ok(same.then_some(file));
            }
        }
    }
    Err(Fault::Locked)
}

/// Gives the file's name to the draft, which holds `new`; `false` where the file is not as it was, and
/// then it stays.
fn replace(draft: &Path, target: &Path, old: Option<&[u8]>, new: &[u8]) -> Result<bool, Fault> {
    let flags = if old.is_some() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    let renamed = || renameat_with(CWD, draft, CWD, target, flags);
    match (renamed(), old) {
        (Ok(()), Some(old)) => settle(draft, old, new, renamed),
        (Ok(()), None) => Ok(true),
        (Err(Errno::EXIST | Errno::NOENT), _) => Ok(false),
        // Not every file system can (renameat2(2)): then the last look was the one before.
        (Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP), _) => {
            fs::rename(draft, target)?;
            Ok(true)
        }
        (Err(errno), _) => Err(io::Error::from(errno).into()),
    }
}

/// After file and draft were exchanged: the draft's name is now that of what the file was. Where that is
/// not `old`, somebody has written it, and it is exchanged back; so is what somebody has put there in
/// between, until what comes out is what went in: whoever was last, his file stays.
pub(super) fn settle(
    draft: &Path,
    old: &[u8],
    new: &[u8],
    exchange: impl Fn() -> rustix::io::Result<()>,
) -> Result<bool, Fault> {
    let (mut expected, mut put) = (Content::new(old.to_vec()), Content::new(new.to_vec()));
    loop {
        let came_out = read(draft).inspect_err(|_| _ = exchange())?.unwrap_or_default();
        if came_out == expected {
            break;
        }
        expected = mem::replace(&mut put, came_out);
        exchange().map_err(io::Error::from)?;
    }
    fs::remove_file(draft)?;
    Ok(*put == new)
}
