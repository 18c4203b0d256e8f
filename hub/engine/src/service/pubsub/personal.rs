//! Personal nodes: who hears of them without a subscription, and what is shown to who comes.
//!
//! Implements: XEP-0163 1.2.2 §4.3 (who is notified, and where), §4.3.4, §8; XEP-0060 1.30 §9.1, §9.2. Rights are in `rights`, as
//! everybody's; who listens at all is the router's to know (`service::Directory::hearers`).

use std::{collections::HashSet, sync::Arc};

use smallvec::SmallVec;

use crate::{
    address::{BareJid, Jid},
    item::{AccessModel, Affiliation, Item, SendLastItem, SubscriptionState},
    mailbox::SubscriptionTag,
    node::NodeAddress,
    service::{Change, Deliveries, Delivery, Directory, Hearer, Notice, Recipient},
    time::{Now, Timestamp},
};

use super::{
    Pubsub, Wanted,
    acquaintance::{goes_by_roster, rosters},
    audience::{About, Manner},
    change,
    interest::Interest,
    node::Node,
    publish::told,
    rights::is_admitted,
    subscribe::alone,
    subscribers::may_stay,
};

impl Node {
    /// Who hears of the items of this personal node of `host` now. Made anew when a subscription or the account's
    /// [`hearing`](Directory::hearing) has changed.
    pub(super) fn personal_audience(
        &mut self,
        at: &NodeAddress,
        host: &BareJid,
        interest: &Interest,
        directory: &mut dyn Directory,
        built: &mut u64,
    ) -> Deliveries {
        let hearing = directory.hearing(host);
        if let Some(list) = self.audience.personal(hearing, interest) {
            return list;
        }
        *built += 1;
        let hearers = directory.hearers(host, &at.node);
        let heard = hearers.as_deref().unwrap_or_default();
        let what = (About::Items, Manner::Item);
        let (list, until) = self.heard_by_right(at, host, heard, what, interest, directory);
        if hearers.is_some() {
            self.audience.keep_personal(hearing, list.clone(), until);
        }
        list
    }

    /// The same for what happens to the node itself.
    pub(super) fn personal_witnesses(
        &self,
        at: &NodeAddress,
        host: &BareJid,
        about: About,
        interest: &Interest,
        directory: &mut dyn Directory,
    ) -> Deliveries {
        let hearers = directory.hearers(host, &at.node).unwrap_or_default();
        let what = (about, Manner::AtOnce);
        self.heard_by_right(at, host, &hearers, what, interest, directory)
            .0
    }

    fn heard_by_right(
        &self,
        at: &NodeAddress,
        host: &BareJid,
        hearers: &[Hearer],
        (about, manner): (About, Manner),
        interest: &Interest,
        directory: &mut dyn Directory,
    ) -> (Deliveries, Option<Timestamp>) {
        let shared = Arc::new(SubscriptionTag {
            publisher: true,
            ..SubscriptionTag::default()
        });
        let hearing = hearers
            .iter()
            .filter(|hearer| self.may_hear(host, hearer, directory));
        let mut list: Vec<Delivery> = hearing
            .map(|hearer| Delivery {
                tag: hearer.sees.then(|| Arc::clone(&shared)),
                ..Delivery::plain(Recipient::Session(hearer.session))
            })
            .collect();
        let here: HashSet<Recipient> = list.iter().map(|delivery| delivery.to).collect();
        let admits = |jid: &Jid, directory: &dyn Directory| {
            let account = jid.bare();
            // XEP-0163 §4.3.3: where it is known which resources want it, they get it and the bare address does not.
            let resources = jid.is_bare() && hearers.iter().any(|hearer| hearer.account == account);
            !resources && (account == *host || may_stay(at, self, &account, directory))
        };
        let (subscribers, until) =
            self.own_subscribers(about, manner, interest, directory, &admits);
        list.extend(
            subscribers
                .into_iter()
                .filter(|delivery| !here.contains(&delivery.to)),
        );
        list.sort_by_key(|delivery| delivery.to);
        (list.into(), until)
    }

    /// Whether the node lets somebody hear of it who has not subscribed (XEP-0060 §9.1).
    fn may_hear(&self, host: &BareJid, hearer: &Hearer, directory: &dyn Directory) -> bool {
        if hearer.account == *host {
            return true;
        }
        match self.affiliation(&hearer.account) {
            Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => true,
            Affiliation::Outcast | Affiliation::PublishOnly => false,
            Affiliation::None => {
                let known = directory.acquaintance(host, &hearer.account);
                let groups: &[Box<str>] = if hearer.sees { &known.groups } else { &[] };
                is_admitted(&self.config, hearer.sees, groups)
            }
        }
    }
}

impl Pubsub {
    /// What must be in memory before [`show`](Self::show) can say what is to be shown of a node.
    pub fn wants_shown(&self, at: &NodeAddress) -> SmallVec<[Wanted; 1]> {
        let Some(node) = self.nodes.get(at) else {
            let unknown = !self.absent.contains(at);
            return unknown
                .then(|| Wanted::Node(at.clone()))
                .into_iter()
                .collect();
        };
        if !node.wants_last() {
            return SmallVec::new();
        }
        if !node.last.is_known() {
            return [Wanted::Node(at.clone())].into_iter().collect();
        }
        // Who sees an account's presence is known of who comes; who is in which of its groups only its roster says.
        let by_roster = match at.host {
            Some(_) => node.config.access_model == AccessModel::Roster,
            None => goes_by_roster(node.config.access_model),
        };
        let rosters = rosters(at.host.as_ref(), node).filter(|_| by_roster);
        rosters.cloned().map(Wanted::Roster).collect()
    }

    /// The node's last item for a session that has come (`send_last_published_item = on_sub_and_presence`), if it may hear of the
    /// node: of a personal one as XEP-0163 §4.3.4 says, of another one because its account is subscribed.
    pub fn show(
        &mut self,
        at: &NodeAddress,
        to: &Hearer,
        directory: &mut dyn Directory,
        now: Now,
    ) -> Option<Notice> {
        self.set_time(now);
        let node = self.nodes.get(at)?;
        let due = node.wants_last()
            && node.config.send_last_published_item == SendLastItem::OnSubAndPresence
            && match &at.host {
                Some(host) => node.may_hear(host, to, directory),
                // A node from the disk has not been held against the rosters of its owners yet.
                None => {
                    let mut theirs = node.subscriptions_of(to.account.as_jid());
                    theirs.any(|one| node.hears_items(one, &self.interest))
                        && (!goes_by_roster(node.config.access_model)
                            || self.may_go_on(at, node, &to.account, directory))
                }
            };
        let unexpired = self.kept(at, node, now).unexpired;
        let shows = |item: &&Arc<Item>| unexpired.is_none_or(|since| item.published >= since);
        let item = node.last.item().filter(|_| due).filter(shows)?;
        let notice =
            told(at, node, item, alone(Recipient::Session(to.session))).map(|notice| Notice {
                delay: Some(item.published),
                ..notice
            });
        self.nodes.settle(at);
        notice
    }

    /// Ends subscriptions of a personal node whose accounts may not read it any more (XEP-0163 §8).
    pub fn recheck_personal(
        &mut self,
        at: &NodeAddress,
        directory: &mut dyn Directory,
    ) -> Option<Change> {
        let host = at.host.as_ref()?;
        let node = self.nodes.get(at)?;
        let ended: Vec<Jid> = node
            .subscriptions()
            // Who waits for approval may not read yet, and waits on.
            .filter(|one| one.state != SubscriptionState::Pending)
            .map(|one| one.jid.clone())
            .filter(|jid| {
                let account = jid.bare();
                account != *host && !may_stay(at, node, &account, directory)
            })
            .collect();
        if ended.is_empty() {
            return None;
        }
        let mut ending = change(Vec::new());
        self.end_subscriptions(at, &ended, directory, &mut ending);
        Some(ending)
    }
}
