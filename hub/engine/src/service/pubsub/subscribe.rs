//! Subscribing and unsubscribing, to nodes, filters and subtrees (XEP-0060 §6.1, §6.2; S15 to S18).

use crate::{
    access::Action,
    address::Jid,
    command::{Field, PubsubReply, Reply},
    effect::StoreOp,
    event::NodeChange,
    item::{NodeSubscription, SubscriptionState},
    node::{Filter, NodeAddress, NodeId},
    refusal::{Detail, Reason, Refusal},
    service::{Change, Decision, Deliveries, Delivery, Directory, Notice, Recipient},
    time::Now,
};

use super::{
    Asker, Pubsub, UNDO_MAX, answer, change, node::Node, notice, publish::told, rights::Rights,
};

impl Pubsub {
    pub(super) fn subscribe(
        &mut self,
        who: &Asker,
        id: NodeId,
        jid: Jid,
        options: Option<Vec<Field>>,
        directory: &mut dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        // §6.1.3.1: only one's own address. A full one lives as long as its session, so there must be one (S18).
        let own = jid.bare() == who.subject.jid;
        let alive = jid
            .as_full()
            .is_none_or(|full| full == who.jid || directory.recipient(&jid).is_some());
        if !own || !alive {
            return Err(Refusal::new(Reason::BadRequest).because(Detail::InvalidJid));
        }
        let is_subtree = is_subtree(&options.unwrap_or_default())?;
        if is_subtree && who.host.is_some() {
            return Err(Refusal::new(Reason::FeatureNotImplemented)
                .because(Detail::Unsupported("subscription-options"))
                .say("personal nodes have no tree"));
        }
        if is_subtree && !id.is_filter() {
            let below = subtree(&id)?;
            return self.subscribe_filter(who, id, below, jid, now);
        }
        if who.at(id.clone()).is_filter() {
            let filter = Filter::of(&id)
                .map_err(|error| Refusal::new(Reason::NotAcceptable).say(error.to_string()))?;
            return self.subscribe_filter(who, id, filter, jid, now);
        }
        let rights = Rights::new(&self.rules, who);
        rights.not_denied(Action::Subscribe, &id)?;
        let (at, node) = self.existing(who, &id)?;
        rights.may_subscribe(&id, node, directory)?;
        if let Some(subscription) = node.subscription(&jid) {
            // §6.1.6: subscribing again is answered with the subscription that there is.
            return Ok(answer(subscribed(id, subscription)));
        }
        self.room_for_subscription(who)?;
        let subscription = self.new_subscription(jid, now);
        let mut made = change(Vec::new());
        made.reply = Ok(Reply::Pubsub(Box::new(subscribed(id, &subscription))));
        self.enter(&at, subscription, directory, &mut made);
        Ok(Decision::Change(Box::new(made)))
    }

    /// Adds a subscription to a node that exists: memory, store, last item (§6.1.7), owners.
    pub(super) fn enter(
        &mut self,
        at: &NodeAddress,
        subscription: NodeSubscription,
        directory: &mut dyn Directory,
        made: &mut Change,
    ) {
        self.remember_session_at(&subscription, at);
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        if subscription.jid.is_bare() {
            made.ops.push(StoreOp::PutSubscription {
                at: at.clone(),
                subscription: subscription.clone(),
            });
        }
        made.notices
            .extend(to_owners(node, at, &subscription, directory));
        let last = node.last.item().filter(|_| node.wants_last());
        let to = recipient(&subscription.jid, directory);
        if let (Some(item), Some(to)) = (last, to) {
            let late = told(at, node, item, alone(to)).map(|notice| Notice {
                delay: Some(item.published),
                ..notice
            });
            made.notices.extend(late);
        }
        node.put_subscription(subscription);
    }

    fn subscribe_filter(
        &mut self,
        who: &Asker,
        asked: NodeId,
        filter: Filter,
        jid: Jid,
        now: Now,
    ) -> Result<Decision, Refusal> {
        // S15
        if !who.superuser && !self.rules.on_filter(&who.subject, &filter) {
            return Err(Reason::Forbidden.into());
        }
        let there = self.interest.get(&filter);
        if let Some(subscription) = there.and_then(|one| one.subscriptions.get(&jid)) {
            return Ok(answer(subscribed(asked, subscription)));
        }
        self.room_for_subscription(who)?;
        let at = filter_address(&filter)?;
        let subscription = self.new_subscription(jid, now);
        let mut made = change(Vec::new());
        made.reply = Ok(Reply::Pubsub(Box::new(subscribed(asked, &subscription))));
        if subscription.jid.is_bare() {
            made.ops.push(StoreOp::PutSubscription {
                at: at.clone(),
                subscription: subscription.clone(),
            });
        }
        self.remember_session_at(&subscription, &at);
        self.interest.put(&filter, subscription);
        Ok(Decision::Change(Box::new(made)))
    }

    pub(super) fn unsubscribe(
        &mut self,
        who: &Asker,
        id: NodeId,
        jid: Jid,
        subid: Option<Box<str>>,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        // §6.2.3.3
        if jid.bare() != who.subject.jid && !who.superuser {
            return Err(Reason::Forbidden.into());
        }
        let places = self.places(&who.at(id.clone()), &jid);
        if places.is_empty() {
            // §6.2.3.4 before §6.2.3.2; a filter needs no node.
            if !who.at(id.clone()).is_filter() {
                Rights::new(&self.rules, who).may_know(&id)?;
                self.existing(who, &id)?;
            }
            return Err(Refusal::new(Reason::UnexpectedRequest).because(Detail::NotSubscribed));
        }
        let (place, subscription) = match (&subid, places.as_slice()) {
            (None, [one]) => one.clone(),
            // §6.2.3.1
            (None, _) => {
                return Err(Refusal::new(Reason::BadRequest).because(Detail::SubidRequired));
            }
            // §6.2.3.5
            (Some(subid), places) => places
                .iter()
                .find(|(_, subscription)| subscription.subid == *subid)
                .cloned()
                .ok_or(Refusal::new(Reason::NotAcceptable).because(Detail::InvalidSubid))?,
        };
        let mut left = change(Vec::new());
        self.leave(&place, &subscription.jid, &mut left);
        if let Place::Node(at) = &place
            && let Some(node) = self.nodes.get(at)
        {
            let ended = NodeSubscription {
                state: SubscriptionState::None,
                ..subscription
            };
            left.notices.extend(to_owners(node, at, &ended, directory));
        }
        Ok(Decision::Change(Box::new(left)))
    }

    /// Where an address is subscribed under a name: the node itself, the filter, or the subtree.
    pub(super) fn places(&self, at: &NodeAddress, jid: &Jid) -> Vec<(Place, NodeSubscription)> {
        let mut places = Vec::new();
        let filter = if at.is_filter() {
            Filter::of(&at.node).ok()
        } else {
            let exact = self.nodes.get(at).and_then(|node| node.subscription(jid));
            places.extend(exact.map(|one| (Place::Node(at.clone()), one.clone())));
            // Personal nodes have no tree.
            at.host.is_none().then(|| subtree(&at.node).ok()).flatten()
        };
        if let Some(filter) = filter {
            let there = self.interest.get(&filter);
            let there = there.and_then(|one| one.subscriptions.get(jid));
            places.extend(there.map(|one| (Place::Filter(filter.clone()), one.clone())));
        }
        places
    }

    /// Ends one subscription, in memory and in the store.
    pub(super) fn leave(&mut self, place: &Place, jid: &Jid, left: &mut Change) {
        let (at, removed) = match place {
            Place::Node(at) => {
                let node = self.nodes.get_mut(at);
                (
                    at.clone(),
                    node.and_then(|node| node.remove_subscription(jid)),
                )
            }
            Place::Filter(filter) => match filter_address(filter) {
                Ok(at) => (at, self.interest.remove(filter, jid)),
                Err(_) => return,
            },
        };
        let Some(removed) = removed else { return };
        self.forget_session_at(&removed, &at);
        if removed.jid.is_bare() {
            left.ops.push(StoreOp::RemoveSubscription {
                at: at.clone(),
                subid: removed.subid.clone(),
            });
            if matches!(place, Place::Filter(_)) {
                if self.undo.len() >= UNDO_MAX {
                    self.undo.pop_front();
                }
                self.undo.push_back((at, removed));
            }
        }
    }

    pub(super) fn new_subscription(&mut self, jid: Jid, now: Now) -> NodeSubscription {
        NodeSubscription {
            jid,
            subid: self.ids.make(now).into(),
            state: SubscriptionState::Subscribed,
            options: None,
        }
    }

    /// §6.1.3.9
    fn room_for_subscription(&self, who: &Asker) -> Result<(), Refusal> {
        let stored = usize::try_from(who.counts.subscriptions).unwrap_or(usize::MAX);
        let of_session = self.sessions.get(&who.jid).map_or(0, |places| places.len());
        if stored.saturating_add(of_session) >= self.limits.subscriptions_per_account {
            return Err(Refusal::new(Reason::PolicyViolation).because(Detail::TooManySubscriptions));
        }
        Ok(())
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
        }
    }
}

/// Where a subscription is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Node(NodeAddress),
    Filter(Filter),
}

/// The address under which a filter's subscriptions are stored.
pub(super) fn filter_address(filter: &Filter) -> Result<NodeAddress, Refusal> {
    NodeId::parse(filter.as_str())
        .map(NodeAddress::of_service)
        .map_err(|error| Refusal::new(Reason::NotAcceptable).say(error.to_string()))
}

/// S17: a node and all below it.
fn subtree(id: &NodeId) -> Result<Filter, Refusal> {
    Filter::parse(&format!("{id}/#"))
        .map_err(|error| Refusal::new(Reason::NotAcceptable).say(error.to_string()))
}

/// Whether subscription options ask for a subtree (S17). Anything else that is not the default is refused.
fn is_subtree(options: &[Field]) -> Result<bool, Refusal> {
    let mut all = false;
    for field in options {
        let value = field.values.first().map_or("", |value| value);
        let fits = match &*field.var {
            "FORM_TYPE" => true,
            "pubsub#subscription_type" => value == "items",
            "pubsub#subscription_depth" => {
                all = value == "all";
                all || value == "1"
            }
            "pubsub#deliver" => matches!(value, "1" | "true"),
            "pubsub#digest" => matches!(value, "0" | "false"),
            _ => false,
        };
        if !fits {
            return Err(Refusal::new(Reason::FeatureNotImplemented)
                .because(Detail::Unsupported("subscription-options")));
        }
    }
    Ok(all)
}

fn subscribed(node: NodeId, subscription: &NodeSubscription) -> PubsubReply {
    PubsubReply::Subscribed {
        node,
        jid: subscription.jid.clone(),
        subid: subscription.subid.clone(),
        state: subscription.state,
    }
}

pub(super) fn recipient(jid: &Jid, directory: &mut dyn Directory) -> Option<Recipient> {
    directory.recipient(jid)
}

pub(super) fn alone(to: Recipient) -> Deliveries {
    [Delivery::plain(to)].into()
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
    let owners = node
        .owners()
        .map(|owner| Delivery::plain(Recipient::Account(directory.account(owner))));
    let to: Deliveries = owners.collect();
    Some(notice(
        at,
        node.config.notification_type,
        told_of(subscription),
        to,
    ))
}

pub(super) fn told_of(subscription: &NodeSubscription) -> NodeChange {
    NodeChange::Subscription {
        jid: subscription.jid.clone(),
        state: subscription.state,
        subid: Some(subscription.subid.clone()),
    }
}
