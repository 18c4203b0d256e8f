//! All randomness of one session, drawn from the seed that the shell gave it: the engine has no generator.
//!
//! Implements: RFC 6120 §4.7.3 and §7.6 as far as identifiers must not be guessed.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A secret seed and how often it was drawn from. Each draw is HMAC-SHA-256(seed, count): a pseudorandom function, so what
/// was drawn before (a stream id, a nonce, all public) says nothing of what is drawn next.
pub(in crate::xmpp) struct Seed {
    key: [u8; 32],
    draws: u32,
}

impl Seed {
    pub(in crate::xmpp) const fn new(key: [u8; 32]) -> Self {
        Self { key, draws: 0 }
    }

    /// 32 fresh bytes.
    pub(in crate::xmpp) fn draw(&mut self) -> [u8; 32] {
        self.draws = self.draws.wrapping_add(1);
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(&self.key) else {
            unreachable!("HMAC takes a key of any length");
        };
        mac.update(b"session\0");
        mac.update(&self.draws.to_be_bytes());
        mac.finalize().into_bytes().into()
    }

    /// As many fresh bytes as asked for, at most 32.
    pub(in crate::xmpp) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32, "one draw has 32 bytes") };
        let drawn = self.draw();
        std::array::from_fn(|at| drawn[at])
    }

    /// 128 fresh bits as text, for identifiers that must not be guessed (RFC 6120 §4.7.3, §7.6).
    pub(in crate::xmpp) fn text(&mut self) -> String {
        use std::fmt::Write as _;
        self.bytes::<16>()
            .iter()
            .fold(String::with_capacity(32), |mut text, byte| {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

impl std::fmt::Debug for Seed {
    /// The seed stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_no_draw_repeats() {
        let (mut one, mut two) = (Seed::new([7; 32]), Seed::new([7; 32]));
        let drawn: Vec<_> = (0..8).map(|_| one.draw()).collect();
        assert!(drawn.iter().all(|bytes| *bytes == two.draw()));
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), drawn.len());
    }
}
