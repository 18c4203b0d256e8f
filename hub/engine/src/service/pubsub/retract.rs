//! Retracting items (XEP-0060 §7.2).

use crate::{
    access::Action,
    class::Class,
    effect::StoreOp,
    event::NodeChange,
    node::{ItemId, NodeId},
    refusal::{Detail, Reason, Refusal},
    service::{Decision, Directory},
};

use super::{Asker, Pubsub, change, notice, publish::class_of, rights::Rights};

impl Pubsub {
    pub(super) fn retract(
        &mut self,
        who: &Asker,
        id: NodeId,
        items: Vec<ItemId>,
        notify: bool,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        let at = who.at(id);
        let rights = Rights::new(&self.rules, who);
        rights.not_denied(Action::Publish, &at.node)?;
        let node = self
            .nodes
            .get_mut(&at)
            .ok_or(Refusal::new(Reason::ItemNotFound))?;
        if !rights.may_retract_any(&at.node, node) {
            // §4.1: whoever may only publish may take back their own.
            rights.may_publish(&at.node, node)?;
            let publishers = items.iter().flat_map(|id| node.contents.publisher_of(id));
            if publishers
                .into_iter()
                .any(|publisher| *publisher != who.subject.jid)
            {
                return Err(Reason::Forbidden.into());
            }
        }
        // §7.2.3.5
        if !node.config.persist_items {
            return Err(Refusal::new(Reason::FeatureNotImplemented)
                .because(Detail::Unsupported("persistent-items")));
        }
        // §7.2.3.4
        if items.is_empty() {
            return Err(Refusal::new(Reason::BadRequest).because(Detail::ItemRequired));
        }
        // §12.11: all of them or none. §7.2.3.2. An alarm may be owed though its item was purged, and the store knows.
        let class = class_of(&self.classes, &at, &node.config);
        let is_missing = |id: &ItemId| node.contents.publisher_of(id).is_none();
        if class != Class::Alarm && node.contents.is_known() && items.iter().any(is_missing) {
            return Err(Reason::ItemNotFound.into());
        }
        node.last.forget(&items);
        node.contents.remove(&items);
        let gone = node.forget_raises(|id| items.contains(id));
        let mut retracted = change(vec![StoreOp::RemoveItems {
            at: at.clone(),
            ids: items.clone(),
        }]);
        // §7.2.3.2, known only when the store has looked.
        retracted.if_none_removed = Some(Reason::ItemNotFound.into());
        // §7.2.2.1: the asker's `notify`, else the node's own option.
        if node.config.deliver_notifications && (notify || node.config.notify_retract) {
            let built = &mut self.audiences_built;
            let audience = node.audience(&at, class, &self.interest, directory, built);
            let kind = node.config.notification_type;
            let told = NodeChange::Retracted(items);
            retracted.notices.push(notice(&at, kind, told, audience));
        }
        self.no_longer_owed(gone);
        Ok(Decision::Change(Box::new(retracted)))
    }
}
