//! Credentials as bytes, for the store. The first byte is the version, so that other keys can join later.

use super::{Credentials, SALT_BYTES, ScramHash, ScramKey, Verifier};

/// Version 1: both keys as iterations (4 bytes, big-endian), salt length (1), salt, stored key, server key; SHA-1
/// first. Then nothing, or the verifier's salt (16) and digest (32).
const VERSION: u8 = 1;

impl Credentials {
    /// The stable form to store. [`Credentials::decode`] reads it back, in this and in every later release.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for key in [&self.sha1, &self.sha256] {
            out.extend_from_slice(&key.iterations.to_be_bytes());
            // Bounded by SALT_BYTES_MAX wherever a key is made.
            out.push(key.salt.len() as u8);
            out.extend_from_slice(&key.salt);
            out.extend_from_slice(&key.stored_key);
            out.extend_from_slice(&key.server_key);
        }
        if let Some(verifier) = &self.verifier {
            out.extend_from_slice(&verifier.salt);
            out.extend_from_slice(&verifier.digest);
        }
        out
    }

    /// Reads what [`Credentials::encode`] wrote. Strict: anything else means a damaged or newer store.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        let (version, mut rest) = bytes.split_first().ok_or(EncodingError::Damaged)?;
        if *version != VERSION {
            return Err(EncodingError::Version(*version));
        }
        let sha1 = decode_key(ScramHash::Sha1, &mut rest).ok_or(EncodingError::Damaged)?;
        let sha256 = decode_key(ScramHash::Sha256, &mut rest).ok_or(EncodingError::Damaged)?;
        let verifier = match rest.is_empty() {
            true => None,
            false => Some(decode_verifier(rest).ok_or(EncodingError::Damaged)?),
        };
        Ok(Self {
            sha1,
            sha256,
            verifier,
        })
    }
}

/// Why stored credentials cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// Written by a newer release.
    #[error("the stored credentials have version {0}, this release reads version {VERSION}")]
    Version(u8),
    /// Cut short, too long, or with a value out of its bounds.
    #[error("the stored credentials are damaged")]
    Damaged,
}

fn decode_key(hash: ScramHash, rest: &mut &[u8]) -> Option<ScramKey> {
    let iterations = u32::from_be_bytes(take(rest, 4)?.try_into().ok()?);
    let salt_bytes = take(rest, 1)?[0];
    let salt = take(rest, usize::from(salt_bytes))?;
    let stored_key = take(rest, hash.digest_bytes())?;
    let server_key = take(rest, hash.digest_bytes())?;
    ScramKey::from_parts(hash, salt, iterations, stored_key, server_key)
}

fn decode_verifier(bytes: &[u8]) -> Option<Verifier> {
    let (salt, digest) = bytes.split_at_checked(SALT_BYTES)?;
    Some(Verifier {
        salt: salt.try_into().ok()?,
        digest: digest.try_into().ok()?,
    })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}
