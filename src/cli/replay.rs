//! `connexactl replay`: a recording goes through the core again, and each transition is printed.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use crate::core::effect::Effect;
use crate::core::event::Input;
use crate::core::{Core, State};
use crate::node::NodeId;
use crate::printable::printable;
use crate::recording::Line;

/// Why a recording can't be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It can't be read, or the output can't be written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It does not begin like one.
    #[error("line 1 is not the start of a recording; make one by `connexad --record FILE`")]
    NoStart,
    /// It was made by another version. Builds of one version can't be told apart.
    #[error("it was recorded by connexad {theirs} and this is {}; replay it by that build", env!("CARGO_PKG_VERSION"))]
    OtherBuild {
        /// The version in the recording.
        theirs: String,
    },
    /// A line of it is no input.
    #[error(
        "line {number} is not an input of this build: {problem}; replay it by the build that recorded it"
    )]
    Garbled {
        /// The line, from 1.
        number: usize,
        /// What is wrong with it.
        problem: serde_json::Error,
    },
}

/// Replays a recording and prints what the core tells, and each node's transitions.
///
/// # Errors
/// When it can't be read or is not a recording of this build. A last line that is cut short, as
/// a daemon leaves it that was killed, ends the recording.
pub fn replay(recording: impl BufRead, out: &mut impl Write) -> Result<(), ReplayError> {
    let mut lines = (1..).zip(recording.split(b'\n')).peekable();
    let (_, first) = lines.next().ok_or(ReplayError::NoStart)?;
    let mut replay = Replay::start(&first?)?;
    while let Some((number, line)) = lines.next() {
        match serde_json::from_slice(&line?) {
            Ok(Line::Input(input)) => replay.feed(*input, out)?,
            Ok(Line::Started { .. }) => return Err(ReplayError::NoStart),
            Err(problem) if problem.is_eof() && lines.peek().is_none() => break,
            Err(problem) => return Err(ReplayError::Garbled { number, problem }),
        }
    }
    replay.sum_up(out)?;
    Ok(())
}

struct Replay {
    core: Core,
    states: BTreeMap<NodeId, State>,
    inputs: usize,
}

impl Replay {
    fn start(line: &[u8]) -> Result<Self, ReplayError> {
        match serde_json::from_slice(line) {
            Ok(Line::Started { version, policy }) if version == env!("CARGO_PKG_VERSION") => {
                Ok(Replay { core: Core::new(*policy), states: BTreeMap::new(), inputs: 0 })
            }
            Ok(Line::Started { version, .. }) => Err(ReplayError::OtherBuild { theirs: version }),
            Ok(Line::Input(_)) | Err(_) => Err(ReplayError::NoStart),
        }
    }

    fn feed(&mut self, input: Input, out: &mut impl Write) -> io::Result<()> {
        let time = input.now.wall.rfc3339();
        self.inputs += 1;
        for effect in self.core.handle(input) {
            match effect {
                Effect::Tell(notice) => {
                    writeln!(out, "{time} {}", printable(&notice.to_string()))?;
                }
                Effect::Pppd(order) => writeln!(out, "{time} ({order})")?,
                Effect::JudgeBackend { .. } => {
                    writeln!(out, "{time} (look whose the backend's port is)")?;
                }
                Effect::RestartBackend { .. } => writeln!(out, "{time} (restart the backend)")?,
                Effect::KeepStopped(_) => writeln!(out, "{time} (keep the list of stopped nodes)")?,
            }
        }
        let states: BTreeMap<NodeId, State> = self.core.states().collect();
        for (id, state) in &states {
            let old = self.states.get(id).map_or("new", |state| state.name());
            if old != state.name() {
                writeln!(out, "{time} node {id}: {old} → {}", state.name())?;
            }
        }
        for id in self.states.keys().filter(|id| !states.contains_key(id)) {
            writeln!(out, "{time} node {id}: forgotten")?;
        }
        self.states = states;
        Ok(())
    }

    fn sum_up(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{} inputs; {} tunnels up at the end", self.inputs, self.core.up_count())
    }
}
