//! Which nodes in memory something that happens to an account concerns: a change of its roster, its departure.
//!
//! What is not true any more is harmless, and goes at the next look or sweep: a node that leaves memory is held against the
//! world when it comes back, and noted anew.

use std::collections::{BTreeSet, HashMap};

use crate::{address::BareJid, node::NodeAddress};

/// The index is not swept below this many entries.
const SWEEP_MIN: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ByAccount {
    nodes: HashMap<BareJid, BTreeSet<NodeAddress>>,
    len: usize,
    sweep_at: usize,
}

impl ByAccount {
    pub(super) fn put(&mut self, account: &BareJid, at: &NodeAddress) {
        if !self.nodes.contains_key(account) {
            self.nodes.insert(account.clone(), BTreeSet::new());
        }
        if let Some(nodes) = self.nodes.get_mut(account)
            && !nodes.contains(at)
        {
            nodes.insert(at.clone());
            self.len += 1;
        }
    }

    /// The nodes of an account.
    pub(super) fn of(&self, account: &BareJid) -> Option<&BTreeSet<NodeAddress>> {
        self.nodes.get(account)
    }

    pub(super) fn take(&mut self, account: &BareJid) -> BTreeSet<NodeAddress> {
        let nodes = self.nodes.remove(account).unwrap_or_default();
        self.len -= nodes.len();
        nodes
    }

    /// Lets go of nodes that are not in memory, now and then: who makes and deletes nodes all day must not fill it.
    pub(super) fn sweep(&mut self, is_resident: impl Fn(&NodeAddress) -> bool) {
        if self.len < self.sweep_at.max(SWEEP_MIN) {
            return;
        }
        self.nodes.retain(|_, nodes| {
            nodes.retain(|at| is_resident(at));
            !nodes.is_empty()
        });
        self.len = self.nodes.values().map(BTreeSet::len).sum();
        self.sweep_at = 2 * self.len;
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.len
    }
}
