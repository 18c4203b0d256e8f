//! A password in the one form from which all keys are derived.
//!
//! Implements: RFC 5802 §2.2 Normalize (SASLprep, RFC 4013), RFC 8265 §4.2 (OpaqueString) beyond it.

use precis_core::profile::Rules;
use precis_profiles::OpaqueString;
use std::fmt;
use zeroize::Zeroizing;

/// Longest password, in bytes of UTF-8 as sent. Also what keeps PBKDF2's input small before sign-in.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// A prepared password; wiped when dropped.
///
/// SASLprep comes first because SCRAM says so (RFC 5802 §5.1) and because the client, not the hub, derives the salted
/// password: a hub that prepared differently would refuse right passwords. Where SASLprep has no answer, mostly for
/// characters younger than its Unicode 3.2 (2002), the mappings of its successor OpaqueString apply: clients that accept
/// such text at all send it all but unchanged, and so it stays. For ASCII both are the identity.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Prepares a password as a person typed it or a client sent it.
    pub fn prepare(raw: &str) -> Result<Self, PasswordError> {
        if raw.is_empty() {
            return Err(PasswordError::Empty);
        }
        if raw.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        let prepared = match stringprep::saslprep(raw) {
            Ok(prepared) => Zeroizing::new(prepared.into_owned()),
            Err(_) => opaque(raw)?,
        };
        // Characters that map to nothing can leave nothing.
        if prepared.is_empty() {
            Err(PasswordError::Empty)
        } else {
            Ok(Self(prepared))
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 8265 §4.2.2: other spaces become a space, then NFC. Of its class of characters only the ban on controls is kept:
/// the tables at hand end with Unicode 6.3 (2013) and would refuse what people type today.
fn opaque(raw: &str) -> Result<Zeroizing<String>, PasswordError> {
    if raw.chars().any(char::is_control) {
        return Err(PasswordError::Forbidden);
    }
    let profile = OpaqueString::new();
    let mapped = profile
        .additional_mapping_rule(raw)
        .map_err(|_| PasswordError::Forbidden)?;
    let normal = profile
        .normalization_rule(mapped)
        .map_err(|_| PasswordError::Forbidden)?;
    Ok(Zeroizing::new(normal.into_owned()))
}

impl fmt::Debug for Password {
    /// Passwords stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Nothing, or nothing but characters that count as nothing.
    #[error("the password is empty")]
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// Control characters.
    #[error("the password contains control characters")]
    Forbidden,
}
