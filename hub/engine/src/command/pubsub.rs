//! What may be asked of the pubsub service and of personal nodes, and what is answered.

use std::sync::Arc;

use super::{ENTRY, PageInfo, PageRequest};
use crate::{
    address::{BareJid, Jid},
    archive::{ArchiveEnd, ArchiveFilter, ArchivePage},
    event::{Archived, NodeEvent},
    item::{
        Affiliation, Item, NodeConfig, NodeSubscription, Order, SubscriptionOptions,
        SubscriptionState,
    },
    node::{ItemId, NodeId},
    payload::Payload,
    time::Timestamp,
};

/// A request to the pubsub service, or to the personal nodes of `host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PubsubRequest {
    /// The account whose personal nodes are meant; `None` for the service.
    pub host: Option<BareJid>,
    /// What to do.
    pub action: PubsubAction,
}

/// What to do at a pubsub service, by XEP-0060's use cases.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are the specification's; sections are given"
)]
pub enum PubsubAction {
    /// §8.1; without a name the hub makes one ("instant node"). Answer: [`PubsubReply::Created`].
    Create {
        node: Option<NodeId>,
        config: Vec<Field>,
    },
    /// §8.2. Answer: [`PubsubReply::Config`].
    GetConfig { node: NodeId },
    /// §8.2.4. Answer: `Done`.
    Configure { node: NodeId, config: Vec<Field> },
    /// §8.3. Answer: [`PubsubReply::Config`].
    DefaultConfig,
    /// §8.4. Answer: `Done`.
    Delete {
        node: NodeId,
        redirect: Option<Box<str>>,
    },
    /// §8.5. Answer: `Done`.
    Purge { node: NodeId },
    /// §7.1; several items only where the service offers multi-items. Answer: [`PubsubReply::Published`].
    Publish {
        node: NodeId,
        items: Vec<NewItem>,
        options: Option<Vec<Field>>,
    },
    /// §7.2. Answer: `Done`.
    Retract {
        node: NodeId,
        items: Vec<ItemId>,
        notify: bool,
    },
    /// §6.1; `node` may be a filter. Answer: [`PubsubReply::Subscribed`].
    Subscribe {
        node: NodeId,
        jid: Jid,
        options: Option<Vec<Field>>,
    },
    /// §6.2. Answer: `Done`.
    Unsubscribe {
        node: NodeId,
        jid: Jid,
        subid: Option<Box<str>>,
    },
    /// §6.3.1. Answer: [`PubsubReply::Options`].
    GetOptions {
        node: NodeId,
        jid: Jid,
        subid: Option<Box<str>>,
    },
    /// §6.3.5. Answer: `Done`.
    SetOptions {
        node: NodeId,
        jid: Jid,
        subid: Option<Box<str>>,
        options: Vec<Field>,
    },
    /// §6.4: of a node, or of all. Answer: [`PubsubReply::DefaultOptions`].
    DefaultOptions { node: Option<NodeId> },
    /// §8.6: an owner's answer to a request to be subscribed. Answer: `Done`.
    Authorize {
        node: NodeId,
        jid: Jid,
        subid: Option<Box<str>>,
        allow: bool,
    },
    /// §8.7: nodes with requests that wait, or those of one node. Answer: [`PubsubReply::Pending`].
    GetPending {
        node: Option<NodeId>,
        /// What the protocol calls this execution of the command; it comes back with the answer.
        execution: Box<str>,
    },
    /// §6.5. Answer: [`PubsubReply::Items`].
    Items {
        node: NodeId,
        ids: Vec<ItemId>,
        max: Option<u32>,
        subid: Option<Box<str>>,
        page: Option<PageRequest>,
        order: Order,
    },
    /// XEP-0442 §2: of what was published. Answer: [`PubsubReply::Archive`].
    Archive {
        node: NodeId,
        request: Box<ArchiveRequest>,
    },
    /// XEP-0313 §5. Answer: [`PubsubReply::ArchiveEnds`].
    ArchiveEnds { node: NodeId },
    /// §5.6: the asker's own. Answer: [`PubsubReply::Subscriptions`].
    Subscriptions { node: Option<NodeId> },
    /// §5.7: the asker's own. Answer: [`PubsubReply::Affiliations`].
    Affiliations { node: Option<NodeId> },
    /// §8.8.1. Answer: [`PubsubReply::Subscriptions`].
    NodeSubscriptions {
        node: NodeId,
        page: Option<PageRequest>,
    },
    /// §8.8.2. Answer: `Done`.
    SetSubscriptions {
        node: NodeId,
        changes: Vec<(Jid, SubscriptionState, Option<Box<str>>)>,
    },
    /// §8.9.1. Answer: [`PubsubReply::Affiliations`].
    NodeAffiliations { node: NodeId },
    /// §8.9.2. Answer: `Done`.
    SetAffiliations {
        node: NodeId,
        changes: Vec<(BareJid, Affiliation)>,
    },
    /// §5.3, §5.4: disco#info of a node. Answer: [`PubsubReply::NodeInfo`].
    Describe { node: NodeId },
    /// §5.2: disco#items of the service (the first levels of its tree) or of an account (its personal nodes), or §5.5 of a name
    /// (the items of its node, and the levels below). Answer: [`PubsubReply::Branch`], or `Nodes` for an account.
    Browse {
        node: Option<NodeId>,
        page: Option<PageRequest>,
    },
    /// Names in one list, all or those at and below one. Answer: [`PubsubReply::Nodes`].
    List {
        node: Option<NodeId>,
        page: Option<PageRequest>,
    },
}

/// What is asked of an archive (XEP-0313 §4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArchiveRequest {
    /// What the asker calls the request, for the answers to name.
    pub reference: Option<Box<str>>,
    /// Which entries.
    pub filter: ArchiveFilter,
    /// Which part of them.
    pub page: PageRequest,
    /// Newest first (XEP-0413 §4.4).
    pub descending: bool,
    /// The entries of the page are sent in reverse (§4.3.4).
    pub flipped: bool,
}

/// An item to be published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewItem {
    /// The publisher's id; else the hub makes one.
    pub id: Option<ItemId>,
    /// What it carries.
    pub payload: Option<Payload>,
}

/// An answer of the pubsub service.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "see PubsubAction")]
pub enum PubsubReply {
    Created {
        node: NodeId,
    },
    Config {
        node: Option<NodeId>,
        config: Box<NodeConfig>,
    },
    Published {
        node: NodeId,
        items: Vec<ItemId>,
    },
    Subscribed {
        node: NodeId,
        jid: Jid,
        subid: Box<str>,
        state: SubscriptionState,
        /// What holds, for whoever said something of options.
        options: Option<Box<SubscriptionOptions>>,
    },
    Options {
        node: NodeId,
        jid: Jid,
        subid: Option<Box<str>>,
        options: Box<SubscriptionOptions>,
    },
    DefaultOptions {
        node: Option<NodeId>,
    },
    /// §8.8.2.4: these could not be changed, and are as they were; all others were changed.
    SubscriptionsRefused {
        node: NodeId,
        refused: Vec<NodeSubscription>,
    },
    /// `nodes`: where requests wait; `None`: those of the one node are on their way.
    Pending {
        execution: Box<str>,
        nodes: Option<Vec<NodeId>>,
    },
    Items {
        node: NodeId,
        items: Vec<Arc<Item>>,
        page: Option<PageInfo>,
        /// The node shows who published its items.
        publisher: bool,
    },
    Subscriptions {
        node: Option<NodeId>,
        list: Vec<(NodeId, NodeSubscription)>,
        page: Option<PageInfo>,
    },
    Affiliations {
        node: Option<NodeId>,
        list: Vec<(NodeId, BareJid, Affiliation)>,
    },
    NodeInfo {
        node: NodeId,
        config: Box<NodeConfig>,
        creator: BareJid,
        created: Timestamp,
        owners: Vec<BareJid>,
        publishers: Vec<BareJid>,
        items: u32,
        subscribers: u32,
    },
    Nodes {
        list: Vec<(NodeId, Box<str>)>,
        page: Option<PageInfo>,
    },
    Branch {
        node: Option<NodeId>,
        nodes: Vec<(NodeId, Box<str>)>,
        items: Vec<ItemId>,
        page: Option<PageInfo>,
    },
    /// A name that only has nodes below it (S17).
    Level {
        node: NodeId,
    },
    Archive {
        reference: Option<Box<str>>,
        entries: Vec<Archived>,
        page: ArchivePage,
    },
    ArchiveEnds(Option<(ArchiveEnd, ArchiveEnd)>),
}

/// One field of a configuration form, without XML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, `pubsub#title` for example.
    pub var: Box<str>,
    /// Its values.
    pub values: Vec<Box<str>>,
}

impl PubsubReply {
    /// What it weighs in a mailbox, in bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Items { items, .. } => items
                .iter()
                .map(|item| {
                    96 + item
                        .payload
                        .as_ref()
                        .map_or(0, |payload| payload.bytes.len())
                })
                .sum(),
            // Each is a message of its own, which names the node.
            Self::Archive { entries, .. } => entries
                .iter()
                .map(|entry| 2 * ENTRY + entry.event.as_ref().map_or(0, NodeEvent::weight))
                .sum(),
            Self::Nodes { list, .. } => list.len() * ENTRY,
            Self::Branch { nodes, items, .. } => (nodes.len() + items.len()) * ENTRY,
            Self::Subscriptions { list, .. } => list.len() * ENTRY,
            Self::SubscriptionsRefused { refused, .. } => refused.len() * ENTRY,
            Self::Pending {
                nodes: Some(nodes), ..
            } => nodes.len() * ENTRY,
            Self::Affiliations { list, .. } => list.len() * ENTRY,
            _ => 0,
        }
    }
}
