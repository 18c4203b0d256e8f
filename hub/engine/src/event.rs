//! The event: what happened, shared by `Arc` with everybody whom it concerns (DESIGN §2).
//!
//! Fan-out pushes the pointer. The first session that writes it renders what all receivers share and keeps that in the
//! event; later ones add their own envelope to the same bytes (S23).

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{
    account::Contact,
    address::{BareJid, Jid},
    class::Class,
    item::{Affiliation, Item, NodeConfig, SubscriptionState},
    message::{Iq, Message, MessageKind, Presence, PresenceKind, Probe, SubscriptionStanza},
    node::{ItemId, NodeAddress},
    time::Timestamp,
};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A message for somebody.
    Message(Message),
    /// A query for a session, or its answer.
    Iq(Iq),
    /// Somebody came, changed or went.
    Presence(Presence),
    /// A word of the subscription handshake.
    Subscription(SubscriptionStanza),
    /// A question for somebody's presence; only components are asked.
    Probe(Probe),
    /// The account's roster changed (RFC 6121 §2.1.6).
    Roster(RosterPush),
    /// The account's block list changed (XEP-0191 §3.3 to §3.5).
    BlockList(BlockListPush),
    /// What another resource of the account has sent or got (XEP-0280).
    Carbon(Box<Carbon>),
    /// Something happened at a node.
    Node(NodeEvent),
    /// The hub asks the session's client what it can (XEP-0115 §6.2).
    Question(Question),
}

/// What the hub asks a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its number, to know the answer by.
    pub number: u32,
    /// What is asked for, as the client announced it.
    pub node: Box<str>,
}

/// One changed or removed contact, for every interested resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterPush {
    /// The contact as it is now; `None` with `jid` alone: removed. Boxed, since an event is as large as the largest of its kinds,
    /// and each session keeps one, its presence.
    pub contact: Option<Box<Contact>>,
    /// Whose entry it is.
    pub jid: BareJid,
    /// The roster's version after the change.
    pub version: Box<str>,
}

/// A changed block list, for every resource that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockListPush {
    /// Whether these are blocked now, or no longer.
    pub blocked: bool,
    /// As the account named them; none where all were unblocked.
    pub jids: Vec<Jid>,
}

/// Whether a copy is of a message that the account has sent, or of one that it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Way {
    Sent,
    Received,
}

/// A copy of a message, for another resource of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carbon {
    /// Whose resources get it.
    pub account: BareJid,
    /// Which way the message went.
    pub way: Way,
    /// The message.
    pub message: Message,
}

/// Something happened at a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeEvent {
    /// Where.
    pub at: NodeAddress,
    /// The type of the message that tells of it.
    pub kind: MessageKind,
    /// What.
    pub change: NodeChange,
}

/// What happened at the node (XEP-0060 §4.3, §7.1.2, §7.2.2, §8).
#[derive(Debug, Clone, PartialEq)]
pub enum NodeChange {
    /// An item was published.
    Published {
        /// The item.
        item: Arc<Item>,
        /// Whether the notification carries the payload.
        payload: bool,
        /// Whom a reply is for, where the node says it.
        reply: Option<ReplyTo>,
    },
    /// Items were retracted.
    Retracted(Vec<ItemId>),
    /// All items were removed.
    Purged,
    /// The node is gone; its successor, if the owner named one.
    Deleted {
        /// A URI.
        redirect: Option<Box<str>>,
    },
    /// The configuration changed; with it, if the node delivers payloads.
    Configured(Option<Box<NodeConfig>>),
    /// A subscription changed (XEP-0060 §8.8.4, §12.14).
    Subscription {
        /// Whose.
        jid: Jid,
        /// To what.
        state: SubscriptionState,
        /// Which one.
        subid: Option<Box<str>>,
        /// When it will be over, where that is why it is spoken of (§12.19).
        expiry: Option<Timestamp>,
    },
    /// Somebody asks the owners to be subscribed (XEP-0060 §8.6).
    Requested {
        /// Who.
        jid: Jid,
        /// By which subscription.
        subid: Box<str>,
    },
    /// There is a new node (XEP-0248 §3.1.2).
    Created,
    /// What happened to its items in a while, in order (`pubsub#digest`).
    Digest(Vec<NodeChange>),
    /// What somebody is to the node changed (XEP-0060 §8.9.4).
    Affiliation {
        /// Who.
        jid: BareJid,
        /// What it is now.
        affiliation: Affiliation,
    },
}

/// One entry of an archive, as it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Archived {
    /// Its id in the archive.
    pub id: Box<str>,
    /// When that was.
    pub published: Timestamp,
    /// What was told; `None`: it was retracted since.
    pub event: Option<NodeEvent>,
}

/// Whom a reply to an item is for (XEP-0060 §12.17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyTo {
    /// Who published it, and is shown.
    Publisher,
    /// The owners of the node.
    Owners(Arc<[BareJid]>),
}

/// What happened, and its renderings as far as somebody asked for them.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub what: What,
    xmpp: OnceLock<Bytes>,
    xmpp_body: OnceLock<Bytes>,
}

impl Event {
    /// A new event, to be shared.
    pub const fn new(what: What) -> Self {
        Self {
            what,
            xmpp: OnceLock::new(),
            xmpp_body: OnceLock::new(),
        }
    }

    /// The shared part of the XMPP form; `render` makes it the first time.
    pub fn xmpp(&self, render: impl FnOnce(&What) -> Bytes) -> &Bytes {
        self.xmpp.get_or_init(|| render(&self.what))
    }

    /// The text for people, as XMPP has it, for those of the receivers who want one (`pubsub#include_body`); `render` makes
    /// it the first time.
    pub fn xmpp_body(&self, render: impl FnOnce(&What) -> Bytes) -> &Bytes {
        self.xmpp_body.get_or_init(|| render(&self.what))
    }

    /// The delivery class. Everything that is addressed to a person or program by name is `None`: never dropped, and a
    /// mailbox that is filled by it alone ends its session (S9).
    pub fn class(&self) -> Option<Class> {
        match &self.what {
            What::Presence(_) => Some(Class::State),
            What::Node(event) => Some(match &event.change {
                NodeChange::Published { item, .. } => item.class,
                _ => Class::Event,
            }),
            What::Message(_)
            | What::Iq(_)
            | What::Subscription(_)
            | What::Probe(_)
            | What::Roster(_)
            | What::BlockList(_)
            | What::Carbon(_)
            | What::Question(_) => None,
        }
    }

    /// Whether a newer `other` makes this one worthless to somebody who has seen neither (S10).
    pub fn is_superseded_by(&self, other: &Self) -> bool {
        match (&self.what, &other.what) {
            // An error is not of whom it is said to be from, but of what was sent there.
            (What::Presence(old), What::Presence(new)) => {
                old.from == new.from
                    && old.kind != PresenceKind::Error
                    && new.kind != PresenceKind::Error
            }
            (What::Node(old), What::Node(new)) => {
                self.class() == Some(Class::State)
                    && other.class() == Some(Class::State)
                    && old.at == new.at
            }
            _ => false,
        }
    }

    /// What the event weighs in a mailbox, in bytes: all of it whose length its sender chooses, and an allowance for the
    /// rest. An `id` can be as long as a stanza.
    pub fn weight(&self) -> usize {
        const FIXED: usize = 128;
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let spoken =
            |message: &Message| message.content.len() + text(&message.id) + text(&message.lang);
        FIXED
            + match &self.what {
                What::Message(message) => spoken(message),
                What::Carbon(carbon) => FIXED + spoken(&carbon.message),
                What::BlockList(push) => {
                    push.jids.iter().map(|jid| FIXED + jid.as_str().len()).sum()
                }
                What::Iq(iq) => iq.content.len() + iq.id.len() + text(&iq.lang),
                What::Presence(presence) => {
                    presence.content.len()
                        + text(&presence.id)
                        + text(&presence.lang)
                        + text(&presence.status)
                }
                What::Subscription(stanza) => stanza.content.len() + text(&stanza.id),
                What::Probe(probe) => text(&probe.id),
                What::Question(question) => question.node.len(),
                What::Roster(push) => push.contact.as_deref().map_or(FIXED, Contact::weight),
                What::Node(event) => event.change.weight(),
            }
    }
}

impl NodeEvent {
    /// What it weighs, in bytes.
    pub fn weight(&self) -> usize {
        self.at.node.as_str().len() + self.change.weight()
    }
}

impl NodeChange {
    fn weight(&self) -> usize {
        const FIXED: usize = 128;
        match self {
            Self::Published { item, .. } => item
                .payload
                .as_ref()
                .map_or(0, |payload| payload.bytes.len()),
            Self::Retracted(ids) => ids.iter().map(|id| FIXED + id.as_str().len()).sum(),
            Self::Digest(changes) => changes.iter().map(|change| FIXED + change.weight()).sum(),
            Self::Deleted { redirect } => FIXED + redirect.as_ref().map_or(0, |uri| uri.len()),
            _ => FIXED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_small() {
        // Each session keeps its presence as one (S29).
        assert!(size_of::<Event>() <= 208, "{}", size_of::<Event>());
    }
}
