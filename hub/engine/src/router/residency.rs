//! What of accounts is in memory. A command runs only once all that it needs is here; until then it is parked.
//!
//! Accounts with a session stay, with the little that every command asks of them; their keys do not, since a login is their only
//! reader. Others stay while a parked command needs them and then as long as there is room ([`ABSENT_ACCOUNTS_MAX`], those used
//! longest ago go first). Anything may be forgotten at any time, because a query sees every commit that was handed over
//! before it; a load that a commit has overtaken is asked again.

use std::collections::{HashMap, HashSet};

use crate::{
    account::{Account, LastSeen, Role, Roster},
    address::BareJid,
    effect::{AccountCounts, StoreOp, StoreQuery},
    limits::Limits,
    node::{NodeAddress, NodeId},
    router::shared_rosters::SharedRosters,
    service::{AccountId, documents::Sizes, pubsub::Wanted},
};

/// Accounts without a session that are kept in memory, with their rosters.
pub(super) const ABSENT_ACCOUNTS_MAX: usize = 2_048;
/// Which part of an account's nodes and subscriptions may be counted wrongly before they are counted again.
const DRIFT_PART: u32 = 64;

/// Something that must be in memory before a command runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Need {
    /// The store has told what it keeps.
    Boot,
    /// Whether there is such an account, and what is always kept of it.
    Account(BareJid),
    /// Its keys too.
    Record(BareJid),
    Roster(BareJid),
    /// What it owns at the service, for its removal.
    Owned(BareJid),
    /// Which documents it keeps, to add to them.
    Documents(BareJid),
    Node(NodeAddress),
    /// The newest so many items of a node, without what they carry.
    Contents(NodeAddress, u32),
}

impl Need {
    /// What the pubsub service wants.
    pub(super) fn of_pubsub(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Node(at) => Self::Node(at),
            Wanted::Contents(at, max) => Self::Contents(at, max),
            Wanted::Roster(jid) => Self::Roster(jid),
        }
    }

    /// The question that brings it.
    pub(super) fn query(&self) -> StoreQuery {
        match self {
            Self::Boot => StoreQuery::Boot,
            Self::Account(jid) | Self::Record(jid) => StoreQuery::Account(jid.clone()),
            Self::Roster(jid) => StoreQuery::Roster(jid.clone()),
            Self::Owned(jid) => StoreQuery::AffiliationsOf {
                host: None,
                account: jid.clone(),
            },
            Self::Documents(jid) => StoreQuery::DocumentSizes(jid.clone()),
            Self::Node(at) => StoreQuery::Node(at.clone()),
            Self::Contents(at, max) => StoreQuery::Items {
                at: at.clone(),
                max: *max,
                page: None,
                order: crate::item::Order::default(),
                since: None,
                with_payload: false,
            },
        }
    }

    /// The account that it is about.
    pub(super) const fn account(&self) -> Option<&BareJid> {
        match self {
            Self::Account(jid)
            | Self::Record(jid)
            | Self::Roster(jid)
            | Self::Owned(jid)
            | Self::Documents(jid) => Some(jid),
            Self::Boot | Self::Node(_) | Self::Contents(..) => None,
        }
    }
}

/// What is always kept of an account that is in memory.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) role: Role,
    pub(super) enabled: bool,
    pub(super) last_seen: Option<Box<LastSeen>>,
    pub(super) counts: AccountCounts,
    /// Changes of nodes and subscriptions since the store counted them that may have changed the counts less than is noted.
    pub(super) drift: u32,
}

#[derive(Debug, Default)]
struct Resident {
    /// `Some(None)`: there is no such account.
    facts: Option<Option<Facts>>,
    record: Option<Box<Account>>,
    roster: Option<Roster>,
    owned: Option<Box<[NodeId]>>,
    /// Boxed, since few accounts ever need it.
    documents: Option<Box<Sizes>>,
    pins: u32,
    used: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Residency {
    residents: HashMap<BareJid, Resident>,
    /// Nodes that parked commands wait for, and how many.
    nodes: HashMap<NodeAddress, u32>,
    /// Loads under way.
    loading: HashSet<Need>,
    /// Loads that were overtaken by a commit.
    stale: HashSet<Need>,
    clock: u64,
    trim_at: usize,
    /// Who is here by roster group, and the roles that say so.
    pub(super) shared: SharedRosters,
}

impl Residency {
    pub(super) fn new(shared: SharedRosters) -> Self {
        Self {
            shared,
            ..Self::default()
        }
    }

    /// Whether an account's need is met.
    pub(super) fn has(&self, need: &Need) -> bool {
        let Some(resident) = need.account().and_then(|jid| self.residents.get(jid)) else {
            return false;
        };
        match need {
            Need::Account(_) => resident.facts.is_some(),
            Need::Record(_) => {
                matches!(&resident.facts, Some(facts) if facts.is_none() || resident.record.is_some())
            }
            Need::Roster(_) => resident.roster.is_some(),
            Need::Owned(_) => resident.owned.is_some(),
            Need::Documents(_) => resident.documents.is_some(),
            Need::Boot | Need::Node(_) | Need::Contents(..) => false,
        }
    }

    /// Notes that a load begins; false if it is under way already.
    pub(super) fn begin(&mut self, need: &Need) -> bool {
        self.loading.insert(need.clone())
    }

    /// The load is answered; true if it was overtaken and must be asked again.
    pub(super) fn finish(&mut self, need: &Need) -> bool {
        if self.stale.remove(need) {
            return true;
        }
        self.loading.remove(need);
        false
    }

    /// The load failed.
    pub(super) fn abandon(&mut self, need: &Need) {
        self.stale.remove(need);
        self.loading.remove(need);
    }

    /// Keeps what is loaded until it was used.
    pub(super) fn pin(&mut self, needs: &[Need]) {
        for need in needs {
            if let Some(jid) = need.account() {
                self.residents.entry(jid.clone()).or_default().pins += 1;
            } else if let Need::Node(at) = need {
                *self.nodes.entry(at.clone()).or_default() += 1;
            }
        }
    }

    /// The reverse.
    pub(super) fn unpin(&mut self, needs: &[Need]) {
        for need in needs {
            if let Some(jid) = need.account() {
                if let Some(resident) = self.residents.get_mut(jid) {
                    resident.pins = resident.pins.saturating_sub(1);
                }
            } else if let Need::Node(at) = need
                && let Some(pins) = self.nodes.get_mut(at)
            {
                *pins -= 1;
                if *pins == 0 {
                    self.nodes.remove(at);
                }
            }
        }
    }

    /// Whether a parked command waits for the node.
    pub(super) fn is_pinned(&self, at: &NodeAddress) -> bool {
        self.nodes.contains_key(at)
    }

    /// An account came from the store, or is about to be written to it.
    pub(super) fn put_account(
        &mut self,
        jid: &BareJid,
        account: Option<Box<Account>>,
        counts: AccountCounts,
    ) {
        let resident = self.touch(jid);
        resident.facts = Some(account.as_ref().map(|account| Facts {
            role: account.role,
            enabled: account.enabled,
            last_seen: account.last_seen.clone().map(Box::new),
            counts,
            drift: 0,
        }));
        resident.record = account;
    }

    /// A roster came from the store.
    pub(super) fn put_roster(&mut self, jid: &BareJid, roster: Roster) {
        self.touch(jid).roster = Some(roster);
    }

    /// What an account owns came from the store.
    pub(super) fn put_owned(&mut self, jid: &BareJid, owned: Vec<NodeId>) {
        self.touch(jid).owned = Some(owned.into_boxed_slice());
    }

    /// Which documents an account keeps came from the store.
    pub(super) fn put_documents(&mut self, jid: &BareJid, sizes: Sizes) {
        self.touch(jid).documents = Some(Box::new(sizes));
    }

    /// Which documents an account keeps, to be changed.
    pub(super) fn documents_mut(&mut self, jid: &BareJid) -> Option<&mut Sizes> {
        self.residents.get_mut(jid)?.documents.as_deref_mut()
    }

    /// What an account owns, to be used once.
    pub(super) fn take_owned(&mut self, jid: &BareJid) -> Vec<NodeId> {
        self.residents
            .get_mut(jid)
            .and_then(|resident| resident.owned.take())
            .map(<[NodeId]>::into_vec)
            .unwrap_or_default()
    }

    /// What an account owns, as far as it is loaded.
    pub(super) fn owned(&self, jid: &BareJid) -> &[NodeId] {
        self.residents
            .get(jid)
            .and_then(|resident| resident.owned.as_deref())
            .unwrap_or_default()
    }

    /// The account, if there is one and it is loaded.
    pub(super) fn facts(&self, jid: &BareJid) -> Option<&Facts> {
        self.residents.get(jid)?.facts.as_ref()?.as_ref()
    }

    /// The role of an account that is not disabled, as far as it is known.
    pub(super) fn role(&self, jid: &BareJid) -> Option<Role> {
        match self
            .residents
            .get(jid)
            .and_then(|resident| resident.facts.as_ref())
        {
            Some(Some(facts)) => facts.enabled.then_some(facts.role),
            Some(None) => None,
            None => self.shared.roles.get(jid).copied(),
        }
    }

    /// The role that a page of the store gives an account, unless something else was decided since; `None` is no account, or one
    /// that is disabled.
    pub(super) fn role_now(&self, jid: &BareJid, stored: Role) -> Option<Role> {
        match self.facts(jid) {
            Some(facts) => facts.enabled.then_some(facts.role),
            None if self.is_absent(jid) => None,
            None => Some(stored),
        }
    }

    /// Who is here and sees the account by shared roster groups; an account as often as it does.
    pub(super) fn watchers_by_groups(&self, account: &BareJid) -> Vec<AccountId> {
        let shared = &self.shared;
        let Some(&role) = shared.roles.get(account) else {
            return Vec::new();
        };
        shared
            .watchers(&shared.groups().of(account, role))
            .collect()
    }

    /// Whether `watcher` sees the account by shared roster groups, as far as both are known.
    pub(super) fn sees_by_groups(&self, watcher: &BareJid, account: &BareJid) -> bool {
        let groups = self.shared.groups();
        !groups.is_empty()
            && match (self.role(watcher), self.role(account)) {
                (Some(theirs), Some(role)) => groups.sees((watcher, theirs), (account, role)),
                _ => false,
            }
    }

    /// Whether it is known that there is no such account.
    pub(super) fn is_absent(&self, jid: &BareJid) -> bool {
        self.residents
            .get(jid)
            .is_some_and(|resident| matches!(resident.facts, Some(None)))
    }

    /// The same, to be changed.
    pub(super) fn facts_mut(&mut self, jid: &BareJid) -> Option<&mut Facts> {
        self.residents.get_mut(jid)?.facts.as_mut()?.as_mut()
    }

    /// The account with its keys.
    pub(super) fn record(&self, jid: &BareJid) -> Option<&Account> {
        self.residents.get(jid)?.record.as_deref()
    }

    /// Its keys are not needed any more.
    pub(super) fn drop_record(&mut self, jid: &BareJid) {
        if let Some(resident) = self.residents.get_mut(jid) {
            resident.record = None;
        }
    }

    /// The roster, if it is loaded.
    pub(super) fn roster(&self, jid: &BareJid) -> Option<&Roster> {
        self.residents.get(jid)?.roster.as_ref()
    }

    /// Lends the roster; to be given back by [`put_roster`](Self::put_roster).
    pub(super) fn take_roster(&mut self, jid: &BareJid) -> Option<Roster> {
        self.touch(jid).roster.take()
    }

    /// Counts what a commit that is being handed over will change; what it changes beyond counts is asked anew.
    pub(super) fn note(&mut self, op: &StoreOp, limits: &Limits) {
        match op {
            StoreOp::PutOwed { account, .. } => self.count(account, |counts| {
                counts.owed = counts.owed.saturating_add(1)
            }),
            StoreOp::RemoveOwed { account, .. } => self.count(account, |counts| {
                counts.owed = counts.owed.saturating_sub(1)
            }),
            StoreOp::PutOffline { account, .. } => {
                self.count(account, |counts| {
                    counts.offline = counts.offline.saturating_add(1)
                });
            }
            StoreOp::LastSeen { account, .. } => self.overtake(account),
            StoreOp::PutSubscription { subscription, .. } => {
                let account = subscription.jid.bare();
                self.count(&account, |counts| {
                    counts.subscriptions = counts.subscriptions.saturating_add(1);
                });
                // It may have been there before, set otherwise.
                self.drifted(&account, limits);
            }
            StoreOp::RemoveNode { at } => self.overtake_nodes(|other| other == at),
            // Its own nodes go with it, and what it was to others.
            StoreOp::RemoveAccount { .. } => self.overtake_nodes(|_| true),
            _ => {}
        }
    }

    /// What is on its way of these nodes may be of before they were removed.
    fn overtake_nodes(&mut self, which: impl Fn(&NodeAddress) -> bool) {
        let overtaken = self.loading.iter().filter(|need| match need {
            Need::Node(at) | Need::Contents(at, _) => which(at),
            _ => false,
        });
        self.stale.extend(overtaken.cloned());
    }

    /// The account has made a node.
    pub(super) fn note_new_node(&mut self, creator: &BareJid, limits: &Limits) {
        self.count(creator, |counts| {
            counts.nodes = counts.nodes.saturating_add(1);
        });
        self.recount_where_it_matters(creator, limits);
    }

    /// How many nodes or subscriptions the account has may be less by one than is noted.
    pub(super) fn drifted(&mut self, jid: &BareJid, limits: &Limits) {
        self.overtake(jid);
        if let Some(facts) = self.facts_mut(jid) {
            facts.drift += 1;
        }
        self.recount_where_it_matters(jid, limits);
    }

    /// The store is asked to count again only once that matters: its count takes as long as there are many, and an account that
    /// makes or deletes a million nodes would have them counted a million times.
    fn recount_where_it_matters(&mut self, jid: &BareJid, limits: &Limits) {
        let Some(&Facts { drift, counts, .. }) = self.facts(jid) else {
            return;
        };
        let is_full = |count: u32, bound: usize| {
            usize::try_from(count).is_ok_and(|count| count.saturating_add(1) >= bound)
        };
        let matters = drift > counts.nodes.max(counts.subscriptions) / DRIFT_PART
            || is_full(counts.nodes, limits.nodes_per_account)
            || is_full(counts.subscriptions, limits.subscriptions_per_account);
        if drift > 0 && matters {
            self.forget_facts(jid);
        }
    }

    fn count(&mut self, jid: &BareJid, change: impl FnOnce(&mut AccountCounts)) {
        self.overtake(jid);
        if let Some(facts) = self.facts_mut(jid) {
            change(&mut facts.counts);
        }
    }

    fn overtake(&mut self, jid: &BareJid) {
        for need in [Need::Account(jid.clone()), Need::Record(jid.clone())] {
            if self.loading.contains(&need) {
                self.stale.insert(need);
            }
        }
    }

    /// How many nodes or subscriptions it has may have changed.
    pub(super) fn forget_facts(&mut self, jid: &BareJid) {
        self.overtake(jid);
        if let Some(resident) = self.residents.get_mut(jid) {
            resident.facts = None;
            resident.record = None;
        }
    }

    /// What is in memory of it is not what the store has.
    pub(super) fn forget(&mut self, jid: &BareJid) {
        self.forget_facts(jid);
        for need in [Need::Roster(jid.clone()), Need::Documents(jid.clone())] {
            if self.loading.contains(&need) {
                self.stale.insert(need);
            }
        }
        if let Some(resident) = self.residents.get_mut(jid) {
            resident.roster = None;
            resident.owned = None;
            resident.documents = None;
        }
    }

    /// Makes room; `is_here` says which accounts have a session, `here` how many do.
    pub(super) fn trim(&mut self, here: usize, is_here: impl Fn(&BareJid) -> bool) {
        // After a storm the table itself is worth giving back, whether or not anybody is forgotten now: those who left last are
        // few enough to stay, in a table made for all.
        if self.residents.capacity() / 3 > self.residents.len().max(ABSENT_ACCOUNTS_MAX / 4) {
            self.residents.shrink_to(self.residents.len() * 5 / 4);
        }
        let absent = self.residents.len().saturating_sub(here);
        if absent <= self.trim_at.max(ABSENT_ACCOUNTS_MAX) {
            return;
        }
        let absent = self
            .residents
            .iter()
            .filter(|(jid, resident)| resident.pins == 0 && !is_here(jid));
        let mut used: Vec<u64> = absent.map(|(_, resident)| resident.used).collect();
        if used.len() > ABSENT_ACCOUNTS_MAX / 2 {
            used.sort_unstable();
            let newest = used[used.len() - ABSENT_ACCOUNTS_MAX / 2];
            self.residents.retain(|jid, resident| {
                resident.pins > 0 || resident.used >= newest || is_here(jid)
            });
        }
        // What is pinned stays and is not looked at again at every step.
        self.trim_at = self.residents.len().saturating_sub(here) + ABSENT_ACCOUNTS_MAX / 2;
    }

    /// How many accounts are in memory.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.residents.len()
    }

    fn touch(&mut self, jid: &BareJid) -> &mut Resident {
        self.clock += 1;
        let resident = self.residents.entry(jid.clone()).or_default();
        resident.used = self.clock;
        resident
    }
}

#[cfg(test)]
mod tests;
