//! What owners do to the node itself: configure, delete, purge (XEP-0060 §8.2, §8.4, §8.5).

use crate::{
    access::Action,
    address::Jid,
    class::Class,
    command::{Field, PubsubReply},
    effect::{Keep, StoreOp},
    event::NodeChange,
    item::{AccessModel, NodeConfig, SubscriptionState},
    node::{NodeAddress, NodeId},
    refusal::{Detail, Reason, Refusal},
    service::{Decision, Directory},
    time::Now,
};

use super::{
    Asker, Pubsub, answer,
    audience::About,
    change,
    config::{self, Unknown},
    contents::Contents,
    history::kept,
    node::Last,
    notice,
    rights::Rights,
    subscribers::may_stay,
};

impl Pubsub {
    /// The node, if `who` may manage it. A deny is said first: it tells nothing of whether the node exists.
    pub(super) fn managed(&self, who: &Asker, id: &NodeId) -> Result<NodeAddress, Refusal> {
        let rights = Rights::new(&self.rules, who);
        rights.not_denied(Action::Configure, id)?;
        let (at, node) = self.existing(who, id)?;
        rights.may_manage(id, node)?;
        Ok(at)
    }

    pub(super) fn get_config(&self, who: &Asker, id: NodeId) -> Result<Decision, Refusal> {
        self.managed(who, &id)?;
        let (at, node) = self.existing(who, &id)?;
        Ok(answer(PubsubReply::Config {
            config: Box::new(NodeConfig::clone(&node.config)),
            node: Some(at.node),
        }))
    }

    pub(super) fn configure(
        &mut self,
        who: &Asker,
        id: NodeId,
        fields: &[Field],
        directory: &mut dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let at = self.managed(who, &id)?;
        let Some(node) = self.nodes.get_mut(&at) else {
            return Err(Reason::ItemNotFound.into());
        };
        let mut config = NodeConfig::clone(&node.config);
        config::apply(&mut config, fields, &self.limits, Unknown::Ignore)?;
        if config.class == Some(Class::Alarm) && node.config.class != config.class {
            Rights::new(&self.rules, who).may_choose_alarm(&at.node)?;
        }
        if config == *node.config {
            // Nothing to store and nothing to tell; a cancelled form (§8.2.5.1) comes here too.
            return Ok(Decision::Answer(crate::command::Reply::Done));
        }
        let kept_before = kept(&at, &node.config, &self.history, &self.limits, now);
        let closed = config.access_model != AccessModel::Open
            && node.config.access_model != config.access_model;
        node.set_config(config);
        let mut configured = change(vec![StoreOp::PutNode {
            at: at.clone(),
            config: Box::new(NodeConfig::clone(&node.config)),
            creator: node.creator.clone(),
            created: node.created,
        }]);
        let keep = kept(&at, &node.config, &self.history, &self.limits, now);
        if keep.shown == 0 {
            node.last = Last::Known(None);
        }
        if keep != kept_before {
            node.contents.trim(keep.shown);
            configured.ops.push(StoreOp::TrimItems {
                at: at.clone(),
                keep,
            });
        }
        let kind = node.config.notification_type;
        if node.config.notify_config && node.config.deliver_notifications {
            // §8.2.6: the configuration itself goes along where payloads do.
            let payload = node.config.deliver_payloads;
            let told =
                NodeChange::Configured(payload.then(|| Box::new(NodeConfig::clone(&node.config))));
            let to = node.witnesses(&at, About::Both, &self.interest, directory);
            configured.notices.push(notice(&at, kind, told, to));
        }
        if closed {
            // Whoever is not on the new whitelist has no right to stay (§4.5).
            let leave: Vec<Jid> = node
                .subscriptions()
                .filter(|one| one.state != SubscriptionState::Pending)
                .filter(|one| !may_stay(&at, node, &one.jid.bare(), directory))
                .map(|subscription| subscription.jid.clone())
                .collect();
            self.end_subscriptions(&at, &leave, directory, &mut configured);
        }
        self.settle_waiting(&at, directory, &mut configured);
        Ok(Decision::Change(Box::new(configured)))
    }

    pub(super) fn delete(
        &mut self,
        who: &Asker,
        id: NodeId,
        redirect: Option<Box<str>>,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        let at = self.managed(who, &id)?;
        let Some(mut node) = self.nodes.remove(&at) else {
            return Err(Reason::ItemNotFound.into());
        };
        let mut deleted = change(vec![StoreOp::RemoveNode { at: at.clone() }]);
        // §8.4.2: all subscribers are told, as the node had it configured.
        if node.config.notify_delete && node.config.deliver_notifications {
            let told = NodeChange::Deleted { redirect };
            let kind = node.config.notification_type;
            let to = node.witnesses(&at, About::Both, &self.interest, directory);
            deleted.notices.push(notice(&at, kind, told, to));
        }
        for subscription in node.subscriptions() {
            self.forget_session_at(subscription, &at);
            self.leases.clear(&subscription.subid);
        }
        self.no_longer_owed(node.forget_raises(|_| true));
        self.remember_absent(at);
        Ok(Decision::Change(Box::new(deleted)))
    }

    pub(super) fn purge(
        &mut self,
        who: &Asker,
        id: NodeId,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        let at = self.managed(who, &id)?;
        let Some(node) = self.nodes.get_mut(&at) else {
            return Err(Reason::ItemNotFound.into());
        };
        // §8.5.3.3
        if !node.config.persist_items {
            return Err(Refusal::new(Reason::FeatureNotImplemented)
                .because(Detail::Unsupported("persistent-items")));
        }
        node.last = Last::Known(None);
        node.contents = Contents::none();
        // They stay owed: the store keeps an owed alarm beside the node's items.
        node.forget_raises(|_| true);
        let mut purged = change(vec![StoreOp::TrimItems {
            at: at.clone(),
            keep: Keep::NOTHING,
        }]);
        if node.config.deliver_notifications && node.config.notify_retract {
            let audience = node.witnesses(&at, About::Items, &self.interest, directory);
            let kind = node.config.notification_type;
            purged
                .notices
                .push(notice(&at, kind, NodeChange::Purged, audience));
        }
        Ok(Decision::Change(Box::new(purged)))
    }
}
