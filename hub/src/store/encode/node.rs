//! How a node is set, as bytes.

use leveret_engine::{
    address::Jid,
    item::{History, NodeConfig},
};

use super::{Code as _, Encoded, Reader, put_flags, put_maybe, put_number, put_text};

impl Encoded for NodeConfig {
    const WHAT: &'static str = "node configuration";
    const VERSION: u8 = 2;

    fn put(&self, out: &mut Vec<u8>) {
        let Self {
            title,
            description,
            payload_type,
            access_model,
            publish_model,
            max_items,
            max_payload_size,
            persist_items,
            deliver_payloads,
            deliver_notifications,
            notify_config,
            notify_delete,
            notify_retract,
            notify_sub,
            notification_type,
            send_last_published_item,
            language,
            contact,
            roster_groups_allowed,
            subscribe,
            item_expire,
            publish_node_full,
            presence_based_delivery,
            purge_offline,
            tempsub,
            itemreply,
            body_xslt,
            dataform_xslt,
            class,
            history,
        } = self;
        for text in [title, description, payload_type] {
            put_text(out, text);
        }
        out.push(access_model.code());
        out.push(publish_model.code());
        put_number(out, (*max_items).into());
        put_number(out, (*max_payload_size).into());
        let deliver = [*persist_items, *deliver_payloads, *deliver_notifications];
        put_flags(out, deliver);
        put_flags(
            out,
            [*notify_config, *notify_delete, *notify_retract, *notify_sub],
        );
        out.push(notification_type.code());
        out.push(send_last_published_item.code());
        for text in [language, body_xslt, dataform_xslt] {
            put_text(out, text);
        }
        put_number(out, contact.len() as u64);
        for jid in contact {
            put_text(out, jid.as_str());
        }
        put_number(out, roster_groups_allowed.len() as u64);
        for group in roster_groups_allowed {
            put_text(out, group);
        }
        put_flags(
            out,
            [
                *subscribe,
                *presence_based_delivery,
                *purge_offline,
                *tempsub,
            ],
        );
        put_maybe(out, *item_expire, |out, seconds| {
            put_number(out, seconds.into())
        });
        out.push(publish_node_full.code());
        put_maybe(out, *itemreply, |out, to| out.push(to.code()));
        put_maybe(out, *class, |out, class| out.push(class.code()));
        put_maybe(out, *history, |out, history| {
            put_number(out, history.items.into());
            put_maybe(out, history.age_seconds, |out, age| {
                put_number(out, age.into())
            });
            put_maybe(out, history.bytes, put_number);
        });
    }

    fn take(input: &mut Reader<'_>) -> Option<Self> {
        let title = input.boxed()?;
        let description = input.boxed()?;
        let payload_type = input.boxed()?;
        let access_model = input.code()?;
        let publish_model = input.code()?;
        let max_items = input.small()?;
        let max_payload_size = input.small()?;
        let [persist_items, deliver_payloads, deliver_notifications] = input.flags()?;
        let [notify_config, notify_delete, notify_retract, notify_sub] = input.flags()?;
        let first = Self {
            title,
            description,
            payload_type,
            access_model,
            publish_model,
            max_items,
            max_payload_size,
            persist_items,
            deliver_payloads,
            deliver_notifications,
            notify_config,
            notify_delete,
            notify_retract,
            notify_sub,
            notification_type: input.code()?,
            send_last_published_item: input.code()?,
            ..Self::default()
        };
        if input.version == 1 {
            return Some(first);
        }
        let language = input.boxed()?;
        let body_xslt = input.boxed()?;
        let dataform_xslt = input.boxed()?;
        let contact = input.list(|input| Jid::parse(input.text()?).ok())?;
        let roster_groups_allowed = input.list(Reader::boxed)?;
        let [subscribe, presence_based_delivery, purge_offline, tempsub] = input.flags()?;
        let item_expire = input.maybe(Reader::small)?;
        let publish_node_full = input.code()?;
        let itemreply = input.maybe(Reader::code)?;
        let class = input.maybe(Reader::code)?;
        let history = input.maybe(|input| {
            Some(History {
                items: input.small()?,
                age_seconds: input.maybe(Reader::small)?,
                bytes: input.maybe(Reader::number)?,
            })
        })?;
        Some(Self {
            language,
            contact,
            roster_groups_allowed,
            subscribe,
            item_expire,
            publish_node_full,
            presence_based_delivery,
            purge_offline,
            tempsub,
            itemreply,
            body_xslt,
            dataform_xslt,
            class,
            history,
            ..first
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_configuration_of_the_first_version_has_the_defaults_of_what_came_later() {
        let config = NodeConfig {
            title: "t".into(),
            max_items: 3,
            ..NodeConfig::default()
        };
        let newest = config.encode();
        // The fields of version 2 stand at the end; all of them are defaults here.
        let mut first = newest[..newest.len() - 11].to_vec();
        first[0] = 1;
        assert_eq!(NodeConfig::decode(&first).unwrap(), config);
        assert_eq!(NodeConfig::decode(&newest).unwrap(), config);
    }
}
