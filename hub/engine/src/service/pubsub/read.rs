//! What changes nothing: items, one's own subscriptions and affiliations (XEP-0060 §5.6, §5.7, §6.5).

use std::sync::Arc;

use crate::{
    access::Action,
    address::Jid,
    command::{PageRequest, PubsubReply, Reply},
    effect::{StoreAnswer, StoreQuery},
    item::{Affiliation, Item, ItemReply, NodeSubscription, Order},
    node::{ItemId, NodeId},
    refusal::{Detail, Reason, Refusal},
    service::{Decision, Directory},
    time::Now,
};

use super::{Asker, Pubsub, answer, rights::Rights};

/// Most items of one answer; the rest is paged (§6.5.4).
const ITEMS_PER_REPLY_MAX: u32 = 256;
/// Most payload bytes of one answer, well below what a mailbox holds. At least one item is always sent.
const REPLY_BYTES_MAX: usize = 512 * 1024;

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
                page: None,
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
                    // §12.19: a lease that is over is over, even before the store has cleared it away.
                    list.retain(|(_, one)| {
                        let ends = one.options.as_ref().and_then(|options| options.expire);
                        !matches!((ends, now), (Some(ends), Some(now)) if ends <= now)
                    });
                    list.extend(of_session);
                    Ok(reply(PubsubReply::Subscriptions {
                        node: None,
                        list,
                        page: None,
                    }))
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
