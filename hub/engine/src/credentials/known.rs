//! Passwords that have fitted since the hub started, so that a device which returns costs one hash and not a key
//! derivation (S32): after a power cut ten thousand of them return at once.

use std::{
    collections::HashSet,
    fmt,
    sync::{Mutex, PoisonError},
};

use super::{Credentials, ScramHash};

/// Passwords remembered; when there are more the memory begins anew. 32 bytes each.
const KNOWN_MAX: usize = 16_384;

/// What is kept is a hash of keys and password together, under a key of this run of the hub that is never stored: it tells
/// nothing without that key, fits no other account, and is void once the account has other keys.
///
/// A wrong password and an account that does not exist are never here, and cost what they always cost.
pub struct KnownPasswords {
    key: [u8; 32],
    known: Mutex<HashSet<[u8; 32]>>,
}

impl KnownPasswords {
    /// Remembers nothing yet. `key`: 32 bytes that nobody can guess, made for this run.
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            key,
            known: Mutex::default(),
        }
    }

    /// Whether the password fits the keys, by memory or by [`Credentials::verify_password`].
    pub fn verify(&self, credentials: &Credentials, raw: &str) -> bool {
        let mark = self.mark(credentials, raw);
        if mark.is_some_and(|mark| self.lock().contains(&mark)) {
            return true;
        }
        let fits = credentials.verify_password(raw);
        if let (true, Some(mark)) = (fits, mark) {
            let mut known = self.lock();
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(mark);
        }
        fits
    }

    fn mark(&self, credentials: &Credentials, raw: &str) -> Option<[u8; 32]> {
        // The salted key has one length, so where it ends and the password begins is certain.
        let stored = &credentials.key(ScramHash::Sha256).stored_key;
        let digest = ScramHash::Sha256.hmac(&self.key, &[stored.as_ref(), raw.as_bytes()]);
        digest.as_ref().try_into().ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        // A set is whole between any two of its operations.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KnownPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownPasswords").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{Derivation, Password};

    fn credentials(password: &str, salt: u8) -> Credentials {
        let how = Derivation::with_salts([salt; 16], [salt; 16]);
        Credentials::derive(&Password::prepare(password).unwrap(), &how)
    }

    #[test]
    fn s32_what_has_fitted_once_is_known_and_nothing_else_is() {
        let known = KnownPasswords::new([1; 32]);
        let (mine, other) = (credentials("secret", 1), credentials("secret", 2));
        assert!(!known.verify(&mine, "wrong"));
        assert!(known.lock().is_empty());
        assert!(known.verify(&mine, "secret"));
        let is_known = |credentials: &Credentials, password: &str| {
            let mark = known.mark(credentials, password);
            mark.is_some_and(|mark| known.lock().contains(&mark))
        };
        assert!(is_known(&mine, "secret"));
        assert!(!is_known(&mine, "wrong"));
        assert!(!is_known(&other, "secret"), "another account's keys");
        assert!(
            !is_known(&credentials("changed", 1), "secret"),
            "other keys of the account"
        );
    }

    #[test]
    fn s32_the_memory_is_bounded() {
        let known = KnownPasswords::new([1; 32]);
        for n in 0..KNOWN_MAX as u64 {
            let mut mark = [0; 32];
            mark[..8].copy_from_slice(&n.to_be_bytes());
            known.lock().insert(mark);
        }
        assert!(known.verify(&credentials("secret", 1), "secret"));
        assert_eq!(known.lock().len(), 1);
    }
}
