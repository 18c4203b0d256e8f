//! What the store should answer.

use std::collections::{BTreeMap, BTreeSet};

use leveret_engine::{
    account::Roster,
    address::{BareJid, Jid},
    command::PageInfo,
    effect::{AccountCounts, StoreAnswer, StoreQuery},
    item::{
        Affiliation, NodeRecord, NodeSubscription, PersonalNode, SendLastItem, SubscriptionState,
    },
    node::{NodeAddress, NodeId},
};

use super::{Model, Node, NotFound, page::cut};

impl Model {
    /// What the store should answer.
    pub(in crate::store::tests) fn answer(
        &self,
        query: &StoreQuery,
    ) -> Result<StoreAnswer, NotFound> {
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
