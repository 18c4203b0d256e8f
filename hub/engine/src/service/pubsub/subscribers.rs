//! Owners manage who is subscribed (XEP-0060 §8.8).

use std::collections::HashSet;

use crate::{
    address::{BareJid, Jid},
    command::PubsubReply,
    item::{Affiliation, NodeSubscription, SubscriptionState},
    node::{NodeAddress, NodeId},
    refusal::{Reason, Refusal},
    service::{Change, Decision, Directory},
    time::Now,
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
    pub(super) fn node_subscriptions(&self, who: &Asker, id: NodeId) -> Result<Decision, Refusal> {
        self.managed(who, &id)?;
        let (_, node) = self.existing(who, &id)?;
        let list = node.subscriptions();
        let list = list.map(|one| (id.clone(), one.clone())).collect();
        Ok(answer(PubsubReply::Subscriptions {
            node: Some(id),
            list,
        }))
    }

    pub(super) fn set_subscriptions(
        &mut self,
        who: &Asker,
        id: NodeId,
        wishes: Vec<Wish>,
        directory: &mut dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let at = self.managed(who, &id)?;
        let (_, node) = self.existing(who, &id)?;
        self.check_wishes(who, node, &wishes)?;
        let mut changed = change(Vec::new());
        for (jid, state, _) in wishes {
            let there = self.nodes.get(&at).and_then(|node| node.subscription(&jid));
            match (state, there.is_some()) {
                (SubscriptionState::None, true) => {
                    self.end_subscriptions(&at, &[jid], directory, &mut changed);
                }
                (SubscriptionState::Subscribed, false) => {
                    let subscription = self.new_subscription(jid, now);
                    // §8.8.4: the subscriber is told.
                    if let Some(node) = self.nodes.get(&at)
                        && let Some(to) = recipient(&subscription.jid, directory)
                    {
                        let kind = node.config.notification_type;
                        changed
                            .notices
                            .push(notice(&at, kind, told_of(&subscription), alone(to)));
                    }
                    self.enter(&at, subscription, directory, &mut changed);
                }
                _ => {}
            }
        }
        Ok(Decision::Change(Box::new(changed)))
    }

    /// All is checked before anything is done: a request is carried out whole or not at all.
    fn check_wishes(&self, who: &Asker, node: &Node, wishes: &[Wish]) -> Result<(), Refusal> {
        let mut seen = HashSet::new();
        for (jid, state, subid) in wishes {
            let there = node.subscription(jid);
            // §8.8.2.4: several words about one subscription.
            if !seen.insert(jid) {
                return Err(Reason::NotAcceptable.into());
            }
            if let (Some(subid), Some(there)) = (subid, there)
                && there.subid != *subid
            {
                return Err(Refusal::new(Reason::NotAcceptable)
                    .because(crate::refusal::Detail::InvalidSubid));
            }
            let own = who.superuser || jid.bare() == who.subject.jid;
            match state {
                SubscriptionState::None => {}
                SubscriptionState::Subscribed if there.is_some() => {}
                // What the rules deny to an account its subscription by somebody else must not give it (S13: "a deny
                // always wins"), and nobody is made to hear what they did not ask for.
                SubscriptionState::Subscribed if own => {}
                SubscriptionState::Subscribed => {
                    return Err(Refusal::new(Reason::NotAcceptable)
                        .say("an account subscribes itself; an owner may end its subscription"));
                }
                SubscriptionState::Pending | SubscriptionState::Unconfigured => {
                    return Err(Reason::NotAcceptable.into());
                }
            }
        }
        Ok(())
    }

    /// Ends subscriptions of one node on somebody else's word and tells each subscriber (§8.8.4).
    pub(super) fn end_subscriptions(
        &mut self,
        at: &NodeAddress,
        jids: &[Jid],
        directory: &mut dyn Directory,
        changed: &mut Change,
    ) {
        for jid in jids {
            let Some(node) = self.nodes.get(at) else {
                return;
            };
            let kind = node.config.notification_type;
            let Some(there) = node.subscription(jid) else {
                continue;
            };
            let ended = NodeSubscription {
                state: SubscriptionState::None,
                ..there.clone()
            };
            if let Some(to) = recipient(jid, directory) {
                changed
                    .notices
                    .push(notice(at, kind, told_of(&ended), alone(to)));
            }
            self.leave(&Place::Node(at.clone()), jid, changed);
        }
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
