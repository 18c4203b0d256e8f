//! What one entity says to another: messages, queries, presence. Past the session a stanza is one of these: addresses,
//! a kind, and children as bytes that rely on nothing but `jabber:client` being the default namespace.

use bytes::Bytes;

use crate::{
    address::{BareJid, FullJid, Jid},
    time::Timestamp,
};

/// A message's `type` (RFC 6121 §5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum MessageKind {
    Chat,
    Error,
    Groupchat,
    Headline,
    #[default]
    Normal,
}

impl MessageKind {
    /// The word of the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Error => "error",
            Self::Groupchat => "groupchat",
            Self::Headline => "headline",
            Self::Normal => "normal",
        }
    }

    /// By its word; an unknown one is `normal` (RFC 6121 §5.2.2).
    pub fn by_name(name: &str) -> Self {
        match name {
            "chat" => Self::Chat,
            "error" => Self::Error,
            "groupchat" => Self::Groupchat,
            "headline" => Self::Headline,
            _ => Self::Normal,
        }
    }
}

/// What a message says about its own keeping (XEP-0334), and what else offline storage asks (XEP-0160 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// `<no-store/>` or `<no-permanent-store/>`: never kept.
    pub no_store: bool,
    /// `<store/>`: kept though it has no body.
    pub store: bool,
    /// It has a `<body/>`.
    pub body: bool,
    /// Its only children are chat states (XEP-0085) and thread: never kept.
    pub chat_state_only: bool,
    /// `<private/>` (XEP-0280 §9) or `<no-copy/>` (XEP-0334 §4.2): no resource but those it is addressed to gets it.
    pub no_copy: bool,
    /// It holds what only people who talk send each other (XEP-0280 §6.1): a receipt, chat state or marker, an invitation.
    pub instant: bool,
    /// A room's own words (`muc#user`) are in it, and no invitation: it came through a room.
    pub room: bool,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Sender: the session's own full address, or the hub.
    pub from: Jid,
    /// As addressed by the sender.
    pub to: Jid,
    /// Its type.
    pub kind: MessageKind,
    /// Its stanza id.
    pub id: Option<Box<str>>,
    /// Its `xml:lang`.
    pub lang: Option<Box<str>>,
    /// Its children, closed against `jabber:client`.
    pub content: Bytes,
    /// What its children say about keeping it; read once by the session.
    pub hints: Hints,
}

/// An IQ's `type` (RFC 6120 §8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum IqKind {
    Get,
    Set,
    Result,
    Error,
}

impl IqKind {
    /// The word of the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Result => "result",
            Self::Error => "error",
        }
    }
}

/// A query from one entity to another, or its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iq {
    /// Sender: the session's own full address, or the hub.
    pub from: Jid,
    /// As addressed by the sender.
    pub to: Jid,
    /// Its type.
    pub kind: IqKind,
    /// Its stanza id; an IQ always has one.
    pub id: Box<str>,
    /// Its `xml:lang`.
    pub lang: Option<Box<str>>,
    /// Its children, closed against `jabber:client`.
    pub content: Bytes,
}

/// A presence's `<show/>` (RFC 6121 §4.7.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum Show {
    #[default]
    Online,
    Away,
    Chat,
    Dnd,
    Xa,
}

/// The kinds of presence that tell of availability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PresenceKind {
    /// Here.
    Available {
        /// How much so.
        show: Show,
        /// Which resource is preferred; a negative one gets nothing that is addressed to the bare address.
        priority: i8,
    },
    /// Gone.
    Unavailable,
    /// A presence that could not be delivered came back.
    Error,
}

/// One resource's availability as announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Whose: a full address, or a bare one where the hub answers for an absent account.
    pub from: Jid,
    /// Here or gone.
    pub kind: PresenceKind,
    /// Its stanza id.
    pub id: Option<Box<str>>,
    /// Its `xml:lang`.
    pub lang: Option<Box<str>>,
    /// The text of `<status/>`, for last activity.
    pub status: Option<Box<str>>,
    /// Its children, closed against `jabber:client`.
    pub content: Bytes,
    /// When it was announced; the stamp of an answer to a probe (XEP-0203) and of `since`.
    pub at: Timestamp,
}

/// The four words of the subscription handshake (RFC 6121 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum Handshake {
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
}

impl Handshake {
    /// The word of the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

/// A presence stanza of the subscription handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionStanza {
    /// Always bare (RFC 6121 §3.1.2).
    pub from: BareJid,
    /// Always bare.
    pub to: BareJid,
    /// Which word.
    pub kind: Handshake,
    /// Its stanza id.
    pub id: Option<Box<str>>,
    /// The language of its text (RFC 6120 §8.1.5).
    pub lang: Option<Box<str>>,
    /// Its children, closed against `jabber:client`.
    pub content: Bytes,
}

impl SubscriptionStanza {
    /// A word that the hub says for an account: nothing but the word.
    pub const fn bare(from: BareJid, to: BareJid, kind: Handshake) -> Self {
        Self {
            from,
            to,
            kind,
            id: None,
            lang: None,
            content: Bytes::new(),
        }
    }
}

/// A question for somebody's presence that leaves the hub: to a component (RFC 6121 §4.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Who asks.
    pub from: Jid,
    /// Whose presence is wanted.
    pub to: Jid,
    /// Its stanza id.
    pub id: Option<Box<str>>,
}

/// One resource of an account that is available, as disco and `session list` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its address.
    pub jid: FullJid,
    /// Its last announcement.
    pub presence: PresenceKind,
}
