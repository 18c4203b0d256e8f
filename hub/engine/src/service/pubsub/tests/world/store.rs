//! A store that commits at once, of maps and lists.

use std::{collections::BTreeMap, sync::Arc};

use super::words::node;
use crate::{
    address::BareJid,
    archive::{ArchiveEntry, ArchivePage},
    command::PageInfo,
    effect::{StoreAnswer, StoreOp, StoreQuery},
    item::{Affiliation, Item, NodeRecord, NodeSubscription, PersonalNode, SubscriptionState},
    node::{ItemId, NodeAddress},
};

#[derive(Default)]
pub(in crate::service::pubsub::tests) struct Store {
    pub(in crate::service::pubsub::tests) nodes:
        BTreeMap<NodeAddress, (NodeRecord, Vec<Arc<Item>>)>,
    pub(in crate::service::pubsub::tests) filters: Vec<(NodeAddress, NodeSubscription)>,
    /// To whom, whose, which.
    pub(in crate::service::pubsub::tests) owed: Vec<(BareJid, BareJid, ItemId)>,
}

impl Store {
    pub(super) fn record(&self, at: &NodeAddress) -> Option<NodeRecord> {
        let (record, items) = self.nodes.get(at)?;
        Some(NodeRecord {
            last: items.last().cloned(),
            ..record.clone()
        })
    }

    pub(super) fn apply(&mut self, op: &StoreOp) -> Option<u32> {
        match op.clone() {
            StoreOp::PutNode {
                at,
                config,
                creator,
                created,
            } => {
                let fresh = NodeRecord {
                    config: *config.clone(),
                    created,
                    creator,
                    affiliations: Vec::new(),
                    subscriptions: Vec::new(),
                    last: None,
                };
                self.nodes.entry(at).or_insert((fresh, Vec::new())).0.config = *config;
            }
            StoreOp::RemoveNode { at } => drop(self.nodes.remove(&at)),
            StoreOp::PutAffiliation {
                at,
                jid,
                affiliation,
            } => {
                let (record, _) = self.nodes.get_mut(&at).unwrap();
                record.affiliations.retain(|(who, _)| *who != jid);
                if affiliation != Affiliation::None {
                    record.affiliations.push((jid, affiliation));
                }
            }
            StoreOp::PutSubscription { at, subscription } => match self.nodes.get_mut(&at) {
                Some((record, _)) => {
                    let subid = subscription.subid.clone();
                    record.subscriptions.retain(|one| one.subid != subid);
                    record.subscriptions.push(subscription);
                }
                None => {
                    self.filters
                        .retain(|(_, one)| one.subid != subscription.subid);
                    self.filters.push((at, subscription));
                }
            },
            StoreOp::RemoveSubscription { at, subid } => match self.nodes.get_mut(&at) {
                Some((record, _)) => record.subscriptions.retain(|one| one.subid != subid),
                None => self.filters.retain(|(_, one)| one.subid != subid),
            },
            StoreOp::PutItem { at, item, keep, .. } => {
                let (_, items) = self.nodes.get_mut(&at).unwrap();
                items.retain(|old| old.id != item.id);
                items.push(item);
                items.drain(..items.len().saturating_sub(keep.shown as usize));
            }
            StoreOp::RemoveItems { at, ids } => {
                let (_, items) = self.nodes.get_mut(&at).unwrap();
                let is_there = |id: &&ItemId| {
                    items.iter().any(|item| item.id == **id)
                        || self.owed.iter().any(|(_, _, owed)| owed == *id)
                };
                let removed = ids.iter().filter(is_there).count();
                items.retain(|item| !ids.contains(&item.id));
                self.owed.retain(|(_, _, owed)| !ids.contains(owed));
                return Some(removed as u32);
            }
            StoreOp::TrimItems { at, keep } => {
                let (_, items) = self.nodes.get_mut(&at).unwrap();
                items.drain(..items.len().saturating_sub(keep.shown as usize));
            }
            StoreOp::PutOwed { account, item, .. } => {
                self.owed
                    .retain(|(who, _, id)| (who, id) != (&account, &item.id));
                let publisher = item.publisher.bare();
                self.owed.push((account, publisher, item.id.clone()));
            }
            other => panic!("the service has no business with {other:?}"),
        }
        None
    }

    pub(super) fn answer(&self, query: StoreQuery) -> StoreAnswer {
        match query {
            StoreQuery::ItemsById { at, ids, .. } => {
                let (_, items) = &self.nodes[&at];
                let items = ids
                    .iter()
                    .filter_map(|id| items.iter().find(|item| item.id == *id));
                StoreAnswer::Items {
                    items: items.cloned().collect(),
                    page: PageInfo::default(),
                }
            }
            StoreQuery::Archive {
                at, filter, since, ..
            } => {
                let (_, items) = &self.nodes[&at];
                let items = items.iter().filter(|item| {
                    since.is_none_or(|since| item.published >= since)
                        && filter.start.is_none_or(|start| item.published >= start)
                });
                let entry = |item: &Arc<Item>| ArchiveEntry {
                    id: format!("archived {}", item.id).into(),
                    item: Arc::clone(item),
                    retracted: false,
                };
                StoreAnswer::Archive {
                    entries: items.map(entry).collect(),
                    page: ArchivePage::default(),
                }
            }
            StoreQuery::ArchiveEnds { .. } => StoreAnswer::ArchiveEnds(None),
            StoreQuery::Items {
                at,
                max,
                page,
                since,
                ..
            } => {
                let (_, items) = &self.nodes[&at];
                let unexpired =
                    |item: &&Arc<Item>| since.is_none_or(|since| item.published >= since);
                let items: Vec<_> = items.iter().filter(unexpired).cloned().collect();
                let max = page.and_then(|page| page.max).unwrap_or(max).min(max);
                let from = items.len().saturating_sub(max as usize);
                StoreAnswer::Items {
                    items: items[from..].to_vec(),
                    page: PageInfo {
                        count: items.len() as u32,
                        ..PageInfo::default()
                    },
                }
            }
            StoreQuery::Branch { under, items, .. } => {
                let prefix = under
                    .as_ref()
                    .map_or_else(String::new, |top| format!("{top}/"));
                let names = self.nodes.keys().filter(|at| at.host.is_none());
                let below = names.filter_map(|at| at.node.as_str().strip_prefix(&prefix));
                let mut nodes: Vec<_> = below
                    .filter_map(|rest| rest.split('/').next())
                    .map(|level| (node(&format!("{prefix}{level}")), "".into()))
                    .collect();
                nodes.dedup();
                let own = under.map(NodeAddress::of_service);
                let own = own
                    .and_then(|at| self.nodes.get(&at))
                    .filter(|_| items.is_some());
                let ids = own.map_or(&[][..], |(_, items)| items);
                StoreAnswer::Branch {
                    page: PageInfo {
                        count: (nodes.len() + ids.len()) as u32,
                        ..PageInfo::default()
                    },
                    nodes,
                    items: ids.iter().map(|item| item.id.clone()).collect(),
                }
            }
            StoreQuery::Nodes { under, .. } => {
                let below = |name: &str| match &under {
                    None => true,
                    Some(top) => name == top.as_str() || name.starts_with(&format!("{top}/")),
                };
                let names = self.nodes.keys().map(|at| at.node.clone());
                let list: Vec<_> = names
                    .filter(|name| below(name.as_str()))
                    .map(|name| (name, "".into()))
                    .collect();
                StoreAnswer::Nodes {
                    page: PageInfo {
                        count: list.len() as u32,
                        ..PageInfo::default()
                    },
                    list,
                }
            }
            StoreQuery::PersonalNodes { host, asker, .. } => {
                let of_host = self
                    .nodes
                    .iter()
                    .filter(|(at, _)| at.host.as_ref() == Some(&host));
                let list: Vec<_> = of_host
                    .map(|(at, (record, _))| {
                        let mut known = record.affiliations.iter();
                        let known = known.find(|(jid, _)| *jid == asker);
                        PersonalNode {
                            node: at.node.clone(),
                            config: Box::new(record.config.clone()),
                            affiliation: known.map(|(_, is)| *is).unwrap_or_default(),
                        }
                    })
                    .collect();
                StoreAnswer::PersonalNodes {
                    page: PageInfo {
                        count: list.len() as u32,
                        ..PageInfo::default()
                    },
                    list,
                }
            }
            StoreQuery::NodeCounts(at) => {
                let (record, items) = &self.nodes[&at];
                StoreAnswer::Counts {
                    items: items.len() as u32,
                    subscriptions: record.subscriptions.len() as u32,
                }
            }
            StoreQuery::SubscriptionsOf { account, .. } => {
                let of = |at: &NodeAddress, one: &NodeSubscription| {
                    (one.jid.bare() == account).then(|| (at.node.clone(), one.clone()))
                };
                let nodes = self.nodes.iter().flat_map(|(at, (record, _))| {
                    record
                        .subscriptions
                        .iter()
                        .filter_map(move |one| of(at, one))
                });
                let filters = self.filters.iter().filter_map(|(at, one)| of(at, one));
                StoreAnswer::Subscriptions(nodes.chain(filters).collect())
            }
            StoreQuery::Pending { owner, .. } => {
                let owned = self.nodes.iter().filter(|(_, (record, _))| {
                    let owns = (owner.clone(), Affiliation::Owner);
                    record.affiliations.contains(&owns)
                });
                let mut list = Vec::new();
                let mut owns = false;
                for (at, (record, _)) in owned {
                    owns = true;
                    let waits = record.subscriptions.iter();
                    let waits = waits.filter(|one| one.state == SubscriptionState::Pending);
                    list.extend(waits.map(|one| (at.clone(), one.clone())));
                }
                StoreAnswer::Pending { list, owns }
            }
            StoreQuery::AffiliationsOf { account, .. } => {
                let nodes = self.nodes.iter().filter_map(|(at, (record, _))| {
                    let found = record.affiliations.iter().find(|(who, _)| *who == account);
                    found.map(|(_, is)| (at.node.clone(), *is))
                });
                StoreAnswer::Affiliations(nodes.collect())
            }
            other => panic!("the service has no business with {other:?}"),
        }
    }
}
