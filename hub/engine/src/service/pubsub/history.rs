//! How much a node keeps, and its archive.
//!
//! Implements: XEP-0442 0.2.0 §2, §3 with XEP-0313 1.1.3 §4, §5 for nodes: what is asked of an archive and who may; XEP-0060
//! §16.4.4 `pubsub#item_expire`. What a node shows is its newest `max_items`; behind them is history, for its archive
//! alone, so that a node of one item stays class `state` (S1) and its history stays when the item goes (S4).

use crate::{
    access::Action,
    address::Jid,
    archive::{ArchiveEntry, ArchiveFilter},
    command::{ArchiveRequest, PubsubReply},
    effect::{Keep, StoreAnswer, StoreOp, StoreQuery, Urgency},
    event::{Archived, NodeChange, NodeEvent},
    history::HistoryRules,
    item::{History, NodeConfig},
    limits::Limits,
    node::{NodeAddress, NodeId},
    refusal::{Detail, Reason, Refusal},
    service::{Change, Decision, Directory},
    time::{Now, Timestamp},
};

use super::{
    Asker, Pubsub, change,
    node::Node,
    publish::{kind_of, reply_to},
    read::{reply, unexpected},
    rights::Rights,
};

/// Most ids of one query.
const IDS_MAX: usize = 256;

/// How much a node keeps that is set so: its own option, else the first `[[history]]` rule that matches; personal nodes are
/// outside the rules as they are outside `[[access]]`. What an owner chooses is bounded by `items_per_node`.
pub(super) fn kept(
    at: &NodeAddress,
    config: &NodeConfig,
    rules: &HistoryRules,
    limits: &Limits,
    now: Now,
) -> Keep {
    let bound = u32::try_from(limits.items_per_node).unwrap_or(u32::MAX);
    let shown = config.max_items.min(bound);
    if !config.persist_items {
        return Keep::NOTHING;
    }
    let own = config.history.map(|own| History {
        items: own.items.min(bound),
        ..own
    });
    let rule = || match &at.host {
        None => rules.of(at.node.as_str()),
        Some(_) => None,
    };
    let history = own.or_else(rule).unwrap_or_default();
    let unexpired = since(config.item_expire, now);
    Keep {
        shown,
        history: history.items,
        bytes: history.bytes,
        since: since(history.age_seconds, now),
        unexpired,
    }
}

/// From when on what is at most so old was published. A clock that cannot be believed makes nothing old (S28): one that
/// was set back hides nothing, and one that starts in 1970 removes nothing.
pub(super) fn since(age_seconds: Option<u32>, now: Now) -> Option<Timestamp> {
    let age = i64::from(age_seconds.filter(|_| now.wall_trusted)?);
    Some(Timestamp::from_micros(now.wall.micros() - age * 1_000_000))
}

/// What the archive of a node holds: nothing that is expired or too old, even while it is still there.
fn archived_since(keep: &Keep) -> Option<Timestamp> {
    let history = keep.since.filter(|_| keep.history > 0);
    history.max(keep.unexpired)
}

impl Pubsub {
    pub(super) fn kept(&self, at: &NodeAddress, node: &Node, now: Now) -> Keep {
        kept(at, &node.config, &self.history, &self.limits, now)
    }

    /// The node, if `who` may read its archive: whoever may read its items (XEP-0313 §8.1).
    fn archive_of(
        &self,
        who: &Asker,
        id: &NodeId,
        directory: &dyn Directory,
    ) -> Result<(NodeAddress, &Node), Refusal> {
        let rights = Rights::new(&self.rules, who);
        rights.not_denied(Action::Subscribe, id)?;
        let (at, node) = self.existing(who, id)?;
        rights.may_read(id, node, directory)?;
        if !node.config.persist_items {
            return Err(Refusal::new(Reason::FeatureNotImplemented)
                .because(Detail::Unsupported("persistent-items")));
        }
        Ok((at, node))
    }

    /// XEP-0442 §2.
    pub(super) fn archive(
        &self,
        who: &Asker,
        id: NodeId,
        request: ArchiveRequest,
        directory: &dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let (at, node) = self.archive_of(who, &id, directory)?;
        if request.filter.ids.len() > IDS_MAX {
            return Err(Refusal::new(Reason::NotAcceptable).say("too many ids at once"));
        }
        let filter = self.of_publisher(who, &at, node, request.filter)?;
        let keep = self.kept(&at, node, now);
        let reference = request.reference;
        let flipped = request.flipped;
        let kind = node.config.notification_type;
        let reply_to = reply_to(node);
        let asked = at.clone();
        Ok(Decision::Read {
            query: StoreQuery::Archive {
                at,
                filter: Box::new(filter),
                page: request.page,
                descending: request.descending,
                since: archived_since(&keep),
            },
            then: Box::new(move |answer| match answer {
                StoreAnswer::Archive { entries, page } => {
                    // XEP-0442 §3: as it was told, but for the payload, which is there whatever the node delivers.
                    let told = |entry: ArchiveEntry| Archived {
                        id: entry.id,
                        published: entry.item.published,
                        event: (!entry.retracted).then(|| NodeEvent {
                            at: asked.clone(),
                            kind: kind_of(&entry.item, kind),
                            change: NodeChange::Published {
                                item: entry.item,
                                payload: true,
                                reply: reply_to.clone(),
                            },
                        }),
                    };
                    let mut entries: Vec<_> = entries.into_iter().map(told).collect();
                    if flipped {
                        entries.reverse();
                    }
                    Ok(reply(PubsubReply::Archive {
                        reference,
                        entries,
                        page,
                    }))
                }
                other => Err(unexpected(&other)),
            }),
        })
    }

    /// XEP-0313 §4.1.1: `with` is the sender of a notification, which is the service itself; or the publisher, for those who
    /// may know who that is.
    fn of_publisher(
        &self,
        who: &Asker,
        at: &NodeAddress,
        node: &Node,
        filter: ArchiveFilter,
    ) -> Result<ArchiveFilter, Refusal> {
        let Some(with) = &filter.publisher else {
            return Ok(filter);
        };
        let host: &Jid = at.host.as_ref().unwrap_or(&self.service).as_jid();
        if with == host {
            return Ok(ArchiveFilter {
                publisher: None,
                ..filter
            });
        }
        let may_know = who.superuser
            || with.bare() == who.subject.jid
            || Rights::new(&self.rules, who)
                .may_manage(&at.node, node)
                .is_ok();
        if may_know {
            Ok(filter)
        } else {
            Err(Refusal::new(Reason::Forbidden).say("who published is told to the node's owners"))
        }
    }

    /// XEP-0313 §5.
    pub(super) fn archive_ends(
        &self,
        who: &Asker,
        id: NodeId,
        directory: &dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let (at, node) = self.archive_of(who, &id, directory)?;
        let keep = self.kept(&at, node, now);
        Ok(Decision::Read {
            query: StoreQuery::ArchiveEnds {
                at,
                since: archived_since(&keep),
            },
            then: Box::new(move |answer| match answer {
                StoreAnswer::ArchiveEnds(ends) => Ok(reply(PubsubReply::ArchiveEnds(ends))),
                other => Err(unexpected(&other)),
            }),
        })
    }

    /// What is to be removed at nodes that may be silent: their items age while nobody publishes. Nothing, if none of these
    /// nodes has a bound of age.
    pub fn sweep(
        &mut self,
        nodes: Vec<(NodeAddress, Box<NodeConfig>)>,
        now: Now,
    ) -> Option<Change> {
        let mut ops = Vec::new();
        for (at, stored) in nodes {
            // Memory is newer; a node that was deleted meanwhile has nothing to remove.
            let resident = self.nodes.get(&at).map(|node| &*node.config);
            let config = resident.unwrap_or(&stored);
            let keep = kept(&at, config, &self.history, &self.limits, now);
            if let Some(before) = keep.unexpired
                && let Some(node) = self.nodes.get_mut(&at)
            {
                // What is known of the contents goes with them: nobody is told later that such an item is gone.
                node.contents.expire(before);
            }
            if keep.shown > 0 && (keep.since.is_some() || keep.unexpired.is_some()) {
                ops.push(StoreOp::TrimItems { at, keep });
            }
        }
        (!ops.is_empty()).then(|| Change {
            urgency: Urgency::Lazy,
            ..change(ops)
        })
    }
}
