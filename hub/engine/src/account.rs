//! Accounts and what belongs to them: role, credentials, roster (RFC 6121 §2), last activity.

use crate::{address::BareJid, credentials::Credentials, time::Timestamp};

/// What an account is for; access rules speak of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Role {
    /// A device: owns `devices/<its name>/#`.
    #[default]
    Device,
    /// A person at a console.
    Operator,
    /// A program beside the hub.
    Service,
    /// May do everything.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Device, Self::Operator, Self::Service, Self::Admin];

    /// The word in the config and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Operator => "operator",
            Self::Service => "service",
            Self::Admin => "admin",
        }
    }

    /// The role by its word.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// An account as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Its address; always has a localpart.
    pub jid: BareJid,
    /// What it is for.
    pub role: Role,
    /// A disabled account keeps all it has and cannot log in.
    pub enabled: bool,
    /// Keys, never the password.
    pub credentials: Credentials,
    /// When it was made.
    pub created: Timestamp,
    /// When its last session ended, with the status that it left (XEP-0012 §4).
    pub last_seen: Option<LastSeen>,
}

/// The end of an account's last session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSeen {
    /// When.
    pub at: Timestamp,
    /// The status text of the last unavailable presence, if it had one.
    pub status: Option<Box<str>>,
}

/// The `subscription` of a roster item (RFC 6121 §2.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subscription {
    /// Neither sees the other.
    #[default]
    None,
    /// The account sees the contact.
    To,
    /// The contact sees the account.
    From,
    /// Both.
    Both,
}

impl Subscription {
    /// The word of the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::To => "to",
            Self::From => "from",
            Self::Both => "both",
        }
    }

    /// From its two halves.
    pub const fn of(to: bool, from: bool) -> Self {
        match (to, from) {
            (false, false) => Self::None,
            (true, false) => Self::To,
            (false, true) => Self::From,
            (true, true) => Self::Both,
        }
    }

    /// Whether the account sees the contact's presence.
    pub const fn to(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    /// Whether the contact sees the account's presence.
    pub const fn from(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }
}

/// One contact as the hub keeps it. A contact that only knocked (`pending_in`) or was only pre-approved is kept too, and
/// not shown in the roster until the account adds it (RFC 6121 §3.1.3, §3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The contact's bare address.
    pub jid: BareJid,
    /// The account's name for it.
    pub name: Option<Box<str>>,
    /// Its groups, in the order given.
    pub groups: Vec<Box<str>>,
    /// Who sees whom.
    pub subscription: Subscription,
    /// The account asked to see the contact and has no answer ("pending out", `ask='subscribe'`).
    pub pending_out: bool,
    /// The contact's unanswered `subscribe` as it came, children closed against `jabber:client`, to be shown again at
    /// every initial presence (RFC 6121 §3.1.3).
    pub pending_in: Option<PendingIn>,
    /// Pre-approved (`approved='true'`, RFC 6121 §3.4).
    pub approved: bool,
    /// Whether it is part of the roster as the account sees it.
    pub listed: bool,
    /// The roster version of its last change (RFC 6121 §2.6).
    pub version: u64,
}

impl Contact {
    /// What it weighs in a mailbox, in bytes.
    pub fn weight(&self) -> usize {
        const FIXED: usize = 96;
        let groups = self.groups.iter().map(|group| group.len());
        FIXED + self.name.as_ref().map_or(0, |name| name.len()) + groups.sum::<usize>()
    }
}

/// A `subscribe` that waits for the account's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PendingIn {
    /// Its stanza id, unless it is longer than a roster has room for.
    pub id: Option<Box<str>>,
    /// The language of its text (RFC 6120 §8.1.5).
    pub lang: Option<Box<str>>,
    /// Its children, closed against `jabber:client`; at most 4 KiB, else they are left out.
    pub content: bytes::Bytes,
}

/// An account's roster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    /// All contacts, hidden ones too, sorted by address.
    pub contacts: Vec<Contact>,
    /// Grows by one with every visible change (RFC 6121 §2.6); never reused, so removals are found by a gap-free log or
    /// answered by a whole roster.
    pub version: u64,
}
