//! A node's configuration and meta-data as forms.
//!
//! Implements: XEP-0060 1.30 §5.4, §8.2.2, §16.4.4 (node configuration), §16.4.3 (meta-data).

use std::borrow::Cow;

use crate::{
    address::BareJid,
    item::{AccessModel, NodeConfig, PublishModel, SendLastItem},
    time::Timestamp,
    xmpp::{
        data_form::{FormWriter, Purpose},
        namespace as ns,
        xml::Writer,
    },
};

/// Writes the configuration: to be filled in, or to be read (§8.2.6).
pub fn write_config(config: &NodeConfig, purpose: Purpose, w: &mut Writer<'_>) {
    let mut form = FormWriter::begin(w, purpose, ns::PUBSUB_NODE_CONFIG);
    form.field(
        "pubsub#title",
        "text-single",
        Some("A short name for the node"),
        [&*config.title],
    );
    form.field(
        "pubsub#description",
        "text-single",
        Some("A description of the node"),
        [&*config.description],
    );
    form.field(
        "pubsub#type",
        "text-single",
        Some("The namespace of the payloads"),
        [&*config.payload_type],
    );
    form.choice(
        "pubsub#access_model",
        "Who may subscribe and read",
        access_model_name(config.access_model),
        // Only what the service has (§8.2.2).
        &["open", "presence", "roster", "whitelist"],
    );
    form.field(
        "pubsub#roster_groups_allowed",
        "list-multi",
        Some("The roster groups that may subscribe and read"),
        config.roster_groups_allowed.iter().map(|group| &**group),
    );
    form.choice(
        "pubsub#publish_model",
        "Who may publish",
        publish_model_name(config.publish_model),
        &["publishers", "subscribers", "open"],
    );
    form.field(
        "pubsub#max_items",
        "text-single",
        Some("How many items are kept"),
        [&*max_items(config)],
    );
    form.field(
        "pubsub#max_payload_size",
        "text-single",
        Some("The largest payload, in bytes"),
        [&*config.max_payload_size.to_string()],
    );
    for (var, label, value) in [
        ("pubsub#persist_items", "Keep items", config.persist_items),
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
        &["normal", "headline", "chat"],
    );
    form.choice(
        "pubsub#send_last_published_item",
        "When the last item is sent unasked",
        send_last_name(config.send_last_published_item),
        &["never", "on_sub", "on_sub_and_presence"],
    );
    form.end();
}

/// Writes what everybody may know of a node (§5.4).
pub fn write_meta_data(
    config: &NodeConfig,
    creator: &BareJid,
    created: Timestamp,
    owners: &[BareJid],
    subscribers: u32,
    w: &mut Writer<'_>,
) {
    let mut form = FormWriter::begin(w, Purpose::Result, ns::PUBSUB_META_DATA);
    for (var, text) in [
        ("pubsub#title", &config.title),
        ("pubsub#description", &config.description),
        ("pubsub#type", &config.payload_type),
    ] {
        if !text.is_empty() {
            form.field(var, "text-single", None, [&**text]);
        }
    }
    form.field("pubsub#creator", "jid-single", None, [creator.as_str()]);
    form.field(
        "pubsub#creation_date",
        "text-single",
        None,
        [&*created.to_string()],
    );
    form.field(
        "pubsub#owner",
        "jid-multi",
        None,
        owners.iter().map(BareJid::as_str),
    );
    form.field(
        "pubsub#access_model",
        "list-single",
        None,
        [access_model_name(config.access_model)],
    );
    form.field(
        "pubsub#publish_model",
        "list-single",
        None,
        [publish_model_name(config.publish_model)],
    );
    form.field(
        "pubsub#max_items",
        "text-single",
        None,
        [&*max_items(config)],
    );
    form.field(
        "pubsub#num_subscribers",
        "text-single",
        None,
        [&*subscribers.to_string()],
    );
    form.end();
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
