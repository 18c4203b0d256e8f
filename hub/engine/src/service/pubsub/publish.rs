//! Publishing an item (XEP-0060 §7.1).

use std::{collections::HashSet, sync::Arc};

use crate::{
    access::Action,
    address::BareJid,
    class::{Class, ClassRules},
    command::{Field, NewItem, PubsubReply, Reply},
    effect::{Keep, StoreOp, Urgency},
    event::{NodeChange, ReplyTo},
    item::{Item, ItemReply, NodeConfig, NodeFull},
    limits::Limits,
    message::MessageKind,
    node::{ItemId, NodeAddress, NodeId},
    refusal::{Detail, Reason, Refusal},
    service::{Change, Decision, Deliveries, Directory, Notice},
    time::Now,
};

use super::{
    Asker, Pubsub, change,
    config::{self, Unknown},
    create::creation,
    history::kept,
    ids::Ids,
    node::{Last, Node, Raise},
    notice,
    rights::Rights,
    tree::born,
};

/// Most items of one request.
const BATCH_ITEMS_MAX: usize = 256;
/// Most owners that a notification names as those to reply to.
const REPLY_TO_MAX: usize = 16;

impl Pubsub {
    /// The class of the next item of a node that is in memory (S1).
    pub(super) fn class_at(&self, at: &NodeAddress) -> Option<Class> {
        let node = self.nodes.get(at)?;
        Some(class_of(&self.classes, at, &node.config))
    }

    pub(super) fn publish(
        &mut self,
        who: &Asker,
        id: NodeId,
        items: Vec<NewItem>,
        options: Option<Vec<Field>>,
        directory: &mut dyn Directory,
        now: Now,
    ) -> Result<Decision, Refusal> {
        let at = who.at(id);
        let rights = Rights::new(&self.rules, who);
        let options = options.unwrap_or_default();
        let exists = self.nodes.contains_key(&at);
        if !exists {
            rights.not_denied(Action::Publish, &at.node)?;
        }
        let mut draft = None;
        let node = match self.nodes.get_mut(&at) {
            Some(node) => {
                rights.may_publish(&at.node, node)?;
                preconditions(&node.config, &options, &self.limits)?;
                node
            }
            // §7.1.3.3, §7.1.4: made only where the asker may make it; S16's names are refused as such.
            None if rights.may_create(&at.node)
                || at.is_filter()
                || (at.host.is_none() && at.node.is_reserved()) =>
            {
                let made = self.draft(who, &at, &options, Unknown::Refuse, now)?;
                draft.insert(made)
            }
            None => return Err(Reason::ItemNotFound.into()),
        };
        let keep = node.keep(&self.limits);
        let batch = the_batch(&node.config, items, keep)?;
        let ids = named(&mut self.ids, &batch, now)?;
        let kept = kept(&at, &node.config, &self.history, &self.limits, now);
        let class = class_of(&self.classes, &at, &node.config);
        let reply = Reply::Pubsub(Box::new(PubsubReply::Published {
            node: at.node.clone(),
            items: ids.clone(),
        }));
        let built = &mut self.audiences_built;
        let audience = node.audience(&at, class, &self.interest, directory, built);
        let mut owed_to: Arc<[BareJid]> = Arc::new([]);
        if class == Class::Alarm {
            let [id] = ids.as_slice() else {
                return Err(Refusal::new(Reason::NotAllowed)
                    .because(Detail::MaxItemsExceeded)
                    .say("each alarm is raised by itself"));
            };
            if let Some(known) = node.raise(&who.subject.jid, id) {
                let again = raised_again(&at, node, known, kept);
                let reply = Ok(reply);
                return Ok(Decision::Change(Box::new(Change { reply, ..again })));
            }
            owed_to = node.owed_to(&at.node, &self.interest, directory);
            self.owed.room_for(&owed_to, &who.subject.jid)?;
        }
        node.room_for(&ids, keep, now)?;
        let mut published = Change {
            reply: Ok(reply),
            ..change(Vec::new())
        };
        if !exists {
            published.ops = creation(&at, node);
            let born = born(&at, node, &self.interest, directory);
            published.notices.extend(born);
        }
        for (id, new) in ids.into_iter().zip(batch) {
            let item = Arc::new(Item {
                id,
                publisher: who.jid.clone(),
                published: now.wall,
                payload: new.payload,
                class,
            });
            let ops = storage(&at, node, &item, &owed_to, kept);
            published.ops.extend(ops);
            if class == Class::Alarm {
                published.urgency = Urgency::Synced;
                node.remember_raise(Raise {
                    item: Arc::clone(&item),
                    owed_to: Arc::clone(&owed_to),
                });
                for account in owed_to.iter() {
                    self.owed.add(account, &who.subject.jid, 1);
                }
            }
            node.traffic.count(audience.len(), now);
            let told = told(&at, node, &item, audience.clone());
            published.notices.extend(told);
            if node.config.persist_items {
                let dropped = node.contents.put(&item, keep);
                let gone = retracted(&at, node, dropped, &audience);
                published.notices.extend(gone);
                node.last = Last::Known(Some(item));
            }
            self.items_published += 1;
        }
        let heeds = node.config.purge_offline && node.config.persist_items;
        if let Some(made) = draft {
            self.nodes.insert(at.clone(), made);
        }
        if heeds {
            self.note_leaver(&who.subject.jid, &at);
        }
        Ok(Decision::Change(Box::new(published)))
    }
}

/// S1: the class of what is published to a node.
pub(super) fn class_of(rules: &ClassRules, at: &NodeAddress, config: &NodeConfig) -> Class {
    match at.host {
        // Rules are about the service's names (S13).
        Some(_) => ClassRules::default().of(at.node.as_str(), config.class, config.max_items),
        None => rules.of(at.node.as_str(), config.class, config.max_items),
    }
}

/// §7.1.2.5: what a full node retracted to make room, told where the node tells of retractions.
fn retracted(
    at: &NodeAddress,
    node: &Node,
    dropped: Vec<ItemId>,
    to: &Deliveries,
) -> Option<Notice> {
    let config = &node.config;
    let tells = config.publish_node_full == NodeFull::RetractOldest
        && config.notify_retract
        && config.deliver_notifications;
    (tells && !dropped.is_empty()).then(|| {
        let told = NodeChange::Retracted(dropped);
        notice(at, config.notification_type, told, to.clone())
    })
}

/// §7.1.2: the service makes an id where the publisher has none.
fn named(ids: &mut Ids, batch: &[NewItem], now: Now) -> Result<Vec<ItemId>, Refusal> {
    let id = |new: &NewItem| match &new.id {
        Some(id) => Ok(id.clone()),
        None => {
            ItemId::parse(&ids.make(now)).map_err(|_| Refusal::new(Reason::InternalServerError))
        }
    };
    batch.iter().map(id).collect()
}

/// S11: the same raise again. What the first one stored is stored once more under the same keys, so that this answer waits
/// for a commit that holds it; nobody hears of it twice.
fn raised_again(at: &NodeAddress, node: &mut Node, raise: Raise, keep: Keep) -> Change {
    let mut again = change(storage(at, node, &raise.item, &raise.owed_to, keep));
    again.urgency = Urgency::Synced;
    if node.config.persist_items {
        // The store makes it the newest, as it does any item that comes again.
        node.last = Last::Known(Some(raise.item));
    }
    again
}

/// The notification of an item.
pub(super) fn told(
    at: &NodeAddress,
    node: &Node,
    item: &Arc<Item>,
    to: Deliveries,
) -> Option<Notice> {
    if !node.config.deliver_notifications {
        return None;
    }
    let kind = kind_of(item, node.config.notification_type);
    let published = NodeChange::Published {
        item: Arc::clone(item),
        payload: node.config.deliver_payloads,
        reply: reply_to(node),
    };
    Some(notice(at, kind, published, to))
}

/// S12: an alarm's notification is of type `normal`, so that it is kept for who is away.
pub(super) fn kind_of(item: &Item, at_the_node: MessageKind) -> MessageKind {
    match item.class {
        Class::Alarm => MessageKind::Normal,
        Class::State | Class::Event => at_the_node,
    }
}

/// §12.17: whom a reply to an item of the node is for.
pub(super) fn reply_to(node: &Node) -> Option<ReplyTo> {
    match node.config.itemreply? {
        ItemReply::Publisher => Some(ReplyTo::Publisher),
        ItemReply::Owner => {
            let owners = node.owners().take(REPLY_TO_MAX);
            Some(ReplyTo::Owners(owners.cloned().collect()))
        }
    }
}

/// §7.1.5: each option is a condition on the node's configuration.
fn preconditions(config: &NodeConfig, options: &[Field], limits: &Limits) -> Result<(), Refusal> {
    if options.is_empty() {
        return Ok(());
    }
    let unmet = || Refusal::new(Reason::Conflict).because(Detail::PreconditionNotMet);
    let mut asked = config.clone();
    // A value that no node here can have is a condition that this one does not meet.
    config::apply(&mut asked, options, limits, Unknown::Refuse).map_err(|refusal| Refusal {
        text: refusal.text,
        ..unmet()
    })?;
    // `max` and the number that it stands for are one condition.
    let bound = u32::try_from(limits.items_per_node).unwrap_or(u32::MAX);
    if asked.max_items.min(bound) == config.max_items.min(bound) {
        asked.max_items = config.max_items;
    }
    if asked == *config {
        Ok(())
    } else {
        Err(unmet())
    }
}

/// §7.1.3: what may be published to a node that is set so; of several items all or none (§12.11).
fn the_batch(config: &NodeConfig, items: Vec<NewItem>, keep: u32) -> Result<Vec<NewItem>, Refusal> {
    let bad = |detail| Refusal::new(Reason::BadRequest).because(detail);
    let notification_only = !config.persist_items && !config.deliver_payloads;
    match (items.is_empty(), notification_only) {
        (true, true) => return Ok(vec![NewItem::default()]),
        (true, false) => return Err(bad(Detail::ItemRequired)),
        (false, true) => return Err(bad(Detail::ItemForbidden)),
        (false, false) => {}
    }
    let exceeded = |text| {
        Err(Refusal::new(Reason::NotAllowed)
            .because(Detail::MaxItemsExceeded)
            .say(text))
    };
    if items.len() > BATCH_ITEMS_MAX {
        return exceeded("that many items are too many for one request");
    }
    if config.persist_items && items.len() > keep as usize {
        return exceeded("the node does not hold that many items");
    }
    let mut seen = HashSet::new();
    if !items
        .iter()
        .flat_map(|item| &item.id)
        .all(|id| seen.insert(id))
    {
        return Err(Refusal::new(Reason::BadRequest).say("two items of one request have one id"));
    }
    items
        .iter()
        .try_for_each(|item| check_payload(config, item))?;
    Ok(items)
}

fn check_payload(config: &NodeConfig, item: &NewItem) -> Result<(), Refusal> {
    let bad = |detail| Refusal::new(Reason::BadRequest).because(detail);
    let Some(payload) = &item.payload else {
        return if config.deliver_payloads {
            Err(bad(Detail::PayloadRequired))
        } else {
            Ok(())
        };
    };
    if payload.bytes.len() > config.max_payload_size as usize {
        return Err(Refusal::new(Reason::NotAcceptable).because(Detail::PayloadTooBig));
    }
    // §7.1.3.6: the node's type is the namespace of what it carries.
    let typed = !config.payload_type.is_empty();
    if typed
        && payload
            .namespace()
            .is_some_and(|ns| ns != &*config.payload_type)
    {
        return Err(bad(Detail::InvalidPayload));
    }
    Ok(())
}

/// What to store of an item. Without anything it is transient (S2, S3).
fn storage(
    at: &NodeAddress,
    node: &Node,
    item: &Arc<Item>,
    accounts: &[BareJid],
    keep: Keep,
) -> Vec<StoreOp> {
    let mut ops = Vec::new();
    if node.config.persist_items {
        ops.push(StoreOp::PutItem {
            at: at.clone(),
            item: Arc::clone(item),
            // S4: an XMPP publish to a persistent node sets the flag.
            retained: true,
            keep,
        });
    }
    if item.class == Class::Alarm {
        ops.extend(accounts.iter().map(|account| StoreOp::PutOwed {
            account: account.clone(),
            at: at.clone(),
            item: Arc::clone(item),
        }));
    }
    ops
}
