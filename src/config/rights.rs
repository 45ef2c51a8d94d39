//! Who may change the file: root runs the programs that it names.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bits of a mode (inode(7)).
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const ALL_WRITE: u32 = 0o002;

/// A file or folder by which others than root decide what root runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    path: PathBuf,
    who: String,
}

impl Exposed {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        let path = self.path.display();
        format!("chown root:root {path} && chmod go-w {path}")
    }
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exposed { path, who } = self;
        write!(f, "{} can be written by {who}, and root runs what it names", path.display())
    }
}

/// Looks whether others than root may change a configuration, or put another one in its place. What
/// can't be looked at is for its reader to tell.
pub fn exposed(file: &Path) -> Option<Exposed> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    [Some(file), folder].into_iter().flatten().find_map(|path| {
        let there = std::fs::metadata(path).ok()?;
        // In a folder with this bit nobody replaces the file of another user.
        let is_kept = there.is_dir() && there.mode() & STICKY != 0;
        let mode = if is_kept { 0 } else { there.mode() };
        let who = who_writes(there.uid(), there.gid(), mode)?;
        Some(Exposed { path: path.to_owned(), who })
    })
}

fn who_writes(owner: u32, group: u32, mode: u32) -> Option<String> {
    if mode & ALL_WRITE != 0 {
        Some("every user".to_owned())
    } else if owner != 0 {
        Some(format!("the user with the number {owner}"))
    } else {
        (mode & GROUP_WRITES != 0 && group != 0)
            .then(|| format!("the group with the number {group}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_write_beside_root_is_named() {
        let who = |owner, group, mode| who_writes(owner, group, mode).unwrap_or_default();
        assert_eq!(who(0, 0, 0o664), "");
        assert_eq!(who(0, 4, 0o640), "");
        assert_eq!(who(0, 0, 0o666), "every user");
        assert_eq!(who(1000, 0, 0o600), "the user with the number 1000");
        assert_eq!(who(0, 4, 0o660), "the group with the number 4");
    }
}
