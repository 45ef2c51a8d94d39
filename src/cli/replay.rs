//! `connexactl replay`: a recording goes through the core again, and each transition is printed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::output::{OutputError, written};
use crate::control::api::counted;
use crate::control::shown::rfc3339;
use crate::core::effect::Effect;
use crate::core::event::Input;
use crate::core::{Core, State};
use crate::node::NodeId;
use crate::printable::printable;
use crate::recording::{FORMAT, Line};

/// Why a recording can't be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It can't be read.
    #[error("can't read it: {source}; name a recording of `connexad --record`")]
    Unreadable {
        /// Why not.
        #[from]
        source: io::Error,
    },
    /// What it gives can't be printed.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// It does not begin like one.
    #[error("line 1 is not the start of a recording; make one by `connexad --record FILE`")]
    NoStart,
    /// Its daemon was killed before it had written one line.
    #[error("its first line is cut short, so nothing is left of it to replay")]
    CutStart,
    /// It is older than numbers of formats.
    #[error(
        "it has no format number and this is format {FORMAT}; replay it by the build that recorded it (connexad {version})"
    )]
    NoFormat {
        /// The version of the daemon that recorded it.
        version: String,
    },
    /// Its lines mean something else than this build understands.
    #[error(
        "it is of format {theirs} and this is format {FORMAT}; replay it by the build that recorded it (connexad {version})"
    )]
    OtherFormat {
        /// The format in the recording.
        theirs: u64,
        /// The version of the daemon that recorded it.
        version: String,
    },
    /// A line of it is no input.
    #[error(
        "line {number} is not an input: {problem}; the file was changed, take another copy of it"
    )]
    Garbled {
        /// The line, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// What a replay prints: a line each.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum Said<'a> {
    /// The daemon told this.
    Told { at: String, text: String },
    /// The daemon did this, or had it done.
    Ordered { at: String, text: String },
    /// A node is in another state.
    Became { at: String, node: NodeId, from: &'a str, to: &'a str },
    /// How it ended.
    End {
        inputs: usize,
        up: usize,
        /// Whether the last line was cut short, and so left out.
        cut: bool,
    },
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Told { at, text } => write!(f, "{at} {text}"),
            Said::Ordered { at, text } => write!(f, "{at} ({text})"),
            Said::Became { at, node, from, to } => write!(f, "{at} node {node}: {from} → {to}"),
            Said::End { inputs, up, cut } => {
                if *cut {
                    let why = "the daemon was killed while it wrote, or the file was cut";
                    writeln!(f, "The last line is cut short and left out: {why}")?;
                }
                let (inputs, tunnels) = (counted(*inputs, "input"), counted(*up, "tunnel"));
                write!(f, "{inputs}; {tunnels} up at the end")
            }
        }
    }
}

/// Where a replay is printed.
struct Paper<W> {
    out: W,
    as_json: bool,
}

impl<W: Write> Paper<W> {
    fn say(&mut self, said: &Said<'_>) -> io::Result<()> {
        if !self.as_json {
            return writeln!(self.out, "{said}");
        }
        serde_json::to_writer(&mut self.out, said)?;
        writeln!(self.out)
    }
}

/// Replays a recording and prints what the core tells, and each node's transitions; as JSON, an
/// object a line.
///
/// # Errors
/// When it can't be read or is not a recording of this format, or the output can't be written. A
/// last line that is cut short, as a daemon leaves it that was killed, ends the recording.
pub fn replay(recording: impl BufRead, out: impl Write, as_json: bool) -> Result<(), ReplayError> {
    let mut paper = Paper { out, as_json };
    let mut lines = (1..).zip(recording.split(b'\n')).peekable();
    let (_, first) = lines.next().ok_or(ReplayError::NoStart)?;
    let mut replay = Replay::start(&first?, lines.peek().is_none())?;
    let mut cut = false;
    while let Some((number, line)) = lines.next() {
        match serde_json::from_slice(&line?) {
            Ok(Line::Input(input)) => {
                let said = replay.feed(*input);
                written(said.iter().try_for_each(|said| paper.say(said)))?;
            }
            Ok(Line::Started { .. }) => return Err(ReplayError::NoStart),
            Err(problem) if problem.is_eof() && lines.peek().is_none() => cut = true,
            Err(problem) => return Err(garbled(number, &problem)),
        }
    }
    let end = Said::End { inputs: replay.inputs, up: replay.core.up_count(), cut };
    Ok(written(paper.say(&end).and_then(|()| paper.out.flush()))?)
}

fn garbled(number: usize, problem: &serde_json::Error) -> ReplayError {
    ReplayError::Garbled { number, problem: printable(&problem.to_string()) }
}

/// What every first line has, whatever else its format says.
#[derive(Deserialize)]
struct Head {
    started: Start,
}

#[derive(Deserialize)]
struct Start {
    format: Option<u64>,
    version: String,
}

struct Replay {
    core: Core,
    states: BTreeMap<NodeId, State>,
    inputs: usize,
}

impl Replay {
    fn start(line: &[u8], is_all: bool) -> Result<Self, ReplayError> {
        let is_cut = |problem: &serde_json::Error| problem.is_eof() && is_all && !line.is_empty();
        let head: Head = serde_json::from_slice(line).map_err(|problem| {
            if is_cut(&problem) { ReplayError::CutStart } else { ReplayError::NoStart }
        })?;
        let Start { format, version } = head.started;
        let version = printable(&version);
        match format {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(theirs) => return Err(ReplayError::OtherFormat { theirs, version }),
            None => return Err(ReplayError::NoFormat { version }),
        }
        match serde_json::from_slice(line) {
            Ok(Line::Started { policy, .. }) => {
                Ok(Replay { core: Core::new(*policy), states: BTreeMap::new(), inputs: 0 })
            }
            Ok(Line::Input(_)) => Err(ReplayError::NoStart),
            Err(problem) => Err(garbled(1, &problem)),
        }
    }

    fn feed(&mut self, input: Input) -> Vec<Said<'static>> {
        let at = rfc3339(input.now.wall);
        self.inputs += 1;
        let effects = self.core.handle(input);
        let mut said: Vec<_> =
            effects.into_iter().filter_map(|effect| done(at.clone(), effect)).collect();
        let states: BTreeMap<NodeId, State> = self.core.states().collect();
        for (&node, state) in &states {
            let from = self.states.get(&node).map_or("new", |state| state.name());
            if from != state.name() {
                said.push(Said::Became { at: at.clone(), node, from, to: state.name() });
            }
        }
        for (&node, state) in self.states.iter().filter(|(id, _)| !states.contains_key(id)) {
            let from = state.name();
            said.push(Said::Became { at: at.clone(), node, from, to: "forgotten" });
        }
        self.states = states;
        said
    }
}

/// What an effect is to the reader. A change of a tunnel is told by a notice as well, and so is what
/// its routes follow.
fn done(at: String, effect: Effect) -> Option<Said<'static>> {
    let text = match effect {
        Effect::Tell(notice) => {
            return Some(Said::Told { at, text: printable(&notice.to_string()) });
        }
        Effect::Change(_) | Effect::Way(_) => return None,
        Effect::Order(order) => crate::engines::would(&order),
        Effect::JudgeBackend { .. } => "look whose the backend's port is".to_owned(),
        Effect::RestartBackend { .. } => "restart the backend".to_owned(),
        Effect::KeepStopped(_) => "keep the list of stopped nodes".to_owned(),
    };
    Some(Said::Ordered { at, text })
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::{fuzz, is_shown_safely};

    #[test]
    fn a_recording_is_replayed_or_refused_with_words_whatever_it_is() {
        fuzz("tests/golden", |recording| {
            let mut told = Vec::new();
            if let Err(error) = replay(recording, &mut told, false) {
                is_shown_safely(&error.to_string());
            }
        });
    }
}
