//! Durations as the configuration writes them: `"90s"`, `"5m"`, `"250ms"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::parsed::Parsed;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It is something else.
    #[error("{0:?} is not a duration such as \"90s\" or \"5m\"")]
    NoDuration(String),
    /// Nothing here takes so long.
    #[error("{0:?} is longer than a year; give at most \"365d\"")]
    TooLong(String),
    /// Nothing here is so exact.
    #[error("{0:?} is finer than a millisecond; give whole milliseconds such as \"250ms\"")]
    TooFine(String),
}

/// A duration of at most a year, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

const LONGEST: Duration = Duration::from_secs(365 * DAY);

impl Span {
    /// The longest one, a year.
    pub const LONGEST: Span = Span(LONGEST);

    /// A span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Span(Duration::from_secs(seconds))
    }

    /// The duration itself.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = SpanError;

    /// A bare number is seconds.
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let duration = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => humantime::parse_duration(text)
                .map_err(|_| SpanError::NoDuration(text.to_owned()))?,
        };
        if duration > LONGEST {
            return Err(SpanError::TooLong(text.to_owned()));
        }
        if duration.subsec_nanos() % 1_000_000 != 0 {
            return Err(SpanError::TooFine(text.to_owned()));
        }
        Ok(Span(duration))
    }
}

/// Days stay days, also where they are many: months and years of the library have odd lengths.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.as_secs() / DAY;
        if days > 0 && self.0 == Duration::from_secs(days * DAY) {
            return write!(f, "{days}d");
        }
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed::of("a duration in quotes, such as \"30s\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds() {
        assert_eq!("30".parse(), Ok(Span::seconds(30)));
    }

    #[test]
    fn what_is_printed_reads_as_it_was_written() {
        for text in ["1m 30s", "5m", "250ms", "0s", "1d", "365d", "1day 1h"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_named() {
        let error = "soon".parse::<Span>().unwrap_err().to_string();
        assert!(error.contains("\"soon\""), "{error}");
    }
}
