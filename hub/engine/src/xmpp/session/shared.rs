//! What all sessions share, and what each knows of its own link.
//!
//! Implements: RFC 6120 §13.12 as far as the bounds of a stream are made of the hub's limits.

use std::{net::IpAddr, sync::Arc};

use crate::{
    address::BareJid,
    credentials::KnownPasswords,
    limits::{ATTRIBUTES_MAX, Limits, STANZA_DEPTH_MAX},
    mailbox::{Mailbox, MailboxBudget},
    time::Now,
    xmpp::{contact::Contacts, disco::Hub, framing::FrameLimits, sasl::ChannelBindings},
};

use super::seed::Seed;

/// Shared by all sessions; swapped whole on reload.
pub struct XmppShared {
    /// The domain served: a domainpart alone.
    pub domain: BareJid,
    /// The address of the pubsub service.
    pub service: BareJid,
    /// Every bound.
    pub limits: Limits,
    /// `[xmpp] require_tls`: nothing but STARTTLS is offered on a plain stream.
    pub require_tls: bool,
    /// `[registration] enabled`.
    pub registration: bool,
    /// Whether the listener can do TLS at all.
    pub tls_available: bool,
    /// The hub's own, for keys of accounts that do not exist; kept across restarts.
    pub decoy_secret: [u8; 32],
    /// Passwords that fitted since the start (S32).
    pub known_passwords: Arc<KnownPasswords>,
    /// The software's name (XEP-0092).
    pub software: &'static str,
    /// The software's version (XEP-0092).
    pub version: &'static str,
    /// Whom to write to about the service (XEP-0157).
    pub contacts: Contacts,
    /// Of which mailboxes are made.
    pub budget: Arc<MailboxBudget>,
    /// When the hub was started, for its uptime (XEP-0012 §5).
    pub started: Now,
}

impl std::fmt::Debug for XmppShared {
    /// The secret stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("XmppShared")
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

impl XmppShared {
    /// What the hub says of itself.
    pub(in crate::xmpp) const fn hub(&self) -> Hub<'_> {
        Hub {
            software: self.software,
            version: self.version,
            contacts: &self.contacts,
        }
    }

    /// The bounds of framing before or after sign-in.
    pub(in crate::xmpp) fn frame_limits(&self, signed_in: bool) -> FrameLimits {
        let bytes = if signed_in {
            self.limits.stanza_bytes
        } else {
            self.limits.stanza_bytes_before_login
        };
        FrameLimits {
            stanza_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            depth: u16::try_from(STANZA_DEPTH_MAX).unwrap_or(u16::MAX),
            attributes: u16::try_from(ATTRIBUTES_MAX).unwrap_or(u16::MAX),
        }
    }
}

/// How a link is protected.
#[derive(Debug, Clone)]
pub enum LinkSecurity {
    /// Not at all.
    Plain,
    /// By TLS.
    Tls {
        /// What the channel can be bound to (S25).
        bindings: ChannelBindings,
        /// The names in a *verified* client certificate (S27).
        certificate: Vec<BareJid>,
    },
}

impl LinkSecurity {
    pub(in crate::xmpp) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }
}

/// What every phase of a session needs.
#[derive(Debug)]
pub(in crate::xmpp) struct Surroundings {
    pub(in crate::xmpp) shared: Arc<XmppShared>,
    pub(in crate::xmpp) mailbox: Option<Arc<Mailbox>>,
    pub(in crate::xmpp) seed: Seed,
    /// Where the peer is, for the log and for `session list`.
    pub(in crate::xmpp) peer: Option<IpAddr>,
}

impl Surroundings {
    /// The first command needs a mailbox to be answered in: none before (S29).
    pub(in crate::xmpp) fn need_mailbox(&mut self) {
        if self.mailbox.is_none() {
            self.mailbox = Some(Mailbox::new(Arc::clone(&self.shared.budget)));
        }
    }
}
