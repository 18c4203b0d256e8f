//! Who hears of a node: its subscribers and those of the filters that match it, resolved to deliveries (S15, S18).
//!
//! The list is made once, in order of recipients, and shared by all events of the node: a publish looks nobody up. It is kept up
//! to date by what changed, not made anew:
//!
//! - **A subscription of the node** comes, changes or goes: its address is noted, and resolved again before the next event.
//! - **A filter's subscriptions** change: every change has a number. A list knows up to which number it is right; if there is a
//!   newer one, the filters that match the node are visited, and each says which addresses have changed since (see
//!   [`Interest::changes`]). A change of a filter that does not match the node costs one walk through the trie, not a list.
//! - **An affiliation or the configuration** changes: the list is made anew. So it is where more has changed than was noted,
//!   and where a lease in it is over (XEP-0060 §12.19).
//!
//! So n subscribers who come one by one between n publishes cost n times a piece of the list (see [`Deliveries`]), not n lists.
//! A session that ends may leave its delivery behind, which reaches nobody, since a session's name is never used again; once
//! such may be a quarter of the list, it is made anew.
//!
//! An address hears of an event once, whatever it is subscribed by (§6.1.6). Where its subscriptions ask for different things the
//! one message is cut by what they ask: those that come at once and those of a digest, those for the shows in which all of them
//! hear and those for the shows in which some do. An alarm is never cut, and what no digest holds not by digests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use smallvec::SmallVec;

use crate::{
    address::{BareJid, Jid},
    class::Class,
    item::{
        AccessModel, Affiliation, NodeSubscription, Shows, SubscriptionOptions, SubscriptionState,
        SubscriptionType,
    },
    mailbox::SubscriptionTag,
    node::{NodeAddress, NodeId},
    service::{Deliveries, Delivery, Directory, Recipient},
    time::Timestamp,
};

use super::{
    interest::{Interest, Interested},
    node::Node,
};

/// Changes noted of a short list; of a long one an eighth of its length.
const CHANGES_MIN: usize = 32;
/// Deliveries to sessions that are over which are never worth making a list anew.
const STALE_MIN: usize = 32;

/// Different tags without identifiers that are shared by all who have the same.
const SHARED_TAGS_MAX: usize = 16;

/// What an event is about (`pubsub#subscription_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The node's items.
    Items,
    /// That there is such a node.
    Tree,
    /// What both kinds of subscribers want to know: a new configuration, the node's end.
    Both,
}

/// How the options of subscriptions bear on what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Manner {
    /// An item: it may wait for a digest, and is for who shows the right thing.
    #[default]
    Item,
    /// An alarm: it waits for nothing, and whoever it is owed to gets it whatever they show (S12). So an address gets it once,
    /// however different the options of its subscriptions are.
    Alarm,
    /// What happens to the node itself: no digest holds it.
    AtOnce,
}

impl Manner {
    const fn of(class: Class) -> Self {
        match class {
            Class::Alarm => Self::Alarm,
            Class::State | Class::Event => Self::Item,
        }
    }
}

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
    /// When the first lease in it ends.
    until: Option<Timestamp>,
    /// The node is one of alarms, or is not.
    manner: Manner,
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

    /// The list of a personal node, if it is right still; `hearing` says what it was made of.
    pub(super) fn personal(&self, hearing: u32, interest: &Interest) -> Option<Deliveries> {
        let right = self.seen == u64::from(hearing)
            && self.changed.is_empty()
            && !interest.is_over(self.until);
        self.list.clone().filter(|_| right)
    }

    /// Keeps a new one, which is right until then.
    pub(super) fn keep_personal(
        &mut self,
        hearing: u32,
        list: Deliveries,
        until: Option<Timestamp>,
    ) {
        *self = Self {
            list: Some(list),
            seen: hearing.into(),
            until,
            ..Self::default()
        };
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
        if interest.is_over(self.until) {
            return false;
        }
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
            let heard = node.heard_by(jid, name, interest, self.manner);
            let mut deliveries = SmallVec::new();
            divide(&heard, to, &mut Tags::default(), &mut deliveries);
            list.replace(to, deliveries);
            let ends = heard.iter().filter_map(Heard::ends);
            self.until = self.until.into_iter().chain(ends).min();
        }
        self.stale <= STALE_MIN.max(list.len() / 4)
    }
}

impl Node {
    /// Who hears of this node now; made anew only if it must be, which `built` counts.
    pub(super) fn audience(
        &mut self,
        at: &NodeAddress,
        class: Class,
        interest: &Interest,
        directory: &mut dyn Directory,
        built: &mut u64,
    ) -> Deliveries {
        if let Some(host) = &at.host {
            return self.personal_audience(at, host, interest, directory, built);
        }
        let name = &at.node;
        let manner = Manner::of(class);
        let mut audience = std::mem::take(&mut self.audience);
        if audience.manner != manner || !audience.update(self, name, interest, directory) {
            *built += 1;
            audience = self.resolve(name, About::Items, manner, interest, directory);
        }
        let list = audience.list.clone().unwrap_or_default();
        self.audience = audience;
        list
    }

    /// Whether a subscription of the node is one to its items that delivers now.
    pub(super) fn hears_items(&self, one: &NodeSubscription, interest: &Interest) -> bool {
        hears(one, About::Items, interest)
    }

    /// The accounts among those who hear of it, which alarms are owed to (S12).
    pub(super) fn owed_to(
        &self,
        name: &NodeId,
        interest: &Interest,
        directory: &dyn Directory,
    ) -> Arc<[BareJid]> {
        let heard = self.heard(name, About::Items, Manner::Alarm, interest);
        let bare = heard.keys().filter(|jid| jid.is_bare());
        let bare = bare.map(|jid| jid.bare());
        bare.filter(|jid| directory.is_account(jid)).collect()
    }

    /// Who hears of what happens to the node itself: rare, and so never kept.
    pub(super) fn witnesses(
        &self,
        at: &NodeAddress,
        about: About,
        interest: &Interest,
        directory: &mut dyn Directory,
    ) -> Deliveries {
        if let Some(host) = &at.host {
            return self.personal_witnesses(at, host, about, interest, directory);
        }
        self.resolve(&at.node, about, Manner::AtOnce, interest, directory)
            .list
            .unwrap_or_default()
    }

    /// The deliveries to those of the node's own subscribers whom `admits` lets hear, and when the first lease ends.
    pub(super) fn own_subscribers(
        &self,
        about: About,
        manner: Manner,
        interest: &Interest,
        directory: &mut dyn Directory,
        admits: &dyn Fn(&Jid, &dyn Directory) -> bool,
    ) -> (Vec<Delivery>, Option<Timestamp>) {
        let mut heard: BTreeMap<&Jid, By<'_>> = BTreeMap::new();
        for one in self.subscriptions() {
            if hears(one, about, interest) && admits(&one.jid, directory) {
                heard
                    .entry(&one.jid)
                    .or_default()
                    .push(self.hearing(one, None, manner));
            }
        }
        let (mut list, mut tags, mut until) = (Vec::new(), Tags::default(), None);
        for (jid, heard) in heard {
            let ends = heard.iter().filter_map(Heard::ends);
            until = until.into_iter().chain(ends).min();
            if let Some(to) = directory.recipient(jid) {
                divide(&heard, to, &mut tags, &mut list);
            }
        }
        (list, until)
    }

    fn resolve(
        &self,
        name: &NodeId,
        about: About,
        manner: Manner,
        interest: &Interest,
        directory: &mut dyn Directory,
    ) -> Audience {
        let mut list = Vec::new();
        let mut tags = Tags::default();
        let mut until = None;
        for (jid, heard) in self.heard(name, about, manner, interest) {
            let ends = heard.iter().filter_map(Heard::ends);
            until = until.into_iter().chain(ends).min();
            if let Some(to) = directory.recipient(jid) {
                divide(&heard, to, &mut tags, &mut list);
            }
        }
        list.sort_by_key(|delivery| delivery.to);
        let mut filters = 0;
        interest.matching(name.as_str(), &mut |_| filters += 1);
        Audience {
            list: Some(list.into()),
            seen: interest.generation(),
            filters,
            changed: Vec::new(),
            stale: 0,
            until,
            manner,
        }
    }

    /// Every address that hears of it, and by what.
    fn heard<'a>(
        &'a self,
        name: &NodeId,
        about: About,
        manner: Manner,
        interest: &'a Interest,
    ) -> BTreeMap<&'a Jid, By<'a>> {
        let mut heard: BTreeMap<&Jid, By<'_>> = BTreeMap::new();
        for one in self.subscriptions() {
            if hears(one, about, interest) {
                let by = heard.entry(&one.jid).or_default();
                by.push(self.hearing(one, None, manner));
            }
        }
        interest.matching(name.as_str(), &mut |interested| {
            for one in interested.subscriptions.iter() {
                if hears(one, about, interest) && self.is_open_to(&one.jid.bare()) {
                    let by = heard.entry(&one.jid).or_default();
                    by.push(self.hearing(one, Some(interested), manner));
                }
            }
        });
        heard
    }

    /// The same of its items for one address.
    fn heard_by<'a>(
        &'a self,
        jid: &'a Jid,
        name: &NodeId,
        interest: &'a Interest,
        manner: Manner,
    ) -> By<'a> {
        let own = self
            .subscriptions_of(jid)
            .filter(|one| hears(one, About::Items, interest));
        let mut heard: By<'a> = own.map(|one| self.hearing(one, None, manner)).collect();
        if self.is_open_to(&jid.bare()) {
            interest.matching(name.as_str(), &mut |interested| {
                let theirs = interested
                    .subscriptions
                    .of(jid)
                    .filter(|one| hears(one, About::Items, interest));
                heard.extend(theirs.map(|one| self.hearing(one, Some(interested), manner)));
            });
        }
        heard
    }

    /// One subscription as it hears of this node.
    fn hearing<'a>(
        &self,
        one: &'a NodeSubscription,
        through: Option<&'a Interested>,
        manner: Manner,
    ) -> Heard<'a> {
        Heard {
            available_only: self.config.presence_based_delivery,
            ..Heard::of(one, through, manner)
        }
    }

    /// S15: a filter never reaches a node whose access model is not open, or that takes no subscriptions, unless the account is
    /// affiliated.
    fn is_open_to(&self, account: &BareJid) -> bool {
        match self.affiliation(account) {
            Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => true,
            // §4.1: neither may subscribe, whatever the rules give to others.
            Affiliation::Outcast | Affiliation::PublishOnly => false,
            Affiliation::None => {
                self.config.access_model == AccessModel::Open && self.config.subscribe
            }
        }
    }
}

/// Whether a subscription hears of this.
fn hears(subscription: &NodeSubscription, about: About, interest: &Interest) -> bool {
    if subscription.state != SubscriptionState::Subscribed {
        return false;
    }
    let Some(options) = &subscription.options else {
        return about != About::Tree;
    };
    let fits = match about {
        About::Items => options.kind == SubscriptionType::Items,
        About::Tree => options.kind == SubscriptionType::Nodes,
        About::Both => true,
    };
    // §12.19: a lease that is over is over, whether or not it has been cleared away.
    fits && options.deliver && !interest.is_over(options.expire)
}

/// By what one address hears of the node: nearly always one subscription.
type By<'a> = SmallVec<[Heard<'a>; 1]>;

/// One subscription by which an address hears of the node.
#[derive(Clone, Copy)]
struct Heard<'a> {
    subid: &'a str,
    options: Option<&'a SubscriptionOptions>,
    through: Option<&'a Interested>,
    /// XEP-0060 §12.6: the node is heard by who is available, and by nobody else.
    available_only: bool,
    manner: Manner,
}

impl<'a> Heard<'a> {
    fn of(
        subscription: &'a NodeSubscription,
        through: Option<&'a Interested>,
        manner: Manner,
    ) -> Self {
        Self {
            subid: &subscription.subid,
            options: subscription.options.as_deref(),
            through,
            available_only: false,
            manner,
        }
    }

    fn ends(&self) -> Option<Timestamp> {
        self.options?.expire
    }

    fn digest(&self) -> Option<u32> {
        let options = self.options.filter(|_| self.manner == Manner::Item);
        options?.digest_millis
    }

    fn body(&self) -> bool {
        self.options.is_some_and(|options| options.include_body)
    }

    fn shows(&self) -> Shows {
        if self.manner == Manner::Alarm {
            return Shows::ANY;
        }
        let shows = self.options.and_then(|options| options.shows);
        let any = if self.available_only {
            Shows::ALL
        } else {
            Shows::ANY
        };
        shows.unwrap_or(any)
    }
}

/// The delivery of one subscription alone, for what its subscriber is sent outside an audience: the last item.
pub(super) fn sole(subscription: &NodeSubscription, to: Recipient) -> Delivery {
    let heard = Heard::of(subscription, None, Manner::AtOnce);
    let body = heard.body();
    Delivery {
        to,
        tag: body.then(|| {
            Arc::new(SubscriptionTag {
                body,
                ..SubscriptionTag::default()
            })
        }),
        shows: heard.shows(),
    }
}

/// In which shows an address hears by which of its subscriptions.
type Part<'a> = (Shows, SmallVec<[&'a Heard<'a>; 2]>);

/// The deliveries of one address.
fn divide(group: &[Heard<'_>], to: Recipient, tags: &mut Tags, out: &mut impl Extend<Delivery>) {
    if let [one] = group {
        let tag = tags.of(group, &[one]);
        let shows = one.shows();
        out.extend([Delivery { to, tag, shows }]);
        return;
    }
    let mut digests: SmallVec<[Option<u32>; 2]> = group.iter().map(Heard::digest).collect();
    digests.sort_unstable();
    digests.dedup();
    for digest in digests {
        let mut parts: SmallVec<[Part<'_>; 2]> = SmallVec::new();
        for show in Shows::each() {
            let by: SmallVec<[&Heard<'_>; 2]> = group
                .iter()
                .filter(|one| one.digest() == digest && one.shows().covers(show))
                .collect();
            let same = |part: &&mut Part<'_>| {
                let subids = part.1.iter().map(|one| one.subid);
                subids.eq(by.iter().map(|one| one.subid))
            };
            match parts.iter_mut().find(same) {
                _ if by.is_empty() => {}
                Some((shows, _)) => *shows = shows.and(show),
                None => parts.push((show, by)),
            }
        }
        for (shows, by) in parts {
            let tag = tags.of(group, &by);
            out.extend([Delivery { to, tag, shows }]);
        }
    }
}

/// Tags that are the same for many.
#[derive(Default)]
struct Tags {
    made: Vec<Arc<SubscriptionTag>>,
}

impl Tags {
    /// Nothing to say for one plain subscription; the shared tag for one filter; identifiers where an address has several
    /// (XEP-0060 §12.16).
    fn of(&mut self, all: &[Heard<'_>], by: &[&Heard<'_>]) -> Option<Arc<SubscriptionTag>> {
        let through = by.iter().find_map(|one| one.through);
        let several = all.len() > 1;
        // §12.8: one that wants a body has it put to all.
        let body = by.iter().any(|one| one.body());
        let digest_millis = by.first().and_then(|one| one.digest());
        if !several && !body && digest_millis.is_none() {
            return through.map(|interested| Arc::clone(&interested.tag));
        }
        let tag = SubscriptionTag {
            subids: match several {
                true => by.iter().map(|one| one.subid.into()).collect(),
                false => Vec::new(),
            },
            collection: through.map(|interested| interested.filter.clone()),
            body,
            digest_millis,
            ..SubscriptionTag::default()
        };
        if several {
            return Some(Arc::new(tag));
        }
        if let Some(same) = self.made.iter().find(|made| ***made == tag) {
            return Some(Arc::clone(same));
        }
        let tag = Arc::new(tag);
        if self.made.len() < SHARED_TAGS_MAX {
            self.made.push(Arc::clone(&tag));
        }
        Some(tag)
    }
}
