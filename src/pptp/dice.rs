//! Random numbers of a call, all from one seed, so that a call can be replayed.

use sha1::{Digest, Sha1};

/// Draws numbers that nobody can guess who does not know the seed.
#[derive(Clone)]
pub struct Dice {
    seed: [u8; 32],
    drawn: u64,
}

impl Dice {
    /// From 32 bytes of the kernel's randomness, new for each call.
    pub fn new(seed: [u8; 32]) -> Self {
        Dice { seed, drawn: 0 }
    }

    /// Sixteen bytes that were never drawn before.
    pub(super) fn draw(&mut self) -> [u8; 16] {
        self.drawn = self.drawn.wrapping_add(1);
        let digest =
            Sha1::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes()).finalize();
        let mut drawn = [0; 16];
        drawn.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        drawn
    }

    /// A number of LCP's magic kind: never 0, which means none (RFC 1661 section 6.4).
    pub(super) fn magic(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.draw();
        u32::from_be_bytes([a, b, c, d]).max(1)
    }
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dice(… after {})", self.drawn)
    }
}
