//! One node in memory: what it is set to, who is what to it, and who hears of it.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    address::{BareJid, Jid},
    class::Class,
    item::{
        Affiliation, Item, NodeConfig, NodeFull, NodeRecord, NodeSubscription, PublishModel,
        SendLastItem, SubscriptionState,
    },
    limits::Limits,
    node::ItemId,
    refusal::{Detail, Reason, Refusal},
    time::{Now, Timestamp},
};

use super::{
    acquaintance::goes_by_roster, affiliates::Affiliates, audience::Audience, contents::Contents,
    history::since, interest::Interest, leavers::heeds_departures, subscriptions::Subscriptions,
    traffic::Traffic,
};

/// Raises remembered of a node, to know a repeated one (S11). A device that reconnects repeats its newest few.
const RAISES_REMEMBERED: usize = 64;
/// Largest payload of a last item that stays in memory once its node is not in use: an account may have a thousand nodes,
/// and a payload may be as large as a stanza.
const LAST_BYTES_MAX: usize = 8 * 1024;
/// Retractions remembered while the last item is unknown.
const RETRACTIONS_REMEMBERED: usize = 64;

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    /// Shared with all nodes that are set alike (see [`Configs`](super::configs::Configs)).
    pub(super) config: Arc<NodeConfig>,
    pub(super) creator: BareJid,
    pub(super) created: Timestamp,
    /// Everybody with an affiliation other than none.
    pub(super) affiliations: Affiliates,
    subscriptions: Subscriptions,
    pub(super) last: Last,
    pub(super) contents: Contents,
    raised: VecDeque<Raise>,
    pub(super) audience: Audience,
    /// Its subscribers and publishers were held against rosters and who is here since it came from the disk.
    settled: bool,
    pub(super) traffic: Traffic,
}

/// An alarm as it was raised.
#[derive(Debug, Clone)]
pub(super) struct Raise {
    pub(super) item: Arc<Item>,
    /// Whom it was owed to then.
    pub(super) owed_to: Arc<[BareJid]>,
}

/// The newest item, as far as memory knows it.
#[derive(Debug)]
pub(super) enum Last {
    Known(Option<Arc<Item>>),
    /// This one, published then; it is too large to be kept here, and the store has it.
    Stored {
        id: ItemId,
        published: Timestamp,
    },
    /// It was retracted; the store knows which one is the newest now, unless that is one of `not`.
    Unknown {
        not: Vec<ItemId>,
    },
}

impl Last {
    pub(super) fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    pub(super) fn item(&self) -> Option<&Arc<Item>> {
        match self {
            Self::Known(item) => item.as_ref(),
            Self::Stored { .. } | Self::Unknown { .. } => None,
        }
    }

    /// Lets go of an item that is too large to be kept. Alarms stay: a repeated one must be known (S11).
    pub(super) fn shed(&mut self) {
        if let Self::Known(Some(item)) = self
            && item.class != Class::Alarm
            && item
                .payload
                .as_ref()
                .is_some_and(|payload| payload.bytes.len() > LAST_BYTES_MAX)
        {
            *self = Self::Stored {
                id: item.id.clone(),
                published: item.published,
            };
        }
    }

    /// Takes the store's answer, unless it was overtaken by a retraction: then it is asked again.
    pub(super) fn fill(&mut self, item: Option<Arc<Item>>) {
        if let Self::Stored { id, published, .. } = self {
            let is_it = |item: &Arc<Item>| item.id == *id && item.published == *published;
            *self = if item.as_ref().is_some_and(is_it) {
                Self::Known(item)
            } else {
                // The answer is older than the item.
                Self::Unknown { not: Vec::new() }
            };
        } else if let Self::Unknown { not } = self {
            let overtaken = not.len() >= RETRACTIONS_REMEMBERED
                || item.as_ref().is_some_and(|item| not.contains(&item.id));
            if overtaken {
                not.clear();
            } else {
                *self = Self::Known(item);
            }
        }
    }

    /// Items were retracted.
    pub(super) fn forget(&mut self, ids: &[ItemId]) {
        match self {
            Self::Known(Some(item)) if ids.contains(&item.id) => {
                *self = Self::Unknown { not: ids.to_vec() };
            }
            Self::Stored { id, .. } if ids.contains(id) => {
                *self = Self::Unknown { not: ids.to_vec() };
            }
            Self::Known(_) | Self::Stored { .. } => {}
            Self::Unknown { not } => {
                let room = RETRACTIONS_REMEMBERED.saturating_sub(not.len());
                not.extend(ids.iter().take(room).cloned());
            }
        }
    }
}

impl Node {
    pub(super) fn new(config: NodeConfig, creator: BareJid, created: Timestamp) -> Self {
        Self {
            config: Arc::new(config),
            affiliations: [(creator.clone(), Affiliation::Owner)]
                .into_iter()
                .collect(),
            creator,
            created,
            subscriptions: Subscriptions::default(),
            last: Last::Known(None),
            contents: Contents::none(),
            raised: VecDeque::new(),
            audience: Audience::default(),
            settled: true,
            traffic: Traffic::default(),
        }
    }

    pub(super) fn from_record(record: NodeRecord) -> Self {
        let creator = record.creator;
        // Nearly always its owner: the same text.
        let affiliations = record.affiliations.into_iter().map(|(jid, is)| {
            let jid = if jid == creator { creator.clone() } else { jid };
            (jid, is)
        });
        let affiliations = affiliations.collect();
        Self {
            config: Arc::new(record.config),
            creator,
            created: record.created,
            affiliations,
            subscriptions: record.subscriptions.into_iter().collect(),
            last: Last::Known(record.last),
            contents: Contents::default(),
            raised: VecDeque::new(),
            audience: Audience::default(),
            settled: false,
            traffic: Traffic::default(),
        }
    }

    pub(super) fn affiliation(&self, jid: &BareJid) -> Affiliation {
        self.affiliations.get(jid).copied().unwrap_or_default()
    }

    pub(super) fn set_affiliation(&mut self, jid: BareJid, affiliation: Affiliation) {
        self.audience.invalidate();
        if affiliation == Affiliation::None {
            self.affiliations.remove(&jid);
        } else {
            self.affiliations.insert(jid, affiliation);
        }
    }

    pub(super) fn set_config(&mut self, config: NodeConfig) {
        self.audience.invalidate();
        self.settled = false;
        self.config = Arc::new(config);
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = &BareJid> {
        self.those_who_are(Affiliation::Owner)
    }

    pub(super) fn publishers(&self) -> impl Iterator<Item = &BareJid> {
        self.those_who_are(Affiliation::Publisher)
    }

    fn those_who_are(&self, what: Affiliation) -> impl Iterator<Item = &BareJid> {
        let these = self.affiliations.iter();
        these
            .filter(move |(_, affiliation)| **affiliation == what)
            .map(|(jid, _)| jid)
    }

    /// All subscriptions, those of one address together.
    pub(super) fn subscriptions(&self) -> impl Iterator<Item = &NodeSubscription> {
        self.subscriptions.iter()
    }

    /// Those of one address.
    pub(super) fn subscriptions_of<'a>(
        &'a self,
        jid: &'a Jid,
    ) -> impl Iterator<Item = &'a NodeSubscription> {
        self.subscriptions.of(jid)
    }

    pub(super) fn put_subscription(&mut self, subscription: NodeSubscription) {
        self.audience.note(&subscription.jid);
        self.subscriptions.put(subscription);
    }

    pub(super) fn remove_subscription(
        &mut self,
        jid: &Jid,
        subid: &str,
    ) -> Option<NodeSubscription> {
        let removed = self.subscriptions.remove(jid, subid)?;
        self.audience.note(jid);
        Some(removed)
    }

    /// Whether its subscribers and publishers were held against rosters and who is here, or need not be.
    pub(super) fn is_settled(&self) -> bool {
        let must = goes_by_roster(self.config.access_model) || heeds_departures(&self.config);
        self.settled || !must
    }

    pub(super) fn set_settled(&mut self, settled: bool) {
        self.settled = settled;
    }

    /// Takes out all subscriptions of an address.
    pub(super) fn remove_subscriptions(&mut self, jid: &Jid) -> Vec<NodeSubscription> {
        let removed = self.subscriptions.remove_all(jid);
        if !removed.is_empty() {
            self.audience.note(jid);
        }
        removed
    }

    /// Whether an address is subscribed here (`publish_model = subscribers`).
    pub(super) fn is_subscribed(&self, jid: &Jid) -> bool {
        let mut theirs = self.subscriptions.of(jid);
        theirs.any(|one| one.state == SubscriptionState::Subscribed)
    }

    /// Whether an account is subscribed by any of its addresses.
    pub(super) fn is_subscriber(&self, account: &BareJid) -> bool {
        let mut theirs = self.subscriptions.of_account(account);
        theirs.any(|one| one.state == SubscriptionState::Subscribed)
    }

    /// Addresses that are subscribed, and whose leases run.
    pub(super) fn subscribers(&self, interest: &Interest) -> usize {
        let is = |one: &&NodeSubscription| {
            let ends = one.options.as_ref().and_then(|options| options.expire);
            one.state == SubscriptionState::Subscribed && !interest.is_over(ends)
        };
        let mut last = None;
        let addresses = self.subscriptions.iter().filter(is);
        addresses
            .filter(|one| last.replace(&one.jid) != Some(&one.jid))
            .count()
    }

    /// Whether a new subscriber is sent the last item (XEP-0060 §6.1.7).
    pub(super) fn wants_last(&self) -> bool {
        self.config.persist_items
            && self.config.deliver_notifications
            && self.config.send_last_published_item != SendLastItem::Never
    }

    /// Whether somebody may publish here who may not take back what others published.
    pub(super) fn has_mere_publishers(&self) -> bool {
        self.config.publish_model != PublishModel::Publishers
            || self
                .those_who_are(Affiliation::PublishOnly)
                .next()
                .is_some()
    }

    /// XEP-0060 §7.1.3.4: whether a node that refuses when it is full holds these, too.
    pub(super) fn room_for(&mut self, ids: &[ItemId], keep: u32, now: Now) -> Result<(), Refusal> {
        if let Some(before) = since(self.config.item_expire, now) {
            self.contents.expire(before);
        }
        if self.config.publish_node_full != NodeFull::Reject || !self.config.persist_items {
            return Ok(());
        }
        if self.contents.len_with(ids) > keep as usize {
            return Err(Refusal::new(Reason::Conflict).because(Detail::NodeFull));
        }
        Ok(())
    }

    /// How many items are kept.
    pub(super) fn keep(&self, limits: &Limits) -> u32 {
        let bound = u32::try_from(limits.items_per_node).unwrap_or(u32::MAX);
        self.config.max_items.min(bound)
    }

    /// The alarm with this id that the same account raised before (S11).
    pub(super) fn raise(&self, publisher: &BareJid, id: &ItemId) -> Option<Raise> {
        let same = |item: &Item| item.id == *id && item.publisher.bare() == *publisher;
        let known = self.raised.iter().find(|raise| same(&raise.item));
        known.cloned().or_else(|| {
            // Read from the store, so all of it is committed and nobody needs to be named again.
            let last = self.last.item().filter(|item| same(item))?;
            Some(Raise {
                item: Arc::clone(last),
                owed_to: Arc::new([]),
            })
        })
    }

    pub(super) fn remember_raise(&mut self, raise: Raise) {
        if self.raised.len() >= RAISES_REMEMBERED {
            self.raised.pop_front();
        }
        self.raised.push_back(raise);
    }

    /// Forgets the raises of items that are gone, and returns them.
    pub(super) fn forget_raises(&mut self, gone: impl Fn(&ItemId) -> bool) -> Vec<Raise> {
        let (gone, kept) = self
            .raised
            .drain(..)
            .partition::<Vec<_>, _>(|raise| gone(&raise.item.id));
        self.raised = kept.into();
        gone
    }

    /// About how many bytes it owns beyond itself; from lengths alone, since it is asked after every request.
    pub(super) fn weight(&self) -> usize {
        /// An address with its text and its place in a tree.
        const ADDRESS: usize = 96;
        const SUBSCRIPTION: usize = 2 * ADDRESS + size_of::<NodeSubscription>();
        /// A tree's smallest piece has room for eleven.
        const FIRST: usize = 12 * size_of::<NodeSubscription>();
        const RAISE: usize = 256;
        let last = self.last.item().map_or(0, |item| {
            let payload = item.payload.as_ref();
            size_of::<Item>() + ADDRESS + payload.map_or(0, |payload| payload.bytes.len())
        });
        let subscriptions = self.subscriptions.len();
        self.affiliations.len() * ADDRESS
            + subscriptions.min(1) * FIRST
            + subscriptions * SUBSCRIPTION
            + self.raised.len() * RAISE
            + last
            + self.audience.weight()
            + self.contents.weight()
    }
}
