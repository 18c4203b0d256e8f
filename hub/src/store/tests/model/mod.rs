//! What the store should do, said plainly: maps, and lists that are searched from end to end.

mod answers;
mod items;
mod page;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use leveret_engine::{
    account::{Account, Contact},
    address::BareJid,
    document::DocumentKey,
    effect::StoreOp,
    item::{Affiliation, Item, NodeConfig, NodeSubscription},
    message::Message,
    node::{ItemId, NodeAddress},
    time::Timestamp,
};

use self::items::Items;

#[derive(Clone)]
struct Node {
    config: NodeConfig,
    creator: BareJid,
    created: Timestamp,
    items: Items,
    affiliations: BTreeMap<BareJid, Affiliation>,
    subscriptions: BTreeMap<Box<str>, NodeSubscription>,
}

/// The whole content of a store.
#[derive(Clone, Default)]
pub(super) struct Model {
    accounts: BTreeMap<BareJid, Account>,
    rosters: BTreeMap<BareJid, (BTreeMap<BareJid, Contact>, u64)>,
    offline: Vec<(u64, BareJid, Timestamp, Message)>,
    nodes: BTreeMap<NodeAddress, Node>,
    filters: BTreeMap<(NodeAddress, Box<str>), NodeSubscription>,
    owed_items: BTreeMap<u64, (NodeAddress, Arc<Item>)>,
    owed: BTreeSet<(BareJid, u64)>,
    blocked: BTreeSet<(BareJid, Box<str>)>,
    documents: BTreeMap<(BareJid, DocumentKey), Bytes>,
    last_offline: u64,
    last_owed: u64,
}

/// An operation on a node that is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoSuchNode;

/// A page asked from an item that is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotFound;

impl Model {
    pub(super) fn retained(&self, at: &NodeAddress) -> Option<ItemId> {
        self.nodes.get(at)?.items.retained()
    }

    /// Whether what a node shows was published in the order in which it came.
    pub(super) fn is_in_order(&self, at: &NodeAddress) -> bool {
        self.nodes
            .get(at)
            .is_none_or(|node| node.items.are_in_order())
    }

    /// The ids of a node's archive.
    pub(super) fn archive_ids(&self, at: &NodeAddress) -> Vec<String> {
        self.nodes
            .get(at)
            .map_or_else(Vec::new, |node| node.items.archive_ids())
    }

    /// Numbers that a failed group took are not given again.
    pub(super) fn skip_numbers_to(&mut self, (offline, owed): (u64, u64)) {
        (self.last_offline, self.last_owed) = (offline, owed);
    }

    fn node(&mut self, at: &NodeAddress) -> Result<&mut Node, NoSuchNode> {
        self.nodes.get_mut(at).ok_or(NoSuchNode)
    }

    fn owed_seq(&self, at: &NodeAddress, id: &ItemId) -> Option<u64> {
        let mut owed = self.owed_items.iter();
        owed.find(|(_, (node, item))| node == at && item.id == *id)
            .map(|(&seq, _)| seq)
    }

    fn drop_owed(&mut self, is_gone: impl Fn(&BareJid, &NodeAddress, &ItemId) -> bool) {
        let items = &self.owed_items;
        self.owed.retain(|(account, seq)| {
            let (at, item) = &items[seq];
            !is_gone(account, at, &item.id)
        });
        let owed = &self.owed;
        self.owed_items
            .retain(|seq, _| owed.iter().any(|(_, other)| other == seq));
    }

    /// Applies one operation; what a removal removed.
    pub(super) fn apply(&mut self, op: &StoreOp) -> Result<Option<u32>, NoSuchNode> {
        match op.clone() {
            StoreOp::PutAccount(account) => {
                self.accounts.insert(account.jid.clone(), *account);
            }
            StoreOp::RemoveAccount { account } => {
                self.accounts.remove(&account);
                self.rosters.remove(&account);
                self.offline.retain(|(_, to, ..)| *to != account);
                let nodes = self.nodes.keys();
                let personal = nodes.filter(|at| at.host.as_ref() == Some(&account));
                for at in personal.cloned().collect::<Vec<_>>() {
                    self.nodes.remove(&at);
                    self.drop_owed(|_, other, _| *other == at);
                }
                self.blocked.retain(|(own, _)| *own != account);
                self.documents.retain(|(own, _), _| *own != account);
                for node in self.nodes.values_mut() {
                    node.affiliations.remove(&account);
                    node.subscriptions
                        .retain(|_, own| own.jid.bare() != account);
                }
                self.filters.retain(|_, own| own.jid.bare() != account);
                self.drop_owed(|owing, _, _| *owing == account);
            }
            StoreOp::LastSeen { account, seen } => {
                if let Some(account) = self.accounts.get_mut(&account) {
                    account.last_seen = Some(seen);
                }
            }
            StoreOp::PutContact {
                account,
                contact,
                version,
            } => {
                let roster = self.rosters.entry(account).or_default();
                roster.0.insert(contact.jid.clone(), *contact);
                roster.1 = version;
            }
            StoreOp::RemoveContact {
                account,
                contact,
                version,
            } => {
                let roster = self.rosters.entry(account).or_default();
                roster.0.remove(&contact);
                roster.1 = version;
            }
            StoreOp::PutOffline {
                account,
                message,
                at,
            } => {
                self.last_offline += 1;
                self.offline
                    .push((self.last_offline, account, at, *message));
            }
            StoreOp::RemoveOffline { account, up_to } => {
                self.offline
                    .retain(|(seq, to, ..)| *to != account || *seq > up_to);
            }
            StoreOp::PutBlocked { account, jid } => {
                if self.accounts.contains_key(&account) {
                    self.blocked.insert((account, jid.as_str().into()));
                }
            }
            StoreOp::RemoveBlocked { account, jid } => {
                self.blocked.retain(|(own, other)| {
                    *own != account || jid.as_ref().is_some_and(|jid| jid.as_str() != &**other)
                });
            }
            StoreOp::PutDocument {
                account,
                key,
                content: Some(content),
            } => {
                if self.accounts.contains_key(&account) {
                    self.documents.insert((account, key), content);
                }
            }
            StoreOp::PutDocument {
                account,
                key,
                content: None,
            } => {
                self.documents.remove(&(account, key));
            }
            StoreOp::PutNode {
                at,
                config,
                creator,
                created,
            } => match self.nodes.get_mut(&at) {
                Some(node) => {
                    (node.config, node.creator, node.created) = (*config, creator, created);
                }
                None => {
                    let node = Node {
                        config: *config,
                        creator,
                        created,
                        items: Items::default(),
                        affiliations: BTreeMap::new(),
                        subscriptions: BTreeMap::new(),
                    };
                    self.nodes.insert(at, node);
                }
            },
            StoreOp::RemoveNode { at } => {
                self.nodes.remove(&at);
                self.drop_owed(|_, node, _| *node == at);
            }
            StoreOp::PutAffiliation {
                at,
                jid,
                affiliation: Affiliation::None,
            } => {
                if let Ok(node) = self.node(&at) {
                    node.affiliations.remove(&jid);
                }
            }
            StoreOp::PutAffiliation {
                at,
                jid,
                affiliation,
            } => {
                self.node(&at)?.affiliations.insert(jid, affiliation);
            }
            StoreOp::PutSubscription { at, subscription } if at.is_filter() => {
                self.filters
                    .insert((at, subscription.subid.clone()), subscription);
            }
            StoreOp::PutSubscription { at, subscription } => {
                let subid = subscription.subid.clone();
                self.node(&at)?.subscriptions.insert(subid, subscription);
            }
            StoreOp::RemoveSubscription { at, subid } => {
                self.filters.remove(&(at.clone(), subid.clone()));
                if let Ok(node) = self.node(&at) {
                    node.subscriptions.remove(&subid);
                }
            }
            StoreOp::PutItem {
                at,
                item,
                retained,
                keep,
            } => {
                self.node(&at)?.items.put(item, retained, &keep);
            }
            StoreOp::RemoveItems { at, ids } => {
                let mut removed = 0;
                for id in ids {
                    let was_owed = self.owed_seq(&at, &id).is_some();
                    let was_there = match self.node(&at) {
                        Ok(node) => node.items.remove(std::slice::from_ref(&id)) > 0,
                        Err(_) => false,
                    };
                    removed += u32::from(was_owed || was_there);
                    self.drop_owed(|_, node, other| *node == at && *other == id);
                }
                return Ok(Some(removed));
            }
            StoreOp::TrimItems { at, keep } => {
                if let Ok(node) = self.node(&at) {
                    node.items.trim(&keep);
                }
            }
            StoreOp::PutOwed { account, at, item } => {
                self.last_owed += 1;
                let fresh = self.last_owed;
                let seq = match self.owed_seq(&at, &item.id) {
                    Some(seq) if self.owed_items[&seq].1 == item => seq,
                    Some(seq) => {
                        self.owed_items.remove(&seq);
                        let owed = std::mem::take(&mut self.owed).into_iter();
                        let moved = |other| if other == seq { fresh } else { other };
                        self.owed = owed
                            .map(|(account, other)| (account, moved(other)))
                            .collect();
                        self.owed_items.insert(fresh, (at, item));
                        fresh
                    }
                    None => {
                        self.owed_items.insert(fresh, (at, item));
                        fresh
                    }
                };
                self.owed.insert((account, seq));
            }
            StoreOp::RemoveOwed {
                account, at, item, ..
            } => {
                self.drop_owed(|owing, node, id| *owing == account && *node == at && *id == item);
            }
        }
        Ok(None)
    }
}
