//! Writing a file whose name can't be given to another one, so that what it held outlives a crash.
//!
//! While it is written, two files are there: the draft, which holds the new content, and beside it
//! the old content. The second one is there only while both are whole.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

use super::edit::Edited;
use super::{
    Fault, MODE, draft_name, parts, plain, read, remove_plain, right_mode, sync_folder, write_draft,
};

/// Puts back what the file held, where an earlier daemon was ended while it wrote it, and removes
/// what such a daemon has left beside it.
pub(super) fn mend(target: &Path, spare: &Path) -> Result<(), Fault> {
    let (folder, name) = parts(target)?;
    for folder in [folder, spare] {
        let draft = folder.join(draft_name(name));
        let former = former(&draft);
        if let (Some(new), Some(old)) = (plain(&draft)?, plain(&former)?) {
            let now = read(target)?.unwrap_or_default();
            if is_torn(&now, &old, &new) {
                tracing::warn!(
                    "{} was being written when connexad was ended; it holds again what it held",
                    target.display()
                );
                overwrite(target, now.len(), &old)?;
            }
        }
        remove_all(&draft)?;
    }
    Ok(())
}

/// Whether a file that holds `now` was cut short: a part of each, or holes that a power failure has
/// left. Else it is whole, or somebody has written it since.
fn is_torn(now: &[u8], old: &[u8], new: &[u8]) -> bool {
    let is_of_either = |(at, byte): (usize, &u8)| {
        *byte == 0 || [old, new].iter().any(|text| text.get(at) == Some(byte))
    };
    let fits = now.len() <= old.len().max(new.len()) && now.iter().enumerate().all(is_of_either);
    fits && now != old && now != new
}

/// The old content goes first: it counts only beside its draft.
fn remove_all(draft: &Path) -> Result<(), Fault> {
    remove_plain(&former(draft))?;
    remove_plain(&half(draft))?;
    remove_plain(draft)
}

/// Where the old content is while the file is written.
fn former(draft: &Path) -> PathBuf {
    draft.with_extension("connexad-old")
}

/// The old content before it is whole.
fn half(draft: &Path) -> PathBuf {
    draft.with_extension("connexad-half")
}

/// Writes the file in place. `None` where it does not hold `old` any more.
pub(super) fn write(
    target: &Path,
    draft: &Path,
    old: &[u8],
    new: &[u8],
) -> Result<Option<Edited>, Fault> {
    let (half, former) = (half(draft), former(draft));
    write_draft(&half, old, MODE)?;
    remove_plain(&former)?;
    fs::rename(&half, &former)?;
    sync_folder(&former)?;
    if read(target)?.is_none_or(|now| *now != old) {
        remove_all(draft)?;
        return Ok(None);
    }
    if let Err(error) = overwrite(target, old.len(), new) {
        // Where the old content can't be written either, it stays beside the file.
        if overwrite(target, new.len(), old).is_ok() {
            remove_all(draft)?;
        }
        return Err(error.into());
    }
    right_mode(target, MODE)?;
    remove_all(draft)?;
    Ok(Some(Edited::InPlace))
}

fn overwrite(target: &Path, present: usize, content: &[u8]) -> io::Result<()> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new().write(true).custom_flags(flags).open(target)?;
    let [present, length] =
        [present, content.len()].map(|len| u64::try_from(len).unwrap_or(u64::MAX));
    if length > present {
        // Before a byte is changed: a disk that is full ends it here.
        match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, length) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    file.write_all_at(content, 0)?;
    file.set_len(length)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torn(old: &str, new: &str, now: &str) -> bool {
        is_torn(now.as_bytes(), old.as_bytes(), new.as_bytes())
    }

    #[test]
    fn a_file_that_was_cut_short_holds_a_part_of_each() {
        for now in ["new text", "new sect", "new\0\0\0xt"] {
            assert!(torn("old text", "new secret", now), "{now:?}");
        }
        assert!(torn("a long old text", "new", "newong old text"));
    }

    #[test]
    fn a_file_that_is_whole_or_was_written_since_is_taken_as_it_is() {
        for now in ["old text", "new secret", "old text\nand a line", "theirs"] {
            assert!(!torn("old text", "new secret", now), "{now:?}");
        }
    }
}
