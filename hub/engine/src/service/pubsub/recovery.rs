//! What comes from outside requests: the start, failed commits, sessions and accounts that end, new rules.

use crate::{
    access::{AccessRules, Subject},
    address::{BareJid, FullJid, Jid},
    class::ClassRules,
    effect::StoreOp,
    history::HistoryRules,
    item::{Affiliation, NodeSubscription},
    limits::Limits,
    node::{Filter, NodeAddress, NodeId},
    service::{Change, Directory},
    time::Now,
};

use super::{Pubsub, change, node::Raise, owed::Owed, rights::Rights, subscribe::Place};

impl Pubsub {
    /// Takes what must be known from the start: all filter subscriptions, how many alarms each account is owed, by
    /// publisher, and the owners at whose nodes somebody waits for approval.
    pub fn boot(
        &mut self,
        filters: Vec<(NodeAddress, NodeSubscription)>,
        owed: Vec<(BareJid, BareJid, u32)>,
        asked: Vec<BareJid>,
        directory: &mut dyn Directory,
        now: Now,
    ) {
        self.set_time(now);
        self.asked_of = asked.into_iter().collect();
        for (at, subscription) in filters {
            if let Ok(filter) = Filter::of(&at.node) {
                directory.account(&subscription.jid.bare());
                self.note_lease(&at, &subscription, false);
                self.interest.put(&filter, subscription);
            }
        }
        self.owed = Owed::default();
        for (account, publisher, count) in owed {
            self.owed.add(&account, &publisher, count);
        }
    }

    /// S5: forgets what these operations had already changed in memory; it is loaded again when it is needed.
    pub fn commit_failed(&mut self, ops: &[StoreOp]) {
        for op in ops {
            match op {
                StoreOp::PutSubscription { at, subscription } if at.is_filter() => {
                    // As it was before, if it was there.
                    if !self.restore(at, &subscription.subid)
                        && let Ok(filter) = Filter::of(&at.node)
                    {
                        self.leases.clear(&subscription.subid);
                        self.interest
                            .remove(&filter, &subscription.jid, &subscription.subid);
                    }
                }
                StoreOp::RemoveSubscription { at, subid } if at.is_filter() => {
                    self.restore(at, subid);
                }
                StoreOp::PutNode { at, .. }
                | StoreOp::RemoveNode { at }
                | StoreOp::PutAffiliation { at, .. }
                | StoreOp::PutSubscription { at, .. }
                | StoreOp::RemoveSubscription { at, .. }
                | StoreOp::PutItem { at, .. }
                | StoreOp::RemoveItems { at, .. }
                | StoreOp::TrimItems { at, .. } => self.forget(at),
                StoreOp::PutOwed { account, at, item } => {
                    self.forget(at);
                    self.owed_removed(account, &item.publisher.bare(), 1);
                }
                StoreOp::RemoveOwed {
                    account, publisher, ..
                } => self.owed.add(account, publisher, 1),
                StoreOp::PutAccount(_)
                | StoreOp::RemoveAccount { .. }
                | StoreOp::PutBlocked { .. }
                | StoreOp::RemoveBlocked { .. }
                | StoreOp::PutDocument { .. }
                | StoreOp::LastSeen { .. }
                | StoreOp::PutContact { .. }
                | StoreOp::RemoveContact { .. }
                | StoreOp::PutOffline { .. }
                | StoreOp::RemoveOffline { .. } => {}
            }
        }
    }

    /// Puts the latest of what a filter subscription was before back; false if nothing is known of that.
    fn restore(&mut self, at: &NodeAddress, subid: &str) -> bool {
        let same =
            |(place, one): &(NodeAddress, NodeSubscription)| place == at && *one.subid == *subid;
        if let Some(index) = self.undo.iter().rposition(same)
            && let Some((_, subscription)) = self.undo.remove(index)
            && let Ok(filter) = Filter::of(&at.node)
        {
            self.note_lease(at, &subscription, false);
            self.interest.put(&filter, subscription);
            return true;
        }
        false
    }

    /// Alarms that `publisher` raised were acknowledged by `account`, or otherwise stopped being owed to it.
    pub fn owed_removed(&mut self, account: &BareJid, publisher: &BareJid, count: u32) {
        self.owed.remove(account, publisher, count);
    }

    /// Alarms were retracted or their node deleted: the store owes them to nobody any more. Of raises that are no longer
    /// remembered the count stays too high until the next start, which errs to the side of refusing.
    pub(super) fn no_longer_owed(&mut self, raises: Vec<Raise>) {
        for raise in raises {
            let publisher = raise.item.publisher.bare();
            for account in raise.owed_to.iter() {
                self.owed_removed(account, &publisher, 1);
            }
        }
    }

    /// S18: the subscriptions of a full address end with its session. They were never stored, and nobody is told.
    pub fn session_ended(&mut self, jid: &FullJid) {
        for at in self.sessions.remove(jid).unwrap_or_default() {
            let ended = if at.is_filter() {
                let filter = Filter::of(&at.node);
                filter.map_or(Vec::new(), |filter| {
                    self.interest.remove_all(&filter, jid.as_jid())
                })
            } else {
                let node = self.nodes.get_mut(&at);
                node.map_or(Vec::new(), |node| node.remove_subscriptions(jid.as_jid()))
            };
            for one in ended {
                self.leases.clear(&one.subid);
            }
            self.waiting_here.remove(&(at.clone(), jid.clone()));
            if let Some(stranded) = self.stranded.get_mut(&at) {
                stranded.retain(|one| one.jid != *jid.as_jid());
                if stranded.is_empty() {
                    self.stranded.remove(&at);
                }
            }
        }
    }

    /// A component's connection is over, and with it the subscriptions of full addresses of its domain.
    pub fn component_ended(&mut self, domain: &str) {
        let theirs = self.sessions.keys().filter(|full| full.domain() == domain);
        for full in theirs.cloned().collect::<Vec<_>>() {
            self.session_ended(&full);
        }
    }

    /// The account is gone: all that memory holds of it goes too. The store removes its own with the account.
    pub fn account_removed(&mut self, account: &BareJid) {
        let theirs = self.sessions.keys().filter(|full| full.bare() == *account);
        for session in theirs.cloned().collect::<Vec<_>>() {
            self.session_ended(&session);
        }
        let personal = self
            .nodes
            .keys()
            .filter(|at| at.host.as_ref() == Some(account));
        for at in personal.cloned().collect::<Vec<_>>() {
            self.nodes.remove(&at);
        }
        self.absent.retain(|at| at.host.as_ref() != Some(account));
        for one in self.interest.remove_account(account) {
            self.leases.clear(&one.subid);
        }
        self.asked_of.remove(account);
        self.owed.remove_account(account);
        self.undo.retain(|(_, one)| one.jid.bare() != *account);
        for node in self.nodes.values_mut() {
            for one in node.remove_subscriptions(account.as_jid()) {
                self.leases.clear(&one.subid);
            }
            if node.affiliation(account) != Affiliation::None {
                node.set_affiliation(account.clone(), Affiliation::None);
            }
        }
    }

    /// New rules and bounds (SIGHUP). Live subscriptions that they forbid end, and their subscribers are told (S13).
    /// `roles` says what an account is; `None`, it is not known now, leaves its subscriptions alone.
    pub fn set_rules(
        &mut self,
        access: AccessRules,
        classes: ClassRules,
        history: HistoryRules,
        limits: Limits,
        roles: &dyn Fn(&BareJid) -> Option<Subject>,
        directory: &mut dyn Directory,
    ) -> Vec<Change> {
        self.rules = access.into();
        self.classes = classes;
        self.history = history;
        self.nodes.set_bytes_max(limits.node_cache);
        self.limits = limits;
        self.interest.invalidate();
        let mut changes = self.end_forbidden_filters(roles, directory);
        let mut places: Vec<NodeAddress> = self.nodes.keys().cloned().collect();
        places.sort();
        for at in places {
            changes.extend(self.recheck(&at, roles, directory));
        }
        changes
    }

    /// Ends what the rules forbid one account, among its filters and at those of `nodes` that are in memory.
    pub fn judge(
        &mut self,
        who: &Subject,
        nodes: &[NodeId],
        directory: &mut dyn Directory,
    ) -> Vec<Change> {
        let only = |jid: &BareJid| (*jid == who.jid).then(|| who.clone());
        let mut changes = self.end_forbidden_filters(&only, directory);
        for node in nodes {
            changes.extend(self.recheck(&NodeAddress::of_service(node.clone()), &only, directory));
        }
        changes
    }

    /// Ends what the rules forbid among the subscriptions of one node: for nodes that were not in memory when the rules
    /// changed, after they are [`loaded`](Self::loaded).
    pub fn recheck(
        &mut self,
        at: &NodeAddress,
        roles: &dyn Fn(&BareJid) -> Option<Subject>,
        directory: &mut dyn Directory,
    ) -> Option<Change> {
        let node = self.nodes.get(at)?;
        let forbidden = |jid: &Jid| {
            roles(&jid.bare()).is_some_and(|subject| {
                let rights = Rights::of_subject(&self.rules, &subject, at.host.as_ref());
                rights.must_leave(&at.node, node)
            })
        };
        // What depends on rosters is looked at when the node is used next: then they are at hand.
        let unsettled = node
            .subscriptions()
            .any(|one| roles(&one.jid.bare()).is_some());
        let ended: Vec<Jid> = node
            .subscriptions()
            .map(|one| one.jid.clone())
            .filter(forbidden)
            .collect();
        if unsettled && let Some(node) = self.nodes.get_mut(at) {
            node.set_settled(false);
        }
        if ended.is_empty() {
            return None;
        }
        let mut ending = change(Vec::new());
        self.end_subscriptions(at, &ended, directory, &mut ending);
        Some(ending)
    }

    fn end_forbidden_filters(
        &mut self,
        roles: &dyn Fn(&BareJid) -> Option<Subject>,
        directory: &mut dyn Directory,
    ) -> Vec<Change> {
        let mut forbidden: Vec<(Filter, NodeSubscription)> = Vec::new();
        self.interest.each(&mut |interested| {
            for subscription in interested.subscriptions.iter() {
                let may = roles(&subscription.jid.bare())
                    .is_none_or(|subject| self.rules.on_filter(&subject, &interested.filter));
                if !may {
                    forbidden.push((interested.filter.clone(), subscription.clone()));
                }
            }
        });
        let mut changes = Vec::new();
        for (filter, subscription) in forbidden {
            let mut ending = change(Vec::new());
            self.end(&Place::Filter(filter), subscription, directory, &mut ending);
            changes.push(ending);
        }
        changes
    }

    /// Whether a node is in memory.
    pub fn is_resident(&self, at: &NodeAddress) -> bool {
        self.nodes.contains_key(at)
    }

    fn forget(&mut self, at: &NodeAddress) {
        self.absent.remove(at);
        self.unload(at);
    }
}
