//! Subscriptions of type `nodes`: who hears that there is a new node (S17, XEP-0248 §3.1.2 in spirit).
//!
//! What follows, a new configuration and the end, they hear with those who are subscribed to its items.

use crate::{
    event::NodeChange,
    node::NodeAddress,
    service::{Directory, Notice},
};

use super::{audience::About, interest::Interest, node::Node, notice};

/// The notice of a node that is about to be in the tree, if anybody wants it.
pub(super) fn born(
    at: &NodeAddress,
    node: &Node,
    interest: &Interest,
    directory: &mut dyn Directory,
) -> Option<Notice> {
    if at.host.is_some() || !node.config.deliver_notifications {
        return None;
    }
    let to = node.witnesses(at, About::Tree, interest, directory);
    let kind = node.config.notification_type;
    (!to.is_empty()).then(|| notice(at, kind, NodeChange::Created, to))
}
