//! Whether a file is as it was, without reading it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags, open};

/// File systems keep times in steps of up to two seconds, and the kernel's clock for them is a tick
/// behind.
const COARSE: Duration = Duration::from_secs(3);

/// Which file it is, and when it was changed last: its content, its mode or its names. No program can
/// set that time (`st_ctim` of inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Since the epoch.
    changed: Duration,
}

impl Stamp {
    /// That of the file that this path leads to, if there is one.
    pub(super) fn of(path: &Path) -> Option<Self> {
        // Opened, as a network file system asks its server then. And not to hang on a fifo.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let there = File::from(open(path, flags, Mode::empty()).ok()?).metadata().ok()?;
        let seconds = u64::try_from(there.ctime()).ok()?;
        let nanos = u32::try_from(there.ctime_nsec()).ok()?;
        let changed = Duration::new(seconds, nanos);
        Some(Stamp { device: there.dev(), inode: there.ino(), size: there.size(), changed })
    }

    /// Whether the next change gives it another: one that comes at once may have the same time.
    pub(super) fn is_settled(self, now: SystemTime) -> bool {
        now.duration_since(UNIX_EPOCH).is_ok_and(|now| now > self.changed + COARSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_trusted_a_while_after_the_change_and_not_under_a_clock_that_was_set_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stamp = Stamp::of(file.path()).unwrap();
        let changed = UNIX_EPOCH + stamp.changed;
        for (now, settled) in [
            (changed - Duration::from_hours(1), false),
            (changed + COARSE, false),
            (changed + COARSE + Duration::from_nanos(1), true),
        ] {
            assert_eq!(stamp.is_settled(now), settled, "{now:?}");
        }
    }

    #[test]
    fn another_file_of_the_same_content_has_another_stamp() {
        let [one, two] = [(); 2].map(|()| tempfile::NamedTempFile::new().unwrap());
        assert_ne!(Stamp::of(one.path()), Stamp::of(two.path()));
    }
}
