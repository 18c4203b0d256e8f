//! Owners manage who is subscribed (XEP-0060 §8.8), page by page where there are many (XEP-0059).

use std::collections::HashSet;

use crate::{
    address::{BareJid, Jid},
    command::{PageInfo, PageRequest, PubsubReply, Reply},
    item::{Affiliation, NodeSubscription, SubscriptionState},
    node::{NodeAddress, NodeId},
    refusal::{Reason, Refusal},
    service::{Change, Decision, Directory},
};

use super::{
    Asker, Pubsub, answer, change,
    node::Node,
    notice,
    rights::admits,
    subscribe::{Place, alone, recipient, told_of},
};

/// Most subscriptions of one answer; the rest is paged as items are (§6.5.4).
const SUBSCRIPTIONS_PER_REPLY_MAX: u32 = 1_000;

/// The page of a list in order of address and subid, and where it stands. Its keys are made of both, so that paging goes on
/// though the subscription at a page's edge has ended.
fn page_of<'l, 'n>(
    all: &'l [&'n NodeSubscription],
    page: &PageRequest,
) -> Result<(&'l [&'n NodeSubscription], PageInfo), Refusal> {
    let key = |one: &&NodeSubscription| format!("{} {}", one.subid, one.jid).into_boxed_str();
    let place = |key: &str, after: bool| -> Result<usize, Refusal> {
        // XEP-0059 §2.4: such an entry was never in the list.
        let nowhere = || Refusal::new(Reason::ItemNotFound).say("no page begins there");
        let (subid, jid) = key.split_once(' ').ok_or_else(nowhere)?;
        let jid = Jid::parse(jid).map_err(|_| nowhere())?;
        Ok(all.partition_point(|one| {
            let order = (&one.jid, &*one.subid).cmp(&(&jid, subid));
            order.is_lt() || (after && order.is_eq())
        }))
    };
    let most = page
        .max
        .unwrap_or(u32::MAX)
        .min(SUBSCRIPTIONS_PER_REPLY_MAX) as usize;
    let (first, last) = match (page.after.as_deref(), page.before.as_deref(), page.index) {
        (Some(after), ..) if !after.is_empty() => (place(after, true)?, all.len()),
        (_, Some(""), _) => (all.len().saturating_sub(most), all.len()),
        (_, Some(before), _) => {
            let last = place(before, false)?;
            (last.saturating_sub(most), last)
        }
        (.., Some(index)) => {
            let index = index as usize;
            // XEP-0059 §2.7.
            if index > all.len() {
                return Err(Refusal::new(Reason::ItemNotFound).say("the list is shorter"));
            }
            (index, all.len())
        }
        _ => (0, all.len()),
    };
    let shown = &all[first..last.min(first + most)];
    let info = PageInfo {
        first: shown.first().map(key),
        index: u32::try_from(first).ok().filter(|_| !shown.is_empty()),
        last: shown.last().map(key),
        count: u32::try_from(all.len()).unwrap_or(u32::MAX),
    };
    Ok((shown, info))
}

/// One word of an owner about a subscription: whose, what it shall be, which one.
type Wish = (Jid, SubscriptionState, Option<Box<str>>);

impl Pubsub {
    /// §8.8.1: all but those that wait for approval. Who does not ask for a page gets the first, which says how many there are.
    pub(super) fn node_subscriptions(
        &self,
        who: &Asker,
        id: NodeId,
        page: Option<PageRequest>,
    ) -> Result<Decision, Refusal> {
        self.managed(who, &id)?;
        let (_, node) = self.existing(who, &id)?;
        let all = node.subscriptions();
        let all: Vec<_> = all
            .filter(|one| one.state != SubscriptionState::Pending)
            .collect();
        let paged = page.is_some();
        let (shown, page) = page_of(&all, &page.unwrap_or_default())?;
        let list = shown.iter().map(|&one| (id.clone(), one.clone())).collect();
        let is_part = paged || shown.len() < all.len();
        Ok(answer(PubsubReply::Subscriptions {
            node: Some(id),
            list,
            page: is_part.then_some(page),
        }))
    }

    /// §8.8.2: what can be done is done, and what cannot is returned as it is (§8.8.2.4).
    pub(super) fn set_subscriptions(
        &mut self,
        who: &Asker,
        id: NodeId,
        wishes: Vec<Wish>,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        let at = self.managed(who, &id)?;
        let mut changed = change(Vec::new());
        let mut seen = HashSet::new();
        let mut refused: Vec<NodeSubscription> = Vec::new();
        for (jid, state, subid) in wishes {
            let twice = !seen.insert((jid.clone(), subid.clone()));
            let done = if twice {
                Err(self.as_it_is(&at, &jid, subid.as_deref()))
            } else {
                self.set_subscription(who, &at, (jid, state, subid), directory, &mut changed)
            };
            refused.extend(done.err());
        }
        if !refused.is_empty() {
            changed.reply = Ok(Reply::Pubsub(Box::new(PubsubReply::SubscriptionsRefused {
                node: id,
                refused,
            })));
        }
        Ok(Decision::Change(Box::new(changed)))
    }

    /// Does one word of an owner, or returns what it was about as it is.
    fn set_subscription(
        &mut self,
        who: &Asker,
        at: &NodeAddress,
        (jid, state, subid): Wish,
        directory: &mut dyn Directory,
        changed: &mut Change,
    ) -> Result<(), NodeSubscription> {
        let place = Place::Node(at.clone());
        let theirs = self.subscriptions_at(&place, &jid);
        let one = match (&subid, theirs.as_slice()) {
            (None, []) => None,
            (None, [one]) => Some(one),
            (None, _) => return Err(self.as_it_is(at, &jid, None)),
            (Some(subid), theirs) => {
                let one = theirs.iter().find(|one| one.subid == *subid);
                Some(one.ok_or_else(|| self.as_it_is(at, &jid, Some(subid)))?)
            }
        };
        match (state, one) {
            (state, Some(one)) if state == one.state => {}
            (SubscriptionState::None, None) => {}
            (SubscriptionState::None, Some(one)) => {
                self.end(&place, one.clone(), directory, changed);
            }
            (SubscriptionState::Subscribed, Some(one)) => {
                self.approve(at, one.clone(), directory, changed);
            }
            // Nobody is made to hear what they did not ask for, and oneself only as if one had asked: what the rules deny
            // stays denied (S13), and the bounds hold.
            (SubscriptionState::Subscribed, None)
                if self.may_subscribe_now(who, at, &jid, directory) =>
            {
                let subscription = self.new_subscription(jid);
                self.approve(at, subscription, directory, changed);
            }
            _ => return Err(self.as_it_is(at, &jid, subid.as_deref())),
        }
        Ok(())
    }

    /// Whether an owner's word makes this address a subscriber: the operator's socket that of any account, everybody else
    /// their own.
    fn may_subscribe_now(
        &self,
        who: &Asker,
        at: &NodeAddress,
        jid: &Jid,
        directory: &mut dyn Directory,
    ) -> bool {
        if who.superuser && jid.is_bare() {
            return true;
        }
        let place = Place::Node(at.clone());
        let there = self.subscriptions_at(&place, jid).len();
        self.may_name(who, jid, directory)
            && self.admission(who, &place, &*directory) == Ok(SubscriptionState::Subscribed)
            && self.room_for_subscription(who, jid, there).is_ok()
    }

    /// §8.8.2.4: "the original, un-altered subscription".
    fn as_it_is(&self, at: &NodeAddress, jid: &Jid, subid: Option<&str>) -> NodeSubscription {
        let theirs = self.subscriptions_at(&Place::Node(at.clone()), jid);
        let mut meant = theirs
            .into_iter()
            .filter(|one| subid.is_none_or(|subid| *one.subid == *subid));
        meant.next().unwrap_or_else(|| NodeSubscription {
            jid: jid.clone(),
            subid: subid.unwrap_or_default().into(),
            state: SubscriptionState::None,
            options: None,
        })
    }

    /// Ends all subscriptions of some addresses at one node on somebody else's word (§8.8.4).
    pub(super) fn end_subscriptions(
        &mut self,
        at: &NodeAddress,
        jids: &[Jid],
        directory: &mut dyn Directory,
        changed: &mut Change,
    ) {
        let place = Place::Node(at.clone());
        for jid in jids {
            for one in self.subscriptions_at(&place, jid) {
                self.end(&place, one, directory, changed);
            }
        }
    }

    /// Ends a subscription that its subscriber did not end, and tells of it (§12.14).
    pub(super) fn end(
        &mut self,
        place: &Place,
        subscription: NodeSubscription,
        directory: &mut dyn Directory,
        changed: &mut Change,
    ) {
        self.leave(place, &subscription, changed);
        let ended = NodeSubscription {
            state: SubscriptionState::None,
            ..subscription.clone()
        };
        if let (Ok(at), Some(to)) = (place.address(), recipient(&ended.jid, directory)) {
            let kind = self.kind_at(&at);
            changed
                .notices
                .push(notice(&at, kind, told_of(&ended), alone(to)));
        }
        self.tell_owners_of_end(place, subscription, directory, changed);
    }
}

/// Whether an account may stay subscribed by what the node itself says (§4.1, §4.5).
pub(super) fn may_stay(
    at: &NodeAddress,
    node: &Node,
    account: &BareJid,
    directory: &dyn Directory,
) -> bool {
    match node.affiliation(account) {
        Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => true,
        Affiliation::Outcast | Affiliation::PublishOnly => at.host.as_ref() == Some(account),
        Affiliation::None => admits(at.host.as_ref(), node, account, directory).is_ok(),
    }
}
