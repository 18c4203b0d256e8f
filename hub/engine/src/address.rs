//! Addresses: who sends, who receives, whose node it is.
//!
//! Implements: RFC 7622 §3 (with PRECIS, RFC 8264 and 8265, and IDNA). Not: XEP-0106 escaping, which is a
//! matter between users and clients; a server compares the escaped text.
//!
//! Every address holds *prepared* text: equality of bytes is equality of addresses, so nothing behind the
//! edge ever prepares or folds case again. One shared string and two offsets; a clone is one atomic add.

mod prepare;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use prepare::{domain_part, local_part, resource_part};

/// The most bytes each part of an address may have (RFC 7622 §3.2, §3.3, §3.4).
pub const PART_BYTES_MAX: usize = 1023;

// Three parts with both separators must fit the offsets.
const _: () = assert!(3 * PART_BYTES_MAX + 2 <= u16::MAX as usize);

/// Any address: `domain`, `local@domain`, or either with `/resource`.
///
/// The text is prepared; the offsets are on the separators, or at the end where there is no resource.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Index of `@`; 0 when there is no localpart, which cannot be empty.
    at: u16,
    /// Index of `/`; the length of the text when there is no resource.
    slash: u16,
}

/// An address without resource: an account, or a service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

/// An address with resource: one session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FullJid(Jid);

impl Jid {
    /// Prepares and checks an address as it came from outside.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        // RFC 7622 §3.1: the resource begins at the first `/`, and only then is `@` looked for.
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource_part(resource)?)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local_part(local)?), domain),
            None => (None, bare),
        };
        Self::join(local.as_deref(), &domain_part(domain)?, resource.as_deref())
    }

    /// The whole address, prepared.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before `@`, if there is one.
    pub fn local(&self) -> Option<&str> {
        (self.at > 0).then(|| &self.text[..usize::from(self.at)])
    }

    /// The host.
    pub fn domain(&self) -> &str {
        let start = if self.at > 0 {
            usize::from(self.at) + 1
        } else {
            0
        };
        &self.text[start..usize::from(self.slash)]
    }

    /// The part after `/`, if there is one.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.slash) + 1..)
    }

    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        usize::from(self.slash) == self.text.len()
    }

    /// The address without its resource.
    pub fn bare(&self) -> BareJid {
        if self.is_bare() {
            return BareJid(self.clone());
        }
        BareJid(Self {
            text: self.bare_text().into(),
            at: self.at,
            slash: self.slash,
        })
    }

    /// The same address as a full one, if it has a resource.
    pub fn as_full(&self) -> Option<FullJid> {
        (!self.is_bare()).then(|| FullJid(self.clone()))
    }

    fn bare_text(&self) -> &str {
        &self.text[..usize::from(self.slash)]
    }

    /// Puts prepared parts together.
    fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        let mut text = String::with_capacity(
            local.map_or(0, |l| l.len() + 1) + domain.len() + resource.map_or(0, |r| r.len() + 1),
        );
        if let Some(local) = local {
            text.push_str(local);
            text.push('@');
        }
        text.push_str(domain);
        let slash = offset(text.len())?;
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(resource);
        }
        Ok(Self {
            text: text.into(),
            at: offset(local.map_or(0, str::len))?,
            slash,
        })
    }
}

impl BareJid {
    /// Prepares and checks an address that must not have a resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let jid = Jid::parse(text)?;
        if !jid.is_bare() {
            Err(JidError::ResourceNotAllowed)
        } else {
            Ok(Self(jid))
        }
    }

    /// The account `local` at `domain`.
    pub fn new(local: &str, domain: &str) -> Result<Self, JidError> {
        Jid::join(Some(&local_part(local)?), &domain_part(domain)?, None).map(Self)
    }

    /// A service, or the hub itself.
    pub fn domain_only(domain: &str) -> Result<Self, JidError> {
        Jid::join(None, &domain_part(domain)?, None).map(Self)
    }

    /// One session of this account.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        Jid::join(self.local(), self.domain(), Some(&resource_part(resource)?)).map(FullJid)
    }
}

impl FullJid {
    /// Prepares and checks an address that must have a resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let jid = Jid::parse(text)?;
        if jid.is_bare() {
            Err(JidError::ResourceMissing)
        } else {
            Ok(Self(jid))
        }
    }

    /// The part after `/`.
    pub fn resource(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }

    /// The account or service this is a session of.
    pub fn bare(&self) -> BareJid {
        self.0.bare()
    }

    /// Whether this is a session of `bare`, without making the bare address.
    pub fn is_session_of(&self, bare: &BareJid) -> bool {
        self.0.bare_text() == bare.as_str()
    }
}

/// Prepares a user name as the localpart of an address (RFC 7622 §3.3).
pub fn prepare_local(text: &str) -> Result<String, JidError> {
    local_part(text).map(Cow::into_owned)
}

/// Prepares the name of a host as the domainpart of an address (RFC 7622 §3.2).
pub fn prepare_domain(text: &str) -> Result<String, JidError> {
    domain_part(text).map(Cow::into_owned)
}

/// Prepares a resourcepart (RFC 7622 §3.4).
pub fn prepare_resource(text: &str) -> Result<String, JidError> {
    resource_part(text).map(Cow::into_owned)
}

/// What the two narrower kinds share with [`Jid`].
macro_rules! narrower {
    ($($kind:ident),+) => {$(
        impl $kind {
            /// The part before `@`, if there is one.
            pub fn local(&self) -> Option<&str> {
                self.0.local()
            }

            /// The host.
            pub fn domain(&self) -> &str {
                self.0.domain()
            }

            /// The whole address, prepared.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The same as any address.
            pub fn as_jid(&self) -> &Jid {
                &self.0
            }
        }

        impl From<$kind> for Jid {
            fn from(narrower: $kind) -> Self {
                narrower.0
            }
        }

        impl PartialEq<$kind> for Jid {
            fn eq(&self, other: &$kind) -> bool {
                *self == other.0
            }
        }
    )+};
}

narrower!(BareJid, FullJid);

/// An address is shown and read as its text.
macro_rules! textual {
    ($($kind:ident),+) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($kind), "({})"), self.as_str())
            }
        }

        impl FromStr for $kind {
            type Err = JidError;

            fn from_str(text: &str) -> Result<Self, JidError> {
                Self::parse(text)
            }
        }
    )+};
}

textual!(Jid, BareJid, FullJid);

/// Why a text is no address: which part, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JidError {
    /// The part is there but empty, as in `@host` or `host/`.
    #[error("the {0} of the address is empty")]
    Empty(Part),
    /// The part has more than [`PART_BYTES_MAX`] bytes once prepared.
    #[error("the {0} of the address is longer than {PART_BYTES_MAX} bytes")]
    TooLong(Part),
    /// A character that this part must not hold.
    #[error("the {0} of the address must not contain {1:?}")]
    Forbidden(Part, char),
    /// Text that the part's preparation refuses as a whole, such as one of mixed direction.
    #[error("the {0} of the address is not a valid one (check its script, direction and labels)")]
    Invalid(Part),
    /// A resource where only an account or a service can be named.
    #[error("the address must not have a resource (\"/...\")")]
    ResourceNotAllowed,
    /// No resource where one session must be named.
    #[error("the address must have a resource (\"/...\")")]
    ResourceMissing,
}

/// A part of an address, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Before `@`.
    Local,
    /// Between `@` and `/`.
    Domain,
    /// After `/`.
    Resource,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "user name",
            Self::Domain => "domain",
            Self::Resource => "resource",
        })
    }
}

fn offset(at: usize) -> Result<u16, JidError> {
    u16::try_from(at).map_err(|_| JidError::TooLong(Part::Domain))
}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.text == other.text
    }
}

impl Eq for Jid {}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

#[cfg(test)]
mod tests;
