//! Changes that wait for the store, and what follows once they are on the disk (S5).
//!
//! Services decide against what is in memory, committed or not; the world hears of a change only after its commit, in the order
//! of commits. When one fails, what it touched is forgotten and loaded anew, and everybody who waited for it is refused.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    account::Role,
    address::BareJid,
    command::{EndReason, Reply, SessionId},
    effect::{Commit, StoreOp, StoreRequest, Urgency},
    event::Event,
    message::Message,
    node::NodeAddress,
    refusal::Refusal,
    router::{blocking::BlockChange, carbons::Outcome, pipeline::Ask},
    service::{Notice, roster::Told},
};

/// Something that the router does once a change is committed.
#[derive(Debug)]
pub(super) enum Deed {
    /// Tell of a change of rosters.
    Told(Told),
    /// Put a change of a block list into force.
    BlockList(BlockChange),
    /// Copy a message that is kept to the resources that asked for copies.
    Copy(Box<Message>, Outcome),
    /// End all sessions of an account.
    EndSessions(BareJid, EndReason),
    /// The account is gone: these contacts saw it.
    Removed(BareJid, Vec<BareJid>),
    /// The account was made or removed, or its role or whether it is enabled has changed; `None` is no account, or a
    /// disabled one.
    AccountChanged(BareJid, Option<Role>, Option<Role>),
    /// A session's roster is known, and what of it the account made itself is stored.
    RosterListed(SessionId, u64),
}

/// What follows a commit.
#[derive(Debug, Default)]
pub(super) struct After {
    /// Who asked, if anybody.
    pub(super) ask: Option<Ask>,
    /// What the asker hears; `None` where the command has no answer.
    pub(super) reply: Option<Result<Reply, Refusal>>,
    /// What the world hears, in this order.
    pub(super) notices: Vec<Notice>,
    /// See [`crate::service::Change::if_none_removed`].
    pub(super) if_none_removed: Option<Refusal>,
    /// What the router does.
    pub(super) deeds: Vec<Deed>,
    /// What the asker's session is told instead if the commit fails and the command has no answer.
    pub(super) apology: Option<Arc<Event>>,
}

struct Pending {
    seq: u64,
    ops: Vec<StoreOp>,
    after: Vec<After>,
}

/// Commits for which there is room while none is under way.
const CAPACITY_KEPT: usize = 512;

/// Commits under way, in order.
#[derive(Default)]
pub(super) struct Commits {
    last: u64,
    pending: VecDeque<Pending>,
    /// The last commit under way that touches a node or an account's roster.
    nodes: HashMap<NodeAddress, u64>,
    rosters: HashMap<BareJid, u64>,
}

impl Commits {
    /// Hands a change to the store.
    pub(super) fn begin(
        &mut self,
        ops: Vec<StoreOp>,
        urgency: Urgency,
        after: After,
        requests: &mut Vec<StoreRequest>,
    ) {
        self.last += 1;
        let seq = self.last;
        for op in &ops {
            match touched(op) {
                Some(Touched::Node(at)) => {
                    self.nodes.insert(at.clone(), seq);
                }
                Some(Touched::Roster(account)) => {
                    self.rosters.insert(account.clone(), seq);
                }
                None => {}
            }
        }
        self.pending.push_back(Pending {
            seq,
            ops: ops.clone(),
            after: vec![after],
        });
        requests.push(StoreRequest::Commit(Commit { seq, urgency, ops }));
    }

    /// Lets something without a change of its own follow the last commit of its node (S2); gives it back if there is none.
    pub(super) fn follow_node(&mut self, at: &NodeAddress, after: After) -> Option<After> {
        match self.nodes.get(at).copied() {
            Some(seq) => self.follow(seq, after),
            None => Some(after),
        }
    }

    /// The same for an account's roster: who reads it hears what is stored.
    pub(super) fn follow_roster(&mut self, account: &BareJid, after: After) -> Option<After> {
        match self.rosters.get(account).copied() {
            Some(seq) => self.follow(seq, after),
            None => Some(after),
        }
    }

    /// Whether a change of the node is under way.
    pub(super) fn is_under_way(&self, at: &NodeAddress) -> bool {
        self.nodes.contains_key(at)
    }

    fn follow(&mut self, seq: u64, after: After) -> Option<After> {
        let at = self.place_of(seq);
        match at.and_then(|at| self.pending.get_mut(at)) {
            Some(pending) => {
                pending.after.push(after);
                None
            }
            None => Some(after),
        }
    }

    /// A slow disk may leave a hundred thousand of them.
    fn place_of(&self, seq: u64) -> Option<usize> {
        self.pending
            .binary_search_by_key(&seq, |pending| pending.seq)
            .ok()
    }

    /// The store has answered for `seq`: what it changed, and what follows. Commits are answered in order.
    pub(super) fn finish(&mut self, seq: u64) -> Option<(Vec<StoreOp>, Vec<After>)> {
        let at = self.place_of(seq)?;
        let pending = self.pending.remove(at)?;
        for op in &pending.ops {
            match touched(op) {
                Some(Touched::Node(at)) if self.nodes.get(at) == Some(&seq) => {
                    self.nodes.remove(at);
                }
                Some(Touched::Roster(account)) if self.rosters.get(account) == Some(&seq) => {
                    self.rosters.remove(account);
                }
                _ => {}
            }
        }
        self.give_back();
        Some((pending.ops, pending.after))
    }

    /// Ten thousand sessions that end together leave as many commits. Once the store has answered all, their room is given back.
    fn give_back(&mut self) {
        if self.pending.is_empty() && self.pending.capacity() > CAPACITY_KEPT {
            self.pending.shrink_to(CAPACITY_KEPT);
            self.nodes.shrink_to(CAPACITY_KEPT);
            self.rosters.shrink_to(CAPACITY_KEPT);
        }
    }
}

enum Touched<'a> {
    Node(&'a NodeAddress),
    Roster(&'a BareJid),
}

fn touched(op: &StoreOp) -> Option<Touched<'_>> {
    match op {
        StoreOp::PutContact { account, .. } | StoreOp::RemoveContact { account, .. } => {
            Some(Touched::Roster(account))
        }
        StoreOp::PutNode { at, .. }
        | StoreOp::RemoveNode { at }
        | StoreOp::PutAffiliation { at, .. }
        | StoreOp::PutSubscription { at, .. }
        | StoreOp::RemoveSubscription { at, .. }
        | StoreOp::PutItem { at, .. }
        | StoreOp::RemoveItems { at, .. }
        | StoreOp::TrimItems { at, .. }
        | StoreOp::PutOwed { at, .. }
        | StoreOp::RemoveOwed { at, .. } => Some(Touched::Node(at)),
        StoreOp::PutAccount(_)
        | StoreOp::RemoveAccount { .. }
        | StoreOp::PutBlocked { .. }
        | StoreOp::RemoveBlocked { .. }
        | StoreOp::PutDocument { .. }
        | StoreOp::LastSeen { .. }
        | StoreOp::PutOffline { .. }
        | StoreOp::RemoveOffline { .. } => None,
    }
}

/// Accounts whose cached record or roster a change speaks of.
pub(super) fn accounts_of(op: &StoreOp) -> Option<&BareJid> {
    match op {
        StoreOp::PutAccount(account) => Some(&account.jid),
        StoreOp::RemoveAccount { account }
        | StoreOp::LastSeen { account, .. }
        | StoreOp::PutDocument { account, .. }
        | StoreOp::PutContact { account, .. }
        | StoreOp::RemoveContact { account, .. }
        | StoreOp::PutOffline { account, .. }
        | StoreOp::RemoveOffline { account, .. }
        | StoreOp::PutOwed { account, .. }
        | StoreOp::RemoveOwed { account, .. } => Some(account),
        // A block list changes in memory when it is stored, so nothing of it is wrong where it was not.
        StoreOp::PutBlocked { .. }
        | StoreOp::RemoveBlocked { .. }
        | StoreOp::PutNode { .. }
        | StoreOp::RemoveNode { .. }
        | StoreOp::PutAffiliation { .. }
        | StoreOp::PutSubscription { .. }
        | StoreOp::RemoveSubscription { .. }
        | StoreOp::PutItem { .. }
        | StoreOp::RemoveItems { .. }
        | StoreOp::TrimItems { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_commits_leaves_no_room_behind() {
        let mut commits = Commits::default();
        let mut requests = Vec::new();
        let storm = 20 * CAPACITY_KEPT as u64;
        for _ in 0..storm {
            commits.begin(Vec::new(), Urgency::Lazy, After::default(), &mut requests);
        }
        for seq in 1..storm {
            assert!(commits.finish(seq).is_some());
        }
        assert!(commits.pending.capacity() as u64 >= storm);
        assert!(commits.finish(storm).is_some());
        assert!(commits.pending.capacity() <= 2 * CAPACITY_KEPT);
    }
}
