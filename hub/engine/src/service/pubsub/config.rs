//! Node configuration: its defaults, and what a submitted form makes of it.
//!
//! Implements: XEP-0060 1.30 §8.2.4 to §8.2.5, §16.4.4 (the fields of the node configuration form).

use crate::{
    address::BareJid,
    command::Field,
    item::{AccessModel, NodeConfig, NodeFull, PublishModel, SendLastItem},
    limits::Limits,
    message::MessageKind,
    refusal::{Detail, Reason, Refusal},
};

/// Items a node keeps unless told otherwise. One would make every node of a chat client, blog or log a single value;
/// clients that want a single value ask for it (and get class `state`). MQTT's nodes are made with one.
pub const DEFAULT_ITEMS: u32 = 20;
/// What a stanza needs around its payload, in bytes: a payload of `stanza_bytes` less this can be published.
pub const ENVELOPE_BYTES: u32 = 4_096;
/// Longest title, description or payload type, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// Most roster groups that a node can be shown to.
const GROUPS_MAX: usize = 64;

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
    for field in fields {
        let value = Value { field };
        match field.var.strip_prefix("pubsub#") {
            Some(name) => apply_one(config, name, value, limits, unknown)?,
            None if &*field.var == "FORM_TYPE" => {}
            None => value.unknown(unknown)?,
        }
    }
    Ok(())
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
        "access_model" => config.access_model = access_model(value)?,
        "publish_model" => {
            config.publish_model = match value.one()? {
                "publishers" => PublishModel::Publishers,
                "subscribers" => PublishModel::Subscribers,
                "open" => PublishModel::Open,
                _ => return Err(value.wrong()),
            }
        }
        "roster_groups_allowed" => config.roster_groups_allowed = groups(value)?,
        "max_items" => config.max_items = max_items(value, limits)?,
        "max_payload_size" => {
            let size = value.number()?;
            if size > payload_max(limits) {
                return Err(value.wrong());
            }
            config.max_payload_size = size;
        }
        "persist_items" => config.persist_items = value.boolean()?,
        "deliver_payloads" => config.deliver_payloads = value.boolean()?,
        "deliver_notifications" => config.deliver_notifications = value.boolean()?,
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
        _ => return fixed(name, value, unknown),
    }
    Ok(())
}

/// Options with one value here: that value is accepted, since clients send whole forms back, and any other refused.
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
        "subscribe" => value.boolean()?,
        "presence_based_delivery" | "purge_offline" | "tempsub" => !value.boolean()?,
        "item_expire" => matches!(value.one()?, "" | "max" | "0"),
        "publish_full_node" | "publish_node_full" => value.one()? != "reject",
        "collection" | "children" | "body_xslt" | "dataform_xslt" => value.is_empty(),
        // Words for people, and meta-data that is the hub's to know: they rule nothing.
        "language"
        | "contact"
        | "itemreply"
        | "creator"
        | "creation_date"
        | "owner"
        | "publisher"
        | "num_subscribers"
        | "children_association_policy"
        | "children_max" => {
            return Ok(());
        }
        _ => return value.unknown(unknown),
    };
    if fits { Ok(()) } else { Err(value.wrong()) }
}

fn access_model(value: Value<'_>) -> Result<AccessModel, Refusal> {
    match value.one()? {
        "open" => Ok(AccessModel::Open),
        "whitelist" => Ok(AccessModel::Whitelist),
        "presence" => Ok(AccessModel::Presence),
        "roster" => Ok(AccessModel::Roster),
        // §8.1.2: a model that the service does not have.
        "authorize" => Err(Refusal::new(Reason::NotAcceptable)
            .because(Detail::UnsupportedAccessModel)
            .say("the access models here are open, presence, roster and whitelist")),
        _ => Err(value.wrong()),
    }
}

/// A `list-multi`: of whichever groups the owner's roster has, now or later.
fn groups(value: Value<'_>) -> Result<Box<[Box<str>]>, Refusal> {
    let groups = &value.field.values;
    if groups.len() > GROUPS_MAX || groups.iter().any(|group| group.len() > TEXT_BYTES_MAX) {
        return Err(value.wrong());
    }
    let named = groups.iter().filter(|group| !group.is_empty());
    Ok(named.cloned().collect())
}

/// `max` is "as many as the service keeps" (`config-node-max`); a number beyond that is refused, not cut.
fn max_items(value: Value<'_>, limits: &Limits) -> Result<u32, Refusal> {
    if value.one()? == "max" {
        return Ok(u32::MAX);
    }
    match value.number()? {
        number if (1..=items_max(limits)).contains(&number) => Ok(number),
        _ => Err(value.wrong()),
    }
}

/// The value of a field, and the refusals that name it.
#[derive(Clone, Copy)]
struct Value<'a> {
    field: &'a Field,
}

impl<'a> Value<'a> {
    /// §8.2.5: a change that cannot be processed.
    fn wrong(self) -> Refusal {
        Refusal::new(Reason::NotAcceptable)
            .say(format!("{} cannot have this value", self.field.var))
    }

    fn unknown(self, unknown: Unknown) -> Result<(), Refusal> {
        match unknown {
            Unknown::Ignore => Ok(()),
            Unknown::Refuse => Err(Refusal::new(Reason::Conflict)
                .because(Detail::PreconditionNotMet)
                .say(format!("{} is no option of a node here", self.field.var))),
        }
    }

    fn one(self) -> Result<&'a str, Refusal> {
        match self.field.values.as_slice() {
            [] => Ok(""),
            [value] => Ok(value),
            _ => Err(self.wrong()),
        }
    }

    fn is_empty(self) -> bool {
        self.field.values.iter().all(|value| value.is_empty())
    }

    /// XEP-0004 §3.3: text of several lines comes as several values.
    fn text(self) -> Result<Box<str>, Refusal> {
        let text = self.field.values.join("\n");
        if text.len() > TEXT_BYTES_MAX {
            return Err(self.wrong());
        }
        Ok(text.into())
    }

    /// XEP-0004 §3.3: the lexical forms of XML Schema.
    fn boolean(self) -> Result<bool, Refusal> {
        match self.one()? {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(self.wrong()),
        }
    }

    fn number(self) -> Result<u32, Refusal> {
        self.one()?.parse().map_err(|_| self.wrong())
    }
}
