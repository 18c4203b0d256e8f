//! What ends when somebody goes offline: temporary subscriptions (XEP-0060 §12.5, `pubsub#tempsub`), and the items of nodes
//! that drop what an absent publisher left behind (`pubsub#purge_offline`).
//!
//! An account is offline once no session of it is available any more. "The relevant publisher" of §16.4.4 is whoever published
//! an item: it takes its own items along and nobody else's; where that is all there is, one purge is told (§8.5.2), else a
//! retraction. Alarms stay: they are owed until somebody has taken them (S12).
//!
//! Whose departure concerns which node is noted while both are here. A node that comes from the disk is held against who is
//! here before it is used, so what was missed then, or ended with the hub itself, is made up for.

use std::collections::{BTreeSet, HashMap};

use crate::{
    address::{BareJid, FullJid, Jid},
    class::Class,
    effect::StoreOp,
    event::NodeChange,
    item::NodeConfig,
    node::NodeAddress,
    service::{Change, Directory},
};

use super::{Pubsub, change, notice, publish::class_of};

/// Nodes that an account's departure concerns. What is not true any more is harmless and goes with the account.
#[derive(Debug, Default)]
pub(super) struct Leavers(HashMap<BareJid, BTreeSet<NodeAddress>>);

impl Leavers {
    pub(super) fn note(&mut self, account: &BareJid, at: &NodeAddress) {
        match self.0.get_mut(account) {
            Some(places) if places.contains(at) => {}
            Some(places) => drop(places.insert(at.clone())),
            None => drop(self.0.insert(account.clone(), [at.clone()].into())),
        }
    }
}

/// Whether somebody's departure can change something at the node.
pub(super) const fn heeds_departures(config: &NodeConfig) -> bool {
    config.tempsub || config.purge_offline
}

impl Pubsub {
    /// A session is not available any more; `last`: no other one of its account is.
    pub fn went_offline(
        &mut self,
        session: &FullJid,
        last: bool,
        directory: &mut dyn Directory,
    ) -> Vec<Change> {
        let account = session.bare();
        let places = if last {
            self.leavers.0.remove(&account)
        } else {
            self.leavers.0.get(&account).cloned()
        };
        let leaves = |jid: &Jid| {
            *jid == *session.as_jid() || (last && jid.is_bare() && jid.bare() == account)
        };
        let mut changes = Vec::new();
        for at in places.into_iter().flatten() {
            let mut left = change(Vec::new());
            self.end_temporary(&at, &leaves, directory, &mut left);
            if last {
                self.purge_left_by(&at, &account, directory, &mut left);
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
        leaves: &dyn Fn(&Jid) -> bool,
        directory: &mut dyn Directory,
        left: &mut Change,
    ) {
        let Some(node) = self.nodes.get(at).filter(|node| node.config.tempsub) else {
            return;
        };
        let subscribers = node.subscriptions().map(|one| &one.jid);
        let theirs: Vec<Jid> = subscribers.filter(|jid| leaves(jid)).cloned().collect();
        self.end_subscriptions(at, &theirs, directory, left);
    }

    fn purge_left_by(
        &mut self,
        at: &NodeAddress,
        publisher: &BareJid,
        directory: &mut dyn Directory,
        left: &mut Change,
    ) {
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        if !node.config.purge_offline || !node.config.persist_items {
            return;
        }
        if class_of(&self.classes, at, &node.config) == Class::Alarm {
            return;
        }
        let (ids, all) = node.contents.left_by(publisher);
        if ids.is_empty() {
            return;
        }
        node.last.forget(&ids);
        node.contents.remove(&ids);
        node.forget_raises(|id| ids.contains(id));
        left.ops.push(StoreOp::RemoveItems {
            at: at.clone(),
            ids: ids.clone(),
        });
        if node.config.deliver_notifications && node.config.notify_retract {
            let audience = node.audience(at, &self.interest, directory, &mut self.audiences_built);
            let told = if all {
                NodeChange::Purged
            } else {
                NodeChange::Retracted(ids)
            };
            let kind = node.config.notification_type;
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
        let mut concerned = BTreeSet::new();
        if node.config.tempsub {
            concerned.extend(node.subscriptions().map(|one| one.jid.bare()));
        }
        if node.config.purge_offline {
            concerned.extend(node.contents.publishers().cloned());
        }
        let mut left = change(Vec::new());
        for account in concerned {
            if directory.is_here(&account) {
                self.leavers.note(&account, at);
                continue;
            }
            let leaves = |jid: &Jid| jid.bare() == account;
            self.end_temporary(at, &leaves, directory, &mut left);
            self.purge_left_by(at, &account, directory, &mut left);
        }
        if !left.ops.is_empty() || !left.notices.is_empty() {
            self.asides.push(left);
        }
    }
}
