//! Waiting for files to change, without polling: inotify(7).
//!
//! Folders are watched, not files, so that a file may be missing, replaced or deleted. Every
//! folder above is watched too, for the one name that leads down, so that a folder may be
//! missing, moved or made anew. What inotify can't tell: a file system mounted over a folder,
//! and changes by other machines on a network file system.

mod places;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use inotify::{EventOwned, EventStream, Inotify};
use tokio::time::Instant;

use places::{Meaning, Places};

/// How often the caller is sent to look for itself while inotify can't be had.
const BLIND_LOOK: Duration = Duration::from_secs(10);

/// Events taken in at most before the caller is told: a constant writer must not hold it up.
const MOST_AT_ONCE: usize = 1024;

/// Files of one folder whose changes matter.
pub(crate) struct Interest {
    /// The folder, by its absolute path; it may be missing.
    pub folder: PathBuf,
    /// Which of its entries matter, by file name.
    pub wants: Box<dyn Fn(&OsStr) -> bool + Send + Sync>,
    /// Whether writes to those files matter too. Leave it off where only coming, going and
    /// rights matter: in `/dev` some kernels report every write to `/dev/null`.
    pub writes: bool,
    /// Whether changes of their rights, owner or times matter too.
    pub rights: bool,
}

impl Interest {
    /// The entries of `folder` with one of these names; writes and rights matter.
    pub(crate) fn files(folder: impl Into<PathBuf>, names: Vec<std::ffi::OsString>) -> Self {
        Interest {
            folder: folder.into(),
            wants: Box::new(move |name| names.iter().any(|wanted| wanted == name)),
            writes: true,
            rights: true,
        }
    }

    /// The entries of `folder` whose names `wants` accepts; writes and rights matter.
    pub(crate) fn matching(
        folder: impl Into<PathBuf>,
        wants: impl Fn(&OsStr) -> bool + Send + Sync + 'static,
    ) -> Self {
        Interest { folder: folder.into(), wants: Box::new(wants), writes: true, rights: true }
    }

    /// The same entries; their rights and owner do not matter.
    #[must_use]
    pub(crate) fn without_rights(self) -> Self {
        Interest { rights: false, ..self }
    }

    /// The same entries; what is written into them does not matter.
    #[must_use]
    pub(crate) fn without_writes(self) -> Self {
        Interest { writes: false, ..self }
    }
}

/// Tells when files of interest change.
///
/// Use: make it, look at the files, then wait for [`Watch::changed`] and look again. A change
/// after [`Watch::new`] is never missed; a change may be told more than once.
pub(crate) struct Watch {
    interests: Vec<Interest>,
    ears: Result<Ears, Instant>,
}

/// What has changed, or may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Entries of these names.
    Entries(BTreeSet<OsString>),
    /// Whatever there is.
    All,
}

impl Changed {
    /// Both together.
    #[must_use]
    pub(crate) fn and(self, other: Changed) -> Changed {
        match (self, other) {
            (Changed::Entries(mut names), Changed::Entries(more)) => {
                names.extend(more);
                Changed::Entries(names)
            }
            (Changed::All, _) | (_, Changed::All) => Changed::All,
        }
    }
}

struct Ears {
    stream: EventStream<[u8; 4096]>,
    places: Places,
}

impl Watch {
    /// Starts to watch. When the kernel refuses (its inotify limits), that is logged, and until
    /// it allows it [`Watch::changed`] sends the caller to look every ten seconds.
    pub(crate) fn new(interests: Vec<Interest>) -> Self {
        let ears = listen(&interests);
        Watch { interests, ears }
    }

    /// Returns once something of interest was created, written, moved in or out, deleted, or had
    /// its rights or owner changed, or may have been. Several changes at once are told once;
    /// dropping the future loses nothing.
    pub(crate) async fn changed(&mut self) -> Changed {
        loop {
            match &mut self.ears {
                Err(look_at) => {
                    tokio::time::sleep_until(*look_at).await;
                    // Told once, when it began.
                    self.ears = open(&self.interests).map_err(|_| Instant::now() + BLIND_LOOK);
                    return Changed::All;
                }
                Ok(ears) => {
                    let event = ears.stream.next().await;
                    if let Some(changed) = self.take_in(event) {
                        return self.take_in_the_rest(changed);
                    }
                }
            }
        }
    }

    fn take_in_the_rest(&mut self, mut changed: Changed) -> Changed {
        for _ in 0..MOST_AT_ONCE {
            let Ok(ears) = &mut self.ears else { break };
            let Some(event) = ears.stream.next().now_or_never() else { break };
            if let Some(more) = self.take_in(event) {
                changed = changed.and(more);
            }
        }
        changed
    }

    /// What matters of the event.
    fn take_in(&mut self, event: Option<io::Result<EventOwned>>) -> Option<Changed> {
        let Ok(ears) = &mut self.ears else { return Some(Changed::All) };
        let Some(Ok(event)) = event else {
            self.ears = listen(&self.interests);
            return Some(Changed::All);
        };
        match ears.places.meaning(&event, &self.interests) {
            Meaning::Nothing => None,
            // Without a name it is of the folder.
            Meaning::Changed => Some(match event.name {
                Some(name) => Changed::Entries(BTreeSet::from([name])),
                None => Changed::All,
            }),
            Meaning::Moved => {
                let result = ears.places.set(&self.interests, &mut ears.stream.watches());
                if let Err(error) = result {
                    self.ears = Err(blind(&error));
                }
                Some(Changed::All)
            }
        }
    }
}

fn listen(interests: &[Interest]) -> Result<Ears, Instant> {
    open(interests).map_err(|error| blind(&error))
}

fn open(interests: &[Interest]) -> io::Result<Ears> {
    let stream = Inotify::init()?.into_event_stream([0; 4096])?;
    let mut places = Places::default();
    places.set(interests, &mut stream.watches())?;
    Ok(Ears { stream, places })
}

fn blind(error: &io::Error) -> Instant {
    tracing::warn!(
        "can't watch files by inotify: {error}; looking every {} s instead; \
         raise fs.inotify.max_user_instances and fs.inotify.max_user_watches (sysctl)",
        BLIND_LOOK.as_secs()
    );
    Instant::now() + BLIND_LOOK
}

#[cfg(test)]
mod tests;
