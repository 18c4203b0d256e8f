//! External components: programs beside the hub that speak for a domain of their own (XEP-0114).

use std::fmt;

use zeroize::Zeroizing;

use crate::{account::Role, address::BareJid};

/// Fewest bytes of a secret. Whoever overhears a handshake can try secrets on it as fast as SHA-1 runs, so one that can be
/// guessed is none.
pub const SECRET_BYTES_MIN: usize = 16;
/// Most bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 1_024;

/// A component that may attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The domain that it speaks for: every address of it, and none besides.
    pub domain: BareJid,
    /// As what the access rules see each of its addresses.
    pub role: Role,
    /// What it must know.
    pub secret: ComponentSecret,
}

/// What a component and the hub both know.
#[derive(Clone, PartialEq, Eq)]
pub struct ComponentSecret(Zeroizing<String>);

impl ComponentSecret {
    /// A secret; `None` if it is too short or too long.
    pub fn new(text: &str) -> Option<Self> {
        (SECRET_BYTES_MIN..=SECRET_BYTES_MAX)
            .contains(&text.len())
            .then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The secret itself, for the handshake alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ComponentSecret {
    /// A secret stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComponentSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_a_length_and_does_not_show() {
        assert!(ComponentSecret::new("short").is_none());
        assert!(ComponentSecret::new(&"x".repeat(SECRET_BYTES_MAX + 1)).is_none());
        let secret = ComponentSecret::new("correct horse battery").unwrap();
        assert!(!format!("{secret:?}").contains("horse"));
    }
}
