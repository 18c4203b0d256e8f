//! Discovery: what nodes there are, what they are and what they hold (XEP-0060 §5.1 to §5.5), along the tree of names (S17).
//!
//! A level of the tree is shown to whoever may know of something at it or below it ([`AccessRules::reaches`]); else the way to
//! one's own node would be barred by a deny for its neighbours.

use std::sync::Arc;

use crate::{
    access::{AccessRules, Action, Verdict},
    address::BareJid,
    command::{PageRequest, PubsubReply},
    effect::{StoreAnswer, StoreQuery},
    item::{Affiliation, NodeConfig, Order, PersonalNode},
    node::NodeId,
    refusal::{Reason, Refusal},
    service::{Decision, Directory},
    time::Now,
};

use super::{
    Asker, Pubsub, answer,
    read::{reply, unexpected},
    rights::{Rights, is_admitted},
};

/// Most owners, and most publishers, that the meta-data of a node names.
const OWNERS_SHOWN_MAX: usize = 100;
/// Most names of one answer to disco.
const NAMES_PER_REPLY_MAX: u32 = 1_000;

impl Pubsub {
    /// §5.3, §5.4: what a node is and its meta-data.
    pub(super) fn describe(
        &self,
        who: &Asker,
        id: NodeId,
        directory: &dyn Directory,
    ) -> Result<Decision, Refusal> {
        let rights = Rights::new(&self.rules, who);
        let found = match rights.not_denied(Action::Subscribe, &id) {
            Ok(()) => self.existing(who, &id),
            Err(refusal) => Err(refusal),
        };
        let (at, node) = match found {
            Ok(found) => found,
            Err(refusal) if who.host.is_some() => return Err(refusal),
            Err(refusal) => return self.describe_level(who, id, refusal),
        };
        if who.host.is_some() {
            // Of what is private even the title is.
            Rights::new(&self.rules, who).may_read(&id, node, directory)?;
        }
        let config = Box::new(NodeConfig::clone(&node.config));
        let (creator, created) = (node.creator.clone(), node.created);
        let owners = node.owners().take(OWNERS_SHOWN_MAX).cloned().collect();
        let publishers = node.publishers().take(OWNERS_SHOWN_MAX).cloned().collect();
        let subscribers = u32::try_from(node.subscribers(&self.interest)).unwrap_or(u32::MAX);
        // Expired items are not there, though the store may not have removed them yet.
        let since = self.kept(&at, node, self.now).unexpired;
        let query = match since {
            None => StoreQuery::NodeCounts(at),
            Some(_) => StoreQuery::Items {
                at,
                max: 1,
                page: Some(PageRequest {
                    max: Some(0),
                    ..PageRequest::default()
                }),
                order: Order::default(),
                since,
                with_payload: false,
            },
        };
        Ok(Decision::Read {
            query,
            then: Box::new(move |answer| {
                let items = match answer {
                    StoreAnswer::Counts { items, .. } => items,
                    StoreAnswer::Items { page, .. } => page.count,
                    other => return Err(unexpected(&other)),
                };
                Ok(reply(PubsubReply::NodeInfo {
                    node: id,
                    config,
                    creator,
                    created,
                    owners,
                    publishers,
                    items,
                    subscribers,
                }))
            }),
        })
    }

    /// S17: a name that only has nodes below it is a level of the tree.
    fn describe_level(
        &self,
        who: &Asker,
        id: NodeId,
        refusal: Refusal,
    ) -> Result<Decision, Refusal> {
        let reaches = self.reach(who);
        if !reaches(&id) {
            return Err(refusal);
        }
        Ok(Decision::Read {
            query: StoreQuery::Branch {
                under: Some(id.clone()),
                items: None,
                page: PageRequest {
                    max: Some(NAMES_PER_REPLY_MAX),
                    ..PageRequest::default()
                },
            },
            then: Box::new(move |answer| match answer {
                StoreAnswer::Branch { nodes, .. } => {
                    match nodes.iter().any(|(node, _)| reaches(node)) {
                        true => Ok(reply(PubsubReply::Level { node: id })),
                        false => Err(refusal),
                    }
                }
                other => Err(unexpected(&other)),
            }),
        })
    }

    /// §5.2: the first levels of the service's tree, or the personal nodes; §5.5: the items of a node, and the levels below it.
    pub(super) fn browse(
        &self,
        who: &Asker,
        node: Option<NodeId>,
        page: Option<PageRequest>,
        directory: &dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let paged = page.is_some();
        let page = bounded(page);
        match (node, &who.host) {
            (None, Some(host)) => Ok(list_personal(who, host, page, paged, directory)),
            (Some(id), Some(_)) => self.personal_items(who, id, page, paged, directory, now),
            (node, None) => self.branch(who, node, page, paged, directory, now),
        }
    }

    fn branch(
        &self,
        who: &Asker,
        under: Option<NodeId>,
        page: PageRequest,
        paged: bool,
        directory: &dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let reaches = self.reach(who);
        let rights = Rights::new(&self.rules, who);
        let readable = under.as_ref().map(|id| {
            rights.not_denied(Action::Subscribe, id)?;
            let (at, node) = self.existing(who, id)?;
            rights.may_read(id, node, directory)?;
            Ok::<_, Refusal>((at, node))
        });
        if let (Some(id), Some(Err(refusal))) = (&under, &readable)
            && !reaches(id)
        {
            return Err(refusal.clone());
        }
        let (items, refusal) = match readable {
            None => (None, None),
            Some(Ok((at, node))) => {
                let since = self.kept(&at, node, now).unexpired;
                (node.config.persist_items.then_some(since), None)
            }
            Some(Err(refusal)) => (None, Some(refusal)),
        };
        Ok(Decision::Read {
            query: StoreQuery::Branch {
                under: under.clone(),
                items,
                page,
            },
            then: Box::new(move |answer| match answer {
                StoreAnswer::Branch {
                    mut nodes,
                    items,
                    page,
                } => {
                    let short = paged || page.count as usize > nodes.len() + items.len();
                    // The page's own keys stay, so that paging goes on.
                    nodes.retain(|(node, _)| reaches(node));
                    match refusal {
                        // What is below may be seen though the node itself may not be read, or is none.
                        Some(refusal) if nodes.is_empty() && page.first.is_none() => Err(refusal),
                        Some(refusal) if nodes.is_empty() && !paged => Err(refusal),
                        _ => Ok(reply(PubsubReply::Branch {
                            node: under,
                            nodes,
                            items,
                            page: short.then_some(page),
                        })),
                    }
                }
                other => Err(unexpected(&other)),
            }),
        })
    }

    /// Whether the asker may know of something at a name or below it.
    fn reach(&self, who: &Asker) -> impl Fn(&NodeId) -> bool + Send + 'static + use<> {
        let rules: Arc<AccessRules> = Arc::clone(&self.rules);
        let subject = who.subject.clone();
        let all = who.superuser;
        move |name| all || rules.reaches(&subject, name)
    }

    fn personal_items(
        &self,
        who: &Asker,
        id: NodeId,
        page: PageRequest,
        paged: bool,
        directory: &dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let (at, node) = self.existing(who, &id)?;
        Rights::new(&self.rules, who).may_read(&id, node, directory)?;
        if !node.config.persist_items {
            return Ok(answer(PubsubReply::Branch {
                node: Some(id),
                nodes: Vec::new(),
                items: Vec::new(),
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
                StoreAnswer::Items { items, page } => Ok(reply(PubsubReply::Branch {
                    node: Some(id),
                    nodes: Vec::new(),
                    page: (paged || page.count as usize > items.len()).then_some(page),
                    items: items.iter().map(|item| item.id.clone()).collect(),
                })),
                other => Err(unexpected(&other)),
            }),
        })
    }

    /// All names, or those at and below one, in one list: for the administration.
    pub(super) fn list(
        &self,
        who: &Asker,
        node: Option<NodeId>,
        page: Option<PageRequest>,
        directory: &dyn Directory,
    ) -> Decision {
        let paged = page.is_some();
        let page = bounded(page);
        match &who.host {
            Some(host) => list_personal(who, host, page, paged, directory),
            None => self.list_nodes(who, node, page, paged),
        }
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

fn bounded(page: Option<PageRequest>) -> PageRequest {
    let page = page.unwrap_or_default();
    PageRequest {
        max: Some(page.max.unwrap_or(u32::MAX).min(NAMES_PER_REPLY_MAX)),
        ..page
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
