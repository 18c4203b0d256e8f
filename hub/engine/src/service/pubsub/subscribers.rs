//! Owners manage who is subscribed (XEP-0060 §8.8).

use std::collections::HashSet;

use crate::{
    address::{BareJid, Jid},
    command::{PubsubReply, Reply},
    item::{Affiliation, NodeSubscription, SubscriptionState},
    node::{NodeAddress, NodeId},
    refusal::Refusal,
    service::{Change, Decision, Directory},
};

use super::{
    Asker, Pubsub, answer, change,
    node::Node,
    notice,
    rights::admits,
    subscribe::{Place, alone, recipient, told_of},
};

/// One word of an owner about a subscription: whose, what it shall be, which one.
type Wish = (Jid, SubscriptionState, Option<Box<str>>);

impl Pubsub {
    /// §8.8.1: all but those that wait for approval.
    pub(super) fn node_subscriptions(&self, who: &Asker, id: NodeId) -> Result<Decision, Refusal> {
        self.managed(who, &id)?;
        let (_, node) = self.existing(who, &id)?;
        let list = node
            .subscriptions()
            .filter(|one| one.state != SubscriptionState::Pending);
        let list = list.map(|one| (id.clone(), one.clone())).collect();
        Ok(answer(PubsubReply::Subscriptions {
            node: Some(id),
            list,
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
            // What the rules deny to an account its subscription by somebody else must not give it (S13: "a deny always
            // wins"), and nobody is made to hear what they did not ask for.
            (SubscriptionState::Subscribed, None)
                if who.superuser || jid.bare() == who.subject.jid =>
            {
                let subscription = self.new_subscription(jid);
                self.approve(at, subscription, directory, changed);
            }
            _ => return Err(self.as_it_is(at, &jid, subid.as_deref())),
        }
        Ok(())
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
