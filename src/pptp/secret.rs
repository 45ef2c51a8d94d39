//! The keys of a call: they can't be printed, and their memory is wiped, as a password's is
//! ([`Secret`](crate::node::Secret)).

use std::fmt;

use zeroize::Zeroize;

/// The start key of one direction of MPPE (RFC 3079 section 3).
#[derive(Clone, PartialEq, Eq)]
pub struct StartKey([u8; 16]);

impl StartKey {
    pub(super) fn new(bytes: [u8; 16]) -> Self {
        StartKey(bytes)
    }

    /// The key itself, for the one place that hands it to the kernel. With 40 bit the kernel uses
    /// the first eight bytes.
    pub fn reveal(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Drop for StartKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for StartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartKey(…)")
    }
}
