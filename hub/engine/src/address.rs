//! Addresses: who sends, who receives, whose node it is.
//!
//! Implements: RFC 7622 §3 (with PRECIS, RFC 8264 and 8265, and IDNA). Not: XEP-0106 escaping, which is a
//! matter between users and clients; a server compares the escaped text.
//!
//! Every address holds *prepared* text: equality of bytes is equality of addresses, so nothing behind the
//! edge ever prepares or folds case again. One shared string and two offsets; a clone is one atomic add.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use precis_core::profile::PrecisFastInvocation;
use precis_core::{DerivedPropertyValue, IdentifierClass, StringClass};
use precis_profiles::{OpaqueString, UsernameCaseMapped};

/// The most bytes each part of an address may have (RFC 7622 §3.2, §3.3, §3.4).
pub const PART_BYTES_MAX: usize = 1023;

// Three parts with both separators must fit the offsets.
const _: () = assert!(3 * PART_BYTES_MAX + 2 <= u16::MAX as usize);

/// Any address: `domain`, `local@domain`, or either with `/resource`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jid(Prepared);

/// An address without resource: an account, or a service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Prepared);

/// An address with resource: one session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FullJid(Prepared);

impl Jid {
    /// Prepares and checks an address as it came from outside.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Prepared::parse(text).map(Self)
    }

    /// The part after `/`, if there is one.
    pub fn resource(&self) -> Option<&str> {
        self.0.resource()
    }

    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.0.resource().is_none()
    }

    /// The address without its resource.
    pub fn bare(&self) -> BareJid {
        BareJid(self.0.without_resource())
    }

    /// The same address as a full one, if it has a resource.
    pub fn as_full(&self) -> Option<FullJid> {
        self.0.resource().is_some().then(|| FullJid(self.0.clone()))
    }
}

impl BareJid {
    /// Prepares and checks an address that must not have a resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let prepared = Prepared::parse(text)?;
        if prepared.resource().is_some() {
            Err(JidError::ResourceNotAllowed)
        } else {
            Ok(Self(prepared))
        }
    }

    /// The account `local` at `domain`.
    pub fn new(local: &str, domain: &str) -> Result<Self, JidError> {
        Prepared::join(Some(&local_part(local)?), &domain_part(domain)?, None).map(Self)
    }

    /// A service, or the hub itself.
    pub fn domain_only(domain: &str) -> Result<Self, JidError> {
        Prepared::join(None, &domain_part(domain)?, None).map(Self)
    }

    /// One session of this account.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        Prepared::join(self.local(), self.domain(), Some(&resource_part(resource)?)).map(FullJid)
    }
}

impl FullJid {
    /// Prepares and checks an address that must have a resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let prepared = Prepared::parse(text)?;
        if prepared.resource().is_none() {
            Err(JidError::ResourceMissing)
        } else {
            Ok(Self(prepared))
        }
    }

    /// The part after `/`.
    pub fn resource(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }

    /// The account or service this is a session of.
    pub fn bare(&self) -> BareJid {
        BareJid(self.0.without_resource())
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

/// What all three kinds of address offer.
macro_rules! common {
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
                &self.0.text
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0.text)
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($kind), "({})"), self.0.text)
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

common!(Jid, BareJid, FullJid);

impl From<BareJid> for Jid {
    fn from(bare: BareJid) -> Self {
        Self(bare.0)
    }
}

impl From<FullJid> for Jid {
    fn from(full: FullJid) -> Self {
        Self(full.0)
    }
}

impl PartialEq<BareJid> for Jid {
    fn eq(&self, other: &BareJid) -> bool {
        self.0 == other.0
    }
}

impl PartialEq<FullJid> for Jid {
    fn eq(&self, other: &FullJid) -> bool {
        self.0 == other.0
    }
}

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

/// Prepared text and where its parts lie. Invariant: offsets are on the separators or at the end.
#[derive(Clone)]
struct Prepared {
    text: Arc<str>,
    /// Index of `@`; 0 when there is no localpart, which cannot be empty.
    at: u16,
    /// Index of `/`; the length of the text when there is no resource.
    slash: u16,
}

impl Prepared {
    fn parse(text: &str) -> Result<Self, JidError> {
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

    fn local(&self) -> Option<&str> {
        (self.at > 0).then(|| &self.text[..usize::from(self.at)])
    }

    fn domain(&self) -> &str {
        let start = if self.at > 0 {
            usize::from(self.at) + 1
        } else {
            0
        };
        &self.text[start..usize::from(self.slash)]
    }

    fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.slash) + 1..)
    }

    fn bare_text(&self) -> &str {
        &self.text[..usize::from(self.slash)]
    }

    fn without_resource(&self) -> Self {
        if self.resource().is_none() {
            return self.clone();
        }
        Self {
            text: self.bare_text().into(),
            at: self.at,
            slash: self.slash,
        }
    }
}

fn offset(at: usize) -> Result<u16, JidError> {
    u16::try_from(at).map_err(|_| JidError::TooLong(Part::Domain))
}

impl PartialEq for Prepared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.text == other.text
    }
}

impl Eq for Prepared {}

impl Hash for Prepared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Prepared {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Prepared {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

/// Characters that UsernameCaseMapped would allow and an address must not hold (RFC 7622 §3.3.1).
const LOCAL_FORBIDDEN: &str = "\"&'/:<>@";

/// How often a preparation may change its own result before the text is refused: RFC 8264 §7 asks
/// that preparing be repeated until nothing changes, and that a text which never settles be rejected.
const PREPARE_ROUNDS_MAX: usize = 4;

fn local_part(text: &str) -> Result<Cow<'_, str>, JidError> {
    bounded_input(Part::Local, text)?;
    let prepared = if !text.is_ascii() {
        settle(Part::Local, text, |t| UsernameCaseMapped::enforce(t))?
    } else if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(JidError::Forbidden(Part::Local, c));
    } else if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    };
    // Looked at after mapping: the full-width form of `@` has become `@` by now.
    match prepared.chars().find(|c| LOCAL_FORBIDDEN.contains(*c)) {
        Some(c) => Err(JidError::Forbidden(Part::Local, c)),
        None => bounded(Part::Local, prepared),
    }
}

fn resource_part(text: &str) -> Result<Cow<'_, str>, JidError> {
    bounded_input(Part::Resource, text)?;
    let prepared = if !text.is_ascii() {
        settle(Part::Resource, text, |t| OpaqueString::enforce(t))?
    } else if let Some(c) = text.chars().find(char::is_ascii_control) {
        return Err(JidError::Forbidden(Part::Resource, c));
    } else {
        Cow::Borrowed(text)
    };
    bounded(Part::Resource, prepared)
}

fn domain_part(text: &str) -> Result<Cow<'_, str>, JidError> {
    bounded_input(Part::Domain, text)?;
    if let Some(literal) = text.strip_prefix('[') {
        let literal = literal
            .strip_suffix(']')
            .ok_or(JidError::Invalid(Part::Domain))?;
        let address: Ipv6Addr = literal
            .parse()
            .map_err(|_| JidError::Invalid(Part::Domain))?;
        return Ok(Cow::Owned(format!("[{address}]")));
    }
    // RFC 7622 §3.2: a final dot is dropped before anything else is looked at.
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(JidError::Empty(Part::Domain));
    }
    let prepared = match plain_host(text) {
        Host::Prepared => Cow::Borrowed(text),
        Host::Lowercase => Cow::Owned(text.to_ascii_lowercase()),
        Host::Forbidden(c) => return Err(JidError::Forbidden(Part::Domain, c)),
        Host::NeedsTables => international_host(text)?,
    };
    bounded(Part::Domain, prepared)
}

enum Host {
    Prepared,
    Lowercase,
    Forbidden(char),
    NeedsTables,
}

/// Decides hosts of letters, digits and inner hyphens without IDNA; IPv4 addresses are among them.
fn plain_host(text: &str) -> Host {
    let (mut label, mut upper) = (0, false);
    let bytes = text.as_bytes();
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            b'a'..=b'z' | b'0'..=b'9' => label += 1,
            b'A'..=b'Z' => (label, upper) = (label + 1, true),
            // A hyphen at the edge of a label is an error; at its third and fourth place it may begin
            // an A-label. Both are IDNA's to judge.
            b'-' if label > 0
                && !(label == 2 && bytes.get(i + 1) == Some(&b'-'))
                && bytes.get(i + 1).is_some_and(|&next| next != b'.') =>
            {
                label += 1;
            }
            b'-' => return Host::NeedsTables,
            b'.' if label > 0 => label = 0,
            0x80.. | b'.' => return Host::NeedsTables,
            _ => return Host::Forbidden(char::from(b)),
        }
        if label > 63 {
            return Host::NeedsTables;
        }
    }
    if bytes.len() > 253 || label == 0 {
        Host::NeedsTables
    } else if upper {
        Host::Lowercase
    } else {
        Host::Prepared
    }
}

/// IDNA: labels end as U-labels, in lower case and NFC (RFC 7622 §3.2.1).
fn international_host(text: &str) -> Result<Cow<'_, str>, JidError> {
    const INVALID: JidError = JidError::Invalid(Part::Domain);
    let uts46 = Uts46::new();
    uts46
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Check,
            DnsLength::Verify,
        )
        .map_err(|_| INVALID)?;
    let (host, verdict) = uts46.to_unicode(text.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
    verdict.map_err(|_| INVALID)?;
    // UTS 46 lets symbols through for the web's sake; IDNA2008 (RFC 5892) does not.
    let class = IdentifierClass::default();
    let symbol = host.chars().find(|c| {
        !c.is_ascii()
            && matches!(
                class.get_value_from_char(*c),
                DerivedPropertyValue::Disallowed
                    | DerivedPropertyValue::Unassigned
                    | DerivedPropertyValue::SpecClassDis
            )
    });
    match symbol {
        Some(c) => Err(JidError::Forbidden(Part::Domain, c)),
        None => Ok(host),
    }
}

/// Repeats a PRECIS preparation until it changes nothing.
fn settle<'a>(
    part: Part,
    text: &'a str,
    enforce: impl for<'t> Fn(&'t str) -> Result<Cow<'t, str>, precis_core::Error>,
) -> Result<Cow<'a, str>, JidError> {
    let explain = |error| match error {
        precis_core::Error::BadCodepoint(info) => match char::from_u32(info.cp) {
            Some(c) => JidError::Forbidden(part, c),
            None => JidError::Invalid(part),
        },
        _ => JidError::Invalid(part),
    };
    let mut current = enforce(text).map_err(explain)?;
    for _ in 0..PREPARE_ROUNDS_MAX {
        let next = enforce(&current).map_err(explain)?;
        if next == current {
            return Ok(current);
        }
        current = Cow::Owned(next.into_owned());
    }
    Err(JidError::Invalid(part))
}

/// Bounds the work of preparing. Preparing shrinks text at most threefold (a full-width letter of three bytes
/// becomes one), so a longer text cannot come out valid.
fn bounded_input(part: Part, text: &str) -> Result<(), JidError> {
    if text.is_empty() {
        Err(JidError::Empty(part))
    } else if text.len() > 4 * PART_BYTES_MAX {
        Err(JidError::TooLong(part))
    } else {
        Ok(())
    }
}

fn bounded(part: Part, text: Cow<'_, str>) -> Result<Cow<'_, str>, JidError> {
    match text.len() {
        0 => Err(JidError::Empty(part)),
        1..=PART_BYTES_MAX => Ok(text),
        _ => Err(JidError::TooLong(part)),
    }
}

#[cfg(test)]
mod tests;
