//! Which folders are watched, and what an event in one of them means.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use inotify::{EventMask, EventOwned, WatchDescriptor, WatchMask, Watches};

use super::Interest;

/// The folders that are watched now, by inotify's number of the watch.
#[derive(Default)]
pub(super) struct Places {
    placed: BTreeMap<i32, Place>,
}

struct Place {
    watch: WatchDescriptor,
    roles: Vec<Role>,
}

/// Why a folder is watched.
enum Role {
    /// The entry of this name leads down to a folder of interest.
    LeadsTo(OsString),
    /// It is the folder of the interest with this number.
    Of(usize),
}

/// What an event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meaning {
    /// Nothing to anybody.
    Nothing,
    /// A file of interest changed.
    Changed,
    /// A folder came, went or was replaced, or events were lost: watch anew.
    Moved,
}

impl Places {
    /// Watches what of the folders exists now, from the root down: what is made after its parent
    /// is watched is told of, and what was there before is found.
    ///
    /// # Errors
    /// When the kernel refuses a watch for another reason than that nothing is there.
    pub(super) fn set(&mut self, interests: &[Interest], watches: &mut Watches) -> io::Result<()> {
        let mut placed: BTreeMap<i32, Place> = BTreeMap::new();
        let mut add = |folder: &Path, mask: WatchMask, role: Role| -> io::Result<bool> {
            let watch = match watches.add(folder, mask | WatchMask::ONLYDIR | WatchMask::MASK_ADD) {
                Ok(watch) => watch,
                Err(error) if is_missing(&error) => return Ok(false),
                Err(error) => return Err(error),
            };
            placed
                .entry(watch.get_watch_descriptor_id())
                .or_insert_with(|| Place { watch, roles: Vec::new() })
                .roles
                .push(role);
            Ok(true)
        };
        for (number, interest) in interests.iter().enumerate() {
            let above_is_there = steps(&interest.folder).into_iter().try_fold(
                true,
                |there, (above, name)| -> io::Result<bool> {
                    Ok(there && add(&above, entries(), Role::LeadsTo(name))?)
                },
            )?;
            if above_is_there {
                let writes = if interest.writes { WatchMask::MODIFY } else { WatchMask::empty() };
                let mask = entries() | WatchMask::ATTRIB | writes;
                add(&interest.folder, mask, Role::Of(number))?;
            }
        }
        for (id, old) in std::mem::replace(&mut self.placed, placed) {
            if !self.placed.contains_key(&id) {
                // Fails when the folder is gone, and its watch with it.
                let _ = watches.remove(old.watch);
            }
        }
        Ok(())
    }

    /// What an event means to the interests that the places were set for.
    pub(super) fn meaning(&self, event: &EventOwned, interests: &[Interest]) -> Meaning {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            return Meaning::Moved;
        }
        let Some(place) = self.placed.get(&event.wd.get_watch_descriptor_id()) else {
            return Meaning::Nothing;
        };
        let of_itself =
            EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::IGNORED | EventMask::UNMOUNT;
        if event.mask.intersects(of_itself) {
            return Meaning::Moved;
        }
        let name = event.name.as_deref();
        let meaning = |role: &Role| role.meaning(event.mask, name, interests);
        place.roles.iter().map(meaning).max().unwrap_or(Meaning::Nothing)
    }
}

impl Role {
    fn meaning(&self, mask: EventMask, name: Option<&OsStr>, interests: &[Interest]) -> Meaning {
        let about_contents = EventMask::MODIFY | EventMask::ATTRIB;
        match (self, name) {
            (Role::LeadsTo(down), Some(name)) if down == name => {
                if mask.intersects(about_contents) { Meaning::Nothing } else { Meaning::Moved }
            }
            (Role::LeadsTo(_), _) => Meaning::Nothing,
            // The folder's own rights changed.
            (Role::Of(_), None) => Meaning::Changed,
            (Role::Of(number), Some(name)) => {
                let wanted = interests.get(*number).is_some_and(|interest| {
                    (interest.writes || !mask.contains(EventMask::MODIFY))
                        && (interest.rights || !mask.contains(EventMask::ATTRIB))
                        && (interest.wants)(name)
                });
                if wanted { Meaning::Changed } else { Meaning::Nothing }
            }
        }
    }
}

/// `IN_CLOSE_WRITE` is left out on purpose: it tells nothing that `IN_MODIFY` did not, and
/// closing a file that was merely opened for writing causes it, as SQLite's readers do with a
/// `-wal`: they would wake themselves for ever.
fn entries() -> WatchMask {
    WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::MOVE
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
}

/// Each folder above this one, from the root down, with the name that leads on from there.
fn steps(folder: &Path) -> Vec<(PathBuf, OsString)> {
    let mut steps: Vec<_> = folder
        .ancestors()
        .filter_map(|below| Some((below.parent()?.to_owned(), below.file_name()?.to_owned())))
        .collect();
    steps.reverse();
    steps
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
