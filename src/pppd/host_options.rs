//! What stands in the host's own option files and no peer file can take back.
//!
//! pppd reads `/etc/ppp/options` and root's `~/.ppprc` before the peer file (options.c, main.c).
//! [`super::overrides`] takes back what has an opposite; the rest is here, and is named before a dial
//! and by doctor.

mod known;
mod reader;
mod rules;

use std::path::{Path, PathBuf};
use std::{fmt, fs};

pub(crate) use rules::{Harm, Wish};

use reader::Said;

use crate::core::failure::{Failure, FailureKind};
use crate::node::NodeId;

/// Of root, who runs pppd.
const OF_USER: &str = "/root/.ppprc";

/// An option that no peer file can take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Culprit {
    said: Said,
    /// How bad it is.
    pub(crate) harm: Harm,
    why: &'static str,
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Said { file, line, option } = &self.said;
        write!(f, "{}, line {line}, has {option:?}: {}", file.display(), self.why)
    }
}

impl Culprit {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        format!(
            "take it out of {}; what other links need can stand in their own peer files",
            self.said.file.display()
        )
    }
}

/// What hurts a tunnel, in the order in which pppd reads it. Files that can't be read are left
/// to pppd, which says so itself. Blocks on the disk.
pub(crate) fn culprits(ppp_dir: &Path, wish: Wish) -> Vec<Culprit> {
    let files = [ppp_dir.join("options"), PathBuf::from(OF_USER)];
    let said = files.iter().flat_map(|file| reader::read(file, ppp_dir));
    let judged =
        said.filter_map(|said| rules::judge(&said.option, wish).map(|judged| (said, judged)));
    judged.map(|(said, (harm, why))| Culprit { said, harm, why }).collect()
}

/// Judges the host's own options before a dial: whether a call of the node can become its tunnel.
/// Returns in words the first option that may keep it from that, for the reason of its failure.
///
/// # Errors
/// With a failure that names the line.
pub(super) fn check(ppp_dir: &Path, node: NodeId) -> Result<Option<String>, Failure> {
    let peer_file = ppp_dir.join("peers").join(node.peer_name());
    // pppd says itself what is wrong with a file that can't be read.
    let peer_file = fs::read_to_string(peer_file).unwrap_or_default();
    let culprits = culprits(ppp_dir, Wish::of_peer_file(&peer_file));
    let of_harm = |harm| culprits.iter().find(|culprit| culprit.harm == harm);
    if let Some(culprit) = of_harm(Harm::NoTunnel) {
        let message = format!("{culprit}; {}", culprit.remedy());
        return Err(Failure::new(FailureKind::BadOptions, message));
    }
    Ok(of_harm(Harm::Maybe)
        .map(|culprit| format!("what may be behind it: {culprit}; {}", culprit.remedy())))
}

#[cfg(test)]
mod tests;
