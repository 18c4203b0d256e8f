//! A store in memory: one ordered log, answered when asked to.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    account::{Account, Contact, Role, Roster, Subscription},
    address::{BareJid, Jid},
    document::DocumentKey,
    effect::{
        AccountCounts, StoreAnswer, StoreFault, StoreOp, StoreQuery, StoreRequest, StoreResponse,
    },
    item::{Affiliation, Item, NodeRecord, NodeSubscription, SendLastItem, SubscriptionState},
    message::Message,
    node::{NodeAddress, NodeId},
    time::Timestamp,
};
use bytes::Bytes;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct FakeStore {
    accounts: BTreeMap<BareJid, Account>,
    rosters: BTreeMap<BareJid, Roster>,
    offline: BTreeMap<BareJid, Vec<(u64, Timestamp, Message)>>,
    pub(super) owed: BTreeMap<BareJid, Vec<(u64, NodeAddress, Arc<Item>)>>,
    pub(super) blocked: Vec<(BareJid, Jid)>,
    documents: BTreeMap<(BareJid, DocumentKey), Bytes>,
    made: u64,
    nodes: BTreeMap<NodeAddress, NodeRecord>,
    requests: VecDeque<StoreRequest>,
    /// Nothing is answered meanwhile.
    pub(super) held: bool,
    /// The next commits fail.
    pub(super) failing: bool,
    /// Queries fail.
    pub(super) blind: bool,
    /// The place that a page is to begin at is not known.
    pub(super) lost: bool,
    pub(super) commits: usize,
    pub(super) queries: usize,
}

impl FakeStore {
    pub(super) fn take(&mut self, request: StoreRequest) {
        self.requests.push_back(request);
    }

    pub(super) fn answer(&mut self) -> Vec<StoreResponse> {
        let mut responses = Vec::new();
        while !self.held
            && let Some(request) = self.requests.pop_front()
        {
            responses.push(match request {
                StoreRequest::Commit(commit) if self.failing => StoreResponse::Failed {
                    seq: commit.seq,
                    fault: StoreFault::Failed("disk full".into()),
                },
                StoreRequest::Commit(commit) => {
                    self.commits += 1;
                    let removed = commit.ops.iter().filter_map(|op| self.found(op)).collect();
                    commit.ops.into_iter().for_each(|op| self.apply(op));
                    StoreResponse::Committed {
                        seq: commit.seq,
                        removed,
                    }
                }
                StoreRequest::Query { id, query } => {
                    self.queries += 1;
                    let answer = if self.lost {
                        Err(StoreFault::NotFound)
                    } else if self.blind {
                        Err(StoreFault::Failed("unreadable".into()))
                    } else {
                        Ok(self.query(query))
                    };
                    StoreResponse::Answered { id, answer }
                }
            });
        }
        responses
    }

    /// Answers the last question, as things are now, and keeps the answer back.
    pub(super) fn hold_back(&mut self) -> StoreResponse {
        match self.requests.pop_back() {
            Some(StoreRequest::Query { id, query }) => StoreResponse::Answered {
                id,
                answer: Ok(self.query(query)),
            },
            other => panic!("no question: {other:?}"),
        }
    }

    /// How many items a removal finds; of a node only the newest is known here.
    fn found(&self, op: &StoreOp) -> Option<u32> {
        let StoreOp::RemoveItems { at, ids } = op else {
            return None;
        };
        let last = self.nodes.get(at).and_then(|node| node.last.as_ref());
        Some(last.map_or(0, |last| u32::from(ids.contains(&last.id))))
    }

    /// Commits that are handed over and not answered.
    pub(super) fn waiting(&self) -> usize {
        self.requests
            .iter()
            .filter(|request| matches!(request, StoreRequest::Commit(_)))
            .count()
    }

    pub(super) fn add_account(&mut self, jid: &BareJid, role: Role) {
        let account = Account {
            jid: jid.clone(),
            role,
            enabled: true,
            credentials: super::keys(),
            created: Timestamp::default(),
            last_seen: None,
        };
        self.accounts.insert(jid.clone(), account);
    }

    /// What somebody is to a node, as if it had been so for long.
    pub(super) fn affiliate(&mut self, at: &NodeAddress, jid: &BareJid, what: Affiliation) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.affiliations.retain(|(other, _)| other != jid);
            if what != Affiliation::None {
                node.affiliations.push((jid.clone(), what));
            }
        }
    }

    pub(super) fn has_node(&self, name: &str) -> bool {
        self.nodes.keys().any(|at| at.node.as_str() == name)
    }

    pub(super) fn has_account(&self, jid: &BareJid) -> bool {
        self.accounts.contains_key(jid)
    }

    pub(super) fn account(&self, jid: &BareJid) -> Option<&Account> {
        self.accounts.get(jid)
    }

    pub(super) fn node(&self, at: &NodeAddress) -> Option<&NodeRecord> {
        self.nodes.get(at)
    }

    pub(super) fn contact(&self, of: &BareJid, jid: &BareJid) -> Option<&Contact> {
        self.rosters
            .get(of)?
            .contacts
            .iter()
            .find(|contact| contact.jid == *jid)
    }

    pub(super) fn offline_count(&self, jid: &BareJid) -> usize {
        self.offline.get(jid).map_or(0, Vec::len)
    }

    pub(super) fn befriend(&mut self, one: &BareJid, two: &BareJid) {
        for (of, jid) in [(one, two), (two, one)] {
            let contact = Contact {
                jid: jid.clone(),
                name: None,
                groups: Vec::new(),
                subscription: Subscription::Both,
                pending_out: false,
                pending_in: None,
                approved: false,
                listed: true,
                version: 1,
            };
            self.apply(StoreOp::PutContact {
                account: of.clone(),
                contact: Box::new(contact),
                version: 1,
            });
        }
    }

    fn apply(&mut self, op: StoreOp) {
        match op {
            StoreOp::PutAccount(account) => {
                drop(self.accounts.insert(account.jid.clone(), *account))
            }
            StoreOp::RemoveAccount { account } => {
                self.accounts.remove(&account);
                self.rosters.remove(&account);
                self.offline.remove(&account);
                self.blocked.retain(|(own, _)| *own != account);
                self.documents.retain(|(own, _), _| *own != account);
                self.nodes
                    .retain(|at, _| at.host.as_ref() != Some(&account));
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
                roster.version = version;
                roster.contacts.retain(|other| other.jid != contact.jid);
                roster.contacts.push(*contact);
            }
            StoreOp::RemoveContact {
                account,
                contact,
                version,
            } => {
                let roster = self.rosters.entry(account).or_default();
                roster.version = version;
                roster.contacts.retain(|other| other.jid != contact);
            }
            StoreOp::PutOffline {
                account,
                message,
                at,
            } => {
                self.made += 1;
                self.offline
                    .entry(account)
                    .or_default()
                    .push((self.made, at, *message));
            }
            StoreOp::RemoveOffline { account, up_to } => {
                self.offline
                    .entry(account)
                    .or_default()
                    .retain(|(number, _, _)| *number > up_to);
            }
            StoreOp::PutBlocked { account, jid } => {
                self.blocked
                    .retain(|(own, other)| (own, other) != (&account, &jid));
                self.blocked.push((account, jid));
            }
            StoreOp::RemoveBlocked { account, jid } => {
                let is_meant = |other: &Jid| jid.as_ref().is_none_or(|jid| jid == other);
                self.blocked
                    .retain(|(own, other)| *own != account || !is_meant(other));
            }
            StoreOp::PutDocument {
                account,
                key,
                content,
            } => {
                match content {
                    Some(content) => self.documents.insert((account, key), content),
                    None => self.documents.remove(&(account, key)),
                };
            }
            StoreOp::PutNode {
                at,
                config,
                creator,
                created,
            } => {
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.config = *config;
                    return;
                }
                let record = NodeRecord {
                    config: *config,
                    created,
                    creator,
                    affiliations: Vec::new(),
                    subscriptions: Vec::new(),
                    last: None,
                };
                self.nodes.entry(at).or_insert(record);
            }
            StoreOp::RemoveNode { at } => drop(self.nodes.remove(&at)),
            StoreOp::PutAffiliation {
                at,
                jid,
                affiliation,
            } => {
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.affiliations.retain(|(other, _)| *other != jid);
                    node.affiliations.push((jid, affiliation));
                }
            }
            StoreOp::PutSubscription { at, subscription } => {
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.subscriptions.push(subscription);
                }
            }
            StoreOp::RemoveSubscription { at, subid } => {
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.subscriptions.retain(|there| there.subid != subid);
                }
            }
            StoreOp::PutItem { at, item, .. } => {
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.last = Some(item);
                }
            }
            _ => {}
        }
    }

    fn subscriptions_of(&self, account: &BareJid) -> Vec<(NodeId, NodeSubscription)> {
        let all = self.nodes.iter().flat_map(|(at, node)| {
            let of_node = node.subscriptions.iter();
            of_node.map(|one| (at.node.clone(), one.clone()))
        });
        all.filter(|(_, one)| one.jid.bare() == *account).collect()
    }

    /// Owners at whose nodes somebody waits for approval.
    fn asked(&self) -> Vec<BareJid> {
        let waits = |node: &&NodeRecord| {
            let mut all = node.subscriptions.iter();
            all.any(|one| one.state == SubscriptionState::Pending)
        };
        let nodes = self.nodes.values().filter(waits);
        let owners = nodes.flat_map(|node| &node.affiliations);
        let owners = owners.filter(|(_, affiliation)| *affiliation == Affiliation::Owner);
        owners.map(|(jid, _)| jid.clone()).collect()
    }

    fn placed(
        &self,
        wanted: impl Fn(&NodeRecord, &NodeSubscription) -> bool,
    ) -> Vec<(NodeAddress, NodeSubscription)> {
        let mut found = Vec::new();
        for (at, node) in &self.nodes {
            let theirs = node.subscriptions.iter().filter(|one| wanted(node, one));
            found.extend(theirs.map(|one| (at.clone(), one.clone())));
        }
        found
    }

    fn query(&self, query: StoreQuery) -> StoreAnswer {
        match query {
            StoreQuery::Pending { owner, .. } => {
                let owned = |node: &NodeRecord| {
                    let owns = (owner.clone(), Affiliation::Owner);
                    node.affiliations.contains(&owns)
                };
                StoreAnswer::Pending {
                    list: self
                        .placed(|node, one| owned(node) && one.state == SubscriptionState::Pending),
                    owns: self.nodes.values().any(owned),
                }
            }
            StoreQuery::Ended { before, .. } => StoreAnswer::Ended(self.placed(|_, one| {
                let ends = one.options.as_ref().and_then(|options| options.expire);
                ends.is_some_and(|ends| ends <= before)
            })),
            StoreQuery::Boot => StoreAnswer::Boot {
                filters: Vec::new(),
                owed: Vec::new(),
                asked: self.asked(),
                blocked: self.blocked.clone(),
            },
            StoreQuery::Account(jid) => {
                let counts = AccountCounts {
                    offline: self.offline_count(&jid) as u32,
                    owed: self.owed.get(&jid).map_or(0, Vec::len) as u32,
                    subscriptions: self.subscriptions_of(&jid).len() as u32,
                    ..AccountCounts::default()
                };
                StoreAnswer::Account(self.accounts.get(&jid).cloned().map(Box::new), counts)
            }
            StoreQuery::Document { account, key } => {
                StoreAnswer::Document(self.documents.get(&(account, key)).cloned())
            }
            StoreQuery::DocumentSizes(account) => {
                let own = self
                    .documents
                    .iter()
                    .filter(|((own, _), _)| *own == account);
                let sizes = own.map(|((_, key), content)| (key.clone(), content.len() as u64));
                StoreAnswer::DocumentSizes(sizes.collect())
            }
            StoreQuery::Roster(jid) => {
                StoreAnswer::Roster(self.rosters.get(&jid).cloned().unwrap_or_default())
            }
            StoreQuery::Node(at) => StoreAnswer::Node(self.nodes.get(&at).cloned().map(Box::new)),
            StoreQuery::Offline {
                account,
                after,
                max,
            } => StoreAnswer::Offline(page(self.offline.get(&account), after, max)),
            StoreQuery::Owed {
                account,
                after,
                max,
            } => StoreAnswer::Owed(page(self.owed.get(&account), after, max)),
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
                let awaits = |(at, node): &(&NodeAddress, &NodeRecord)| {
                    at.host.is_none()
                        && after.as_ref().is_none_or(|after| at.node > *after)
                        && node.config.send_last_published_item == SendLastItem::OnSubAndPresence
                        && node
                            .subscriptions
                            .iter()
                            .any(|one| one.jid == *account.as_jid())
                };
                let found = self.nodes.iter().filter(awaits).map(|(at, _)| at.clone());
                StoreAnswer::Present(found.take(max as usize).collect())
            }
            StoreQuery::AffiliationsOf { account, .. } => {
                let of = |(at, node): (&NodeAddress, &NodeRecord)| {
                    let affiliation = node.affiliations.iter().find(|(jid, _)| *jid == account)?.1;
                    Some((at.node.clone(), affiliation))
                };
                StoreAnswer::Affiliations(self.nodes.iter().filter_map(of).collect())
            }
            StoreQuery::SubscriptionsOf { account, .. } => {
                StoreAnswer::Subscriptions(self.subscriptions_of(&account))
            }
            StoreQuery::Accounts { after, max } => {
                let later = self
                    .accounts
                    .values()
                    .filter(|account| after.as_ref().is_none_or(|after| account.jid > *after));
                StoreAnswer::Accounts(later.take(max as usize).cloned().collect())
            }
            StoreQuery::AccountsOfRole {
                role,
                start,
                after,
                max,
            } => {
                let found = self.accounts.values().filter(|account| {
                    account.role == role
                        && account.enabled
                        && account.jid.as_str().starts_with(&*start)
                        && after.as_ref().is_none_or(|after| account.jid > *after)
                });
                let found = found.map(|account| (account.jid.clone(), role));
                StoreAnswer::Roles(found.take(max as usize).collect())
            }
            StoreQuery::RolesOf(jids) => {
                let found = jids.iter().filter_map(|jid| self.accounts.get(jid));
                let found = found.filter(|account| account.enabled);
                StoreAnswer::Roles(
                    found
                        .map(|account| (account.jid.clone(), account.role))
                        .collect(),
                )
            }
            StoreQuery::Totals => StoreAnswer::Totals {
                accounts: self.accounts.len() as u64,
                nodes: 0,
            },
            StoreQuery::Sweep { after, max } => {
                let from = after as usize;
                let nodes = self.nodes.iter().skip(from).take(max as usize);
                let nodes = nodes.map(|(at, node)| (at.clone(), Box::new(node.config.clone())));
                let nodes: Vec<_> = nodes.collect();
                let end = from + nodes.len();
                StoreAnswer::Sweep {
                    nodes,
                    next: (end < self.nodes.len()).then_some(end as u64),
                }
            }
            other => panic!("not asked of this store: {other:?}"),
        }
    }
}

fn page<A: Clone, B: Clone>(
    list: Option<&Vec<(u64, A, B)>>,
    after: u64,
    max: u32,
) -> Vec<(u64, A, B)> {
    let later = list
        .into_iter()
        .flatten()
        .filter(|(number, _, _)| *number > after);
    later.take(max as usize).cloned().collect()
}
