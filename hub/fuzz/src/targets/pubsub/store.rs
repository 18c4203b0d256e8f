//! A store in memory of a few lists, which answers what the real one might, and fails when it is told to.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use leveret_engine::{
    account::{Account, Roster},
    address::{BareJid, Jid},
    archive::{ArchiveEnd, ArchiveEntry, ArchivePage},
    command::{PageInfo, PageRequest},
    document::DocumentKey,
    effect::{
        AccountCounts, Keep, StoreAnswer, StoreFault, StoreOp, StoreQuery, StoreRequest, StoreResponse,
    },
    item::{Affiliation, Item, NodeRecord, NodeSubscription, PersonalNode, SendLastItem, SubscriptionState},
    message::Message,
    node::{NodeAddress, NodeId},
    time::Timestamp,
};

use super::super::session::account_of;

/// Who has an account.
pub(super) const ACCOUNTS: [&str; 2] = ["juliet", "romeo"];

struct Node {
    record: NodeRecord,
    /// Oldest first: its archive, the end of which is shown. Retracted ones stay.
    past: Vec<Past>,
}

struct Past {
    number: u64,
    item: Arc<Item>,
    is_shown: bool,
}

impl Node {
    fn shown(&self) -> Vec<Arc<Item>> {
        let shown = self.past.iter().filter(|past| past.is_shown);
        shown.map(|past| Arc::clone(&past.item)).collect()
    }

    fn trim(&mut self, keep: &Keep) {
        let excess = self.shown().len().saturating_sub(keep.shown as usize);
        let shown = self.past.iter_mut().filter(|past| past.is_shown);
        for past in shown.take(excess) {
            past.is_shown = false;
        }
        if keep.history == 0 {
            self.past.retain(|past| past.is_shown);
        }
    }

    fn affiliation(&self, account: &BareJid) -> Affiliation {
        let mut known = self.record.affiliations.iter();
        known.find(|(jid, _)| jid == account).map(|(_, is)| *is).unwrap_or_default()
    }
}

#[derive(Default)]
pub(super) struct Store {
    accounts: BTreeMap<BareJid, Account>,
    removed: Vec<BareJid>,
    rosters: BTreeMap<BareJid, Roster>,
    nodes: BTreeMap<NodeAddress, Node>,
    filters: Vec<(NodeAddress, NodeSubscription)>,
    offline: Vec<(BareJid, u64, Timestamp, Message)>,
    owed: Vec<(BareJid, u64, NodeAddress, Arc<Item>)>,
    documents: Vec<(BareJid, DocumentKey, Bytes)>,
    blocked: Vec<(BareJid, Jid)>,
    made: u64,
}

impl Store {
    pub(super) fn answer(&mut self, request: StoreRequest, fails: bool) -> StoreResponse {
        let fault = || StoreFault::Failed("bad luck".into());
        match request {
            StoreRequest::Commit(commit) if fails => StoreResponse::Failed { seq: commit.seq, fault: fault() },
            StoreRequest::Commit(commit) => {
                let mut removed = Vec::new();
                for op in commit.ops {
                    self.apply(op, &mut removed);
                }
                StoreResponse::Committed { seq: commit.seq, removed }
            }
            StoreRequest::Query { id, query } => {
                let answer = if fails { Err(fault()) } else { Ok(self.query(query)) };
                StoreResponse::Answered { id, answer }
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn apply(&mut self, op: StoreOp, removed: &mut Vec<u32>) {
        match op {
            StoreOp::PutAccount(account) => {
                self.removed.retain(|jid| *jid != account.jid);
                self.accounts.insert(account.jid.clone(), *account);
            }
            StoreOp::RemoveAccount { account } => self.remove_account(account),
            StoreOp::LastSeen { account, seen } => {
                if let Some(account) = self.accounts.get_mut(&account) {
                    account.last_seen = Some(seen);
                }
            }
            StoreOp::PutContact { account, contact, version } => {
                let roster = self.rosters.entry(account).or_default();
                roster.version = version;
                roster.contacts.retain(|other| other.jid != contact.jid);
                roster.contacts.push(*contact);
                roster.contacts.sort_by(|one, other| one.jid.cmp(&other.jid));
            }
            StoreOp::RemoveContact { account, contact, version } => {
                let roster = self.rosters.entry(account).or_default();
                roster.version = version;
                roster.contacts.retain(|other| other.jid != contact);
            }
            StoreOp::PutOffline { account, message, at } => {
                let number = self.number();
                self.offline.push((account, number, at, *message));
            }
            StoreOp::RemoveOffline { account, up_to } => {
                self.offline.retain(|(to, number, ..)| *to != account || *number > up_to);
            }
            StoreOp::PutBlocked { account, jid } => {
                self.blocked.retain(|(own, other)| (own, other) != (&account, &jid));
                self.blocked.push((account, jid));
            }
            StoreOp::RemoveBlocked { account, jid } => {
                self.blocked.retain(|(own, other)| *own != account || jid.as_ref().is_some_and(|jid| jid != other));
            }
            StoreOp::PutDocument { account, key, content } => {
                self.documents.retain(|(own, other, _)| (own, other) != (&account, &key));
                self.documents.extend(content.map(|content| (account, key, content)));
            }
            StoreOp::PutNode { at, config, creator, created } => {
                let record = NodeRecord {
                    config: *config.clone(),
                    created,
                    creator,
                    affiliations: Vec::new(),
                    subscriptions: Vec::new(),
                    last: None,
                };
                let node = self.nodes.entry(at).or_insert(Node { record, past: Vec::new() });
                node.record.config = *config;
            }
            StoreOp::RemoveNode { at } => {
                self.nodes.remove(&at);
                self.owed.retain(|(_, _, other, _)| *other != at);
            }
            StoreOp::PutAffiliation { at, jid, affiliation } => {
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.record.affiliations.retain(|(other, _)| *other != jid);
                    if affiliation != Affiliation::None {
                        node.record.affiliations.push((jid, affiliation));
                    }
                }
            }
            StoreOp::PutSubscription { at, subscription } => {
                assert!(subscription.jid.is_bare(), "a session's subscription is never stored");
                if at.is_filter() {
                    self.filters.retain(|(_, one)| one.subid != subscription.subid);
                    self.filters.push((at, subscription));
                } else if let Some(node) = self.nodes.get_mut(&at) {
                    node.record.subscriptions.retain(|one| one.subid != subscription.subid);
                    node.record.subscriptions.push(subscription);
                }
            }
            StoreOp::RemoveSubscription { at, subid } => {
                self.filters.retain(|(_, one)| one.subid != subid);
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.record.subscriptions.retain(|one| one.subid != subid);
                }
            }
            StoreOp::PutItem { at, item, keep, .. } => {
                let number = self.number();
                if let Some(node) = self.nodes.get_mut(&at) {
                    for past in node.past.iter_mut().filter(|past| past.item.id == item.id) {
                        past.is_shown = false;
                    }
                    node.past.push(Past { number, item, is_shown: true });
                    node.trim(&keep);
                }
            }
            StoreOp::RemoveItems { at, ids } => {
                let node = self.nodes.get_mut(&at);
                removed.push(node.map_or(0, |node| {
                    let gone = node.past.iter_mut().filter(|past| past.is_shown && ids.contains(&past.item.id));
                    gone.map(|past| past.is_shown = false).count() as u32
                }));
                self.owed.retain(|(_, _, other, item)| *other != at || !ids.contains(&item.id));
            }
            StoreOp::TrimItems { at, keep } => {
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.trim(&keep);
                }
            }
            StoreOp::PutOwed { account, at, item } => {
                let number = self.number();
                self.owed.push((account, number, at, item));
            }
            StoreOp::RemoveOwed { account, at, item, .. } => {
                self.owed
                    .retain(|(own, _, node, owed)| (own, node, &owed.id) != (&account, &at, &item));
            }
        }
    }

    fn remove_account(&mut self, account: BareJid) {
        self.accounts.remove(&account);
        self.rosters.remove(&account);
        self.offline.retain(|(to, ..)| *to != account);
        self.owed.retain(|(to, ..)| *to != account);
        self.documents.retain(|(own, ..)| *own != account);
        self.blocked.retain(|(own, _)| *own != account);
        self.nodes.retain(|at, _| at.host.as_ref() != Some(&account));
        self.filters.retain(|(_, one)| one.jid.bare() != account);
        for node in self.nodes.values_mut() {
            node.record.affiliations.retain(|(jid, _)| *jid != account);
            node.record.subscriptions.retain(|one| one.jid.bare() != account);
        }
        self.removed.push(account);
    }

    fn account(&self, jid: &BareJid) -> Option<Account> {
        let exists = jid.local().is_some_and(|name| ACCOUNTS.contains(&name)) && !self.removed.contains(jid);
        exists.then(|| self.accounts.get(jid).cloned().unwrap_or_else(|| account_of(jid)))
    }

    /// Every lasting subscription, of nodes and of filters.
    fn subscriptions(&self) -> impl Iterator<Item = (&NodeAddress, &NodeSubscription)> {
        let nodes = self.nodes.iter();
        let of_nodes = nodes.flat_map(|(at, node)| node.record.subscriptions.iter().map(move |one| (at, one)));
        of_nodes.chain(self.filters.iter().map(|(at, one)| (at, one)))
    }

    fn counts(&self, account: &BareJid) -> AccountCounts {
        AccountCounts {
            offline: self.offline.iter().filter(|(to, ..)| to == account).count() as u32,
            owed: self.owed.iter().filter(|(to, ..)| to == account).count() as u32,
            nodes: self.nodes.values().filter(|node| node.record.creator == *account).count() as u32,
            subscriptions: self.subscriptions().filter(|(_, one)| one.jid.bare() == *account).count() as u32,
        }
    }

    fn query(&self, query: StoreQuery) -> StoreAnswer {
        let node = |at: &NodeAddress| self.nodes.get(at);
        let shown = |at: &NodeAddress| node(at).map_or_else(Vec::new, Node::shown);
        match query {
            StoreQuery::Boot => StoreAnswer::Boot {
                filters: self.filters.clone(),
                owed: Vec::new(),
                asked: Vec::new(),
                blocked: self.blocked.clone(),
            },
            StoreQuery::Document { account, key } => {
                let mut all = self.documents.iter();
                let found = all.find(|(own, other, _)| (own, other) == (&account, &key));
                StoreAnswer::Document(found.map(|(.., content)| content.clone()))
            }
            StoreQuery::DocumentSizes(account) => {
                let own = self.documents.iter().filter(|(own, ..)| *own == account);
                let sizes = own.map(|(_, key, content)| (key.clone(), content.len() as u64));
                StoreAnswer::DocumentSizes(sizes.collect())
            }
            StoreQuery::Account(jid) => {
                StoreAnswer::Account(self.account(&jid).map(Box::new), self.counts(&jid))
            }
            StoreQuery::Roster(account) => {
                StoreAnswer::Roster(self.rosters.get(&account).cloned().unwrap_or_default())
            }
            StoreQuery::Node(at) => StoreAnswer::Node(node(&at).map(|node| {
                let last = node.shown().pop();
                Box::new(NodeRecord { last, ..node.record.clone() })
            })),
            StoreQuery::ItemsById { at, ids, .. } => {
                let mut items = shown(&at);
                items.retain(|item| ids.contains(&item.id));
                let page = PageInfo { count: items.len() as u32, ..PageInfo::default() };
                StoreAnswer::Items { items, page }
            }
            StoreQuery::Items { at, max, page, .. } => {
                let asked = page.unwrap_or(PageRequest { before: Some("".into()), ..PageRequest::default() });
                let (items, page) = cut(shown(&at), |item| item.id.as_str().into(), &asked, max);
                StoreAnswer::Items { items, page }
            }
            StoreQuery::Archive { at, filter, page, descending, .. } => self.archive(&at, &filter.ids, &page, descending),
            StoreQuery::ArchiveEnds { at, .. } => {
                let end = |past: &Past| ArchiveEnd {
                    id: past.number.to_string().into(),
                    published: past.item.published,
                };
                let past = node(&at).map(|node| &node.past);
                StoreAnswer::ArchiveEnds(past.and_then(|past| Some((end(past.first()?), end(past.last()?)))))
            }
            StoreQuery::Sweep { .. } => StoreAnswer::Sweep {
                nodes: self.nodes.iter().map(|(at, node)| (at.clone(), Box::new(node.record.config.clone()))).collect(),
                next: None,
            },
            StoreQuery::Branch { under, items, page } => {
                let prefix = under.as_ref().map_or_else(String::new, |top| format!("{top}/"));
                let names = self.nodes.keys().filter(|at| at.host.is_none());
                let below = names.filter_map(|at| at.node.as_str().strip_prefix(&prefix));
                let levels = below.filter_map(|rest| NodeId::parse(&format!("{prefix}{}", rest.split('/').next()?)).ok());
                let mut nodes: Vec<_> = levels.map(|level| (level, "<".into())).collect();
                nodes.dedup();
                let (nodes, page) = cut(nodes, |(name, _)| name.as_str().into(), &page, 100);
                let own = under.filter(|_| items.is_some()).map(NodeAddress::of_service);
                let items = own.map_or_else(Vec::new, |at| shown(&at));
                StoreAnswer::Branch { nodes, items: items.iter().map(|item| item.id.clone()).collect(), page }
            }
            StoreQuery::Nodes { host, under, page } => {
                let is_in = |at: &NodeAddress| {
                    at.host == host && under.as_ref().is_none_or(|top| at.node.as_str().starts_with(top.as_str()))
                };
                let list = self.nodes.iter().filter(|(at, _)| is_in(at));
                let list = list.map(|(at, node)| (at.node.clone(), node.record.config.title.clone()));
                let (list, page) = cut(list.collect(), |(name, _)| name.as_str().into(), &page, 100);
                StoreAnswer::Nodes { list, page }
            }
            StoreQuery::Present { hosts, names } => {
                let at = |host: &BareJid, node: &NodeId| NodeAddress { host: Some(host.clone()), node: node.clone() };
                let all = hosts.iter().flat_map(|host| names.iter().map(move |node| at(host, node)));
                StoreAnswer::Present(all.filter(|at| self.nodes.contains_key(at)).collect())
            }
            StoreQuery::Awaiting { account, after, max } => {
                let awaits = |(at, node): &(&NodeAddress, &Node)| {
                    at.host.is_none()
                        && after.as_ref().is_none_or(|after| at.node > *after)
                        && node.record.config.send_last_published_item == SendLastItem::OnSubAndPresence
                        && node.record.subscriptions.iter().any(|one| one.jid == *account.as_jid())
                };
                let found = self.nodes.iter().filter(awaits).map(|(at, _)| at.clone());
                StoreAnswer::Present(found.take(max as usize).collect())
            }
            StoreQuery::PersonalNodes { host, asker, page } => {
                let own = self.nodes.iter().filter(|(at, _)| at.host.as_ref() == Some(&host));
                let list = own.map(|(at, node)| PersonalNode {
                    node: at.node.clone(),
                    config: Box::new(node.record.config.clone()),
                    affiliation: node.affiliation(&asker),
                });
                let (list, page) = cut(list.collect(), |one| one.node.as_str().into(), &page, 100);
                StoreAnswer::PersonalNodes { list, page }
            }
            StoreQuery::NodeBytes(at) => StoreAnswer::Kept {
                items: node(&at).map_or(0, |node| node.past.len() as u64),
                bytes: 0,
            },
            StoreQuery::NodeCounts(at) => StoreAnswer::Counts {
                items: shown(&at).len() as u32,
                subscriptions: node(&at).map_or(0, |node| node.record.subscriptions.len() as u32),
            },
            StoreQuery::SubscriptionsOf { host, account } => {
                let own = self.subscriptions().filter(|(at, one)| at.host == host && one.jid.bare() == account);
                StoreAnswer::Subscriptions(own.map(|(at, one)| (at.node.clone(), one.clone())).collect())
            }
            StoreQuery::Pending { owner, max } => {
                let owns = |at: &NodeAddress| node(at).is_some_and(|node| node.affiliation(&owner) == Affiliation::Owner);
                let waits = |one: &NodeSubscription| one.state == SubscriptionState::Pending;
                let list = self.subscriptions().filter(|(at, one)| waits(one) && owns(at));
                StoreAnswer::Pending {
                    list: list.take(max as usize).map(|(at, one)| (at.clone(), one.clone())).collect(),
                    owns: self.nodes.keys().any(owns),
                }
            }
            StoreQuery::Ended { before, max } => {
                let ends = |one: &NodeSubscription| one.options.as_ref()?.expire;
                let ended = self.subscriptions().filter(|(_, one)| ends(one).is_some_and(|ends| ends < before));
                let mut ended: Vec<_> = ended.map(|(at, one)| (at.clone(), one.clone())).collect();
                ended.sort_by_key(|(_, one)| ends(one));
                ended.truncate(max as usize);
                StoreAnswer::Ended(ended)
            }
            StoreQuery::AffiliationsOf { host, account } => {
                let at_host = self.nodes.iter().filter(|(at, _)| at.host == host);
                let own = at_host.map(|(at, node)| (at.node.clone(), node.affiliation(&account)));
                StoreAnswer::Affiliations(own.filter(|(_, is)| *is != Affiliation::None).collect())
            }
            StoreQuery::Offline { account, after, max } => {
                let later = self.offline.iter().filter(|(to, number, ..)| *to == account && *number > after);
                let later = later.map(|(_, number, at, message)| (*number, *at, message.clone()));
                StoreAnswer::Offline(later.take(max as usize).collect())
            }
            StoreQuery::Owed { account, after, max } => {
                let later = self.owed.iter().filter(|(to, number, ..)| *to == account && *number > after);
                let later = later.map(|(_, number, at, item)| (*number, at.clone(), Arc::clone(item)));
                StoreAnswer::Owed(later.take(max as usize).collect())
            }
            StoreQuery::AccountsOfRole { role, start, after, max } => {
                let named = ACCOUNTS.iter().filter_map(|name| BareJid::new(name, "localhost").ok());
                let found = named.filter_map(|jid| self.account(&jid)).filter(|own| {
                    own.role == role
                        && own.jid.as_str().starts_with(&*start)
                        && after.as_ref().is_none_or(|after| own.jid > *after)
                });
                StoreAnswer::Roles(found.take(max as usize).map(|own| (own.jid, own.role)).collect())
            }
            StoreQuery::RolesOf(jids) => {
                let found = jids.iter().filter_map(|jid| self.account(jid));
                StoreAnswer::Roles(found.map(|own| (own.jid, own.role)).collect())
            }
            // The operator's, who is not here.
            StoreQuery::Accounts { .. } => StoreAnswer::Accounts(Vec::new()),
            StoreQuery::Totals => StoreAnswer::Totals {
                accounts: ACCOUNTS.len() as u64,
                nodes: self.nodes.len() as u64,
            },
        }
    }

    fn archive(&self, at: &NodeAddress, ids: &[Box<str>], page: &PageRequest, descending: bool) -> StoreAnswer {
        let past = self.nodes.get(at).map_or(&[][..], |node| &node.past);
        let mut entries: Vec<_> = past
            .iter()
            .map(|past| ArchiveEntry {
                id: past.number.to_string().into(),
                item: Arc::clone(&past.item),
                retracted: !past.is_shown,
            })
            .filter(|entry| ids.is_empty() || ids.contains(&entry.id))
            .collect();
        if descending {
            entries.reverse();
        }
        let all = entries.len();
        let (entries, page) = cut(entries, |entry| entry.id.clone(), page, 100);
        StoreAnswer::Archive {
            page: ArchivePage {
                first: page.first,
                last: page.last,
                index: page.index,
                count: Some(page.count),
                complete: entries.len() == all,
            },
            entries,
        }
    }
}

/// A page of a list, roughly as XEP-0059 has it.
fn cut<T>(list: Vec<T>, key: impl Fn(&T) -> Box<str>, asked: &PageRequest, max: u32) -> (Vec<T>, PageInfo) {
    let max = asked.max.unwrap_or(max).min(max) as usize;
    let count = list.len();
    let place = |wanted: &Option<Box<str>>| {
        let wanted = wanted.as_deref().filter(|wanted| !wanted.is_empty())?;
        list.iter().position(|one| *key(one) == *wanted)
    };
    let mut start = place(&asked.after).map_or(0, |at| at + 1);
    let end = place(&asked.before).unwrap_or(count).max(start);
    if asked.before.is_some() {
        start = start.max(end.saturating_sub(max));
    }
    let page: Vec<_> = list.into_iter().take(end).skip(start).take(max).collect();
    let info = PageInfo {
        first: page.first().map(&key),
        index: (!page.is_empty()).then_some(start as u32),
        last: page.last().map(&key),
        count: count as u32,
    };
    (page, info)
}
