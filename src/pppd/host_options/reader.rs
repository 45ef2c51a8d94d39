//! The options of a file and of those that it takes in, with the lines they stand in.

use std::path::{Path, PathBuf};

use super::known::{Arguments, arguments};
use crate::atomic_file;
use crate::pppd::quoting::words;

/// The most of one file, in bytes, and files deep; a sane one has a dozen lines.
const MOST: u64 = 64 * 1024;
const DEEPEST: usize = 8;

/// An option as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) file: PathBuf,
    /// The first is 1.
    pub(super) line: usize,
    /// With its argument.
    pub(super) option: String,
}

/// What a file says, in pppd's order; nothing where it can't be read.
pub(super) fn read(file: &Path, ppp_dir: &Path) -> Vec<Said> {
    read_at(file, ppp_dir, 0)
}

fn read_at(file: &Path, ppp_dir: &Path, depth: usize) -> Vec<Said> {
    if depth > DEEPEST {
        return Vec::new();
    }
    let Ok(Some(bytes)) = atomic_file::read_at_most(file, MOST) else { return Vec::new() };
    let mut all = Vec::new();
    let mut words = numbered_words(&bytes).into_iter();
    while let Some((line, word)) = words.next() {
        let argument = match arguments(&word) {
            Arguments::None => None,
            Arguments::One => words.next().map(|(_, word)| word),
            // Of a plug-in, or of another pppd: the next word may be its argument, so it is not judged.
            Arguments::Unknown => {
                words.next();
                None
            }
        };
        let included = match (word.as_str(), &argument) {
            ("file", Some(other)) => Some(Path::new("/").join(other)),
            ("call", Some(name)) => Some(ppp_dir.join("peers").join(name)),
            _ => None,
        };
        let option = [Some(word), argument].into_iter().flatten().collect::<Vec<_>>().join(" ");
        all.push(Said { file: file.to_owned(), line, option });
        if let Some(other) = included {
            all.extend(read_at(&other, ppp_dir, depth + 1));
        }
    }
    all
}

/// The words of a file, each with the number of the line that it begins in, or of the one that its
/// quote or backslash begins in.
fn numbered_words(bytes: &[u8]) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let (mut open, mut begun) = (Vec::new(), 1);
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        if open.is_empty() {
            begun = number;
        }
        open.extend_from_slice(line);
        if let Some(words) = words(&open) {
            let words = words.iter().map(|word| String::from_utf8_lossy(word).into_owned());
            all.extend(words.map(|word| (begun, word)));
            open.clear();
        }
    }
    all
}
