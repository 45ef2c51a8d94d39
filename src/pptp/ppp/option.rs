//! Options of a Configure packet (RFC 1661 section 6).

use crate::pptp::bytes::Reader;

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pptp) struct Opt {
    pub(in crate::pptp) kind: u8,
    pub(in crate::pptp) data: Vec<u8>,
}

impl Opt {
    pub(in crate::pptp) fn new(kind: u8, data: impl Into<Vec<u8>>) -> Self {
        Opt { kind, data: data.into() }
    }

    /// Its value, where it has exactly that many bytes.
    pub(in crate::pptp) fn array<const N: usize>(&self) -> Option<[u8; N]> {
        <[u8; N]>::try_from(self.data.as_slice()).ok()
    }
}

/// Reads options; `None` where a length is wrong.
pub(in crate::pptp) fn parse_options(bytes: &[u8]) -> Option<Vec<Opt>> {
    let mut reader = Reader::new(bytes);
    let mut options = Vec::new();
    while !reader.rest().is_empty() {
        let (kind, length) = (reader.u8()?, reader.u8()?);
        options.push(Opt::new(kind, reader.take(usize::from(length).checked_sub(2)?)?));
    }
    Some(options)
}

/// Options as they are sent.
pub(super) fn option_bytes(options: &[Opt]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for option in options {
        bytes.push(option.kind);
        bytes.push(u8::try_from(option.data.len() + 2).unwrap_or(u8::MAX));
        bytes.extend(&option.data);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_that_does_not_fit_makes_the_whole_unreadable() {
        for bytes in [&[1, 0][..], &[1, 1], &[1, 5, 0], &[1]] {
            assert_eq!(parse_options(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            options in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..30)), 0..8),
        ) {
            let options: Vec<_> = options.into_iter().map(|(kind, data)| Opt::new(kind, data)).collect();
            prop_assert_eq!(parse_options(&option_bytes(&options)), Some(options));
        }

        #[test]
        fn any_bytes_are_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse_options(&bytes);
        }
    }
}
