//! Names that the hub makes: of instant nodes (XEP-0060 §8.1.2), subscriptions (§4.2) and items (§7.1.2).

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::time::Now;

/// Makes names that are unique, and that nobody can guess who does not hold the secret.
pub(super) struct Ids {
    secret: [u8; 32],
    made: u64,
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ids").field("made", &self.made).finish()
    }
}

impl Ids {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self { secret, made: 0 }
    }

    /// 128 bits as 32 hexadecimal digits. The clock keeps names apart that are made before and after a restart, the
    /// count those of one run.
    pub(super) fn make(&mut self, now: Now) -> String {
        self.made += 1;
        let digest = match Hmac::<Sha256>::new_from_slice(&self.secret) {
            Ok(mut mac) => {
                mac.update(&self.made.to_be_bytes());
                mac.update(&now.wall.micros().to_be_bytes());
                mac.update(&now.mono.micros().to_be_bytes());
                mac.finalize().into_bytes()
            }
            // HMAC takes keys of any length.
            Err(_) => unreachable!("a key of 32 bytes is a key"),
        };
        let mut name = String::with_capacity(32);
        for byte in digest.iter().take(16) {
            for digit in [byte >> 4, byte & 15] {
                name.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_made_at_once_differ_and_another_secret_makes_others() {
        let (mut one, mut two) = (Ids::new([1; 32]), Ids::new([2; 32]));
        let (first, second) = (one.make(Now::default()), one.make(Now::default()));
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
        assert_ne!(first, two.make(Now::default()));
    }
}
