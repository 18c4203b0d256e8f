//! Who hears of a node: its subscribers and those of the filters that match it, resolved to deliveries (S15, S18).
//!
//! The list is made once, in order of recipients, and shared by all events of the node: a publish looks nobody up. It is kept up
//! to date by what changed, not made anew:
//!
//! - **A subscription of the node** comes, changes or goes: its address is noted, and resolved again before the next event.
//! - **A filter's subscriptions** change: every change has a number. A list knows up to which number it is right; if there is a
//!   newer one, the filters that match the node are visited, and each says which addresses have changed since (see
//!   [`Interest::changes`]). A change of a filter that does not match the node costs one walk through the trie, not a list.
//! - **An affiliation or the configuration** changes: the list is made anew. So it is where more has changed than was noted.
//!
//! So n subscribers who come one by one between n publishes cost n times a piece of the list (see [`Deliveries`]), not n lists.
//! A session that ends may leave its delivery behind, which reaches nobody, since a session's name is never used again; once
//! such may be a quarter of the list, it is made anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    address::{BareJid, Jid},
    item::{AccessModel, Affiliation, NodeSubscription, SubscriptionState},
    mailbox::SubscriptionTag,
    node::{Filter, NodeId},
    service::{Deliveries, Delivery, Directory, Recipient},
};

use super::{
    interest::{Interest, Interested},
    node::Node,
};

/// Changes noted of a short list; of a long one an eighth of its length.
const CHANGES_MIN: usize = 32;
/// Deliveries to sessions that are over which are never worth making a list anew.
const STALE_MIN: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Audience {
    /// `None`: to be made.
    list: Option<Deliveries>,
    /// The number of the last change of filters that it knows.
    seen: u64,
    /// How many filters match the node.
    filters: usize,
    /// Addresses whose subscriptions of the node have changed.
    changed: Vec<Jid>,
    /// At most so many of the deliveries are to sessions that are over.
    stale: usize,
}

impl Audience {
    /// Everything may be different.
    pub(super) fn invalidate(&mut self) {
        *self = Self::default();
    }

    /// The subscriptions of one address are different.
    pub(super) fn note(&mut self, jid: &Jid) {
        let Some(list) = &self.list else {
            return;
        };
        if self.changed.len() >= CHANGES_MIN.max(list.len() / 8) {
            self.invalidate();
        } else {
            self.changed.push(jid.clone());
        }
    }

    /// About how many bytes it owns.
    pub(super) fn weight(&self) -> usize {
        let list = self.list.as_ref().map_or(0, Deliveries::len);
        list * size_of::<Delivery>() + self.changed.len() * size_of::<Jid>()
    }

    /// Takes over what has changed; false if the list must be made anew.
    fn update(
        &mut self,
        node: &Node,
        name: &NodeId,
        interest: &Interest,
        directory: &mut dyn Directory,
    ) -> bool {
        let Some(list) = &mut self.list else {
            return false;
        };
        let mut changed: BTreeSet<Jid> = self.changed.drain(..).collect();
        if self.seen != interest.generation() {
            let most = CHANGES_MIN.max(list.len() / 8);
            let Some(since) = interest.changes(name.as_str(), self.seen, self.filters, most) else {
                return false;
            };
            self.stale += since.iter().filter(|jid| !jid.is_bare()).count();
            changed.extend(since.into_iter().cloned());
            self.seen = interest.generation();
        }
        for jid in &changed {
            self.stale += usize::from(!jid.is_bare());
            let Some(to) = directory.recipient(jid) else {
                continue;
            };
            match node.heard_by(jid, name, interest) {
                Some(through) => list.put(through.delivery(to)),
                None => list.remove(to),
            }
        }
        self.stale <= STALE_MIN.max(list.len() / 4)
    }
}

impl Node {
    /// Who hears of this node now; made anew only if it must be, which `built` counts.
    pub(super) fn audience(
        &mut self,
        name: &NodeId,
        interest: &Interest,
        directory: &mut dyn Directory,
        built: &mut u64,
    ) -> Deliveries {
        let mut audience = std::mem::take(&mut self.audience);
        if !audience.update(self, name, interest, directory) {
            *built += 1;
            audience = self.resolve(name, interest, directory);
        }
        let list = audience.list.clone().unwrap_or_default();
        self.audience = audience;
        list
    }

    /// The accounts among those who hear of it, which alarms are owed to (S12).
    pub(super) fn owed_to(
        &self,
        name: &NodeId,
        interest: &Interest,
        directory: &dyn Directory,
    ) -> Arc<[BareJid]> {
        let heard = self.heard(name, interest);
        let bare = heard.keys().filter(|jid| jid.is_bare());
        let bare = bare.map(|jid| jid.bare());
        bare.filter(|jid| directory.is_account(jid)).collect()
    }

    fn resolve(
        &self,
        name: &NodeId,
        interest: &Interest,
        directory: &mut dyn Directory,
    ) -> Audience {
        let mut list = Vec::new();
        for (jid, through) in self.heard(name, interest) {
            let to = directory.recipient(jid);
            list.extend(to.map(|to| through.delivery(to)));
        }
        list.sort_unstable_by_key(|delivery| delivery.to);
        let mut filters = 0;
        interest.matching(name.as_str(), &mut |_| filters += 1);
        Audience {
            list: Some(list.into()),
            seen: interest.generation(),
            filters,
            changed: Vec::new(),
            stale: 0,
        }
    }

    /// Every address that hears of it, and through what.
    fn heard<'a>(
        &'a self,
        name: &NodeId,
        interest: &'a Interest,
    ) -> BTreeMap<&'a Jid, Through<'a>> {
        let mut heard: BTreeMap<&Jid, Through<'_>> = BTreeMap::new();
        for subscription in self.subscriptions() {
            if hears(subscription) {
                let through = heard.entry(&subscription.jid).or_default();
                through.add(subscription);
            }
        }
        interest.matching(name.as_str(), &mut |interested| {
            for (jid, subscription) in &interested.subscriptions {
                if self.is_open_to(&jid.bare()) {
                    let through = heard.entry(jid).or_default();
                    through.add_filter(interested, subscription);
                }
            }
        });
        heard
    }

    /// The same for one address.
    fn heard_by<'a>(
        &'a self,
        jid: &Jid,
        name: &NodeId,
        interest: &'a Interest,
    ) -> Option<Through<'a>> {
        let mut heard = Through::default();
        if let Some(subscription) = self.subscription(jid).filter(|one| hears(one)) {
            heard.add(subscription);
        }
        if self.is_open_to(&jid.bare()) {
            interest.matching(name.as_str(), &mut |interested| {
                if let Some(subscription) = interested.subscriptions.get(jid) {
                    heard.add_filter(interested, subscription);
                }
            });
        }
        (!heard.subids.is_empty()).then_some(heard)
    }

    /// S15: a filter never reaches a node whose access model is not open, or that takes no subscriptions, unless the account is
    /// affiliated.
    fn is_open_to(&self, account: &BareJid) -> bool {
        match self.affiliation(account) {
            Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => true,
            Affiliation::Outcast => false,
            Affiliation::None | Affiliation::PublishOnly => {
                self.config.access_model == AccessModel::Open && self.config.subscribe
            }
        }
    }
}

fn hears(subscription: &NodeSubscription) -> bool {
    subscription.state == SubscriptionState::Subscribed
}

/// Through which subscriptions one address hears of a node.
#[derive(Default)]
struct Through<'a> {
    subids: Vec<&'a str>,
    filter: Option<(&'a Filter, &'a Arc<SubscriptionTag>)>,
}

impl<'a> Through<'a> {
    fn add(&mut self, subscription: &'a NodeSubscription) {
        self.subids.push(&subscription.subid);
    }

    fn add_filter(&mut self, interested: &'a Interested, subscription: &'a NodeSubscription) {
        self.add(subscription);
        self.filter
            .get_or_insert((&interested.filter, &interested.tag));
    }

    fn delivery(&self, to: Recipient) -> Delivery {
        Delivery {
            tag: self.tag(),
            ..Delivery::plain(to)
        }
    }

    /// Nothing to say for one plain subscription; the shared tag for one filter; identifiers where there are several
    /// (XEP-0060 §12.20).
    fn tag(&self) -> Option<Arc<SubscriptionTag>> {
        if self.subids.len() < 2 {
            return self.filter.map(|(_, tag)| Arc::clone(tag));
        }
        Some(Arc::new(SubscriptionTag {
            subids: self.subids.iter().map(|&subid| subid.into()).collect(),
            collection: self.filter.map(|(filter, _)| filter.clone()),
            ..SubscriptionTag::default()
        }))
    }
}
