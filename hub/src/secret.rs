//! The hub's own secret: 32 random bytes in `data_dir/secret`, made on the first run.
//!
//! What must look the same after a restart and be guessable by nobody is derived from it: the salts that unknown accounts
//! seem to have (so that they cannot be told from real ones), and names that the hub makes.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The secret.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Reads the secret of `data_dir`, or makes it.
    pub fn load_or_create(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join("secret");
        match fs::read(&path) {
            Ok(bytes) => <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is not the 32 bytes that Leveret wrote", path.display()),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = random()?;
                let fresh = data_dir.join("secret.new");
                let mut file = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&fresh)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                fs::rename(&fresh, &path)?;
                Ok(Self(bytes))
            }
            Err(error) => Err(error),
        }
    }

    /// A secret for one purpose.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        hmac(&self.0, purpose.as_bytes())
    }
}

/// Thirty-two bytes of the system's randomness.
pub fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Seeds of sessions, each from a counter under a key of this run: no system call per connection.
pub struct Seeds {
    key: [u8; 32],
    next: std::sync::atomic::AtomicU64,
}

impl Seeds {
    /// Begins a sequence that nobody can guess.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            key: random()?,
            next: std::sync::atomic::AtomicU64::new(0),
        })
    }

    /// A seed that was never given before.
    pub fn next(&self) -> [u8; 32] {
        let count = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        hmac(&self.key, &count.to_be_bytes())
    }
}

fn hmac(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    // HMAC takes keys of every length: the error cannot happen, and zeroes would be refused by nobody, so fail loudly.
    #[allow(clippy::expect_used, reason = "see above")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_survives_a_restart_and_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let first = Secret::load_or_create(dir.path()).unwrap();
        let second = Secret::load_or_create(dir.path()).unwrap();
        assert_eq!(first.derive("decoy"), second.derive("decoy"));
        assert_ne!(first.derive("decoy"), first.derive("names"));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(dir.path().join("secret"))
                .unwrap()
                .permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_secret_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), b"short").unwrap();
        assert!(Secret::load_or_create(dir.path()).is_err());
        assert_eq!(fs::read(dir.path().join("secret")).unwrap(), b"short");
    }

    #[test]
    fn no_two_sessions_share_a_seed() {
        let seeds = Seeds::new().unwrap();
        assert_ne!(seeds.next(), seeds.next());
    }
}
