//! Protocol-neutral policy. A service decides and never acts: it answers a command with a [`Decision`], and the router
//! commits, answers and fans out. Services never name each other.

pub mod accounts;
pub mod carbons;
mod deliveries;
pub mod documents;
pub mod inbox;
pub mod login_throttle;
pub mod presence;
pub mod pubsub;
pub mod roster;

use std::{borrow::Cow, sync::Arc};

use crate::{
    access::Subject,
    address::{BareJid, FullJid, Jid},
    command::{Reply, SessionId},
    effect::{StoreAnswer, StoreOp, StoreQuery, Urgency},
    event::Event,
    item::Shows,
    mailbox::SubscriptionTag,
    node::NodeId,
    refusal::Refusal,
    time::Timestamp,
};

pub use self::deliveries::Deliveries;

/// An account interned by the directory, for as long as the process runs: a look-up by index, not by name, at fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u32);

/// Who gets a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Recipient {
    /// One session: a subscription of a full address (S18).
    Session(SessionId),
    /// All resources of an account with a priority that is not negative (RFC 6121 §8.5.2).
    Account(AccountId),
}

/// One subscriber of a node, resolved when subscriptions change and not at each publish (S15, S18).
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Who.
    pub to: Recipient,
    /// Through which subscriptions, if the notification must say so.
    pub tag: Option<Arc<SubscriptionTag>>,
    /// Only sessions that show one of these get it (`pubsub#show-values`).
    pub shows: Shows,
}

impl Delivery {
    /// One without conditions, of which there is nothing to say.
    pub const fn plain(to: Recipient) -> Self {
        Self {
            to,
            tag: None,
            shows: Shows::ANY,
        }
    }
}

/// What a service may know of the world outside it; the router answers.
pub trait Directory {
    /// A number that changes whenever somebody begins or ceases to hear of the account's personal nodes.
    fn hearing(&mut self, of: &BareJid) -> u32;
    /// Who hears of an account's personal node, as far as presence and capabilities say; the node's own rules come on top.
    /// `None`: the account's roster is not in memory, so that it cannot be said.
    fn hearers(&self, of: &BareJid, node: &NodeId) -> Option<Vec<Hearer>>;
    /// The account's index, made now if need be.
    fn account(&mut self, jid: &BareJid) -> AccountId;
    /// The session bound to a full address.
    fn session(&self, jid: &FullJid) -> Option<SessionId>;
    /// Where what is for this address goes; `None`: a full address that no session has.
    fn recipient(&mut self, jid: &Jid) -> Option<Recipient> {
        match jid.as_full() {
            Some(full) => self.session(&full).map(Recipient::Session),
            None => Some(Recipient::Account(self.account(&jid.bare()))),
        }
    }
    /// The way to an address for one notice, if anybody can be there to take it. Unlike [`recipient`](Self::recipient) it leaves
    /// nothing behind, so the address may be whatever somebody has written into a node.
    fn once(&mut self, jid: &Jid) -> Option<Delivery> {
        self.recipient(jid).map(Delivery::plain)
    }
    /// Whether something can be kept for this address until it is taken: only accounts come back for it.
    fn is_account(&self, _jid: &BareJid) -> bool {
        true
    }
    /// Whether the account has a session.
    fn is_here(&self, account: &BareJid) -> bool;
    /// An account as the rules see it, if it has been here; else it is judged when it comes.
    fn subject(&self, account: &BareJid) -> Option<Subject>;
    /// What `owner`'s roster says of `contact`. Right only where the roster is in memory: services name those they need
    /// before they are asked to decide.
    fn acquaintance(&self, owner: &BareJid, contact: &BareJid) -> Acquaintance<'_>;
}

/// A session that hears of an account's personal node without having subscribed (XEP-0060 §9.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hearer {
    /// The session.
    pub session: SessionId,
    /// Its account.
    pub account: BareJid,
    /// It is the node's own account or sees its presence; else it has shown its own presence to the account (§9.1.3).
    pub sees: bool,
}

/// What an account's roster says of somebody (RFC 6121 §2.1.2), shared contacts included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acquaintance<'a> {
    /// They see the account's presence: a subscription `from` or `both`.
    pub sees: bool,
    /// The account sees theirs: `to` or `both`.
    pub seen: bool,
    /// The groups that they are in: those of the account's own, and those by which it sees them.
    pub groups: Cow<'a, [Box<str>]>,
}

/// An event and whom it is for.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What happened.
    pub event: Arc<Event>,
    /// To whom: the list as it was when the change was decided.
    pub to: Deliveries,
    /// It is told late: when it happened (XEP-0203), as for a last item sent on subscription.
    pub delay: Option<Timestamp>,
}

/// What a service makes of a command.
pub enum Decision {
    /// Nothing is done.
    Refuse(Refusal),
    /// Nothing changes.
    Answer(Reply),
    /// Nothing changes; the answer needs the store. The service makes it of what the store says.
    Read {
        /// What to ask.
        query: StoreQuery,
        /// What to make of the answer.
        then: Box<dyn FnOnce(StoreAnswer) -> Result<Reply, Refusal> + Send>,
    },
    /// The service's memory has changed already; the world hears of it once `ops` are committed (S5). Without `ops`
    /// (a transient item) it hears at once, but not before what the same node has under way (S2).
    Change(Box<Change>),
}

/// A change that was decided.
#[derive(Debug)]
pub struct Change {
    /// What to store; all or nothing.
    pub ops: Vec<StoreOp>,
    /// How soon.
    pub urgency: Urgency,
    /// What the asker hears then.
    pub reply: Result<Reply, Refusal>,
    /// What others hear then, in this order.
    pub notices: Vec<Notice>,
    /// Where the reply or the notices depend on how many items a `RemoveItems` found: 0 turns the reply into this
    /// refusal and drops the notices.
    pub if_none_removed: Option<Refusal>,
}
