//! Reading the file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::Config;
use super::document::Document;
use super::fault::{ConfigError, Fault, Place};
use super::judge::{Judgement, judge};
use crate::atomic_file;

/// Where the file is when nobody names one.
pub const DEFAULT_PATH: &str = "/etc/connexa/connexad.toml";

/// Larger files are no configurations, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The variable of the environment that names the database before the file does.
const DATABASE: &str = "CONNEXA_DB";

/// The file that a configuration is read from: the named one, or the default one where it is there.
/// Whoever goes by a file from then on does not take its absence for defaults.
pub fn file(named: Option<PathBuf>) -> Option<PathBuf> {
    let is_there = || {
        std::fs::symlink_metadata(DEFAULT_PATH)
            .map_or_else(|error| error.kind() != ErrorKind::NotFound, |_| true)
    };
    named.or_else(|| is_there().then(|| DEFAULT_PATH.into()))
}

/// Reads the file at `path`, or the default file when `path` is `None`: a missing default file
/// means defaults, a missing named one is an error. `CONNEXA_DB` wins over `database.path`, and
/// `adjust` over both; what comes out is judged as a whole.
///
/// # Errors
/// When the file can't be read, does not parse, or holds a value that can't work: with all that is
/// wrong.
pub fn load(path: Option<&Path>, adjust: impl FnOnce(&mut Config)) -> Result<Config, ConfigError> {
    let there = file(path.map(Path::to_owned));
    let path = there.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
    let document = match there {
        Some(_) => read(path)?,
        None => Document::default(),
    };
    overridden(path, document, adjust)
}

/// Reads the file at `path` as it stands, for another process to go by.
///
/// # Errors
/// As [`load`].
pub fn load_alone(path: &Path) -> Result<Config, ConfigError> {
    whole(path, read(path)?)
}

/// What [`load`] would make of `text`, the content of `path`.
///
/// # Errors
/// When it does not parse or holds a value that can't work: with all that is wrong.
pub(crate) fn parse_to_run(
    path: &Path,
    text: &str,
    adjust: impl FnOnce(&mut Config),
) -> Result<Config, ConfigError> {
    overridden(path, Document::read(text), adjust)
}

/// With what wins over the file.
fn overridden(
    path: &Path,
    mut document: Document,
    adjust: impl FnOnce(&mut Config),
) -> Result<Config, ConfigError> {
    if let Some(database) = database_of_environment() {
        document.config.database.path = database;
        document.places.remove("database.path");
        document.database_by_environment = true;
    }
    adjust(&mut document.config);
    whole(path, document)
}

/// The database that `CONNEXA_DB` names.
pub fn database_of_environment() -> Option<PathBuf> {
    std::env::var_os(DATABASE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Parses and judges `text`, the content of `path`.
///
/// # Errors
/// When it does not parse or holds a value that can't work: with all that is wrong.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    whole(path, Document::read(text))
}

fn read(path: &Path) -> Result<Document, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let bytes = atomic_file::read_at_most(path, LARGEST).map_err(unreadable)?;
    let bytes = bytes.ok_or_else(|| unreadable(Errno::NOENT.into()))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Document::read(&text)),
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes());
            let place = Some(Place::of(&text, error.utf8_error().valid_up_to()));
            let message = "not UTF-8 text; save the file as UTF-8".to_owned();
            let faults = vec![Fault { place, message }];
            Err(ConfigError::Faulty { path: path.to_owned(), faults })
        }
    }
}

/// The configuration, if nothing at all is wrong with it.
fn whole(path: &Path, document: Document) -> Result<Config, ConfigError> {
    // What was not looked at proves nothing.
    let judgements = if document.is_cut_short() {
        Vec::new()
    } else {
        judge(&document.config, &document.refused)
    };
    let judged = judgements.into_iter().map(|judgement| told(&document, judgement));
    let mut faults: Vec<Fault> = judged.collect();
    faults.extend(document.faults);
    if faults.is_empty() {
        return Ok(document.config);
    }
    faults.sort_by(|one, other| {
        let without = |fault: &Fault| fault.place.is_none();
        (without(one), &one.place).cmp(&(without(other), &other.place))
    });
    Err(ConfigError::Faulty { path: path.to_owned(), faults })
}

/// A judgement with its place: that of the first of its keys that the file sets.
fn told(document: &Document, Judgement { keys, message }: Judgement) -> Fault {
    let place = keys.iter().find_map(|key| document.places.get(*key)).cloned();
    let key = keys.first().copied().unwrap_or_default();
    let by = match key {
        "database.path" if document.database_by_environment => " (of the environment's CONNEXA_DB)",
        _ => "",
    };
    Fault { place, message: format!("{key}{by} {message}") }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::{fuzz, is_shown_safely};

    #[test]
    fn a_configuration_is_refused_with_words_or_reads_back_the_same_whatever_it_is() {
        let path = Path::new("/etc/connexa/connexad.toml");
        fuzz("tests/fuzz/corpus/configuration", |bytes| {
            match parse(path, &String::from_utf8_lossy(bytes)) {
                Ok(config) => {
                    let shown = toml::to_string(&config).unwrap();
                    let again =
                        parse(path, &shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
                    assert_eq!(again, config);
                }
                Err(error) => is_shown_safely(&error.to_string()),
            }
        });
    }
}
