//! Leases: subscriptions that end by themselves (XEP-0060 §12.19).
//!
//! A lease that is over neither delivers nor counts from that moment on, since whoever looks asks the time. This clears it
//! away: of what is in memory when its time comes, of what is on the disk when the store is asked, now and then.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use crate::{
    address::Jid,
    item::NodeSubscription,
    message::MessageKind,
    node::{Filter, NodeAddress},
    service::{Change, Directory},
    time::{Now, Timestamp},
};

use super::{
    Pubsub, change, notice,
    subscribe::{Place, alone, recipient, told_of},
};

/// How long before the end of a lease its subscriber is told (§12.19: "e.g., 24 hours"); of a short one the last quarter.
const WARNING: Duration = Duration::from_secs(86_400);
/// Leases seen to at a stretch.
const LEASES_PER_TURN_MAX: usize = 256;

/// What is to be done when, of the leases that are in memory: to warn, or to end.
#[derive(Debug, Default)]
pub(super) struct Leases {
    due: BTreeMap<(Timestamp, Box<str>), (NodeAddress, Jid)>,
    /// By subid.
    at: HashMap<Box<str>, Timestamp>,
}

impl Leases {
    fn set(&mut self, when: Timestamp, at: &NodeAddress, subscription: &NodeSubscription) {
        self.clear(&subscription.subid);
        self.at.insert(subscription.subid.clone(), when);
        let place = (at.clone(), subscription.jid.clone());
        self.due.insert((when, subscription.subid.clone()), place);
    }

    /// The subscription has no lease, or is not in memory any more.
    pub(super) fn clear(&mut self, subid: &str) {
        if let Some((subid, when)) = self.at.remove_entry(subid) {
            self.due.remove(&(when, subid));
        }
    }

    fn take_due(&mut self, now: Timestamp) -> Option<(NodeAddress, Jid, Box<str>)> {
        let entry = self
            .due
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        let ((_, subid), (at, jid)) = entry.remove_entry();
        self.at.remove(&subid);
        Some((at, jid, subid))
    }
}

impl Pubsub {
    /// Notes when something is to be done about a subscription. `fresh`: its lease begins now.
    pub(super) fn note_lease(
        &mut self,
        at: &NodeAddress,
        subscription: &NodeSubscription,
        fresh: bool,
    ) {
        let ends = subscription.options.as_ref().and_then(|one| one.expire);
        let Some(ends) = ends else {
            self.leases.clear(&subscription.subid);
            return;
        };
        let runs = ends.since(self.now.wall);
        let warning = if fresh {
            WARNING.min(runs / 4)
        } else {
            WARNING
        };
        let warned = self.now.wall + runs.saturating_sub(warning);
        let when = if warned > self.now.wall { warned } else { ends };
        self.leases.set(when, at, subscription);
    }

    /// When [`leases_due`](Self::leases_due) should be called.
    pub fn next_lease(&self) -> Option<Timestamp> {
        self.leases.due.keys().next().map(|(when, _)| *when)
    }

    /// Warns subscribers whose leases are almost over, and ends those that are; some of them, if there are many.
    pub fn leases_due(&mut self, now: Now, directory: &mut dyn Directory) -> Vec<Change> {
        self.set_time(now);
        let mut changes = Vec::new();
        if !now.wall_trusted {
            return changes;
        }
        while changes.len() < LEASES_PER_TURN_MAX {
            let Some((at, jid, subid)) = self.leases.take_due(now.wall) else {
                break;
            };
            let Some((place, subscription)) = self.kept_at(&at, &jid, &subid) else {
                continue;
            };
            let mut done = change(Vec::new());
            let ends = subscription.options.as_ref().and_then(|one| one.expire);
            match ends {
                Some(ends) if ends <= now.wall => {
                    self.end(&place, subscription, directory, &mut done);
                }
                Some(ends) => {
                    self.leases.set(ends, &at, &subscription);
                    self.warn(&at, &subscription, ends, directory, &mut done);
                }
                None => continue,
            }
            changes.push(done);
        }
        changes
    }

    /// Ends leases that are over, as the store knows them: of nodes that are not in memory too.
    pub fn leases_ended(
        &mut self,
        ended: Vec<(NodeAddress, NodeSubscription)>,
        now: Now,
        directory: &mut dyn Directory,
    ) -> Vec<Change> {
        self.set_time(now);
        let mut changes = Vec::new();
        for (at, stored) in ended {
            let mut done = change(Vec::new());
            if self.nodes.contains_key(&at) || at.is_filter() {
                // Memory is newer: it may have been renewed, or have ended, while the store was asked.
                let Some((place, known)) = self.kept_at(&at, &stored.jid, &stored.subid) else {
                    continue;
                };
                let ends = known.options.as_ref().and_then(|one| one.expire);
                if !self.interest.is_over(ends) {
                    continue;
                }
                self.end(&place, known, directory, &mut done);
            } else {
                done.ops.push(crate::effect::StoreOp::RemoveSubscription {
                    at: at.clone(),
                    subid: stored.subid.clone(),
                });
                let ended = NodeSubscription {
                    state: crate::item::SubscriptionState::None,
                    ..stored
                };
                if let Some(to) = recipient(&ended.jid, directory) {
                    let told = told_of(&ended);
                    let kind = MessageKind::Headline;
                    done.notices.push(notice(&at, kind, told, alone(to)));
                }
            }
            changes.push(done);
        }
        changes
    }

    /// A subscription in memory, whether or not its lease is over.
    fn kept_at(
        &self,
        at: &NodeAddress,
        jid: &Jid,
        subid: &str,
    ) -> Option<(Place, NodeSubscription)> {
        if at.is_filter() {
            let filter = Filter::of(&at.node).ok()?;
            let one = self.interest.get(&filter)?.subscriptions.get(jid, subid)?;
            let one = one.clone();
            return Some((Place::Filter(filter), one));
        }
        let mut theirs = self.nodes.get(at)?.subscriptions_of(jid);
        let one = theirs.find(|one| *one.subid == *subid)?.clone();
        Some((Place::Node(at.clone()), one))
    }

    fn warn(
        &self,
        at: &NodeAddress,
        subscription: &NodeSubscription,
        ends: Timestamp,
        directory: &mut dyn Directory,
        done: &mut Change,
    ) {
        use crate::event::NodeChange;
        if let Some(to) = recipient(&subscription.jid, directory)
            && let NodeChange::Subscription {
                jid, state, subid, ..
            } = told_of(subscription)
        {
            let told = NodeChange::Subscription {
                jid,
                state,
                subid,
                expiry: Some(ends),
            };
            done.notices
                .push(notice(at, self.kind_at(at), told, alone(to)));
        }
    }

    /// The type of messages about a node; of a filter that of most nodes.
    pub(super) fn kind_at(&self, at: &NodeAddress) -> MessageKind {
        let node = self.nodes.get(at);
        node.map_or(MessageKind::Headline, |node| node.config.notification_type)
    }
}
