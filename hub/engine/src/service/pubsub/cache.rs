//! The nodes that are in memory, within a bound of bytes: `[limits] node_cache`.
//!
//! The store has every node; memory keeps those in use. Each node is weighed when it comes and after each request that used it,
//! from lengths alone, so that a node with a hundred thousand subscribers weighs what it costs. When all together weigh more than
//! the bound, a hand goes around the nodes in the order in which they came ("second chance"): one that was used since the hand
//! last passed is passed once more, another leaves memory. A use costs a flag, not a list to be kept in order; what the hand
//! passes is paid for by the uses that set the flags.
//!
//! Every node may leave, one with subscriptions of sessions too: those wait beside the cache until the node is back (see
//! [`Pubsub::make_room`]), since they are stored nowhere (S18). Only the router knows what must stay for the moment: nodes with a
//! commit under way, which the store does not have yet as memory has them, and nodes that a parked command waits for.

use std::collections::{
    HashMap, VecDeque,
    hash_map::{Entry, Keys},
};

use crate::node::NodeAddress;

use super::{Pubsub, configs::Configs, node::Node};

/// Nodes that the hand passes at one turn, so that no command waits for a long way around.
const TURN_MAX: usize = 64;
/// What a node costs beyond its own: its name and places in two tables, and what the allocator adds.
const OVERHEAD: usize = 96 + 2 * size_of::<NodeAddress>() + size_of::<Resident>();

#[derive(Debug)]
struct Resident {
    node: Node,
    weight: usize,
    recent: Use,
}

/// How a node was used since the hand last passed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It has just come, for one request: that is no use yet, so that a pass over a million nodes, each used once, does not
    /// drive out those that are used all the time.
    New,
    /// Not at all.
    Idle,
    Used,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Cache {
    nodes: HashMap<NodeAddress, Box<Resident>>,
    /// The way of the hand. A name whose node is gone is dropped when the hand comes to it.
    ring: VecDeque<NodeAddress>,
    bytes: usize,
    bytes_max: usize,
    configs: Configs,
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            ..Self::default()
        }
    }

    pub(super) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// What all nodes in memory weigh, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What one node in memory weighs.
    pub(super) fn weight_of(&self, at: &NodeAddress) -> Option<usize> {
        self.nodes.get(at).map(|resident| resident.weight)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn contains_key(&self, at: &NodeAddress) -> bool {
        self.nodes.contains_key(at)
    }

    pub(super) fn get(&self, at: &NodeAddress) -> Option<&Node> {
        self.nodes.get(at).map(|resident| &resident.node)
    }

    pub(super) fn get_mut(&mut self, at: &NodeAddress) -> Option<&mut Node> {
        self.nodes.get_mut(at).map(|resident| &mut resident.node)
    }

    /// The addresses of all, in no order.
    pub(super) fn keys(&self) -> Keys<'_, NodeAddress, impl Sized> {
        self.nodes.keys()
    }

    /// All nodes, in no order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.values_mut().map(|resident| &mut resident.node)
    }

    pub(super) fn insert(&mut self, at: NodeAddress, mut node: Node) {
        self.configs.share(&mut node.config);
        let weight = weight(&at, &node);
        let resident = Box::new(Resident {
            node,
            weight,
            recent: Use::New,
        });
        self.bytes += weight;
        match self.nodes.entry(at) {
            // Its name is in the ring already.
            Entry::Occupied(mut there) => self.bytes -= there.insert(resident).weight,
            Entry::Vacant(place) => {
                self.ring.push_back(place.key().clone());
                place.insert(resident);
            }
        }
        // Names of nodes that were deleted are not let pile up where there is no need for the hand to go.
        if self.ring.len() > 2 * self.nodes.len() + TURN_MAX {
            let mut once = std::collections::HashSet::new();
            let nodes = &self.nodes;
            self.ring
                .retain(|at| nodes.contains_key(at) && once.insert(at.clone()));
        }
    }

    pub(super) fn remove(&mut self, at: &NodeAddress) -> Option<Node> {
        let resident = self.nodes.remove(at)?;
        self.bytes -= resident.weight;
        Some(resident.node)
    }

    /// A request has used the node, and may have changed it.
    pub(super) fn settle(&mut self, at: &NodeAddress) {
        if let Some(resident) = self.nodes.get_mut(at) {
            resident.recent = match resident.recent {
                Use::New => Use::Idle,
                Use::Idle | Use::Used => Use::Used,
            };
            resident.node.last.shed();
            self.configs.share(&mut resident.node.config);
            self.bytes -= resident.weight;
            resident.weight = weight(at, &resident.node);
            self.bytes += resident.weight;
        }
    }

    /// The next node that is to leave, if the bound is passed; `stays` says which must not.
    fn victim(
        &mut self,
        turn: &mut usize,
        stays: &dyn Fn(&NodeAddress) -> bool,
    ) -> Option<NodeAddress> {
        while self.bytes > self.bytes_max && *turn < TURN_MAX {
            *turn += 1;
            let at = self.ring.pop_front()?;
            let Some(resident) = self.nodes.get_mut(&at) else {
                continue;
            };
            let used = std::mem::replace(&mut resident.recent, Use::Idle) == Use::Used;
            if used || stays(&at) {
                self.ring.push_back(at);
            } else {
                return Some(at);
            }
        }
        None
    }
}

impl Pubsub {
    /// Lets nodes leave memory until what is left is within the bound, or as far as one turn of the hand goes; `stays` names
    /// those that must not leave now.
    pub fn make_room(&mut self, stays: &dyn Fn(&NodeAddress) -> bool) {
        let mut turn = 0;
        while let Some(at) = self.nodes.victim(&mut turn, stays) {
            self.unload(&at);
        }
    }

    /// Lets a node leave memory. Its subscriptions of full addresses exist nowhere else: they wait for it (S18).
    pub fn unload(&mut self, at: &NodeAddress) {
        if let Some(node) = self.nodes.remove(at) {
            for one in node.subscriptions().filter(|one| one.options.is_some()) {
                self.leases.clear(&one.subid);
            }
            let of_sessions = node.subscriptions().filter(|one| !one.jid.is_bare());
            let of_sessions: Vec<_> = of_sessions.cloned().collect();
            if !of_sessions.is_empty() {
                self.stranded.insert(at.clone(), of_sessions);
            }
        }
    }
}

fn weight(at: &NodeAddress, node: &Node) -> usize {
    OVERHEAD + at.node.as_str().len() + node.weight()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::BareJid, limits::Limits, node::NodeId, service::pubsub::config::default_config,
        time::Timestamp,
    };

    fn at(number: usize) -> NodeAddress {
        NodeAddress::of_service(NodeId::parse(&format!("n/{number:04}")).unwrap())
    }

    fn node() -> Node {
        let config = default_config(None, &Limits::default());
        Node::new(
            config,
            BareJid::parse("dev7@localhost").unwrap(),
            Timestamp::default(),
        )
    }

    fn room_for(nodes: usize) -> Cache {
        let mut one = Cache::default();
        one.insert(at(0), node());
        Cache::new(nodes * one.bytes())
    }

    fn evict(cache: &mut Cache, stays: &dyn Fn(&NodeAddress) -> bool) -> Vec<NodeAddress> {
        let mut gone = Vec::new();
        loop {
            let mut turn = 0;
            while let Some(at) = cache.victim(&mut turn, stays) {
                cache.remove(&at);
                gone.push(at);
            }
            if turn == 0 {
                return gone;
            }
        }
    }

    #[test]
    fn the_weight_of_all_is_within_the_bound_and_what_is_used_stays() {
        let mut cache = room_for(10);
        for number in 0..100 {
            cache.insert(at(number), node());
            cache.settle(&at(0));
            evict(&mut cache, &|_| false);
            assert!(cache.bytes() <= cache.bytes_max);
        }
        assert_eq!(cache.len(), 10);
        assert!(cache.contains_key(&at(0)), "used all the time");
        assert!(cache.ring.len() <= 2 * 10 + TURN_MAX);
    }

    #[test]
    fn what_must_stay_stays_and_one_turn_is_bounded() {
        let mut cache = room_for(1);
        for number in 0..500 {
            cache.insert(at(number), node());
        }
        let mut turn = 0;
        assert_eq!(cache.victim(&mut turn, &|_| true), None);
        assert_eq!(turn, TURN_MAX);
        assert_eq!(cache.len(), 500);
        let gone = evict(&mut cache, &|at| at.node.as_str() == "n/0300");
        assert_eq!(gone.len(), 499);
        assert!(cache.contains_key(&at(300)));
    }

    #[test]
    fn a_removed_node_weighs_nothing_and_leaves_no_name() {
        let mut cache = room_for(10_000);
        for number in 0..5_000 {
            cache.insert(at(number % 7), node());
            cache.remove(&at(number % 7));
        }
        assert_eq!((cache.bytes(), cache.len()), (0, 0));
        assert!(cache.ring.len() <= TURN_MAX + 1, "{}", cache.ring.len());
    }
}
