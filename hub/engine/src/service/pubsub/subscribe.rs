//! Subscribing and unsubscribing, to nodes, filters and subtrees (XEP-0060 §6.1, §6.2; S15 to S18).
//!
//! A name and options say where a subscription belongs, its [`Place`]: at the node, or at a filter over the tree. An address
//! may have several at one place if they differ in their options (§6.1.6, docs/decisions/0006).

use std::sync::Arc;

use crate::{
    access::Action,
    address::Jid,
    command::{Field, PubsubReply, Reply},
    effect::StoreOp,
    event::NodeChange,
    item::{
        Item, NodeSubscription, SubscriptionDepth, SubscriptionOptions, SubscriptionState,
        SubscriptionType,
    },
    node::{Filter, NodeAddress, NodeId},
    refusal::{Detail, Reason, Refusal},
    service::{Change, Decision, Deliveries, Delivery, Directory, Notice, Recipient},
};

use super::{
    Asker, Pubsub, UNDO_MAX, answer,
    audience::sole,
    change,
    history::kept,
    node::Node,
    notice,
    options::{self, are_same, options_of, stored},
    publish::told,
    rights::Rights,
};

/// Subscriptions that one address may have at one place: each with other options, as there is no other reason for a second.
const SUBSCRIPTIONS_PER_ADDRESS_MAX: usize = 16;

impl Pubsub {
    pub(super) fn subscribe(
        &mut self,
        who: &Asker,
        id: NodeId,
        jid: Jid,
        fields: Option<Vec<Field>>,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        if !self.may_name(who, &jid, directory) {
            return Err(Refusal::new(Reason::BadRequest).because(Detail::InvalidJid));
        }
        let at = who.at(id.clone());
        let mut wish = SubscriptionOptions::default();
        options::apply(&mut wish, fields.as_deref().unwrap_or_default(), self.now)?;
        let place = Place::of(&at, &wish)?;
        let state = self.admission(who, &place, &*directory)?;
        let wish = place.kept(wish);
        let there = self.subscriptions_at(&place, &jid);
        // §6.1.3.7
        if there
            .iter()
            .any(|one| one.state == SubscriptionState::Pending)
        {
            return Err(Refusal::new(Reason::NotAuthorized).because(Detail::PendingSubscription));
        }
        let same = match &fields {
            Some(_) => there.iter().find(|one| are_same(&options_of(one), &wish)),
            // Whoever says nothing of options wants none in particular: a device subscribes so at each start.
            None => None,
        };
        let any = || {
            let all = self.places(&at, &jid).into_iter();
            let mut of_items = all.filter(|(_, one)| {
                fields.is_none() && options_of(one).kind == SubscriptionType::Items
            });
            of_items.next()
        };
        let same = same.map(|one| (place.clone(), one.clone())).or_else(any);
        let mut made = change(Vec::new());
        let asked = fields.is_some();
        if let Some((place, there)) = same {
            let renewed = match asked {
                true => stored(wish),
                false => there.options.clone(),
            };
            if renewed == there.options {
                // §6.1.6: subscribing again is answered with the subscription that there is.
                return Ok(answer(place.subscribed(id, &there, asked)));
            }
            // §12.19: nothing but the end of its lease is another.
            let renewed = NodeSubscription {
                options: renewed,
                ..there
            };
            made.reply = Ok(reply(place.subscribed(id, &renewed, asked)));
            self.put(&place, renewed, &mut made);
            return Ok(Decision::Change(Box::new(made)));
        }
        self.room_for_subscription(who, &jid, there.len())?;
        let subscription = NodeSubscription {
            state,
            options: stored(wish),
            ..self.new_subscription(jid)
        };
        made.reply = Ok(reply(place.subscribed(id, &subscription, asked)));
        self.enter(&place, subscription, directory, &mut made);
        Ok(Decision::Change(Box::new(made)))
    }

    /// Whether somebody may subscribe at a place: at once, or only once an owner has approved (§6.1.4).
    pub(super) fn admission(
        &self,
        who: &Asker,
        place: &Place,
        directory: &dyn Directory,
    ) -> Result<SubscriptionState, Refusal> {
        let at = match place {
            Place::Node(at) => at,
            // S15
            Place::Filter(filter)
                if who.superuser || self.rules.on_filter(&who.subject, filter) =>
            {
                return Ok(SubscriptionState::Subscribed);
            }
            Place::Filter(_) => {
                return Err(Refusal::new(Reason::Forbidden)
                    .say("no access rule allows all nodes of this filter"));
            }
        };
        let rights = Rights::new(&self.rules, who);
        rights.not_denied(Action::Subscribe, &at.node)?;
        let (_, node) = self.existing(who, &at.node)?;
        match rights.may_subscribe(&at.node, node, directory) {
            Ok(()) => Ok(SubscriptionState::Subscribed),
            // Who is not subscribed may not read, but may ask to be.
            Err(refusal) if refusal.detail == Some(Detail::NotSubscribed) => {
                Ok(SubscriptionState::Pending)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// A subscription that is new, or newly approved: memory, store, last item (§6.1.7), owners; or the owners' approval is
    /// asked for.
    pub(super) fn enter(
        &mut self,
        place: &Place,
        subscription: NodeSubscription,
        directory: &mut dyn Directory,
        made: &mut Change,
    ) {
        self.put(place, subscription.clone(), made);
        let Place::Node(at) = place else { return };
        if subscription.state == SubscriptionState::Pending {
            self.ask_owners(at, &subscription, directory, made);
            return;
        }
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        made.notices
            .extend(to_owners(node, at, &subscription, directory));
        let keep = kept(at, &node.config, &self.history, &self.limits, self.now);
        let is_shown =
            |item: &&Arc<Item>| keep.unexpired.is_none_or(|since| item.published >= since);
        let wants = options_of(&subscription).deliver && node.wants_last();
        let last = node.last.item().filter(|_| wants).filter(is_shown);
        let to = recipient(&subscription.jid, directory);
        if let (Some(item), Some(to)) = (last, to) {
            let to = [sole(&subscription, to)].into();
            let late = told(at, node, item, to).map(|notice| Notice {
                delay: Some(item.published),
                ..notice
            });
            made.notices.extend(late);
        }
        if node.config.tempsub {
            self.note_leaver(&subscription.jid.bare(), at);
        }
    }

    pub(super) fn unsubscribe(
        &mut self,
        who: &Asker,
        id: NodeId,
        jid: Jid,
        subid: Option<Box<str>>,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        let (place, subscription) = self.meant(who, &id, &jid, subid.as_deref())?;
        let mut left = change(Vec::new());
        self.leave(&place, &subscription, &mut left);
        self.tell_owners_of_end(&place, subscription, directory, &mut left);
        Ok(Decision::Change(Box::new(left)))
    }

    /// The one subscription that a request means (§6.2.3, §6.3.4).
    pub(super) fn meant(
        &self,
        who: &Asker,
        id: &NodeId,
        jid: &Jid,
        subid: Option<&str>,
    ) -> Result<(Place, NodeSubscription), Refusal> {
        // §6.2.3.3, §6.3.4.1
        if jid.bare() != who.subject.jid && !who.superuser {
            return Err(Reason::Forbidden.into());
        }
        let at = who.at(id.clone());
        let places = self.places(&at, jid);
        if places.is_empty() {
            // §6.2.3.4 before §6.2.3.2, §6.3.4.7 before §6.3.4.2; a filter needs no node.
            if !at.is_filter() {
                Rights::new(&self.rules, who).may_know(id)?;
                self.existing(who, id)?;
            }
            return Err(Refusal::new(Reason::UnexpectedRequest).because(Detail::NotSubscribed));
        }
        match (subid, places.as_slice()) {
            (None, [one]) => Ok(one.clone()),
            // §6.2.3.1, §6.3.4.4
            (None, _) => Err(Refusal::new(Reason::BadRequest).because(Detail::SubidRequired)),
            // §6.2.3.5, §6.3.4.5
            (Some(subid), places) => places
                .iter()
                .find(|(_, subscription)| *subscription.subid == *subid)
                .cloned()
                .ok_or(Refusal::new(Reason::NotAcceptable).because(Detail::InvalidSubid)),
        }
    }

    /// What an address is subscribed by under a name: at the node itself, at the filter, for the subtree, for the children.
    /// A lease that is over is none.
    pub(super) fn places(&self, at: &NodeAddress, jid: &Jid) -> Vec<(Place, NodeSubscription)> {
        let mut places = vec![Place::Node(at.clone())];
        if at.host.is_none() {
            let below = |tail| Filter::parse(&format!("{}/{tail}", at.node)).ok();
            let own = at.is_filter().then(|| Filter::of(&at.node).ok()).flatten();
            let filters = [own, below("#"), below("+").filter(|_| !at.is_filter())];
            places.extend(filters.into_iter().flatten().map(Place::Filter));
        }
        let children = below_alone(at);
        let mut found = Vec::new();
        for place in places {
            let of_nodes_alone = matches!((&place, &children), (Place::Filter(one), Some(children)) if one == children);
            for one in self.subscriptions_at(&place, jid) {
                // `a/+` is what `a` is subscribed to for its children, not for items two names away.
                if !of_nodes_alone || options_of(&one).kind == SubscriptionType::Nodes {
                    found.push((place.clone(), one));
                }
            }
        }
        found
    }

    /// What an address is subscribed by at one place.
    pub(super) fn subscriptions_at(&self, place: &Place, jid: &Jid) -> Vec<NodeSubscription> {
        let runs = |one: &&NodeSubscription| {
            let ends = one.options.as_ref().and_then(|options| options.expire);
            !self.interest.is_over(ends)
        };
        match place {
            Place::Node(at) => {
                let node = self.nodes.get(at).into_iter();
                let theirs = node.flat_map(|node| node.subscriptions_of(jid));
                theirs.filter(runs).cloned().collect()
            }
            Place::Filter(filter) => {
                let interested = self.interest.get(filter).into_iter();
                let theirs = interested.flat_map(|one| one.subscriptions.of(jid));
                theirs.filter(runs).cloned().collect()
            }
        }
    }

    /// Adds a subscription or puts it in the place of itself as it was, in memory and in the store.
    pub(super) fn put(&mut self, place: &Place, subscription: NodeSubscription, made: &mut Change) {
        let Ok(at) = place.address() else { return };
        if subscription.jid.is_bare() {
            made.ops.push(StoreOp::PutSubscription {
                at: at.clone(),
                subscription: subscription.clone(),
            });
        }
        self.remember_session_at(&subscription, &at);
        self.note_lease(&at, &subscription, true);
        match place {
            Place::Node(at) => {
                if let Some(node) = self.nodes.get_mut(at) {
                    node.put_subscription(subscription);
                }
            }
            Place::Filter(filter) => {
                if let Some(before) = self.interest.put(filter, subscription) {
                    self.remember_undo(at, before);
                }
            }
        }
    }

    /// Ends one subscription, in memory and in the store.
    pub(super) fn leave(
        &mut self,
        place: &Place,
        subscription: &NodeSubscription,
        left: &mut Change,
    ) {
        let Ok(at) = place.address() else { return };
        let NodeSubscription { jid, subid, .. } = subscription;
        let removed = match place {
            Place::Node(at) => {
                let node = self.nodes.get_mut(at);
                node.and_then(|node| node.remove_subscription(jid, subid))
            }
            Place::Filter(filter) => self.interest.remove(filter, jid, subid),
        };
        let Some(removed) = removed else { return };
        self.leases.clear(subid);
        if self.subscriptions_at(place, jid).is_empty() {
            self.forget_session_at(&removed, &at);
        }
        if removed.jid.is_bare() {
            left.ops.push(StoreOp::RemoveSubscription {
                at: at.clone(),
                subid: removed.subid.clone(),
            });
            if matches!(place, Place::Filter(_)) {
                self.remember_undo(at, removed);
            }
        }
    }

    fn remember_undo(&mut self, at: NodeAddress, before: NodeSubscription) {
        if self.undo.len() >= UNDO_MAX {
            self.undo.pop_front();
        }
        self.undo.push_back((at, before));
    }

    pub(super) fn new_subscription(&mut self, jid: Jid) -> NodeSubscription {
        NodeSubscription {
            jid,
            subid: self.ids.make(self.now).into(),
            state: SubscriptionState::Subscribed,
            options: None,
        }
    }

    /// §6.1.3.9. Those of a full address are counted where they are, with the session that they hang on, whoever of its
    /// account asked for them.
    pub(super) fn room_for_subscription(
        &self,
        who: &Asker,
        jid: &Jid,
        at_place: usize,
    ) -> Result<(), Refusal> {
        let stored = usize::try_from(who.counts.subscriptions).unwrap_or(usize::MAX);
        let session = jid.as_full();
        let of_session = session.and_then(|full| self.sessions.get(&full));
        let of_session = of_session.map_or(0, |places| places.len());
        if stored.saturating_add(of_session) >= self.limits.subscriptions_per_account {
            return Err(Refusal::new(Reason::PolicyViolation).because(Detail::TooManySubscriptions));
        }
        self.room_at(at_place)
    }

    /// The same for one place.
    pub(super) fn room_at(&self, at_place: usize) -> Result<(), Refusal> {
        if at_place >= SUBSCRIPTIONS_PER_ADDRESS_MAX {
            return Err(Refusal::new(Reason::PolicyViolation).because(Detail::TooManySubscriptions));
        }
        Ok(())
    }

    /// §6.1.3.1: only one's own address. A full one lives as long as its session, so there must be one (S18).
    pub(super) fn may_name(&self, who: &Asker, jid: &Jid, directory: &mut dyn Directory) -> bool {
        let own = jid.bare() == who.subject.jid;
        let alive = jid
            .as_full()
            .is_none_or(|full| full == who.jid || directory.recipient(jid).is_some());
        own && alive
    }

    fn remember_session_at(&mut self, subscription: &NodeSubscription, at: &NodeAddress) {
        if let Some(full) = subscription.jid.as_full() {
            self.sessions.entry(full).or_default().insert(at.clone());
        }
    }

    pub(super) fn forget_session_at(&mut self, subscription: &NodeSubscription, at: &NodeAddress) {
        if let Some(full) = subscription.jid.as_full()
            && let Some(places) = self.sessions.get_mut(&full)
        {
            places.remove(at);
            if places.is_empty() {
                self.sessions.remove(&full);
            }
            self.waiting_here.remove(&(at.clone(), full));
        }
    }

    /// `pubsub#notify_sub` at the end of a subscription.
    pub(super) fn tell_owners_of_end(
        &self,
        place: &Place,
        subscription: NodeSubscription,
        directory: &mut dyn Directory,
        left: &mut Change,
    ) {
        if let Place::Node(at) = place
            && let Some(node) = self.nodes.get(at)
            && subscription.state != SubscriptionState::Pending
        {
            let ended = NodeSubscription {
                state: SubscriptionState::None,
                ..subscription
            };
            left.notices.extend(to_owners(node, at, &ended, directory));
        }
    }
}

/// Where a subscription is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Node(NodeAddress),
    Filter(Filter),
}

impl Place {
    /// Where a subscription of this name with these options belongs (S16, S17). Of items: the node itself, or with all
    /// below it; of nodes: those below it, all or one level of them. A filter names its own levels.
    pub(super) fn of(at: &NodeAddress, options: &SubscriptionOptions) -> Result<Self, Refusal> {
        let all = options.depth == SubscriptionDepth::All;
        let of_nodes = options.kind == SubscriptionType::Nodes;
        let filter = at.is_filter();
        if !filter && !all && !of_nodes {
            return Ok(Self::Node(at.clone()));
        }
        if at.host.is_some() {
            // Personal nodes have no tree.
            return Err(Refusal::new(Reason::FeatureNotImplemented)
                .because(Detail::Unsupported("collections")));
        }
        let name = at.node.as_str();
        let text = match () {
            () if all && !name.ends_with('#') => format!("{name}/#"),
            () if filter => name.to_owned(),
            () => format!("{name}/+"),
        };
        Filter::parse(&text)
            .map(Self::Filter)
            .map_err(|error| Refusal::new(Reason::NotAcceptable).say(error.to_string()))
    }

    /// The address under which its subscriptions are stored.
    pub(super) fn address(&self) -> Result<NodeAddress, Refusal> {
        match self {
            Self::Node(at) => Ok(at.clone()),
            Self::Filter(filter) => NodeId::parse(filter.as_str())
                .map(NodeAddress::of_service)
                .map_err(|error| Refusal::new(Reason::NotAcceptable).say(error.to_string())),
        }
    }

    /// Options as they are kept here: a filter says the depth, which is the same however it was asked for.
    pub(super) fn kept(&self, options: SubscriptionOptions) -> SubscriptionOptions {
        match self {
            Self::Node(_) => options,
            Self::Filter(_) => SubscriptionOptions {
                depth: SubscriptionDepth::One,
                ..options
            },
        }
    }

    /// Options of a subscription that is kept here, as they are seen under a name.
    pub(super) fn seen(&self, id: &NodeId, subscription: &NodeSubscription) -> SubscriptionOptions {
        let mut options = options_of(subscription);
        if let Self::Filter(filter) = self
            && filter.as_str() != id.as_str()
            && filter.as_str().ends_with("/#")
        {
            options.depth = SubscriptionDepth::All;
        }
        options
    }

    /// The answer to whoever subscribed; with the options that hold, if there was a word of options (§6.3.7).
    fn subscribed(&self, id: NodeId, subscription: &NodeSubscription, asked: bool) -> PubsubReply {
        PubsubReply::Subscribed {
            jid: subscription.jid.clone(),
            subid: subscription.subid.clone(),
            state: subscription.state,
            options: asked.then(|| Box::new(self.seen(&id, subscription))),
            node: id,
        }
    }
}

/// The filter of the children of a node, which is nobody's filter unless it is of nodes.
fn below_alone(at: &NodeAddress) -> Option<Filter> {
    let text = (!at.is_filter()).then(|| format!("{}/+", at.node))?;
    Filter::parse(&text).ok()
}

fn reply(reply: PubsubReply) -> Reply {
    Reply::Pubsub(Box::new(reply))
}

pub(super) fn recipient(jid: &Jid, directory: &mut dyn Directory) -> Option<Recipient> {
    directory.recipient(jid)
}

pub(super) fn alone(to: Recipient) -> Deliveries {
    [Delivery::plain(to)].into()
}

/// All owners of a node.
pub(super) fn owners(node: &Node, directory: &mut dyn Directory) -> Deliveries {
    let accounts = node.owners();
    accounts
        .filter_map(|owner| directory.once(owner.as_jid()))
        .collect()
}

/// `pubsub#notify_sub`: owners hear of subscriptions that come, change and go.
fn to_owners(
    node: &Node,
    at: &NodeAddress,
    subscription: &NodeSubscription,
    directory: &mut dyn Directory,
) -> Option<Notice> {
    if !node.config.notify_sub || !node.config.deliver_notifications {
        return None;
    }
    let to = owners(node, directory);
    let kind = node.config.notification_type;
    Some(notice(at, kind, told_of(subscription), to))
}

/// §12.14
pub(super) fn told_of(subscription: &NodeSubscription) -> NodeChange {
    NodeChange::Subscription {
        jid: subscription.jid.clone(),
        state: subscription.state,
        subid: Some(subscription.subid.clone()),
        expiry: None,
    }
}
