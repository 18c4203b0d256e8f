//! Items, and what a node is set to (XEP-0060 §4, §16.4.4).

use std::sync::Arc;

use crate::{
    address::{BareJid, FullJid, Jid},
    class::Class,
    message::MessageKind,
    node::ItemId,
    payload::Payload,
    time::Timestamp,
};

/// One published item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The publisher's, or made by the hub.
    pub id: ItemId,
    /// Who published it; the bare address is shown to those who may know.
    pub publisher: FullJid,
    /// When the hub accepted it: a console tells fresh from stale by this.
    pub published: Timestamp,
    /// What it carries; an item may be empty.
    pub payload: Option<Payload>,
    /// Its delivery class (S1: the class belongs to the item).
    pub class: Class,
}

/// Who may subscribe and read (XEP-0060 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum AccessModel {
    #[default]
    Open,
    Presence,
    Roster,
    Authorize,
    Whitelist,
}

/// Who may publish (XEP-0060 §16.4.4 `pubsub#publish_model`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum PublishModel {
    #[default]
    Publishers,
    Subscribers,
    Open,
}

/// When the last item is sent without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum SendLastItem {
    Never,
    #[default]
    OnSub,
    OnSubAndPresence,
}

/// What an entity is to a node (XEP-0060 §4.1), from most to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum Affiliation {
    Owner,
    Publisher,
    PublishOnly,
    Member,
    #[default]
    None,
    Outcast,
}

/// The state of a subscription (XEP-0060 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum SubscriptionState {
    #[default]
    None,
    Pending,
    Unconfigured,
    Subscribed,
}

/// A node's configuration. The fields, their names in forms and their defaults are those of XEP-0060 §16.4.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// `pubsub#title`.
    pub title: Box<str>,
    /// `pubsub#description`.
    pub description: Box<str>,
    /// `pubsub#type`: the namespace of the payload.
    pub payload_type: Box<str>,
    /// `pubsub#access_model`.
    pub access_model: AccessModel,
    /// `pubsub#publish_model`.
    pub publish_model: PublishModel,
    /// `pubsub#max_items`; `max` is [`u32::MAX`] here and `items_per_node` in effect.
    pub max_items: u32,
    /// `pubsub#max_payload_size` in bytes.
    pub max_payload_size: u32,
    /// `pubsub#persist_items`.
    pub persist_items: bool,
    /// `pubsub#deliver_payloads`.
    pub deliver_payloads: bool,
    /// `pubsub#deliver_notifications`.
    pub deliver_notifications: bool,
    /// `pubsub#notify_config`.
    pub notify_config: bool,
    /// `pubsub#notify_delete`.
    pub notify_delete: bool,
    /// `pubsub#notify_retract`.
    pub notify_retract: bool,
    /// `pubsub#notify_sub`.
    pub notify_sub: bool,
    /// `pubsub#notification_type`: `normal`, `headline` or `chat`.
    pub notification_type: MessageKind,
    /// `pubsub#send_last_published_item`.
    pub send_last_published_item: SendLastItem,
}

/// One lasting subscription of a node or filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSubscription {
    /// The subscriber, exactly as given (S18). A full address's ends with its session and is never stored.
    pub jid: Jid,
    /// Its subscription identifier.
    pub subid: Box<str>,
    /// Its state.
    pub state: SubscriptionState,
}

/// A node as stored, without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// What it is set to.
    pub config: NodeConfig,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub creator: BareJid,
    /// Everybody with an affiliation other than none.
    pub affiliations: Vec<(BareJid, Affiliation)>,
    /// Lasting subscriptions of bare addresses.
    pub subscriptions: Vec<NodeSubscription>,
    /// The newest item.
    pub last: Option<Arc<Item>>,
}
