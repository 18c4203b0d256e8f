//! All that a session may ask of the router, and all that it may hear back.

mod admin;
mod page;
mod pubsub;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    account::{Account, Contact, Role},
    address::{BareJid, FullJid, Jid},
    capabilities,
    component::Component,
    credentials::Credentials,
    document::DocumentKey,
    message::{Handshake, Iq, Message, Presence, Resource},
    refusal::Refusal,
    roster_group::SharedContacts,
};

pub use self::{
    admin::{AdminReply, AdminRequest, NodeTraffic, NodeUsage, RouterStatus, SessionInfo},
    page::{PageInfo, PageRequest},
    pubsub::{ArchiveRequest, Field, NewItem, PubsubAction, PubsubReply, PubsubRequest},
};

/// What a name of two parts weighs in an answer, with what goes along with it, in bytes.
const ENTRY: usize = 256;

/// One session of the router: an index and a generation, so that a stale one finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    /// Place in the directory.
    pub index: u32,
    /// How often the place was used before.
    pub generation: u32,
}

/// More entries wait in the router; see [`Command::Continue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor(pub u32);

impl Cursor {
    /// Tells a connection that stopped reading to look again whether it may; continuing it does nothing.
    pub const NUDGE: Self = Self(u32::MAX);
    /// Tells a component that another wants its domain, so that it must show that it is alive; continuing it does nothing.
    pub const PROVE: Self = Self(u32::MAX - 1);
    /// The largest that is a cursor.
    pub const LAST: u32 = u32::MAX - 2;
}

/// What a session hands in with a command and gets back with its answer. The router never looks inside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Token {
    /// The request's id in its protocol.
    pub id: Box<str>,
    /// The address that was asked, to be named as the sender of the answer.
    pub to: Option<Jid>,
    /// What the session needs to know to render the answer.
    pub kind: u32,
}

/// How a session is connected, for `session list` and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// `xmpp`, `component`, later `mqtt`, `websocket`, `bosh`.
    pub protocol: &'static str,
    /// The peer's network address; `None` for the hub's own.
    pub peer: Option<IpAddr>,
    /// Whether the link is encrypted.
    pub tls: bool,
    /// The SASL mechanism.
    pub mechanism: &'static str,
}

/// Why a session ended. One list for the log, metrics, the console and the protocols' own last words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The peer said goodbye.
    Farewell,
    /// The link was lost.
    LinkLost,
    /// The peer did not answer a ping in time.
    Unresponsive,
    /// A newer session took its resource (RFC 6120 §4.9.3.3).
    Replaced,
    /// An operator ended it.
    Kicked,
    /// The account was removed, disabled, or its password changed.
    AccountChanged,
    /// Its mailbox overflowed (S9).
    Overflow,
    /// The peer broke the protocol.
    ProtocolError,
    /// The hub stops.
    Shutdown,
}

/// What a session asks.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "fields are named for what they hold; each command is documented"
)]
pub enum Command {
    /// Credentials of an account that wants to log in. Before `Attach`. Answer: [`Reply::Credentials`].
    SignIn { account: BareJid },
    /// The outcome of a login, for the throttle, before the peer is told of it. Answer: [`Reply::HoldBack`].
    SignedIn { account: BareJid, ok: bool },
    /// Makes this a session of the account. An equal resource of an older session ends that (RFC 6120 §7.7.2.2).
    /// Answer: [`Reply::Attached`].
    Attach {
        account: BareJid,
        resource: Option<Box<str>>,
        transport: Transport,
    },
    /// Makes this the session of an external component (XEP-0114). Answer: `Done`; `conflict` while an older session of the
    /// domain lives.
    AttachComponent {
        component: Arc<Component>,
        transport: Transport,
    },
    /// What a component asks as one of the addresses of its domain, and of no other. Answer: the command's own.
    As { from: Jid, command: Box<Command> },
    /// Makes this a session of the hub's own administration: the caller has the rights of the socket. Answer: `Done`.
    AttachOperator,
    /// The session is over. No answer, and none to anything that it asked before.
    Detach(EndReason),
    /// Announces the session's availability to all who may see it (RFC 6121 §4.2, §4.4, §4.5). No answer.
    Announce(Presence),
    /// What the session's presence, to all or to somebody, has just announced of its client (XEP-0115). No answer, but a question
    /// may come as an event.
    Capabilities(Box<capabilities::Announced>),
    /// The client's answer to such a question. No answer.
    Disclose {
        question: u32,
        disclosed: Box<capabilities::Disclosed>,
    },
    /// Shows presence to one entity (RFC 6121 §4.6). No answer, but presence errors come as events.
    Direct { to: Jid, presence: Presence },
    /// A word of the subscription handshake (RFC 6121 §3). No answer.
    Handshake {
        to: Jid,
        kind: Handshake,
        id: Option<Box<str>>,
        lang: Option<Box<str>>,
        content: Bytes,
    },
    /// Asks for an entity's presence (RFC 6121 §4.3). No answer; what may be seen comes as events.
    Probe { to: Jid, id: Option<Box<str>> },
    /// The roster, and from now on its changes. Answer: [`Reply::Roster`].
    GetRoster { version: Option<Box<str>> },
    /// Adds or changes a contact. Answer: `Done`, after the push.
    SetContact {
        jid: BareJid,
        name: Option<Box<str>>,
        groups: Vec<Box<str>>,
    },
    /// Removes a contact and all that was between the two. Answer: `Done`, after the push.
    RemoveContact { jid: BareJid },
    /// Routes a message (RFC 6121 §8). No answer; an error comes as an event of type `error`.
    Send(Message),
    /// Routes a query to another entity, or an answer. No answer; an error comes as an event.
    Query(Iq),
    /// The same for a question that may be asked only by who sees the presence of the account it is addressed to (XEP-0012 §4).
    QueryOfPresence(Iq),
    /// Last activity of an account or resource (XEP-0012). Answer: [`Reply::Activity`].
    Activity { of: Jid },
    /// What may be known of an account (XEP-0030): whether it exists and which resources are here. Answer: [`Reply::Described`].
    Describe { account: BareJid },
    /// Which components are connected, for the hub's disco#items. Answer: [`Reply::Components`].
    ListComponents,
    /// What belongs to an account (XEP-0030 §4): the resources that are here, and its personal nodes, as far as the asker may
    /// know of them. Answer: [`Reply::Belongings`].
    ListBelongings {
        account: BareJid,
        page: Option<PageRequest>,
    },
    /// The account's block list, and from now on its changes (XEP-0191 §3.2). Answer: [`Reply::BlockList`].
    GetBlockList,
    /// Blocks addresses (XEP-0191 §3.3). Answer: `Done`, and the push.
    Block(Vec<Jid>),
    /// Unblocks these addresses, or all (XEP-0191 §3.4, §3.5). Answer: `Done`, and the push.
    Unblock(Option<Vec<Jid>>),
    /// Whether this session gets copies of what others of its account send and get (XEP-0280). Answer: `Done`.
    SetCarbons(bool),
    /// A document of an account: its own, or somebody's vCard. Answer: [`Reply::Document`].
    GetDocument { of: BareJid, key: DocumentKey },
    /// Keeps documents of the session's own account; those without content are removed. Answer: `Done`.
    SetDocuments(Vec<(DocumentKey, Option<Bytes>)>),
    /// Sets the account's own keys (XEP-0077 §3.3). Answer: `Done`.
    ChangeCredentials(Box<Credentials>),
    /// Removes the session's own account (XEP-0077 §3.2). Answer: `Done`; then the session ends.
    Unregister,
    /// Makes an account for a stranger (XEP-0077 §3.1.1). Before `Attach`. Answer: `Done`.
    Register {
        account: BareJid,
        credentials: Box<Credentials>,
    },
    /// Something at the pubsub service or at personal nodes.
    Pubsub(Box<PubsubRequest>),
    /// Sends what waits behind a cursor. No answer.
    Continue(Cursor),
    /// Administration; only after `AttachOperator`.
    Admin(Box<AdminRequest>),
}

/// What a command was answered.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "fields are named for what they hold; each answer is documented"
)]
pub enum Reply {
    /// It is done.
    Done,
    /// Keys of the account that wants to log in; `None`: unknown or disabled, which the peer must not be able to tell from
    /// a wrong password.
    Credentials { found: Option<Box<Account>> },
    /// The outcome of the login, whichever it is, may be told after this time.
    HoldBack { wait: Duration },
    /// The session's address.
    Attached { jid: FullJid },
    /// The roster; `None`: the version that the client has is the newest (RFC 6121 §2.6.3).
    /// `shared`: besides, those whom the account sees by roster groups alone.
    Roster {
        contacts: Option<Vec<Contact>>,
        shared: Arc<SharedContacts>,
        version: Box<str>,
    },
    /// Seconds since the last activity, and the status that was left.
    Activity {
        seconds: u64,
        status: Option<Box<str>>,
    },
    /// What may be known of an account.
    Described {
        role: Role,
        resources: Vec<Resource>,
    },
    /// Domains of connected components.
    Components(Vec<BareJid>),
    /// What belongs to an account: its nodes are [`PubsubReply::Nodes`].
    Belongings {
        resources: Vec<Resource>,
        nodes: Box<PubsubReply>,
    },
    /// Whom the account has blocked.
    BlockList(Vec<Jid>),
    /// A document as it was kept; without content there is none.
    Document {
        key: DocumentKey,
        content: Option<Bytes>,
    },
    /// From pubsub.
    Pubsub(Box<PubsubReply>),
    /// From administration.
    Admin(Box<AdminReply>),
}

/// An answer on its way to the session that asked.
#[derive(Debug)]
pub struct Answer {
    /// As it came with the command.
    pub token: Token,
    /// Done, or why not.
    pub result: Result<Reply, Refusal>,
}

impl Answer {
    /// What it weighs in a mailbox, in bytes, beyond a fixed allowance.
    pub fn weight(&self) -> usize {
        let address = self.token.to.as_ref().map_or(0, |to| to.as_str().len());
        let asked = self.token.id.len() + address;
        asked
            + match &self.result {
                Ok(Reply::Roster {
                    contacts: Some(contacts),
                    shared,
                    ..
                }) => contacts.iter().map(Contact::weight).sum::<usize>() + shared.weight(),
                Ok(Reply::BlockList(jids)) => jids.iter().map(|jid| jid.as_str().len()).sum(),
                Ok(Reply::Document { key, content }) => {
                    key.weight() + content.as_ref().map_or(0, Bytes::len)
                }
                Ok(Reply::Pubsub(reply) | Reply::Belongings { nodes: reply, .. }) => reply.weight(),
                _ => 0,
            }
    }
}
