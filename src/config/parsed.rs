//! Values that the file writes as texts of their own form.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Visitor};

/// Takes a text that parses.
pub(super) struct Parsed<T> {
    /// What is right, for people.
    expecting: &'static str,
    value: PhantomData<T>,
}

impl<T> Parsed<T> {
    pub(super) fn of(expecting: &'static str) -> Self {
        Parsed { expecting, value: PhantomData }
    }
}

impl<T: FromStr<Err: Display>> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
