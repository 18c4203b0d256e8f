//! Items, and what a node is set to (XEP-0060 §4, §16.4.4).

use std::sync::Arc;

use crate::{
    address::{BareJid, FullJid, Jid},
    class::Class,
    message::{MessageKind, Show},
    node::{ItemId, NodeId},
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
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

/// What happens when an item is published to a node that holds `max_items` (XEP-0060 §7.1.2.2, §7.1.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum NodeFull {
    RetractOldest,
    #[default]
    DiscardOldest,
    Reject,
}

/// Whom a reply to an item is meant for (XEP-0060 §16.4.4 `pubsub#itemreply`, XEP-0033 `replyto`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum ItemReply {
    Owner,
    Publisher,
}

/// By what a list of items is ordered (XEP-0413 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OrderBy {
    /// By when an id was published first.
    Creation,
    /// By when it was published last.
    #[default]
    Modification,
}

/// The order of a list of items; by default oldest first, as they were published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Order {
    /// By what.
    pub by: OrderBy,
    /// Newest first.
    pub descending: bool,
}

/// How much of its past a node keeps beyond the items that it shows (`max_items`): what history queries answer
/// (XEP-0313, XEP-0442). A bound of 0 items keeps none; the other bounds hold where they are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct History {
    /// Most items.
    pub items: u32,
    /// Oldest, in seconds.
    pub age_seconds: Option<u32>,
    /// Most payload bytes of all together.
    pub bytes: Option<u64>,
}

/// A node's configuration. The fields, their names in forms and their defaults are those of XEP-0060 §16.4.4.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// `pubsub#language`.
    pub language: Box<str>,
    /// `pubsub#contact`: addresses to ask.
    pub contact: Box<[Jid]>,
    /// `pubsub#roster_groups_allowed`, for the access model `roster`.
    pub roster_groups_allowed: Box<[Box<str>]>,
    /// `pubsub#subscribe`: whether anybody may subscribe.
    pub subscribe: bool,
    /// `pubsub#item_expire` in seconds; `None` is `max`.
    pub item_expire: Option<u32>,
    /// `pubsub#publish_node_full`.
    pub publish_node_full: NodeFull,
    /// `pubsub#presence_based_delivery`.
    pub presence_based_delivery: bool,
    /// `pubsub#purge_offline`.
    pub purge_offline: bool,
    /// `pubsub#tempsub`.
    pub tempsub: bool,
    /// `pubsub#itemreply`.
    pub itemreply: Option<ItemReply>,
    /// `pubsub#body_xslt`: a URL, for receivers.
    pub body_xslt: Box<str>,
    /// `pubsub#dataform_xslt`: a URL, for receivers.
    pub dataform_xslt: Box<str>,
    /// The delivery class of its items, where its owner chose one (S1).
    pub class: Option<Class>,
    /// Its history, where its owner chose one; else that of the first `[[history]]` rule that matches.
    pub history: Option<History>,
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
    /// Its options; `None` is all defaults, which nearly all subscriptions have.
    pub options: Option<Box<SubscriptionOptions>>,
}

/// What a notification of a subscription is about (`pubsub#subscription_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum SubscriptionType {
    #[default]
    Items,
    Nodes,
}

/// How far down the tree a subscription reaches (`pubsub#subscription_depth`, S17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum SubscriptionDepth {
    #[default]
    One,
    All,
}

/// Presence states, as a set (`pubsub#show-values`). Absence is one of them only in [`ANY`](Self::ANY) and what is made of
/// it: nobody can ask for it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shows(u8);

impl Shows {
    /// All of them.
    pub const ALL: Self = Self(0b1_1111);
    /// Whatever it is, and absence too.
    pub const ANY: Self = Self(0b11_1111);
    /// None of them.
    pub const NONE: Self = Self(0);

    /// Every single state, absence last.
    pub const fn each() -> [Self; 6] {
        [Self(1), Self(2), Self(4), Self(8), Self(16), Self(32)]
    }

    /// Whether it holds `show`.
    pub const fn contains(self, show: Show) -> bool {
        self.0 & (1 << show as u8) != 0
    }

    /// Whether it holds what somebody shows; `None` is absent.
    pub const fn includes(self, show: Option<Show>) -> bool {
        match show {
            Some(show) => self.contains(show),
            None => self.0 & Self::ABSENT != 0,
        }
    }

    /// What either holds.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it holds all that `other` holds.
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const ABSENT: u8 = 0b10_0000;

    /// As a number that never changes, for the store.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The reverse of [`bits`](Self::bits).
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }
}

impl FromIterator<Show> for Shows {
    fn from_iter<I: IntoIterator<Item = Show>>(shows: I) -> Self {
        Self(
            shows
                .into_iter()
                .fold(0, |set, show| set | (1 << show as u8)),
        )
    }
}

/// A subscription's options (XEP-0060 §6.3, §16.4.2); the defaults are those of §6.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// `pubsub#deliver`.
    pub deliver: bool,
    /// `pubsub#digest` with `pubsub#digest_frequency`, in milliseconds; `None`: each notification by itself.
    pub digest_millis: Option<u32>,
    /// `pubsub#expire`: when the lease ends (§12.19).
    pub expire: Option<Timestamp>,
    /// `pubsub#include_body`.
    pub include_body: bool,
    /// `pubsub#show-values`; `None`: whatever they are, and absent too.
    pub shows: Option<Shows>,
    /// `pubsub#subscription_type`.
    pub kind: SubscriptionType,
    /// `pubsub#subscription_depth`.
    pub depth: SubscriptionDepth,
}

impl Default for SubscriptionOptions {
    fn default() -> Self {
        Self {
            deliver: true,
            digest_millis: None,
            expire: None,
            include_body: false,
            shows: None,
            kind: SubscriptionType::Items,
            depth: SubscriptionDepth::One,
        }
    }
}

/// A personal node as it is listed: what must be known of it to say who may know of it (XEP-0163 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalNode {
    /// Its name.
    pub node: NodeId,
    /// What it is set to.
    pub config: Box<NodeConfig>,
    /// What the asker is to it.
    pub affiliation: Affiliation,
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
