//! What the hub keeps of a password: keys that verify it, and that nobody can present in its place.
//!
//! Implements: RFC 5802 §3 and RFC 7677 §3 key derivation (SCRAM-SHA-1, SCRAM-SHA-256), S32 verifiers.
//!
//! One account has one [`Credentials`]. SCRAM, SASL PLAIN and an MQTT password are all checked against it. Randomness
//! (salts) comes from the caller; nothing here has a clock, a generator or a file.

mod encoding;
mod known;
mod password;
#[cfg(test)]
mod tests;

pub use encoding::EncodingError;
pub use known::KnownPasswords;
pub use password::{PASSWORD_BYTES_MAX, Password, PasswordError};

use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Rounds of PBKDF2 for SCRAM-SHA-1 keys: the least that RFC 5802 §5.1 recommends. The client pays them at each return,
/// and a microcontroller pays some 40 million instructions for 4,096; more rounds help weak passwords only, and devices
/// have generated ones.
pub const SHA1_ITERATIONS_DEFAULT: u32 = 4096;
/// Rounds of PBKDF2 for SCRAM-SHA-256 keys: the least that RFC 7677 §4 allows, for the same reason.
pub const SHA256_ITERATIONS_DEFAULT: u32 = 4096;
/// RFC 7677 §4: the count is at least 4,096.
pub const ITERATIONS_MIN: u32 = 4096;
/// Bound for keys that come from elsewhere: one check of a password takes about a second at most.
pub const ITERATIONS_MAX: u32 = 2_000_000;
/// Length of the salts that the hub makes itself.
pub const SALT_BYTES: usize = 16;
/// Bound for salts that come from elsewhere.
pub const SALT_BYTES_MAX: usize = 64;

/// Output of a hash or HMAC: 20 bytes of SHA-1 or 32 of SHA-256.
pub type Digest = SmallVec<[u8; 32]>;

/// Everything that verifies one account's password. It holds no password, and nothing of it can be replayed as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    sha1: ScramKey,
    sha256: ScramKey,
    verifier: Option<Verifier>,
}

/// Randomness and cost for [`Credentials::derive`]. All salts are fresh from a cryptographic generator.
#[derive(Clone, Copy, Debug)]
pub struct Derivation {
    /// Salt of the SHA-1 key.
    pub sha1_salt: [u8; SALT_BYTES],
    /// Salt of the SHA-256 key.
    pub sha256_salt: [u8; SALT_BYTES],
    /// PBKDF2 rounds of the SHA-1 key; clamped into [`ITERATIONS_MIN`]`..=`[`ITERATIONS_MAX`].
    pub sha1_iterations: u32,
    /// PBKDF2 rounds of the SHA-256 key; clamped likewise.
    pub sha256_iterations: u32,
    /// A salt here says: the secret was generated with 128 bits of entropy or more, so keep a fast verifier too (S32).
    /// Never give one for a password that a person chose: one SHA-256 is no protection for it.
    pub generated_secret_salt: Option<[u8; SALT_BYTES]>,
}

impl Derivation {
    /// Default cost, no fast verifier: right for a password that a person chose.
    pub fn with_salts(sha1_salt: [u8; SALT_BYTES], sha256_salt: [u8; SALT_BYTES]) -> Self {
        Self {
            sha1_salt,
            sha256_salt,
            sha1_iterations: SHA1_ITERATIONS_DEFAULT,
            sha256_iterations: SHA256_ITERATIONS_DEFAULT,
            generated_secret_salt: None,
        }
    }
}

impl Credentials {
    /// Derives both keys. Costs two runs of PBKDF2, some milliseconds: never on a shard (S32).
    pub fn derive(password: &Password, how: &Derivation) -> Self {
        let rounds = |asked: u32| asked.clamp(ITERATIONS_MIN, ITERATIONS_MAX);
        Self {
            sha1: ScramKey::derive_unchecked(
                ScramHash::Sha1,
                password,
                &how.sha1_salt,
                rounds(how.sha1_iterations),
            ),
            sha256: ScramKey::derive_unchecked(
                ScramHash::Sha256,
                password,
                &how.sha256_salt,
                rounds(how.sha256_iterations),
            ),
            verifier: how
                .generated_secret_salt
                .map(|salt| Verifier::of(password, salt)),
        }
    }

    /// Takes keys derived elsewhere (an import). `None` if either is of the wrong hash.
    pub fn from_keys(sha1: ScramKey, sha256: ScramKey) -> Option<Self> {
        (sha1.hash == ScramHash::Sha1 && sha256.hash == ScramHash::Sha256).then_some(Self {
            sha1,
            sha256,
            verifier: None,
        })
    }

    /// Keys for an account that does not exist. The same name always gets the same salts and counts, as a real account
    /// would show them, and no password fits. `secret` is the hub's own, random, and kept across restarts: whoever knew
    /// it, or saw it change, could tell decoys from accounts.
    pub fn decoy(secret: &[u8; 32], account: &str) -> Self {
        // The label keeps the four values apart and this use of the secret apart from any other.
        let value = |label: &[u8]| {
            ScramHash::Sha256.hmac(
                secret,
                &[b"decoy credentials 1\0", label, b"\0", account.as_bytes()],
            )
        };
        let key = |hash: ScramHash, salt: &[u8], keys: &[u8], iterations: u32| {
            let keys = value(keys);
            let server_key = hash.hmac(&keys, &[b"server"]);
            ScramKey {
                hash,
                salt: SmallVec::from_slice(&value(salt)[..SALT_BYTES]),
                iterations,
                stored_key: SmallVec::from_slice(&keys[..hash.digest_bytes()]),
                server_key,
            }
        };
        Self {
            sha1: key(
                ScramHash::Sha1,
                b"sha1 salt",
                b"sha1 keys",
                SHA1_ITERATIONS_DEFAULT,
            ),
            sha256: key(
                ScramHash::Sha256,
                b"sha256 salt",
                b"sha256 keys",
                SHA256_ITERATIONS_DEFAULT,
            ),
            verifier: None,
        }
    }

    /// The key for one hash.
    pub fn key(&self, hash: ScramHash) -> &ScramKey {
        match hash {
            ScramHash::Sha1 => &self.sha1,
            ScramHash::Sha256 => &self.sha256,
        }
    }

    /// Whether a fast verifier is kept (S32), so that a right password costs one hash instead of PBKDF2.
    pub fn has_verifier(&self) -> bool {
        self.verifier.is_some()
    }

    /// Is this the password? Any comparison takes constant time. A wrong one always costs one PBKDF2, with or without
    /// a verifier, so a refusal's time does not tell which accounts exist or which hold generated secrets.
    pub fn verify_password(&self, raw: &str) -> bool {
        // What preparation refuses depends on the text alone, so this early exit says nothing of the account.
        let Ok(password) = Password::prepare(raw) else {
            return false;
        };
        if self
            .verifier
            .as_ref()
            .is_some_and(|verifier| verifier.matches(&password))
        {
            return true;
        }
        let key = &self.sha256;
        let derived = ScramKey::derive_unchecked(key.hash, &password, &key.salt, key.iterations);
        bool::from(derived.stored_key.ct_eq(&key.stored_key))
    }
}

/// The hash under one SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramHash {
    /// RFC 5802.
    Sha1,
    /// RFC 7677.
    Sha256,
}

impl ScramHash {
    /// Length of its output, in bytes.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// `H(data)` of RFC 5802 §2.2.
    pub fn digest(self, data: &[u8]) -> Digest {
        match self {
            Self::Sha1 => SmallVec::from_slice(&Sha1::digest(data)),
            Self::Sha256 => SmallVec::from_slice(&Sha256::digest(data)),
        }
    }

    /// `HMAC(key, parts joined)` of RFC 5802 §2.2.
    pub fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Digest {
        fn run<M: Mac + hmac::digest::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Digest {
            let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes a key of any length");
            parts.iter().for_each(|part| mac.update(part));
            SmallVec::from_slice(&mac.finalize().into_bytes())
        }
        match self {
            Self::Sha1 => run::<Hmac<Sha1>>(key, parts),
            Self::Sha256 => run::<Hmac<Sha256>>(key, parts),
        }
    }

    /// `Hi(password, salt, iterations)` of RFC 5802 §2.2, which is PBKDF2 with one block of output.
    fn salted_password(
        self,
        password: &Password,
        salt: &[u8],
        iterations: u32,
    ) -> Zeroizing<Vec<u8>> {
        let mut salted = Zeroizing::new(vec![0; self.digest_bytes()]);
        let password = password.as_str().as_bytes();
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut salted),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted),
        }
        salted
    }
}

/// What a server keeps for SCRAM with one hash (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKey {
    hash: ScramHash,
    salt: SmallVec<[u8; SALT_BYTES]>,
    iterations: u32,
    stored_key: Digest,
    server_key: Digest,
}

impl ScramKey {
    /// Derives a key. Costs one PBKDF2. `None` if salt or iterations are out of bounds.
    pub fn derive(
        hash: ScramHash,
        password: &Password,
        salt: &[u8],
        iterations: u32,
    ) -> Option<Self> {
        in_bounds(salt, iterations)
            .then(|| Self::derive_unchecked(hash, password, salt, iterations))
    }

    fn derive_unchecked(
        hash: ScramHash,
        password: &Password,
        salt: &[u8],
        iterations: u32,
    ) -> Self {
        let salted = hash.salted_password(password, salt, iterations);
        // The client key opens the account by itself: it lives only here, and only until the end of this function.
        let client_key = Zeroizing::new(hash.hmac(&salted, &[b"Client Key"]).to_vec());
        Self {
            hash,
            salt: SmallVec::from_slice(salt),
            iterations,
            stored_key: hash.digest(&client_key),
            server_key: hash.hmac(&salted, &[b"Server Key"]),
        }
    }

    /// Takes a key derived elsewhere (an import). `None` if a length or count is out of bounds.
    pub fn from_parts(
        hash: ScramHash,
        salt: &[u8],
        iterations: u32,
        stored_key: &[u8],
        server_key: &[u8],
    ) -> Option<Self> {
        let right_length =
            stored_key.len() == hash.digest_bytes() && server_key.len() == hash.digest_bytes();
        (right_length && in_bounds(salt, iterations)).then(|| Self {
            hash,
            salt: SmallVec::from_slice(salt),
            iterations,
            stored_key: SmallVec::from_slice(stored_key),
            server_key: SmallVec::from_slice(server_key),
        })
    }

    /// The hash it belongs to.
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// The salt, as the client is told it.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The PBKDF2 rounds, as the client is told them.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Does `proof` show that the client knows the password (RFC 5802 §3, ClientProof)? In constant time.
    pub fn proves(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        let signature = self.hash.hmac(&self.stored_key, &[auth_message]);
        if proof.len() != signature.len() {
            return false;
        }
        let client_key: Zeroizing<Vec<u8>> = Zeroizing::new(
            proof
                .iter()
                .zip(&signature)
                .map(|(proof, mask)| proof ^ mask)
                .collect(),
        );
        bool::from(self.hash.digest(&client_key).ct_eq(&self.stored_key))
    }

    /// What shows the client that this hub knows the account's key (RFC 5802 §3, ServerSignature).
    pub fn server_signature(&self, auth_message: &[u8]) -> Digest {
        self.hash.hmac(&self.server_key, &[auth_message])
    }
}

impl fmt::Debug for ScramKey {
    /// Keys stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ScramKey({:?}, {} iterations)",
            self.hash, self.iterations
        )
    }
}

/// A salted SHA-256 of a generated secret (S32): 128 bits of entropy need no slow hash, and 10,000 devices that return
/// at once after a power cut could not each pay one.
#[derive(Clone, PartialEq, Eq)]
struct Verifier {
    salt: [u8; SALT_BYTES],
    digest: [u8; 32],
}

impl Verifier {
    fn of(password: &Password, salt: [u8; SALT_BYTES]) -> Self {
        let digest = Sha256::new()
            .chain_update(salt)
            .chain_update(password.as_str())
            .finalize()
            .into();
        Self { salt, digest }
    }

    fn matches(&self, password: &Password) -> bool {
        bool::from(Self::of(password, self.salt).digest.ct_eq(&self.digest))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

fn in_bounds(salt: &[u8], iterations: u32) -> bool {
    (1..=SALT_BYTES_MAX).contains(&salt.len())
        && (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations)
}
