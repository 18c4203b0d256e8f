//! Notifications: the part that all receivers share, and the headers of one delivery (S23).
//!
//! Implements: XEP-0060 1.30 §4.3, §7.1.2.1, §7.2.2.1, §8.2.6, §8.4.2, §8.5.2, §8.8.4, §8.9.4, §12.16; XEP-0131 1.2 §3;
//! XEP-0033 1.2.1 §4 (`replyto`).

use bytes::Bytes;

use crate::{
    address::BareJid,
    event::{NodeChange, NodeEvent, ReplyTo},
    mailbox::SubscriptionTag,
    xmpp::{data_form::Purpose, namespace as ns, xml::Writer},
};

use super::{
    approval::write_request,
    form::write_config,
    reply::{affiliation_name, subscription_name},
};

/// The `<event/>` of a notification, self-contained in its namespaces.
pub fn render_event(event: &NodeEvent) -> Bytes {
    const ENVELOPE: usize = 160;
    let payload = match &event.change {
        NodeChange::Published { item, .. } => item.payload.as_ref().map_or(0, |p| p.bytes.len()),
        _ => 0,
    };
    let mut out = Vec::with_capacity(ENVELOPE + event.at.node.as_str().len() + payload);
    let mut w = Writer::new(&mut out);
    if let NodeChange::Requested { jid, subid } = &event.change {
        write_request(&event.at.node, jid, subid, &mut w);
        return out.into();
    }
    // §8.9.4 alone has it in the namespace of requests.
    let (root, namespace) = match event.change {
        NodeChange::Affiliation { .. } => ("pubsub", ns::PUBSUB),
        _ => ("event", ns::PUBSUB_EVENT),
    };
    w.open(root).attr("xmlns", namespace);
    write_change(event, &mut w);
    w.close(root);
    out.into()
}

fn write_change(event: &NodeEvent, w: &mut Writer<'_>) {
    let node = event.at.node.as_str();
    match &event.change {
        NodeChange::Published { .. } | NodeChange::Retracted(_) => {
            w.open("items").attr("node", node);
            write_items(&event.change, w);
            w.close("items");
        }
        // A digest is the same as one after the other, in one message (§16.4.2 `pubsub#digest`).
        NodeChange::Digest(changes) => {
            w.open("items").attr("node", node);
            for change in changes {
                write_items(change, w);
            }
            w.close("items");
        }
        // XEP-0248 §3.1.2
        NodeChange::Created => {
            w.open("create").attr("node", node).close("create");
        }
        // It is no event of the node but a form, and rendered as one.
        NodeChange::Requested { .. } => {}
        NodeChange::Purged => {
            w.open("purge").attr("node", node).close("purge");
        }
        NodeChange::Deleted { redirect } => {
            w.open("delete").attr("node", node);
            if let Some(uri) = redirect {
                w.open("redirect").attr("uri", uri).close("redirect");
            }
            w.close("delete");
        }
        NodeChange::Configured(config) => {
            w.open("configuration").attr("node", node);
            if let Some(config) = config {
                write_config(config, Purpose::Result, w);
            }
            w.close("configuration");
        }
        NodeChange::Affiliation { jid, affiliation } => {
            w.open("affiliations").attr("node", node);
            w.open("affiliation")
                .attr("jid", jid.as_str())
                .attr("affiliation", affiliation_name(*affiliation))
                .close("affiliation");
            w.close("affiliations");
        }
        NodeChange::Subscription {
            jid,
            state,
            subid,
            expiry,
        } => {
            let expiry = expiry.map(|at| at.to_string());
            w.open("subscription")
                .attr_opt("expiry", expiry.as_deref())
                .attr("node", node)
                .attr("jid", jid.as_str())
                .attr_opt("subid", subid.as_deref())
                .attr("subscription", subscription_name(*state))
                .close("subscription");
        }
    }
}

/// The children of `<items/>`.
fn write_items(change: &NodeChange, w: &mut Writer<'_>) {
    match change {
        NodeChange::Published {
            item,
            payload,
            reply,
        } => {
            w.open("item").attr("id", item.id.as_str());
            // §7.1.2.3: stamped by the hub, so nobody can claim it.
            if matches!(reply, Some(ReplyTo::Publisher)) {
                w.attr("publisher", item.publisher.bare().as_str());
            }
            if let Some(content) = item.payload.as_ref().filter(|_| *payload) {
                w.raw(&content.bytes);
            }
            w.close("item");
        }
        NodeChange::Retracted(ids) => {
            for id in ids {
                w.open("retract").attr("id", id.as_str()).close("retract");
            }
        }
        _ => {}
    }
}

/// Who published the item, for a receiver who may know (XEP-0163 §4.3.1, XEP-0033 §4.4: a client does not answer to it, but tells
/// one resource's place from another's).
pub fn render_publisher(tag: &SubscriptionTag, change: &NodeChange, out: &mut Vec<u8>) {
    // A node that names whom to reply to has done so for all.
    let NodeChange::Published {
        item, reply: None, ..
    } = change
    else {
        return;
    };
    if tag.publisher {
        let mut w = Writer::new(out);
        w.open("addresses").attr("xmlns", ns::ADDRESS);
        w.open("address").attr("type", "replyto");
        w.attr("jid", item.publisher.as_str()).close("address");
        w.close("addresses");
    }
}

/// Whom a reply to an item is for (§12.17), where its node says so: shared by all receivers, beside the `<event/>`.
pub fn write_reply_to(event: &NodeEvent, w: &mut Writer<'_>) {
    let changes = match &event.change {
        NodeChange::Digest(changes) => changes.as_slice(),
        change => std::slice::from_ref(change),
    };
    let mut to: Vec<BareJid> = Vec::new();
    for change in changes {
        let NodeChange::Published { item, reply, .. } = change else {
            continue;
        };
        match reply {
            None => {}
            Some(ReplyTo::Publisher) => to.push(item.publisher.bare()),
            Some(ReplyTo::Owners(owners)) => to.extend(owners.iter().cloned()),
        }
    }
    if to.is_empty() {
        return;
    }
    to.sort();
    to.dedup();
    w.open("addresses").attr("xmlns", ns::ADDRESS);
    for jid in to {
        w.open("address").attr("type", "replyto");
        w.attr("jid", jid.as_str()).close("address");
    }
    w.close("addresses");
}

/// The headers of one delivery: through which subscriptions it came, if that must be said (§12.16, S17).
pub fn render_headers(tag: &SubscriptionTag, change: &NodeChange, out: &mut Vec<u8>) {
    // §12.16: identifiers only with what may differ from subscription to subscription.
    let of_items = matches!(
        change,
        NodeChange::Published { .. } | NodeChange::Retracted(_) | NodeChange::Digest(_)
    );
    let subids = if of_items { &*tag.subids } else { &[] };
    if tag.collection.is_none() && subids.is_empty() {
        return;
    }
    let mut w = Writer::new(out);
    w.open("headers").attr("xmlns", ns::SHIM);
    if let Some(filter) = &tag.collection {
        w.open("header").attr("name", "Collection");
        w.text(filter.as_str()).close("header");
    }
    for subid in subids {
        w.open("header").attr("name", "SubID");
        w.text(subid).close("header");
    }
    w.close("headers");
}
