//! Node configuration: its defaults, and what a submitted form makes of it.
//!
//! Implements: XEP-0060 1.30 §8.2.4, §8.2.5, §16.4.4 (the fields of the node configuration form).
//! The hub's own options begin with `leveret#`: the delivery class (S1) and the history of a node.

use std::collections::HashSet;

use crate::{
    address::BareJid,
    class::Class,
    command::Field,
    item::{AccessModel, History, ItemReply, NodeConfig, NodeFull, PublishModel, SendLastItem},
    limits::Limits,
    message::MessageKind,
    refusal::{Detail, Reason, Refusal},
};

use super::{
    contents::{CONTENTS_MAX, must_be_known},
    field::Value,
};

/// Items a node keeps unless told otherwise. One would make every node of a chat client, blog or log a single value;
/// clients that want a single value ask for it (and get class `state`). MQTT's nodes are made with one.
pub const DEFAULT_ITEMS: u32 = 20;
/// What a stanza needs around its payload, in bytes: a payload of `stanza_bytes` less this can be published.
pub const ENVELOPE_BYTES: u32 = 4_096;
/// Most addresses to ask.
const CONTACTS_MAX: usize = 16;
/// Most roster groups that a node admits, and the longest name of one (see the roster's own bounds).
const ROSTER_GROUPS_MAX: usize = 64;
const ROSTER_GROUP_BYTES_MAX: usize = 1_023;

/// The configuration of a node whose maker says nothing. Persistent, so that a device that comes back can be read; open
/// to read where the access rules say nothing, closed to write (§4.5, S13); headlines, so that readings never land in
/// offline storage.
impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            title: "".into(),
            description: "".into(),
            payload_type: "".into(),
            access_model: AccessModel::Open,
            publish_model: PublishModel::Publishers,
            max_items: DEFAULT_ITEMS,
            max_payload_size: 262_144 - ENVELOPE_BYTES,
            persist_items: true,
            deliver_payloads: true,
            deliver_notifications: true,
            notify_config: false,
            notify_delete: true,
            notify_retract: true,
            notify_sub: false,
            notification_type: MessageKind::Headline,
            send_last_published_item: SendLastItem::OnSub,
            language: "".into(),
            contact: Box::default(),
            roster_groups_allowed: Box::default(),
            subscribe: true,
            item_expire: None,
            publish_node_full: NodeFull::DiscardOldest,
            presence_based_delivery: false,
            purge_offline: false,
            tempsub: false,
            itemreply: None,
            body_xslt: "".into(),
            dataform_xslt: "".into(),
            class: None,
            history: None,
        }
    }
}

/// The default under the limits of this hub (§8.3). That of personal nodes is XEP-0163's: contacts may read (§7.1), the
/// newest value is told to whoever comes (§4.3.4), and one is kept, as clients that publish a mood or a place mean it.
pub(super) fn default_config(host: Option<&BareJid>, limits: &Limits) -> NodeConfig {
    let mut config = NodeConfig {
        max_payload_size: payload_max(limits),
        ..NodeConfig::default()
    };
    if host.is_some() {
        config.access_model = AccessModel::Presence;
        config.max_items = 1;
        config.send_last_published_item = SendLastItem::OnSubAndPresence;
    }
    config.max_items = config.max_items.min(items_max(limits));
    config
}

fn payload_max(limits: &Limits) -> u32 {
    u32::try_from(limits.stanza_bytes)
        .unwrap_or(u32::MAX)
        .saturating_sub(ENVELOPE_BYTES)
}

fn items_max(limits: &Limits) -> u32 {
    u32::try_from(limits.items_per_node).unwrap_or(u32::MAX)
}

/// What to do with a field that XEP-0060 does not define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Forms may carry fields of other documents (XEP-0068 §3.4): they change nothing.
    Ignore,
    /// A precondition that nobody can check is not met (§7.1.5: "unknown fields").
    Refuse,
}

/// Applies a submitted form: fields that are absent keep their value (§8.2.4).
pub(super) fn apply(
    config: &mut NodeConfig,
    fields: &[Field],
    limits: &Limits,
    unknown: Unknown,
) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for field in fields {
        let value = Value { field };
        // XEP-0004 §3.2: a name is unique in its form. Of two words about one thing neither can be obeyed.
        if !seen.insert(&field.var) {
            return Err(value.refuse("is there twice"));
        }
        match field.var.split_once('#') {
            Some(("pubsub", name)) => apply_one(config, name, value, limits, unknown)?,
            // History is one thing in three fields: see below.
            Some(("leveret", "history_items" | "history_age" | "history_bytes")) => {}
            Some(("leveret", "class")) => config.class = class(value)?,
            _ if &*field.var == "FORM_TYPE" => {}
            _ => unknown_field(value, unknown)?,
        }
    }
    config.history = history(config.history, fields, limits)?;
    check(config, limits)
}

fn apply_one(
    config: &mut NodeConfig,
    name: &str,
    value: Value<'_>,
    limits: &Limits,
    unknown: Unknown,
) -> Result<(), Refusal> {
    match name {
        "title" => config.title = value.text()?,
        "description" => config.description = value.text()?,
        "type" => config.payload_type = value.text()?,
        "language" => config.language = value.language()?,
        "contact" => config.contact = value.jids(CONTACTS_MAX)?,
        "body_xslt" => config.body_xslt = value.url()?,
        "dataform_xslt" => config.dataform_xslt = value.url()?,
        "access_model" => config.access_model = access_model(value)?,
        "roster_groups_allowed" => {
            config.roster_groups_allowed = value.list(ROSTER_GROUPS_MAX, ROSTER_GROUP_BYTES_MAX)?;
        }
        "publish_model" => {
            config.publish_model = match value.one()? {
                "publishers" => PublishModel::Publishers,
                "subscribers" => PublishModel::Subscribers,
                "open" => PublishModel::Open,
                _ => return Err(value.wrong()),
            }
        }
        "max_items" => config.max_items = max_items(value, limits)?,
        "max_payload_size" => {
            let size = value.number()?;
            if size > payload_max(limits) {
                return Err(value.refuse(&format!("is at most {}", payload_max(limits))));
            }
            config.max_payload_size = size;
        }
        "item_expire" => config.item_expire = item_expire(value)?,
        // The specification calls it both.
        "publish_node_full" | "publish_full_node" => {
            config.publish_node_full = match value.one()? {
                "retract-oldest" => NodeFull::RetractOldest,
                "discard-oldest" => NodeFull::DiscardOldest,
                "reject" => NodeFull::Reject,
                _ => return Err(value.wrong()),
            }
        }
        "persist_items" => config.persist_items = value.boolean()?,
        "deliver_payloads" => config.deliver_payloads = value.boolean()?,
        "deliver_notifications" => config.deliver_notifications = value.boolean()?,
        "subscribe" => config.subscribe = value.boolean()?,
        "presence_based_delivery" => config.presence_based_delivery = value.boolean()?,
        "purge_offline" => config.purge_offline = value.boolean()?,
        "tempsub" => config.tempsub = value.boolean()?,
        "notify_config" => config.notify_config = value.boolean()?,
        "notify_delete" => config.notify_delete = value.boolean()?,
        "notify_retract" => config.notify_retract = value.boolean()?,
        "notify_sub" => config.notify_sub = value.boolean()?,
        "notification_type" => {
            config.notification_type = match value.one()? {
                "normal" => MessageKind::Normal,
                "headline" => MessageKind::Headline,
                "chat" => MessageKind::Chat,
                _ => return Err(value.wrong()),
            }
        }
        "send_last_published_item" => {
            config.send_last_published_item = match value.one()? {
                "never" => SendLastItem::Never,
                "on_sub" => SendLastItem::OnSub,
                "on_sub_and_presence" => SendLastItem::OnSubAndPresence,
                _ => return Err(value.wrong()),
            }
        }
        "itemreply" => {
            config.itemreply = match value.one()? {
                "owner" => Some(ItemReply::Owner),
                "publisher" => Some(ItemReply::Publisher),
                "none" | "" => None,
                _ => return Err(value.wrong()),
            }
        }
        _ => return fixed(name, value, unknown),
    }
    Ok(())
}

/// Fields with one value here: that value is accepted, since clients send whole forms back, and any other refused.
fn fixed(name: &str, value: Value<'_>, unknown: Unknown) -> Result<(), Refusal> {
    let fits = match name {
        "node_type" => {
            if value.one()? == "collection" {
                // S17: the tree is made of names, there are no collection nodes.
                return Err(Refusal::new(Reason::FeatureNotImplemented)
                    .because(Detail::Unsupported("collections")));
            }
            value.one()? == "leaf"
        }
        "collection" | "children" => value.is_empty(),
        // Meta-data that is the hub's to know, and options of collections: they rule nothing.
        "creator"
        | "creation_date"
        | "owner"
        | "publisher"
        | "num_subscribers"
        | "children_association_policy"
        | "children_max"
            if unknown == Unknown::Ignore =>
        {
            return Ok(());
        }
        _ => return unknown_field(value, unknown),
    };
    if fits { Ok(()) } else { Err(value.wrong()) }
}

fn unknown_field(value: Value<'_>, unknown: Unknown) -> Result<(), Refusal> {
    match unknown {
        Unknown::Ignore => Ok(()),
        Unknown::Refuse => Err(Refusal::new(Reason::Conflict)
            .because(Detail::PreconditionNotMet)
            .say(format!("{} is no option of a node here", value.field.var))),
    }
}

/// What no node can be, though each field by itself is fine.
fn check(config: &NodeConfig, limits: &Limits) -> Result<(), Refusal> {
    let refuse = |why: &'static str| Err(Refusal::new(Reason::NotAcceptable).say(why));
    if config.class == Some(Class::Alarm) && !config.deliver_notifications {
        return refuse("a node of alarms delivers notifications");
    }
    if config.class == Some(Class::Alarm) && config.purge_offline {
        return refuse("alarms stay when their publisher goes offline");
    }
    if must_be_known(config) && config.max_items.min(items_max(limits)) > CONTENTS_MAX {
        return refuse(
            "a node that knows its publishers, or when it is full, holds 10,000 items at most",
        );
    }
    if config.history.is_some_and(|history| history.items > 0) && !config.persist_items {
        return refuse("a node that keeps no items keeps no history of them");
    }
    Ok(())
}

fn access_model(value: Value<'_>) -> Result<AccessModel, Refusal> {
    match value.one()? {
        "open" => Ok(AccessModel::Open),
        "presence" => Ok(AccessModel::Presence),
        "roster" => Ok(AccessModel::Roster),
        "whitelist" => Ok(AccessModel::Whitelist),
        // §8.1.2: a model that the service does not have.
        "authorize" => Ok(AccessModel::Authorize),
        _ => Err(Refusal::new(Reason::NotAcceptable)
            .because(Detail::UnsupportedAccessModel)
            .say("the access models here are open, presence, roster, authorize and whitelist")),
    }
}

/// `max` is "as many as the service keeps" (`config-node-max`); a number beyond that is refused, not cut.
fn max_items(value: Value<'_>, limits: &Limits) -> Result<u32, Refusal> {
    match value.number_or_max()? {
        None => Ok(u32::MAX),
        Some(number) if (1..=items_max(limits)).contains(&number) => Ok(number),
        Some(_) => Err(value.refuse(&format!("is from 1 to {} or max", items_max(limits)))),
    }
}

/// Seconds; `max` and nothing are no bound.
fn item_expire(value: Value<'_>) -> Result<Option<u32>, Refusal> {
    if value.is_empty() {
        return Ok(None);
    }
    match value.number_or_max()? {
        Some(0) => Err(value.refuse("is a number of seconds or max; persist_items keeps nothing")),
        seconds => Ok(seconds),
    }
}

/// `leveret#class`; `default` leaves it to the rules of the hub and to what the node is (S1). Whether the asker may choose
/// `alarm` is for the rights to say.
fn class(value: Value<'_>) -> Result<Option<Class>, Refusal> {
    match value.one()? {
        "state" => Ok(Some(Class::State)),
        "event" => Ok(Some(Class::Event)),
        "alarm" => Ok(Some(Class::Alarm)),
        "default" | "" => Ok(None),
        _ => Err(value.wrong()),
    }
}

/// `leveret#history_items`, `_age` and `_bytes`; items `default` leaves all of it to the rules of the hub.
fn history(
    now: Option<History>,
    fields: &[Field],
    limits: &Limits,
) -> Result<Option<History>, Refusal> {
    let field = |name: &str| {
        let found = fields.iter().find(|field| &*field.var == name);
        found.map(|field| Value { field })
    };
    let mut history = now;
    if let Some(value) = field("leveret#history_items") {
        history = match value.one()? {
            "default" | "" => None,
            _ => match value.number_or_max()?.unwrap_or(items_max(limits)) {
                items if items <= items_max(limits) => Some(History {
                    items,
                    ..history.unwrap_or_default()
                }),
                _ => {
                    return Err(value.refuse(&format!("is at most {}", items_max(limits))));
                }
            },
        };
    }
    let bounds = [field("leveret#history_age"), field("leveret#history_bytes")];
    let [age, bytes] = bounds.map(|value| value.filter(|value| !value.is_empty()));
    let alone = |value: Value<'_>| Err(value.refuse("needs leveret#history_items"));
    if let Some(value) = age {
        match (value.number_or_max()?, &mut history) {
            (Some(0), _) => return Err(value.refuse("is a number of seconds or max")),
            (age_seconds, Some(history)) => history.age_seconds = age_seconds,
            (Some(_), None) => return alone(value),
            (None, None) => {}
        }
    }
    if let Some(value) = bytes {
        match (value.number_or_max()?, &mut history) {
            (bytes, Some(history)) => history.bytes = bytes,
            (Some(_), None) => return alone(value),
            (None, None) => {}
        }
    }
    Ok(history)
}
