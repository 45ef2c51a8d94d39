//! A recording of the core: a line of JSON for its start, and one for each input. A build that knows
//! its format gives the same effects for it again, see `connexactl replay`. Passwords are not in it, only
//! fingerprints that no other run can make.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::event::Input;
use crate::core::policy::Policy;

/// What the lines of a recording mean. It rises whenever an earlier recording could no longer be
/// replayed, or would tell something else; `make golden` then remakes those in `tests/golden`.
pub const FORMAT: u32 = 5;

/// Lines that may wait for the disk: some ten seconds of the worst storm.
const QUEUE: usize = 16 * 1024;
/// How long the end waits for what is not written yet.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// A line of a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Started {
        /// [`FORMAT`] of the daemon that recorded it.
        format: u32,
        /// The daemon's version, for people to find the build by.
        version: String,
        /// What the core was made with.
        policy: Box<Policy>,
    },
    /// Each other one.
    Input(Box<Input>),
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
#[error("can't record to {}: {source}; name another file by --record", path.display())]
pub struct RecordError {
    path: PathBuf,
    source: io::Error,
}

/// Writes a recording, by work of its own.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    /// None once the recording has ended: one with gaps would be none.
    lines: Option<SyncSender<Line>>,
    /// Closed by the writer's end.
    written: mpsc::Receiver<()>,
}

impl Recorder {
    /// A recording in this file, or, where something has that name already, in the first free
    /// of `FILE.1`, `FILE.2` and so on: nothing that is there is opened. Only root may read it. With
    /// it comes the work that writes it, which blocks, and ends when the recorder is finished.
    ///
    /// # Errors
    /// When no file can be made.
    pub(crate) fn start(
        path: &Path,
        policy: &Policy,
    ) -> Result<(Self, impl FnOnce() + Send + 'static + use<>), RecordError> {
        let failed = |source| RecordError { path: path.to_owned(), source };
        let (file, path) = create_free(path).map_err(failed)?;
        tracing::info!("Recording to {}", path.display());
        Ok(Recorder::write_to(file, path, policy))
    }

    fn write_to(
        file: File,
        path: PathBuf,
        policy: &Policy,
    ) -> (Self, impl FnOnce() + Send + 'static + use<>) {
        let (lines, theirs) = mpsc::sync_channel(QUEUE);
        let (at_end, written) = mpsc::channel();
        let mut recorder = Recorder { path: path.clone(), lines: Some(lines), written };
        let work = move || {
            if let Err(error) = write_all(file, &theirs) {
                note_end(&path, &error);
            }
            drop(at_end);
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let policy = Box::new(policy.clone());
        recorder.add(Line::Started { format: FORMAT, version, policy });
        (recorder, work)
    }

    /// Records an input. Where the disk can't keep up, the recording ends and the daemon goes on.
    pub fn record(&mut self, input: &Input) {
        self.add(Line::Input(Box::new(input.clone())));
    }

    fn add(&mut self, line: Line) {
        let Some(lines) = &self.lines else { return };
        match lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                let why = format!("the disk is {QUEUE} lines behind; name a file on a quicker one");
                note_end(&self.path, &why);
                self.lines = None;
            }
            // The writer has told why it ended.
            Err(TrySendError::Disconnected(_)) => self.lines = None,
        }
    }

    /// Ends the recording once all of it is written, or a second has gone by.
    pub fn finish(self) {
        let Some(lines) = self.lines else { return };
        drop(lines);
        if self.written.recv_timeout(FINISH_WITHIN) == Err(RecvTimeoutError::Timeout) {
            note_end(&self.path, &"the disk hangs, and the daemon's end does not wait for it");
        }
    }
}

/// Makes a file under this name, or under the first free one of those with a number behind it. A
/// link or a pipe of that name counts as there (open(2), `O_EXCL`).
fn create_free(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let numbered = (1..=u32::MAX).map(|number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    });
    for free in std::iter::once(path.to_owned()).chain(numbered) {
        match options.open(&free) {
            Ok(file) => return Ok((file, free)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn note_end(path: &Path, why: &dyn Display) {
    tracing::error!("The recording {} ends here: {why}", path.display());
}

/// Each line is in the file as soon as the daemon has nothing more to say.
fn write_all(file: File, lines: &mpsc::Receiver<Line>) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    while let Ok(line) = lines.recv() {
        write_line(&mut file, &line)?;
        while let Ok(line) = lines.try_recv() {
            write_line(&mut file, &line)?;
        }
        file.flush()?;
    }
    Ok(())
}

fn write_line(file: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::config::Config;
    use crate::core::event::Event;
    use crate::core::time::Now;

    /// A recording on a disk that takes some kilobytes and then hangs: a pipe that nobody reads.
    fn hanging() -> (Recorder, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let pipe = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let recording = pipe.try_clone().unwrap();
        let (recorder, work) =
            Recorder::write_to(recording, path, &Policy::from(&Config::default()));
        std::thread::spawn(work);
        (recorder, pipe)
    }

    fn tick() -> Input {
        Input { now: Now::default(), event: Event::Tick }
    }

    #[test]
    fn what_has_the_name_of_a_recording_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("there"), "precious").unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("there.1")).unwrap();
        mknodat(CWD, path("there.2"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let policy = Policy::from(&Config::default());
        let (recorder, _) = Recorder::start(&path("there"), &policy).unwrap();
        assert_eq!(recorder.path, path("there.3"));
        assert_eq!(std::fs::read_to_string(path("there")).unwrap(), "precious");
        assert!(!path("nowhere").exists());
    }

    #[test]
    fn a_disk_that_hangs_does_not_hold_the_end_up() {
        let (mut recorder, _pipe) = hanging();
        for _ in 0..QUEUE / 2 {
            recorder.record(&tick());
        }
        recorder.finish();
    }

    #[test]
    fn a_disk_that_hangs_ends_the_recording_which_has_no_gaps() {
        let (mut recorder, pipe) = hanging();
        let mut recorded = 0;
        while recorder.lines.is_some() {
            recorder.record(&tick());
            recorded += 1;
        }
        // The last one found no room; the first line is the start.
        let mut lines = BufReader::new(pipe).lines().take(recorded);
        assert!(lines.all(|line| serde_json::from_str::<Line>(&line.unwrap()).is_ok()));
    }
}
