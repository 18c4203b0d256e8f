//! The mechanisms, and which of them fit a stream.
//!
//! Implements: RFC 6120 §6.3.3 (the list by preference), §6.3.4, §13.8; RFC 5802 §6 and XEP-0440 (-PLUS); XEP-0178 §3.

use super::{ChannelBindings, names::Names};
use crate::credentials::ScramHash;

/// A SASL mechanism the hub can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// A client certificate (RFC 4422 appendix A, XEP-0178).
    External,
    /// RFC 7677, bound to the TLS channel.
    ScramSha256Plus,
    /// RFC 5802, bound to the TLS channel.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802.
    ScramSha1,
    /// The password itself (RFC 4616).
    Plain,
}

impl Mechanism {
    /// In the hub's order of preference (RFC 6120 §6.3.3): binding to the channel weighs more than the newer hash.
    pub const ALL: [Self; 6] = [
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::Plain,
    ];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::Plain => "PLAIN",
        }
    }

    /// By its registered name, exactly (RFC 4422 §3.1: upper case).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name() == name)
    }

    /// Does it bind to the channel?
    pub const fn binds_channel(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }

    /// The hash, if it is one of SCRAM's.
    pub const fn scram_hash(self) -> Option<ScramHash> {
        match self {
            Self::ScramSha256Plus | Self::ScramSha256 => Some(ScramHash::Sha256),
            Self::ScramSha1Plus | Self::ScramSha1 => Some(ScramHash::Sha1),
            Self::External | Self::Plain => None,
        }
    }
}

/// The stream under a sign-in, as far as SASL cares.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'a> {
    /// The domain signed in to, prepared.
    pub domain: &'a str,
    /// Prepares a localpart (RFC 7622 §3.3); `None` if the text cannot be one.
    pub prepare: fn(&str) -> Option<String>,
    /// Is TLS in place?
    pub encrypted: bool,
    /// `[xmpp] require_tls`: nothing is offered without TLS.
    pub require_tls: bool,
    /// What TLS lets us bind to; [`ChannelBindings::NONE`] on a plain stream.
    pub bindings: &'a ChannelBindings,
    /// The bare JIDs that a *verified* client certificate names (S27); empty without one. The shell verifies.
    pub certificate: &'a [String],
}

impl Channel<'_> {
    /// The mechanisms to offer, best first. The carrier keeps the list and gives it back in [`super::Context`].
    pub fn offered(&self) -> Vec<Mechanism> {
        Mechanism::ALL
            .into_iter()
            .filter(|mechanism| self.fits(*mechanism))
            .collect()
    }

    fn fits(&self, mechanism: Mechanism) -> bool {
        if self.require_tls && !self.encrypted {
            return false;
        }
        match mechanism {
            // RFC 6120 §6.3.4: only if the certificate can succeed. Names of other domains cannot.
            Mechanism::External => self.encrypted && !self.certificate_accounts().is_empty(),
            // RFC 5802 §6: -PLUS only where there is a channel to bind to.
            Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus => {
                self.encrypted && !self.bindings.is_empty()
            }
            // RFC 6120 §13.8.3: PLAIN without TLS only where the operator said that TLS is not required.
            Mechanism::ScramSha256 | Mechanism::ScramSha1 | Mechanism::Plain => true,
        }
    }

    /// The accounts of our domain that the certificate names, each once.
    pub(super) fn certificate_accounts(&self) -> Vec<String> {
        let names = Names::new(self);
        let mut accounts = Vec::new();
        for jid in self.certificate {
            // A certificate names bare JIDs only: a lone localpart would mean another thing on every hub.
            let account = jid.contains('@').then(|| names.account(jid)).flatten();
            if let Some(account) = account.filter(|account| !accounts.contains(account)) {
                accounts.push(account);
            }
        }
        accounts
    }
}
