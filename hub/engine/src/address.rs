//! Addresses of everybody the hub knows (RFC 7622), MQTT clients included.
use std::{fmt, sync::Arc};

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an address")]
pub struct JidError;

/// Any address: `[local@]domain[/resource]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    text: Arc<str>,
    at: u16,
    slash: u16,
}

impl Jid {
    /// Parses and prepares.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let slash = text.find('/').unwrap_or(0);
        let bare = if slash > 0 { &text[..slash] } else { text };
        let at = bare.find('@').unwrap_or(0);
        if text.is_empty() || text.len() > 3071 {
            return Err(JidError);
        }
        Ok(Self {
            text: text.into(),
            at: at as u16,
            slash: slash as u16,
        })
    }
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    fn bare_end(&self) -> usize {
        if self.slash > 0 {
            usize::from(self.slash)
        } else {
            self.text.len()
        }
    }
    /// The localpart.
    pub fn local(&self) -> Option<&str> {
        (self.at > 0).then(|| &self.text[..usize::from(self.at)])
    }
    /// The domainpart.
    pub fn domain(&self) -> &str {
        let start = if self.at > 0 {
            usize::from(self.at) + 1
        } else {
            0
        };
        &self.text[start..self.bare_end()]
    }
    /// The resourcepart.
    pub fn resource(&self) -> Option<&str> {
        (self.slash > 0).then(|| &self.text[usize::from(self.slash) + 1..])
    }
    /// Without its resource.
    pub fn bare(&self) -> BareJid {
        BareJid(Self {
            text: self.text[..self.bare_end()].into(),
            at: self.at,
            slash: 0,
        })
    }
    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.slash == 0
    }
    /// As a full address, if it has a resource.
    pub fn as_full(&self) -> Option<FullJid> {
        (self.slash > 0).then(|| FullJid(self.clone()))
    }
}

/// An address without resource.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BareJid(Jid);

impl BareJid {
    /// Parses and prepares; a resource is refused.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let jid = Jid::parse(text)?;
        if jid.is_bare() {
            Ok(Self(jid))
        } else {
            Err(JidError)
        }
    }
    /// From its parts.
    pub fn new(local: &str, domain: &str) -> Result<Self, JidError> {
        Self::parse(&format!("{local}@{domain}"))
    }
    /// With a resource.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        FullJid::parse(&format!("{}/{resource}", self.0.text))
    }
    /// The whole text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    /// The localpart.
    pub fn local(&self) -> Option<&str> {
        self.0.local()
    }
    /// The domainpart.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }
    /// As any address.
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }
}

/// An address with resource.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullJid(Jid);

impl FullJid {
    /// Parses and prepares; a resource is required.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let jid = Jid::parse(text)?;
        if jid.is_bare() {
            Err(JidError)
        } else {
            Ok(Self(jid))
        }
    }
    /// The whole text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    /// The localpart.
    pub fn local(&self) -> Option<&str> {
        self.0.local()
    }
    /// The domainpart.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }
    /// The resourcepart.
    pub fn resource(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }
    /// Without its resource.
    pub fn bare(&self) -> BareJid {
        self.0.bare()
    }
    /// As any address.
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }
}

macro_rules! text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) } }
        impl fmt::Debug for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) } }
    )*};
}
text!(Jid, BareJid, FullJid);

impl From<BareJid> for Jid {
    fn from(jid: BareJid) -> Self {
        jid.0
    }
}
impl From<FullJid> for Jid {
    fn from(jid: FullJid) -> Self {
        jid.0
    }
}
