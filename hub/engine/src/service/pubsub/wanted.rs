//! What the service must have in memory before it can decide, and how it comes there.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Pubsub, acquaintance, contents, node::Node};
use crate::{
    address::BareJid,
    command::{PubsubAction, PubsubRequest},
    item::{Item, NodeRecord},
    node::{NodeAddress, NodeId},
};

/// Most names remembered as not existing; then all are forgotten, which costs a question to the store each.
const ABSENT_MAX: usize = 10_000;

/// Something that the service needs in memory before it can decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A node.
    Node(NodeAddress),
    /// Which items a node holds: the newest so many.
    Contents(NodeAddress, u32),
    /// An account's roster, for [`Directory::acquaintance`](crate::service::Directory::acquaintance).
    Roster(BareJid),
}

impl Pubsub {
    /// What must be in memory before [`handle`](Self::handle) may be called with this request. Nodes are named only while
    /// they are missing; rosters always, since the router knows which of them it has.
    pub fn wants(&self, request: &PubsubRequest) -> SmallVec<[Wanted; 1]> {
        let mut missing = SmallVec::new();
        // Who sees the owner may read, and hears.
        missing.extend(request.host.clone().map(Wanted::Roster));
        let at = node_of(&request.action).map(|node| NodeAddress {
            host: request.host.clone(),
            node: node.clone(),
        });
        let Some(at) = at.filter(|at| !at.is_filter()) else {
            return missing;
        };
        let known = match self.nodes.get(&at) {
            // A new subscriber gets the last item, which a retraction may have made unknown.
            Some(node)
                if matches!(
                    request.action,
                    PubsubAction::Subscribe { .. }
                        | PubsubAction::SetOptions { .. }
                        | PubsubAction::Authorize { .. }
                        | PubsubAction::SetSubscriptions { .. }
                        | PubsubAction::SetAffiliations { .. }
                        | PubsubAction::Configure { .. }
                ) =>
            {
                !node.wants_last() || node.last.is_known()
            }
            Some(_) => true,
            None => self.absent.contains(&at),
        };
        if !known {
            missing.push(Wanted::Node(at));
            return missing;
        }
        if let Some(node) = self.nodes.get(&at)
            && at.host.is_none()
            && needs_rosters(&request.action, node)
        {
            missing.extend(
                acquaintance::rosters(None, node)
                    .cloned()
                    .map(Wanted::Roster),
            );
        }
        if let Some(node) = self.nodes.get(&at)
            && needs_contents(&request.action, node)
        {
            missing.push(Wanted::Contents(at, node.keep(&self.limits)));
        }
        missing
    }

    /// Takes what the store knows of a node. `None`: it does not exist, which is remembered until used.
    pub fn loaded(&mut self, at: NodeAddress, record: Option<NodeRecord>) {
        match (self.nodes.get_mut(&at), record) {
            // Memory is newer than any answer; the last item may be what was missing.
            (Some(node), Some(record)) => node.last.fill(record.last),
            (Some(_), None) => {}
            // Deleted while the question was under way.
            (None, Some(_)) if self.absent.contains(&at) => {}
            (None, Some(record)) => {
                let mut node = Node::from_record(record);
                for subscription in self.stranded.remove(&at).unwrap_or_default() {
                    node.put_subscription(subscription);
                }
                for one in node.subscriptions().filter(|one| one.options.is_some()) {
                    self.note_lease(&at, one, false);
                }
                self.nodes.insert(at, node);
            }
            (None, None) => {
                for subscription in self.stranded.remove(&at).unwrap_or_default() {
                    self.forget_session_at(&subscription, &at);
                }
                self.remember_absent(at);
            }
        }
    }

    /// Takes what the store knows of a node's items.
    pub fn contents_loaded(&mut self, at: &NodeAddress, items: &[Arc<Item>]) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.contents.fill(items);
        }
    }

    pub(super) fn remember_absent(&mut self, at: NodeAddress) {
        if self.absent.len() >= ABSENT_MAX {
            self.absent.clear();
        }
        self.absent.insert(at);
    }
}

/// The node that a request is about.
pub(super) fn node_of(action: &PubsubAction) -> Option<&NodeId> {
    use PubsubAction as A;
    match action {
        A::Create { node, .. }
        | A::Subscriptions { node }
        | A::Affiliations { node }
        | A::Browse { node, .. }
        | A::List { node, .. }
        | A::DefaultOptions { node }
        | A::GetPending { node, .. } => node.as_ref(),
        A::DefaultConfig => None,
        A::GetConfig { node }
        | A::Configure { node, .. }
        | A::Delete { node, .. }
        | A::Purge { node }
        | A::Publish { node, .. }
        | A::Retract { node, .. }
        | A::Subscribe { node, .. }
        | A::Unsubscribe { node, .. }
        | A::GetOptions { node, .. }
        | A::SetOptions { node, .. }
        | A::Authorize { node, .. }
        | A::Items { node, .. }
        | A::Archive { node, .. }
        | A::ArchiveEnds { node }
        | A::NodeSubscriptions { node, .. }
        | A::SetSubscriptions { node, .. }
        | A::NodeAffiliations { node }
        | A::SetAffiliations { node, .. }
        | A::Describe { node } => Some(node),
    }
}

/// Whether the request cannot be decided without knowing which items the node holds, and that is not known.
fn needs_contents(action: &PubsubAction, node: &Node) -> bool {
    use PubsubAction as A;
    if node.contents.is_known() || !node.config.persist_items {
        return false;
    }
    let must = contents::must_be_known(&node.config);
    match action {
        A::Publish { .. } | A::Purge { .. } => must,
        // §12.11: of several all or none. Whoever may not take back everything may take back their own.
        A::Retract { items, .. } => must || items.len() > 1 || node.has_mere_publishers(),
        _ => node.config.purge_offline && !node.is_settled(),
    }
}

/// Whether the request cannot be decided without what owners' rosters say of somebody.
fn needs_rosters(action: &PubsubAction, node: &Node) -> bool {
    use PubsubAction as A;
    if !acquaintance::goes_by_roster(node.config.access_model) {
        // It may become one that does.
        return matches!(action, A::Configure { config, .. } if config.iter().any(|field| &*field.var == "pubsub#access_model"));
    }
    match action {
        A::Subscribe { .. }
        | A::SetOptions { .. }
        | A::Items { .. }
        | A::Archive { .. }
        | A::ArchiveEnds { .. }
        | A::Browse { .. }
        | A::List { .. }
        | A::Configure { .. }
        | A::SetSubscriptions { .. }
        | A::SetAffiliations { .. } => true,
        _ => !node.is_settled(),
    }
}
