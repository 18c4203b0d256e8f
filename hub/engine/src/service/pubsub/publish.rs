//! Publishing an item (XEP-0060 §7.1).

use std::sync::Arc;

use crate::{
    access::Action,
    address::BareJid,
    class::{Class, ClassRules},
    command::{Field, NewItem, PubsubReply, Reply},
    effect::{StoreOp, Urgency},
    event::NodeChange,
    item::{Item, NodeConfig},
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
    ids::Ids,
    node::{Last, Node, Raise},
    notice,
    rights::Rights,
    tree::born,
};

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
        let new = the_item(&node.config, items)?;
        let item_id = named(&mut self.ids, new.id, now)?;
        let class = class_of(&self.classes, &at, &node.config);
        let reply = Reply::Pubsub(Box::new(PubsubReply::Published {
            node: at.node.clone(),
            items: vec![item_id.clone()],
        }));
        let audience = node.audience(&at, &self.interest, directory, &mut self.audiences_built);
        let mut owed_to: Arc<[BareJid]> = Arc::new([]);
        if class == Class::Alarm {
            if let Some(known) = node.raise(&who.subject.jid, &item_id) {
                let again = raised_again(&at, node, known, &self.limits);
                let reply = Ok(reply);
                return Ok(Decision::Change(Box::new(Change { reply, ..again })));
            }
            owed_to = node.owed_to(&at.node, &self.interest, directory);
            self.owed.room_for(&owed_to, &who.subject.jid)?;
        }
        let item = Arc::new(Item {
            id: item_id,
            publisher: who.jid.clone(),
            published: now.wall,
            payload: new.payload,
            class,
        });
        let mut ops = if exists {
            Vec::new()
        } else {
            creation(&at, node)
        };
        ops.extend(storage(&at, node, &item, &owed_to, &self.limits));
        let mut published = Change {
            reply: Ok(reply),
            ..change(ops)
        };
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
        if !exists {
            published
                .notices
                .extend(born(&at, node, &self.interest, directory));
        }
        node.traffic.count(audience.len(), now);
        published.notices.extend(told(&at, node, &item, audience));
        if node.config.persist_items {
            node.last = Last::Known(Some(item));
        }
        if let Some(made) = draft {
            self.nodes.insert(at, made);
        }
        self.items_published += 1;
        Ok(Decision::Change(Box::new(published)))
    }
}

/// S1: the class of what is published to a node.
fn class_of(rules: &ClassRules, at: &NodeAddress, config: &NodeConfig) -> Class {
    match at.host {
        // Rules are about the service's names (S13).
        Some(_) => ClassRules::default().of(at.node.as_str(), config.class, config.max_items),
        None => rules.of(at.node.as_str(), config.class, config.max_items),
    }
}

/// §7.1.2: the service makes an id where the publisher has none.
fn named(ids: &mut Ids, id: Option<ItemId>, now: Now) -> Result<ItemId, Refusal> {
    match id {
        Some(id) => Ok(id),
        None => ItemId::parse(&ids.make(now)).map_err(|_| Reason::InternalServerError.into()),
    }
}

/// S11: the same raise again. What the first one stored is stored once more under the same keys, so that this answer waits
/// for a commit that holds it; nobody hears of it twice.
fn raised_again(at: &NodeAddress, node: &mut Node, raise: Raise, limits: &Limits) -> Change {
    let mut again = change(storage(at, node, &raise.item, &raise.owed_to, limits));
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
    // S12: an alarm's notification is of type `normal`, so that it is kept for who is away.
    let kind = match item.class {
        Class::Alarm => MessageKind::Normal,
        Class::State | Class::Event => node.config.notification_type,
    };
    let published = NodeChange::Published {
        item: Arc::clone(item),
        payload: node.config.deliver_payloads,
    };
    Some(notice(at, kind, published, to))
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

/// §7.1.3: what may be published to a node that is set so.
fn the_item(config: &NodeConfig, items: Vec<NewItem>) -> Result<NewItem, Refusal> {
    let bad = |detail| Refusal::new(Reason::BadRequest).because(detail);
    if items.len() > 1 {
        // §12.15: a batch is refused as a whole.
        return Err(Refusal::new(Reason::NotAllowed)
            .because(Detail::MaxItemsExceeded)
            .say("one item a request"));
    }
    let notification_only = !config.persist_items && !config.deliver_payloads;
    match (items.into_iter().next(), notification_only) {
        (None, true) => Ok(NewItem::default()),
        (None, false) => Err(bad(Detail::ItemRequired)),
        (Some(_), true) => Err(bad(Detail::ItemForbidden)),
        (Some(item), false) => {
            let Some(payload) = &item.payload else {
                return if config.deliver_payloads {
                    Err(bad(Detail::PayloadRequired))
                } else {
                    Ok(item)
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
            Ok(item)
        }
    }
}

/// What to store of an item. Without anything it is transient (S2, S3).
fn storage(
    at: &NodeAddress,
    node: &Node,
    item: &Arc<Item>,
    accounts: &[BareJid],
    limits: &Limits,
) -> Vec<StoreOp> {
    let mut ops = Vec::new();
    if node.config.persist_items {
        ops.push(StoreOp::PutItem {
            at: at.clone(),
            item: Arc::clone(item),
            // S4: an XMPP publish to a persistent node sets the flag.
            retained: true,
            keep: node.keep(limits),
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
