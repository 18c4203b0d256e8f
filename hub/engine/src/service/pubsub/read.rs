//! What changes nothing: items, one's own subscriptions and affiliations, discovery (XEP-0060 §5, §6.5).

use std::sync::Arc;

use crate::{
    access::{Action, Verdict},
    address::{BareJid, Jid},
    command::{PageRequest, PubsubReply, Reply},
    effect::{StoreAnswer, StoreQuery},
    item::{Affiliation, Item, ItemReply, NodeConfig, NodeSubscription, Order, PersonalNode},
    node::{ItemId, NodeId},
    refusal::{Detail, Reason, Refusal},
    service::{Decision, Directory},
    time::Now,
};

use super::{
    Asker, Pubsub, answer,
    rights::{Rights, is_admitted},
};

/// Most items of one answer; the rest is paged (§6.5.4).
const ITEMS_PER_REPLY_MAX: u32 = 256;
/// Most payload bytes of one answer, well below what a mailbox holds. At least one item is always sent.
const REPLY_BYTES_MAX: usize = 512 * 1024;
/// Most owners, and most publishers, that the meta-data of a node names.
const OWNERS_SHOWN_MAX: usize = 100;
/// Most names of one answer to disco.
const NAMES_PER_REPLY_MAX: u32 = 1_000;

/// Which items are asked for.
pub(super) struct ItemsWanted {
    pub(super) ids: Vec<ItemId>,
    pub(super) max: Option<u32>,
    pub(super) subid: Option<Box<str>>,
    pub(super) page: Option<PageRequest>,
    pub(super) order: Order,
}

impl Pubsub {
    pub(super) fn items(
        &self,
        who: &Asker,
        id: NodeId,
        wanted: ItemsWanted,
        directory: &dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let ItemsWanted {
            ids,
            max,
            subid,
            page,
            order,
        } = wanted;
        let rights = Rights::new(&self.rules, who);
        rights.not_denied(Action::Subscribe, &id)?;
        // §6.5.9.11
        let (at, node) = self.existing(who, &id)?;
        rights.may_read(&id, node, directory)?;
        // §6.5.9.4
        if !node.config.persist_items {
            return Err(Refusal::new(Reason::FeatureNotImplemented)
                .because(Detail::Unsupported("persistent-items")));
        }
        // §6.5.9.1
        let several = |jid: &Jid| node.subscriptions_of(jid).nth(1).is_some();
        if subid.is_none() && (several(who.subject.jid.as_jid()) || several(who.jid.as_jid())) {
            return Err(Refusal::new(Reason::BadRequest).because(Detail::SubidRequired));
        }
        // §6.5.9.2
        if let Some(subid) = subid {
            let addresses = [who.subject.jid.as_jid(), who.jid.as_jid()];
            let mut theirs = addresses.iter().flat_map(|jid| node.subscriptions_of(jid));
            if !theirs.any(|one| one.subid == subid) {
                return Err(Refusal::new(Reason::NotAcceptable).because(Detail::InvalidSubid));
            }
        }
        let publisher = node.config.itemreply == Some(ItemReply::Publisher);
        let keep = self.kept(&at, node, now);
        if !ids.is_empty() {
            if ids.len() > ITEMS_PER_REPLY_MAX as usize {
                return Err(Refusal::new(Reason::NotAcceptable).say("too many items at once"));
            }
            return Ok(Decision::Read {
                query: StoreQuery::ItemsById {
                    at,
                    ids,
                    since: keep.unexpired,
                },
                then: Box::new(move |answer| match answer {
                    // §6.5.8: those that are there, if any; that one is not is none of the errors of §6.5.9.
                    StoreAnswer::Items { items, .. } => Ok(reply(PubsubReply::Items {
                        node: id,
                        items: clip(items, End::Last),
                        page: None,
                        publisher,
                    })),
                    other => Err(unexpected(&other)),
                }),
            });
        }
        let wanted = max.unwrap_or(u32::MAX).min(keep.shown);
        let page = page.map(|page| PageRequest {
            max: Some(page.max.unwrap_or(u32::MAX).min(ITEMS_PER_REPLY_MAX)),
            ..page
        });
        let cut = match &page {
            Some(page) if page.before.is_none() => End::Last,
            None if order.descending => End::Last,
            _ => End::First,
        };
        let paged = page.is_some();
        Ok(Decision::Read {
            query: StoreQuery::Items {
                at,
                max: wanted.min(ITEMS_PER_REPLY_MAX),
                page,
                order,
                since: keep.unexpired,
                with_payload: true,
            },
            then: Box::new(move |answer| match answer {
                StoreAnswer::Items { items, mut page } => {
                    let before = items.len();
                    let items = clip(items, cut);
                    // §6.5.4: whoever gets some but not all is told how to get the rest.
                    let short = items.len() < before
                        || (wanted > ITEMS_PER_REPLY_MAX && page.count as usize > items.len());
                    if items.len() < before {
                        let key =
                            |item: Option<&Arc<Item>>| item.map(|item| item.id.as_str().into());
                        let dropped = u32::try_from(before - items.len()).unwrap_or(u32::MAX);
                        if cut == End::First {
                            page.index = page.index.map(|index| index.saturating_add(dropped));
                        }
                        page.first = key(items.first());
                        page.last = key(items.last());
                    }
                    Ok(reply(PubsubReply::Items {
                        node: id,
                        items,
                        page: (paged || short).then_some(page),
                        publisher,
                    }))
                }
                other => Err(unexpected(&other)),
            }),
        })
    }

    /// §5.6: what the asker is subscribed to, by its bare address or this session's.
    pub(super) fn own_subscriptions(
        &self,
        who: &Asker,
        node: Option<NodeId>,
    ) -> Result<Decision, Refusal> {
        let bare = who.subject.jid.as_jid();
        let full = who.jid.as_jid();
        if let Some(id) = node {
            if !who.at(id.clone()).is_filter() {
                Rights::new(&self.rules, who).may_know(&id)?;
                self.existing(who, &id)?;
            }
            let places = [bare, full]
                .into_iter()
                .flat_map(|jid| self.places(&who.at(id.clone()), jid));
            let list = places.map(|(_, one)| (id.clone(), one)).collect();
            return Ok(answer(PubsubReply::Subscriptions {
                node: Some(id),
                list,
            }));
        }
        let now = self.now.wall_trusted.then_some(self.now.wall);
        // Those of the session are known to memory alone.
        let of_session: Vec<(NodeId, NodeSubscription)> = self
            .sessions
            .get(&who.jid)
            .into_iter()
            .flatten()
            .filter(|at| at.host == who.host)
            .flat_map(|at| {
                let waiting = self.stranded.get(at).into_iter().flatten();
                let waiting = waiting.filter(|one| one.jid == *full).cloned();
                let places = self.places(at, full).into_iter();
                let all = places.map(|(_, one)| one).chain(waiting);
                all.map(|one| (at.node.clone(), one)).collect::<Vec<_>>()
            })
            .collect();
        Ok(Decision::Read {
            query: StoreQuery::SubscriptionsOf {
                host: who.host.clone(),
                account: who.subject.jid.clone(),
            },
            then: Box::new(move |answer| match answer {
                StoreAnswer::Subscriptions(mut list) => {
                    // §13.19: a lease that is over is over, even before the store has cleared it away.
                    list.retain(|(_, one)| {
                        let ends = one.options.as_ref().and_then(|options| options.expire);
                        !matches!((ends, now), (Some(ends), Some(now)) if ends <= now)
                    });
                    list.extend(of_session);
                    Ok(reply(PubsubReply::Subscriptions { node: None, list }))
                }
                other => Err(unexpected(&other)),
            }),
        })
    }

    /// §5.7: what the asker is to nodes.
    pub(super) fn own_affiliations(
        &self,
        who: &Asker,
        node: Option<NodeId>,
    ) -> Result<Decision, Refusal> {
        let account = who.subject.jid.clone();
        if let Some(id) = node {
            Rights::new(&self.rules, who).may_know(&id)?;
            let (_, node) = self.existing(who, &id)?;
            let affiliation = node.affiliation(&account);
            let list =
                (affiliation != Affiliation::None).then(|| (id.clone(), account, affiliation));
            return Ok(answer(PubsubReply::Affiliations {
                node: Some(id),
                list: list.into_iter().collect(),
            }));
        }
        Ok(Decision::Read {
            query: StoreQuery::AffiliationsOf {
                host: who.host.clone(),
                account: account.clone(),
            },
            then: Box::new(move |answer| match answer {
                StoreAnswer::Affiliations(list) => {
                    let list = list.into_iter();
                    let list = list.map(|(node, is)| (node, account.clone(), is)).collect();
                    Ok(reply(PubsubReply::Affiliations { node: None, list }))
                }
                other => Err(unexpected(&other)),
            }),
        })
    }

    /// §5.3, §5.4: what a node is and its meta-data.
    pub(super) fn describe(
        &self,
        who: &Asker,
        id: NodeId,
        directory: &dyn Directory,
    ) -> Result<Decision, Refusal> {
        Rights::new(&self.rules, who).not_denied(Action::Subscribe, &id)?;
        let (at, node) = self.existing(who, &id)?;
        if who.host.is_some() {
            // Of what is private even the title is.
            Rights::new(&self.rules, who).may_read(&id, node, directory)?;
        }
        let config = Box::new(NodeConfig::clone(&node.config));
        let (creator, created) = (node.creator.clone(), node.created);
        let owners = node.owners().take(OWNERS_SHOWN_MAX).cloned().collect();
        let publishers = node.publishers().take(OWNERS_SHOWN_MAX).cloned().collect();
        let subscribers = u32::try_from(node.subscribers(&self.interest)).unwrap_or(u32::MAX);
        Ok(Decision::Read {
            query: StoreQuery::NodeCounts(at),
            then: Box::new(move |answer| match answer {
                StoreAnswer::Counts { items, .. } => Ok(reply(PubsubReply::NodeInfo {
                    node: id,
                    config,
                    creator,
                    created,
                    owners,
                    publishers,
                    items,
                    subscribers,
                })),
                other => Err(unexpected(&other)),
            }),
        })
    }

    /// §5.2: the nodes of the service; §5.5: the items of a node. A name that only has nodes below it lists those (S17).
    pub(super) fn list(
        &self,
        who: &Asker,
        node: Option<NodeId>,
        page: Option<PageRequest>,
        directory: &dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let paged = page.is_some();
        let page = page.unwrap_or_default();
        let page = PageRequest {
            max: Some(page.max.unwrap_or(u32::MAX).min(NAMES_PER_REPLY_MAX)),
            ..page
        };
        let Some(id) = node else {
            return Ok(match &who.host {
                Some(host) => list_personal(who, host, page, paged, directory),
                None => self.list_nodes(who, None, page, paged),
            });
        };
        let rights = Rights::new(&self.rules, who);
        rights.not_denied(Action::Subscribe, &id)?;
        let Ok((at, node)) = self.existing(who, &id) else {
            if who.host.is_some() {
                return Err(Reason::ItemNotFound.into());
            }
            return Ok(self.list_nodes(who, Some(id), page, paged));
        };
        rights.may_read(&id, node, directory)?;
        if !node.config.persist_items {
            return Ok(answer(PubsubReply::ItemIds {
                node: id,
                list: Vec::new(),
                page: None,
            }));
        }
        let since = self.kept(&at, node, now).unexpired;
        Ok(Decision::Read {
            query: StoreQuery::Items {
                at,
                max: NAMES_PER_REPLY_MAX,
                page: paged.then_some(page),
                order: Order::default(),
                since,
                with_payload: false,
            },
            then: Box::new(move |answer| match answer {
                StoreAnswer::Items { items, page } => Ok(reply(PubsubReply::ItemIds {
                    node: id,
                    page: (paged || page.count as usize > items.len()).then_some(page),
                    list: items.iter().map(|item| item.id.clone()).collect(),
                })),
                other => Err(unexpected(&other)),
            }),
        })
    }

    fn list_nodes(
        &self,
        who: &Asker,
        under: Option<NodeId>,
        page: PageRequest,
        paged: bool,
    ) -> Decision {
        let rules = Arc::clone(&self.rules);
        let subject = who.subject.clone();
        let all = who.superuser;
        let named = under.is_some();
        Decision::Read {
            query: StoreQuery::Nodes {
                host: None,
                under,
                page,
            },
            then: Box::new(move |answer| match answer {
                StoreAnswer::Nodes { list, .. } if named && list.is_empty() => {
                    Err(Reason::ItemNotFound.into())
                }
                StoreAnswer::Nodes { mut list, page } => {
                    let short = paged || page.count as usize > list.len();
                    // Names that the asker is denied are not shown; the page's own keys stay, so that paging goes on.
                    list.retain(|(node, _)| {
                        let verdict = rules.on_node(&subject, Action::Subscribe, node.as_str());
                        all || verdict != Verdict::Deny
                    });
                    Ok(reply(PubsubReply::Nodes {
                        list,
                        page: short.then_some(page),
                    }))
                }
                other => Err(unexpected(&other)),
            }),
        }
    }
}

/// XEP-0163 §5: only nodes that the asker may subscribe to or read.
fn list_personal(
    who: &Asker,
    host: &BareJid,
    page: PageRequest,
    paged: bool,
    directory: &dyn Directory,
) -> Decision {
    let asker = who.subject.jid.clone();
    let own = asker == *host || who.superuser;
    let acquaintance = directory.acquaintance(host, &asker);
    let (sees, groups) = (acquaintance.sees, acquaintance.groups.to_vec());
    let may_know = move |node: &PersonalNode| match node.affiliation {
        _ if own => true,
        Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => true,
        Affiliation::Outcast | Affiliation::PublishOnly => false,
        Affiliation::None => is_admitted(&node.config, sees, &groups),
    };
    Decision::Read {
        query: StoreQuery::PersonalNodes {
            host: host.clone(),
            asker,
            page,
        },
        then: Box::new(move |answer| match answer {
            StoreAnswer::PersonalNodes { mut list, page } => {
                let short = paged || page.count as usize > list.len();
                list.retain(may_know);
                let named = |node: PersonalNode| (node.node, node.config.title);
                Ok(reply(PubsubReply::Nodes {
                    list: list.into_iter().map(named).collect(),
                    page: short.then_some(page),
                }))
            }
            other => Err(unexpected(&other)),
        }),
    }
}

pub(super) fn reply(reply: PubsubReply) -> Reply {
    Reply::Pubsub(Box::new(reply))
}

/// The store answered another question: a fault of ours, not of whoever asks.
pub(super) fn unexpected(_: &StoreAnswer) -> Refusal {
    Reason::InternalServerError.into()
}

/// Which end of a list is cut off where it is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// As many items as one answer may hold.
fn clip(mut items: Vec<Arc<Item>>, cut: End) -> Vec<Arc<Item>> {
    let weight = |item: &Arc<Item>| {
        item.payload
            .as_ref()
            .map_or(0, |payload| payload.bytes.len())
    };
    let mut bytes = 0;
    let mut fits = |item: &Arc<Item>| {
        bytes += weight(item);
        bytes <= REPLY_BYTES_MAX
    };
    let kept = match cut {
        End::Last => items.iter().take_while(|item| fits(item)).count(),
        End::First => items.iter().rev().take_while(|item| fits(item)).count(),
    };
    let kept = kept.max(1).min(items.len());
    match cut {
        End::Last => items.truncate(kept),
        End::First => drop(items.drain(..items.len() - kept)),
    }
    items
}

#[cfg(test)]
mod clip_tests {
    use super::*;
    use crate::{address::FullJid, class::Class, payload::Payload, time::Timestamp};

    #[test]
    fn an_answer_is_cut_at_the_right_end_and_never_to_nothing() {
        let item = |id: &str, bytes: usize| {
            Arc::new(Item {
                id: ItemId::parse(id).unwrap(),
                publisher: FullJid::parse("a@b/c").unwrap(),
                published: Timestamp::default(),
                payload: Some(Payload::xml(vec![b'x'; bytes].into())),
                class: Class::Event,
            })
        };
        let items = vec![item("1", 300_000), item("2", 300_000), item("3", 100_000)];
        let ids = |items: Vec<Arc<Item>>| -> Vec<String> {
            items.iter().map(|item| item.id.to_string()).collect()
        };
        assert_eq!(ids(clip(items.clone(), End::Last)), ["1"]);
        assert_eq!(ids(clip(items, End::First)), ["2", "3"]);
        assert_eq!(ids(clip(vec![item("1", 900_000)], End::First)), ["1"]);
    }
}
