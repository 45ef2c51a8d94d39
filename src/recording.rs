//! A recording of the core: a line of JSON for its start, and one for each input. The same build
//! gives the same effects for it again, see `connexactl replay`. Passwords are not in it, only
//! fingerprints that no other run can make.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use crate::core::event::Input;
use crate::core::policy::Policy;

/// A line of a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Started {
        /// The daemon's version; another one may not understand the rest.
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

/// Writes a recording, in a thread of its own.
#[derive(Debug)]
pub struct Recorder {
    lines: mpsc::Sender<Line>,
    writer: JoinHandle<()>,
}

impl Recorder {
    /// Begins a recording in this file, whose former content goes. Only root may read it.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn start(path: &Path, policy: &Policy) -> Result<Self, RecordError> {
        let failed = |source| RecordError { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(path).map_err(failed)?;
        // One that was there before keeps its mode.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
        // Unbounded because the loop may not wait, and a recording with gaps would be none.
        let (lines, theirs) = mpsc::channel();
        let path = path.to_owned();
        let writer = std::thread::spawn(move || {
            if let Err(error) = write_all(file, &theirs) {
                tracing::error!("The recording {} ends here: {error}", path.display());
            }
        });
        let recorder = Recorder { lines, writer };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        recorder.add(Line::Started { version, policy: Box::new(policy.clone()) });
        Ok(recorder)
    }

    /// Records an input.
    pub fn record(&self, input: &Input) {
        self.add(Line::Input(Box::new(input.clone())));
    }

    fn add(&self, line: Line) {
        // The writer has told why it ended.
        let _ = self.lines.send(line);
    }

    /// Ends the recording once all of it is written.
    pub fn finish(self) {
        drop(self.lines);
        // It told its error; a panic was told too.
        let _ = self.writer.join();
    }
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
