//! What the store should do, said plainly: maps, and lists that are searched from end to end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use leveret_engine::{
    account::{Account, Contact, Roster},
    address::{BareJid, Jid},
    command::{PageInfo, PageRequest},
    document::DocumentKey,
    effect::{AccountCounts, StoreAnswer, StoreOp, StoreQuery},
    item::{
        Affiliation, Item, NodeConfig, NodeRecord, NodeSubscription, PersonalNode, SendLastItem,
        SubscriptionState,
    },
    message::Message,
    node::{ItemId, NodeAddress, NodeId},
    time::Timestamp,
};

use super::model_items::Items;

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
                if let Ok(node) = self.node(&at) {
                    removed = node.items.remove(&ids);
                }
                self.drop_owed(|_, node, id| *node == at && ids.contains(id));
                return Ok(Some(removed as u32));
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

    /// What the store should answer.
    pub(super) fn answer(&self, query: &StoreQuery) -> Result<StoreAnswer, NotFound> {
        Ok(match query {
            StoreQuery::Boot => {
                let mut owed = BTreeMap::<_, u32>::new();
                for (account, seq) in &self.owed {
                    let publisher = self.owed_items[seq].1.publisher.bare();
                    *owed.entry((account.clone(), publisher)).or_default() += 1;
                }
                let owed = owed.into_iter();
                let filters = self.filters.iter();
                StoreAnswer::Boot {
                    filters: filters
                        .map(|((at, _), own)| (at.clone(), own.clone()))
                        .collect(),
                    owed: owed
                        .map(|((account, publisher), count)| (account, publisher, count))
                        .collect(),
                    asked: self.asked(),
                    blocked: self
                        .blocked
                        .iter()
                        .map(|(own, jid)| (own.clone(), Jid::parse(jid).unwrap()))
                        .collect(),
                }
            }
            StoreQuery::Account(jid) => {
                let account = self.accounts.get(jid).cloned().map(Box::new);
                StoreAnswer::Account(account, self.counts(jid))
            }
            StoreQuery::Document { account, key } => {
                let found = self.documents.get(&(account.clone(), key.clone()));
                StoreAnswer::Document(found.cloned())
            }
            StoreQuery::DocumentSizes(account) => {
                let own = self.documents.iter().filter(|((own, _), _)| own == account);
                let sizes = own.map(|((_, key), content)| (key.clone(), content.len() as u64));
                StoreAnswer::DocumentSizes(sizes.collect())
            }
            StoreQuery::Roster(account) => {
                let (contacts, version) = self.rosters.get(account).cloned().unwrap_or_default();
                StoreAnswer::Roster(Roster {
                    contacts: contacts.into_values().collect(),
                    version,
                })
            }
            StoreQuery::Node(at) => StoreAnswer::Node(self.nodes.get(at).map(|node| {
                Box::new(NodeRecord {
                    config: node.config.clone(),
                    created: node.created,
                    creator: node.creator.clone(),
                    affiliations: node.affiliations.clone().into_iter().collect(),
                    subscriptions: node.subscriptions.values().cloned().collect(),
                    last: node.items.last(),
                })
            })),
            StoreQuery::ItemsById { at, ids, since } => {
                let (items, count) = match self.nodes.get(at) {
                    Some(node) => node.items.by_id(ids, *since),
                    None => Default::default(),
                };
                let page = PageInfo {
                    count,
                    ..PageInfo::default()
                };
                StoreAnswer::Items { items, page }
            }
            StoreQuery::Items {
                at,
                max,
                page,
                order,
                since,
                with_payload,
            } => {
                let (items, page) = match self.nodes.get(at) {
                    Some(node) => {
                        node.items
                            .page(*max, page.as_ref(), *order, *since, *with_payload)?
                    }
                    None => Default::default(),
                };
                StoreAnswer::Items { items, page }
            }
            StoreQuery::Archive {
                at,
                filter,
                page,
                descending,
                since,
            } => {
                let (entries, page) = match self.nodes.get(at) {
                    Some(node) => node.items.archive(filter, page, *descending, *since)?,
                    None => Default::default(),
                };
                StoreAnswer::Archive { entries, page }
            }
            StoreQuery::ArchiveEnds { at, since } => {
                let node = self.nodes.get(at);
                StoreAnswer::ArchiveEnds(node.and_then(|node| node.items.ends(*since)))
            }
            StoreQuery::Sweep { .. } => unreachable!("rows have no numbers here"),
            StoreQuery::Branch { .. } => unreachable!("tests/tree.rs has its own model"),
            StoreQuery::Nodes { host, under, page } => {
                let is_in = |at: &NodeAddress| {
                    let below = |name: &NodeId| {
                        let rest = at.node.as_str().strip_prefix(name.as_str());
                        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    };
                    at.host == *host && under.as_ref().is_none_or(below)
                };
                let list: Vec<_> = self
                    .nodes
                    .iter()
                    .filter(|(at, _)| is_in(at))
                    .map(|(at, node)| (at.node.clone(), node.config.title.clone()))
                    .collect();
                let keys: Vec<_> = list.iter().map(|(name, _)| name.as_str()).collect();
                let from = |key: &str| keys.iter().filter(|other| **other < key).count();
                let past = |key: &str| keys.iter().filter(|other| **other <= key).count();
                let (range, page) = cut(&keys, page, page.max.unwrap_or(10_000), from, past);
                StoreAnswer::Nodes {
                    list: list[range].to_vec(),
                    page,
                }
            }
            StoreQuery::Present { hosts, names } => {
                let at = |host: &BareJid, node: &NodeId| NodeAddress {
                    host: Some(host.clone()),
                    node: node.clone(),
                };
                let all = hosts
                    .iter()
                    .flat_map(|host| names.iter().map(move |node| at(host, node)));
                StoreAnswer::Present(all.filter(|at| self.nodes.contains_key(at)).collect())
            }
            StoreQuery::Awaiting {
                account,
                after,
                max,
            } => {
                let awaits = |(at, node): &(&NodeAddress, &Node)| {
                    let bare = |own: &NodeSubscription| own.jid == *account.as_jid();
                    at.host.is_none()
                        && after.as_ref().is_none_or(|after| at.node > *after)
                        && node.config.send_last_published_item == SendLastItem::OnSubAndPresence
                        && node.subscriptions.values().any(bare)
                };
                let found = self.nodes.iter().filter(awaits).map(|(at, _)| at.clone());
                StoreAnswer::Present(found.take(*max as usize).collect())
            }
            StoreQuery::PersonalNodes { host, asker, page } => {
                let list: Vec<_> = self
                    .nodes
                    .iter()
                    .filter(|(at, _)| at.host.as_ref() == Some(host))
                    .map(|(at, node)| PersonalNode {
                        node: at.node.clone(),
                        config: Box::new(node.config.clone()),
                        affiliation: node.affiliations.get(asker).copied().unwrap_or_default(),
                    })
                    .collect();
                let keys: Vec<_> = list.iter().map(|one| one.node.as_str()).collect();
                let from = |key: &str| keys.iter().filter(|other| **other < key).count();
                let past = |key: &str| keys.iter().filter(|other| **other <= key).count();
                let (range, page) = cut(&keys, page, page.max.unwrap_or(10_000), from, past);
                StoreAnswer::PersonalNodes {
                    list: list[range].to_vec(),
                    page,
                }
            }
            StoreQuery::Pending { owner, max } => {
                let owns = |node: &Node| node.affiliations.get(owner) == Some(&Affiliation::Owner);
                let owned = self.nodes.iter().filter(|(_, node)| owns(node));
                let all = owned.flat_map(|(at, node)| {
                    let all = node.subscriptions.values();
                    all.map(move |own| (at.clone(), own.clone()))
                });
                let waits = all.filter(|(_, own)| own.state == SubscriptionState::Pending);
                StoreAnswer::Pending {
                    list: waits.take(*max as usize).collect(),
                    owns: self.nodes.values().any(owns),
                }
            }
            StoreQuery::Ended { before, max } => {
                let of_nodes = self.nodes.iter().flat_map(|(at, node)| {
                    let all = node.subscriptions.values();
                    all.map(move |own| (at.clone(), own.clone()))
                });
                let of_filters = self.filters.iter();
                let of_filters = of_filters.map(|((at, _), own)| (at.clone(), own.clone()));
                let ends = |own: &NodeSubscription| own.options.as_ref()?.expire;
                let mut ended: Vec<_> = of_nodes
                    .chain(of_filters)
                    .filter(|(_, own)| ends(own).is_some_and(|ends| ends <= *before))
                    .collect();
                ended.sort_by_key(|(_, own)| ends(own));
                ended.truncate(*max as usize);
                StoreAnswer::Ended(ended)
            }
            StoreQuery::NodeCounts(at) => {
                let node = self.nodes.get(at);
                StoreAnswer::Counts {
                    items: node.map_or(0, |node| node.items.counts().0),
                    subscriptions: node.map_or(0, |node| node.subscriptions.len() as u32),
                }
            }
            StoreQuery::NodeBytes(at) => {
                let node = self.nodes.get(at);
                let (_, items, bytes) = node.map_or((0, 0, 0), |node| node.items.counts());
                StoreAnswer::Kept { items, bytes }
            }
            StoreQuery::SubscriptionsOf { host, account } => {
                let of_nodes = self.nodes.iter().flat_map(|(at, node)| {
                    node.subscriptions
                        .values()
                        .map(move |own| (at.clone(), own.clone()))
                });
                let of_filters = self
                    .filters
                    .iter()
                    .map(|((at, _), own)| (at.clone(), own.clone()));
                let mut list: Vec<_> = of_nodes
                    .chain(of_filters)
                    .filter(|(at, own)| at.host == *host && own.jid.bare() == *account)
                    .map(|(at, own)| (at.node, own))
                    .collect();
                list.sort_by(|a, b| (&a.0, &a.1.subid).cmp(&(&b.0, &b.1.subid)));
                StoreAnswer::Subscriptions(list)
            }
            StoreQuery::AffiliationsOf { host, account } => {
                let own = self
                    .nodes
                    .iter()
                    .filter(|(at, _)| at.host == *host)
                    .filter_map(|(at, node)| {
                        Some((at.node.clone(), *node.affiliations.get(account)?))
                    });
                StoreAnswer::Affiliations(own.collect())
            }
            StoreQuery::Offline {
                account,
                after,
                max,
            } => {
                let own = self
                    .offline
                    .iter()
                    .filter(|(seq, to, ..)| to == account && seq > after);
                let own = own.map(|(seq, _, at, message)| (*seq, *at, message.clone()));
                StoreAnswer::Offline(own.take(*max as usize).collect())
            }
            StoreQuery::Owed {
                account,
                after,
                max,
            } => {
                let own = self
                    .owed
                    .iter()
                    .filter(|(owing, seq)| owing == account && seq > after);
                let own = own.map(|(_, seq)| {
                    let (at, item) = self.owed_items[seq].clone();
                    (*seq, at, item)
                });
                StoreAnswer::Owed(own.take(*max as usize).collect())
            }
            StoreQuery::Accounts { after, max } => {
                let listed = self.accounts.values();
                let listed =
                    listed.filter(|own| after.as_ref().is_none_or(|after| own.jid > *after));
                StoreAnswer::Accounts(listed.take(*max as usize).cloned().collect())
            }
            StoreQuery::AccountsOfRole {
                role,
                start,
                after,
                max,
            } => {
                let found = self.accounts.values().filter(|own| {
                    (own.role, own.enabled) == (*role, true)
                        && own.jid.as_str().starts_with(&**start)
                        && after.as_ref().is_none_or(|after| own.jid > *after)
                });
                let found = found.map(|own| (own.jid.clone(), own.role));
                StoreAnswer::Roles(found.take(*max as usize).collect())
            }
            StoreQuery::RolesOf(jids) => {
                let found = jids.iter().filter_map(|jid| self.accounts.get(jid));
                let found = found.filter(|own| own.enabled);
                StoreAnswer::Roles(found.map(|own| (own.jid.clone(), own.role)).collect())
            }
            StoreQuery::Totals => StoreAnswer::Totals {
                accounts: self.accounts.len() as u64,
                nodes: self.nodes.len() as u64,
            },
        })
    }

    /// Owners at whose nodes somebody waits for approval.
    fn asked(&self) -> Vec<BareJid> {
        let nodes = self.nodes.values().filter(|node| {
            let mut all = node.subscriptions.values();
            all.any(|own| own.state == SubscriptionState::Pending)
        });
        let owners = nodes.flat_map(|node| &node.affiliations);
        let owners = owners.filter(|(_, affiliation)| **affiliation == Affiliation::Owner);
        let owners: BTreeSet<_> = owners.map(|(jid, _)| jid.clone()).collect();
        owners.into_iter().collect()
    }

    fn counts(&self, account: &BareJid) -> AccountCounts {
        let nodes = || self.nodes.values();
        let is_theirs = |node: &&Node| node.creator == *account;
        let subscribed = nodes().flat_map(|node| node.subscriptions.values());
        let subscribed = subscribed.chain(self.filters.values());
        AccountCounts {
            offline: self
                .offline
                .iter()
                .filter(|(_, to, ..)| to == account)
                .count() as u32,
            owed: self
                .owed
                .iter()
                .filter(|(owing, _)| owing == account)
                .count() as u32,
            nodes: nodes().filter(is_theirs).count() as u32,
            subscriptions: subscribed.filter(|own| own.jid.bare() == *account).count() as u32,
        }
    }
}

/// XEP-0059 by the letter: which entries are on the page, and what is said of it. `from` and `past`: how many entries come
/// before a key, and how many before or at it.
pub(super) fn cut(
    keys: &[&str],
    asked: &PageRequest,
    max: u32,
    from: impl Fn(&str) -> usize,
    past: impl Fn(&str) -> usize,
) -> (std::ops::Range<usize>, PageInfo) {
    let max = max as usize;
    let given = |key: &Option<Box<str>>| key.clone().filter(|key| !key.is_empty());
    let mut start = given(&asked.after).map_or(0, |key| past(&key));
    let mut end = given(&asked.before).map_or(keys.len(), |key| from(&key));
    if let Some(index) = asked.index {
        (start, end) = ((index as usize).min(keys.len()), keys.len());
    }
    end = end.max(start);
    if asked.index.is_none() && asked.before.is_some() && asked.after.is_none() {
        start = start.max(end.saturating_sub(max));
    } else {
        end = end.min(start.saturating_add(max));
    }
    let mut info = PageInfo {
        count: keys.len() as u32,
        ..PageInfo::default()
    };
    if start < end {
        info.first = Some(keys[start].into());
        info.last = Some(keys[end - 1].into());
        info.index = Some(start as u32);
    }
    (start..end, info)
}
