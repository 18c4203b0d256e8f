//! Owners manage who is what to a node, and who is concerned hears of it (XEP-0060 §8.9, §8.9.4).

use std::collections::HashSet;

use crate::{
    address::{BareJid, Jid},
    command::PubsubReply,
    effect::StoreOp,
    event::NodeChange,
    item::Affiliation,
    node::NodeId,
    refusal::{Reason, Refusal},
    service::{Decision, Directory},
};

use super::{Asker, Pubsub, answer, change, notice, subscribers::may_stay};

/// Most affiliations that a node's owners may grant. They are in memory with the node, and their names are the owner's to
/// choose; beyond it there are rules (S13), and the operator's own socket is not bound.
pub(super) const AFFILIATIONS_PER_NODE_MAX: usize = 1_000;

impl Pubsub {
    pub(super) fn node_affiliations(&self, who: &Asker, id: NodeId) -> Result<Decision, Refusal> {
        self.managed(who, &id)?;
        let (_, node) = self.existing(who, &id)?;
        let list = node.affiliations.iter();
        let list = list.map(|(jid, affiliation)| (id.clone(), jid.clone(), *affiliation));
        Ok(answer(PubsubReply::Affiliations {
            list: list.collect(),
            node: Some(id),
        }))
    }

    pub(super) fn set_affiliations(
        &mut self,
        who: &Asker,
        id: NodeId,
        changes: Vec<(BareJid, Affiliation)>,
        directory: &mut dyn Directory,
    ) -> Result<Decision, Refusal> {
        let at = self.managed(who, &id)?;
        let Some(node) = self.nodes.get_mut(&at) else {
            return Err(Reason::ItemNotFound.into());
        };
        // §8.9.2.4: several words about one entity.
        let mut seen = HashSet::new();
        if !changes.iter().all(|(jid, _)| seen.insert(jid)) {
            return Err(Reason::NotAcceptable.into());
        }
        // §8.9.2: a node always has an owner.
        let stays = node.owners().any(|owner| !seen.contains(owner));
        let comes = changes
            .iter()
            .any(|(_, affiliation)| *affiliation == Affiliation::Owner);
        if !stays && !comes {
            return Err(Refusal::new(Reason::NotAcceptable).say("a node needs an owner"));
        }
        let comes_anew = |(jid, affiliation): &&(BareJid, Affiliation)| {
            *affiliation != Affiliation::None && !node.affiliations.contains_key(jid)
        };
        let anew = changes.iter().filter(comes_anew).count();
        if anew > 0 && node.affiliations.len() + anew > AFFILIATIONS_PER_NODE_MAX && !who.superuser
        {
            return Err(Refusal::new(Reason::ResourceConstraint)
                .say("the node has as many affiliations as it may"));
        }
        let mut changed = change(Vec::new());
        let mut leave: Vec<Jid> = Vec::new();
        for (jid, affiliation) in changes {
            if node.affiliation(&jid) == affiliation {
                continue;
            }
            node.set_affiliation(jid.clone(), affiliation);
            // An outcast hears nothing more, and off the whitelist is off (§4.1, §4.5).
            if !may_stay(&at, node, &jid, directory) {
                let theirs = node.subscriptions().map(|one| &one.jid);
                leave.extend(theirs.filter(|one| one.bare() == jid).cloned());
            }
            if node.config.deliver_notifications
                && let Some(to) = directory.once(jid.as_jid())
            {
                // §8.9.4
                let kind = node.config.notification_type;
                let told = NodeChange::Affiliation {
                    jid: jid.clone(),
                    affiliation,
                };
                changed.notices.push(notice(&at, kind, told, [to].into()));
            }
            changed.ops.push(StoreOp::PutAffiliation {
                at: at.clone(),
                jid,
                affiliation,
            });
        }
        self.end_subscriptions(&at, &leave, directory, &mut changed);
        self.settle_waiting(&at, directory, &mut changed);
        Ok(Decision::Change(Box::new(changed)))
    }
}
