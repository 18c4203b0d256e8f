//! What ends when somebody goes offline: temporary subscriptions (XEP-0060 §12.5, `pubsub#tempsub`), and the items of nodes
//! that drop what an absent publisher left behind (`pubsub#purge_offline`).
//!
//! An account is offline once no session of it is available any more. "The relevant publisher" of §16.4.4 is whoever published
//! an item: it takes its own items along and nobody else's; where that is all there is, one purge is told (§8.5.2), else a
//! retraction. Alarms stay: they are owed until somebody has taken them (S12).
//!
//! Whose departure concerns which node is noted while both are here. A node that comes from the disk is held against who is
//! here before it is used, so what was missed then, or ended with the hub itself, is made up for.

use std::collections::HashSet;

use crate::{
    address::{BareJid, FullJid, Jid},
    class::Class,
    effect::StoreOp,
    event::NodeChange,
    item::NodeConfig,
    node::{ItemId, NodeAddress},
    service::{Change, Directory},
};

use super::{Pubsub, audience::About, change, notice, publish::class_of};

/// Whether somebody's departure can change something at the node.
pub(super) const fn heeds_departures(config: &NodeConfig) -> bool {
    config.tempsub || config.purge_offline
}

impl Pubsub {
    /// Notes that the account's departure concerns the node.
    pub(super) fn note_leaver(&mut self, account: &BareJid, at: &NodeAddress) {
        let nodes = &self.nodes;
        self.leavers.sweep(|at| nodes.contains_key(at));
        self.leavers.put(account, at);
    }

    /// A session is not available any more; `last`: no other one of its account is.
    pub fn went_offline(
        &mut self,
        session: &FullJid,
        last: bool,
        directory: &mut dyn Directory,
    ) -> Vec<Change> {
        let account = session.bare();
        let places = if last {
            self.leavers.take(&account)
        } else {
            self.leavers.of(&account).cloned().unwrap_or_default()
        };
        let bare = last.then(|| account.as_jid().clone());
        let leaving: Vec<Jid> = [session.as_jid().clone()].into_iter().chain(bare).collect();
        let mut changes = Vec::new();
        for at in places {
            let mut left = change(Vec::new());
            self.end_temporary(&at, &leaving, directory, &mut left);
            if last {
                self.purge_left_by(
                    &at,
                    &|publisher| *publisher == account,
                    directory,
                    &mut left,
                );
            }
            if !left.ops.is_empty() || !left.notices.is_empty() {
                changes.push(left);
            }
        }
        changes
    }

    fn end_temporary(
        &mut self,
        at: &NodeAddress,
        leaving: &[Jid],
        directory: &mut dyn Directory,
        left: &mut Change,
    ) {
        if self.nodes.get(at).is_some_and(|node| node.config.tempsub) {
            self.end_subscriptions(at, leaving, directory, left);
        }
    }

    fn purge_left_by(
        &mut self,
        at: &NodeAddress,
        is_gone: &dyn Fn(&BareJid) -> bool,
        directory: &mut dyn Directory,
        left: &mut Change,
    ) {
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        if !node.config.purge_offline || !node.config.persist_items {
            return;
        }
        let class = class_of(&self.classes, at, &node.config);
        if class == Class::Alarm {
            return;
        }
        let (ids, all) = node.contents.left_by(is_gone);
        if ids.is_empty() {
            return;
        }
        let gone: HashSet<&ItemId> = ids.iter().collect();
        node.last.forget(&ids);
        node.contents.remove(&ids);
        node.forget_raises(|id| gone.contains(id));
        left.ops.push(StoreOp::RemoveItems {
            at: at.clone(),
            ids: ids.clone(),
        });
        if node.config.deliver_notifications && node.config.notify_retract {
            let kind = node.config.notification_type;
            let (told, audience) = if all {
                let all = node.witnesses(at, About::Items, &self.interest, directory);
                (NodeChange::Purged, all)
            } else {
                let built = &mut self.audiences_built;
                let all = node.audience(at, class, &self.interest, directory, built);
                (NodeChange::Retracted(ids), all)
            };
            left.notices.push(notice(at, kind, told, audience));
        }
    }

    /// A node is used that came from the disk or is set otherwise since: who is away has left it.
    pub(super) fn settle_departures(&mut self, at: &NodeAddress, directory: &mut dyn Directory) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        if !heeds_departures(&node.config) {
            return;
        }
        let (mut here, mut gone) = (HashSet::new(), HashSet::new());
        let mut is_here = |account: &BareJid| {
            if here.contains(account) {
                return true;
            }
            if !gone.contains(account) {
                let set = if directory.is_here(account) {
                    &mut here
                } else {
                    &mut gone
                };
                set.insert(account.clone());
            }
            here.contains(account)
        };
        let mut leaving: Vec<Jid> = Vec::new();
        if node.config.tempsub {
            let subscribers = node.subscriptions().map(|one| &one.jid);
            leaving.extend(subscribers.filter(|jid| !is_here(&jid.bare())).cloned());
            // Those of one address stand together.
            leaving.dedup();
        }
        if node.config.purge_offline {
            node.contents.publishers().for_each(|publisher| {
                is_here(publisher);
            });
        }
        let mut left = change(Vec::new());
        self.end_temporary(at, &leaving, directory, &mut left);
        self.purge_left_by(
            at,
            &|publisher| gone.contains(publisher),
            directory,
            &mut left,
        );
        for account in &here {
            self.note_leaver(account, at);
        }
        if !left.ops.is_empty() || !left.notices.is_empty() {
            self.asides.push(left);
        }
    }
}
