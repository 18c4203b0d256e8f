//! Requests, answers and notifications in the forms of XEP-0060's own examples.

mod answers;
mod requests;
mod subscriptions;

use crate::{
    address::BareJid,
    node::{ItemId, NodeId},
};

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

fn item_id(id: &str) -> ItemId {
    ItemId::parse(id).unwrap()
}

fn bare(jid: &str) -> BareJid {
    BareJid::parse(jid).unwrap()
}
