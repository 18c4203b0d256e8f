//! A node's configuration and meta-data as forms.
//!
//! Implements: XEP-0060 1.30 §5.4, §8.2.2, §16.4.4 (node configuration), §16.4.3 (meta-data).

use std::borrow::Cow;

use crate::{
    address::{BareJid, Jid},
    class::Class,
    item::{AccessModel, ItemReply, NodeConfig, NodeFull, PublishModel, SendLastItem},
    time::Timestamp,
    xmpp::{
        data_form::{FormWriter, Purpose},
        namespace as ns,
        xml::Writer,
    },
};

/// Languages that a form offers (§5.4 would have a list); a tag that is not in it is as good.
const LANGUAGES: &[(&str, &str)] = &[
    ("", "None"),
    ("ar", "العربية"),
    ("cs", "Čeština"),
    ("da", "Dansk"),
    ("de", "Deutsch"),
    ("el", "Ελληνικά"),
    ("en", "English"),
    ("es", "Español"),
    ("fi", "Suomi"),
    ("fr", "Français"),
    ("hi", "हिन्दी"),
    ("hu", "Magyar"),
    ("it", "Italiano"),
    ("ja", "日本語"),
    ("ko", "한국어"),
    ("nb", "Norsk bokmål"),
    ("nl", "Nederlands"),
    ("pl", "Polski"),
    ("pt", "Português"),
    ("ro", "Română"),
    ("ru", "Русский"),
    ("sv", "Svenska"),
    ("tr", "Türkçe"),
    ("uk", "Українська"),
    ("zh", "中文"),
];

/// Writes the configuration: to be filled in, or to be read (§8.2.5.3).
pub fn write_config(config: &NodeConfig, purpose: Purpose, w: &mut Writer<'_>) {
    let mut form = FormWriter::begin(w, purpose, ns::PUBSUB_NODE_CONFIG);
    write_texts(config, &mut form);
    write_rights(config, &mut form);
    write_keeping(config, &mut form);
    write_delivery(config, &mut form);
    write_own(config, &mut form);
    form.end();
}

/// What the node is, in words.
fn write_texts(config: &NodeConfig, form: &mut FormWriter<'_, '_>) {
    for (var, label, text) in [
        ("pubsub#title", "A short name for the node", &config.title),
        (
            "pubsub#description",
            "A description of the node",
            &config.description,
        ),
        (
            "pubsub#type",
            "The namespace of the payloads",
            &config.payload_type,
        ),
        (
            "pubsub#body_xslt",
            "A transformation of payloads into text for people (URL)",
            &config.body_xslt,
        ),
        (
            "pubsub#dataform_xslt",
            "A transformation of payloads into a form (URL)",
            &config.dataform_xslt,
        ),
    ] {
        form.field(var, "text-single", Some(label), [&**text]);
    }
    form.choice(
        "pubsub#node_type",
        "What kind of node it is",
        "leaf",
        &[("leaf", "It holds items")],
    );
    form.choice(
        "pubsub#language",
        "The language of its texts",
        &config.language,
        LANGUAGES,
    );
    form.field(
        "pubsub#contact",
        "jid-multi",
        Some("Whom to ask about the node"),
        config.contact.iter().map(Jid::as_str),
    );
}

fn write_rights(config: &NodeConfig, form: &mut FormWriter<'_, '_>) {
    form.choice(
        "pubsub#access_model",
        "Who may subscribe and read",
        access_model_name(config.access_model),
        // Only what the service has (§8.2.2).
        &[
            ("open", "Anybody"),
            ("presence", "Who may see an owner's presence"),
            ("roster", "Who is in certain groups of an owner's roster"),
            ("authorize", "Whom an owner has approved"),
            ("whitelist", "Members only"),
        ],
    );
    form.choices(
        "pubsub#roster_groups_allowed",
        "The roster groups that may subscribe and read",
        &config.roster_groups_allowed,
    );
    form.choice(
        "pubsub#publish_model",
        "Who may publish",
        publish_model_name(config.publish_model),
        &[
            ("publishers", "Publishers only"),
            ("subscribers", "Subscribers, too"),
            ("open", "Anybody"),
        ],
    );
    form.boolean(
        "pubsub#subscribe",
        "Take new subscriptions",
        config.subscribe,
    );
    form.boolean(
        "pubsub#tempsub",
        "Subscriptions end when the subscriber goes offline",
        config.tempsub,
    );
}

fn write_keeping(config: &NodeConfig, form: &mut FormWriter<'_, '_>) {
    form.boolean("pubsub#persist_items", "Keep items", config.persist_items);
    let expire = or_max(config.item_expire);
    for (var, label, value) in [
        (
            "pubsub#max_items",
            "How many items are kept",
            &*max_items(config),
        ),
        (
            "pubsub#item_expire",
            "After how many seconds an item is worth nothing",
            &*expire,
        ),
        (
            "pubsub#max_payload_size",
            "The largest payload, in bytes",
            &*config.max_payload_size.to_string(),
        ),
    ] {
        form.field(var, "text-single", Some(label), [value]);
    }
    form.choice(
        "pubsub#publish_node_full",
        "What to do when the node is full",
        node_full_name(config.publish_node_full),
        &[
            ("retract-oldest", "Retract the oldest item"),
            ("discard-oldest", "Drop the oldest item silently"),
            ("reject", "Refuse the new item"),
        ],
    );
    form.boolean(
        "pubsub#purge_offline",
        "Drop a publisher's items when it goes offline",
        config.purge_offline,
    );
}

fn write_delivery(config: &NodeConfig, form: &mut FormWriter<'_, '_>) {
    for (var, label, value) in [
        (
            "pubsub#deliver_payloads",
            "Notifications carry the payload",
            config.deliver_payloads,
        ),
        (
            "pubsub#deliver_notifications",
            "Notify subscribers",
            config.deliver_notifications,
        ),
        (
            "pubsub#presence_based_delivery",
            "Notify available subscribers only",
            config.presence_based_delivery,
        ),
        (
            "pubsub#notify_config",
            "Notify subscribers of a new configuration",
            config.notify_config,
        ),
        (
            "pubsub#notify_delete",
            "Notify subscribers when the node is deleted",
            config.notify_delete,
        ),
        (
            "pubsub#notify_retract",
            "Notify subscribers when items are removed",
            config.notify_retract,
        ),
        (
            "pubsub#notify_sub",
            "Notify owners of subscribers who come and go",
            config.notify_sub,
        ),
    ] {
        form.boolean(var, label, value);
    }
    form.choice(
        "pubsub#notification_type",
        "The type of the notifying message",
        config.notification_type.name(),
        &[
            ("normal", "Normal"),
            ("headline", "Headline"),
            ("chat", "Chat"),
        ],
    );
    form.choice(
        "pubsub#send_last_published_item",
        "When the last item is sent unasked",
        send_last_name(config.send_last_published_item),
        &[
            ("never", "Never"),
            ("on_sub", "To a new subscriber"),
            (
                "on_sub_and_presence",
                "To a new subscriber, and whenever one comes online",
            ),
        ],
    );
    form.choice(
        "pubsub#itemreply",
        "Whom a reply to an item is for",
        item_reply_name(config.itemreply),
        &[
            ("none", "Nobody; the publisher is not shown"),
            ("owner", "The owners"),
            ("publisher", "The publisher, who is shown"),
        ],
    );
}

/// The hub's own options.
fn write_own(config: &NodeConfig, form: &mut FormWriter<'_, '_>) {
    form.choice(
        "leveret#class",
        "What may happen to items that a subscriber is too slow for",
        config.class.map_or("default", Class::name),
        &[
            ("default", "As the hub's rules say"),
            ("state", "Only the newest counts"),
            ("event", "Each counts, up to a bound"),
            ("alarm", "None is ever dropped"),
        ],
    );
    let history = config.history.as_ref();
    let items = history.map_or("default".into(), |history| history.items.to_string());
    for (var, label, value) in [
        (
            "leveret#history_items",
            "How many items the history has",
            items,
        ),
        (
            "leveret#history_age",
            "The age of its oldest item, in seconds",
            or_max(history.and_then(|history| history.age_seconds)),
        ),
        (
            "leveret#history_bytes",
            "How many bytes it has",
            or_max(history.and_then(|history| history.bytes)),
        ),
    ] {
        form.field(var, "text-single", Some(label), [&*value]);
    }
}

/// Writes what everybody may know of a node (§5.4).
pub fn write_meta_data(about: &About<'_>, w: &mut Writer<'_>) {
    let config = about.config;
    let mut form = FormWriter::begin(w, Purpose::Result, ns::PUBSUB_META_DATA);
    for (var, kind, text) in [
        ("pubsub#title", "text-single", &config.title),
        ("pubsub#description", "text-single", &config.description),
        ("pubsub#type", "text-single", &config.payload_type),
        ("pubsub#language", "list-single", &config.language),
    ] {
        if !text.is_empty() {
            form.field(var, kind, None, [&**text]);
        }
    }
    form.field(
        "pubsub#creator",
        "jid-single",
        None,
        [about.creator.as_str()],
    );
    form.field(
        "pubsub#creation_date",
        "text-single",
        None,
        [&*about.created.to_string()],
    );
    for (var, list) in [
        ("pubsub#owner", about.owners),
        ("pubsub#publisher", about.publishers),
    ] {
        if !list.is_empty() {
            form.field(var, "jid-multi", None, list.iter().map(BareJid::as_str));
        }
    }
    if !config.contact.is_empty() {
        let contact = config.contact.iter().map(Jid::as_str);
        form.field("pubsub#contact", "jid-multi", None, contact);
    }
    for (var, kind, value) in [
        (
            "pubsub#access_model",
            "list-single",
            access_model_name(config.access_model),
        ),
        (
            "pubsub#publish_model",
            "list-single",
            publish_model_name(config.publish_model),
        ),
        ("pubsub#max_items", "text-single", &*max_items(config)),
        (
            "pubsub#num_subscribers",
            "text-single",
            &*about.subscribers.to_string(),
        ),
    ] {
        form.field(var, kind, None, [value]);
    }
    form.end();
}

/// What the meta-data of a node is made of.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names say it")]
pub struct About<'a> {
    pub config: &'a NodeConfig,
    pub creator: &'a BareJid,
    pub created: Timestamp,
    pub owners: &'a [BareJid],
    pub publishers: &'a [BareJid],
    pub subscribers: u32,
}

/// §12.23 `integer-or-max`.
fn or_max<N: ToString>(number: Option<N>) -> String {
    number.map_or("max".into(), |number| number.to_string())
}

fn max_items(config: &NodeConfig) -> Cow<'static, str> {
    match config.max_items {
        u32::MAX => "max".into(),
        number => number.to_string().into(),
    }
}

const fn access_model_name(model: AccessModel) -> &'static str {
    match model {
        AccessModel::Open => "open",
        AccessModel::Presence => "presence",
        AccessModel::Roster => "roster",
        AccessModel::Authorize => "authorize",
        AccessModel::Whitelist => "whitelist",
    }
}

const fn publish_model_name(model: PublishModel) -> &'static str {
    match model {
        PublishModel::Publishers => "publishers",
        PublishModel::Subscribers => "subscribers",
        PublishModel::Open => "open",
    }
}

const fn send_last_name(when: SendLastItem) -> &'static str {
    match when {
        SendLastItem::Never => "never",
        SendLastItem::OnSub => "on_sub",
        SendLastItem::OnSubAndPresence => "on_sub_and_presence",
    }
}

const fn node_full_name(what: NodeFull) -> &'static str {
    match what {
        NodeFull::RetractOldest => "retract-oldest",
        NodeFull::DiscardOldest => "discard-oldest",
        NodeFull::Reject => "reject",
    }
}

const fn item_reply_name(to: Option<ItemReply>) -> &'static str {
    match to {
        None => "none",
        Some(ItemReply::Owner) => "owner",
        Some(ItemReply::Publisher) => "publisher",
    }
}
