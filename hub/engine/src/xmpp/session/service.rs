//! The one place where a session and the XML of pubsub meet: requests to the service, its answers, its notifications.
//!
//! Implements: XEP-0060 §5.1 to §5.5 as far as discovery of the service begins here; all else is in `pubsub`.

use bytes::Bytes;

use crate::{
    address::BareJid,
    command::{PubsubAction, PubsubReply, PubsubRequest},
    event::{Event, NodeEvent},
    mailbox::SubscriptionTag,
    message::IqKind,
    node::NodeId,
    refusal::{Reason, Refusal},
    time::Timestamp,
    xmpp::{
        disco,
        message::{write_delay, write_kind},
        namespace as ns, pubsub, rsm,
        xml::{Element, Writer, escape_attr_into},
    },
};

use super::{asked::Asked, shared::Surroundings};

/// Writes disco#info of the service.
pub(in crate::xmpp) fn write_info(w: &mut Writer<'_>) {
    let (category, kind) = pubsub::IDENTITY;
    w.open("query").attr("xmlns", ns::DISCO_INFO);
    disco::write_identity(category, kind, None, w);
    for feature in [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::VERSION] {
        disco::write_feature(feature, w);
    }
    for feature in pubsub::features_at(pubsub::Place::Service) {
        disco::write_feature(feature, w);
    }
    w.close("query");
}

/// What a request to the service asks, or to the personal nodes of `host`, and how its answer is written.
pub(in crate::xmpp) fn read(
    child: Element<'_>,
    kind: IqKind,
    host: Option<BareJid>,
) -> Result<(Asked, PubsubRequest), Refusal> {
    let action = match (child.namespace(), child.name()) {
        (ns::PUBSUB | ns::PUBSUB_OWNER, "pubsub") => pubsub::parse_pubsub(kind, child)?,
        (ns::DISCO_INFO | ns::DISCO_ITEMS, "query") if kind == IqKind::Set => {
            return Err(Reason::NotAllowed.into());
        }
        // §5.3, §5.4.
        (ns::DISCO_INFO, "query") => PubsubAction::Describe {
            node: node(child)?.ok_or(Reason::BadRequest)?,
        },
        // §5.2, §5.5.
        (ns::DISCO_ITEMS, "query") => PubsubAction::List {
            node: node(child)?,
            page: rsm::read_page(child)?,
        },
        // RFC 6120 §8.4.
        _ => return Err(Reason::ServiceUnavailable.into()),
    };
    let asked = if pubsub::wants_owner_reply(&action) {
        Asked::PubsubOwner
    } else {
        Asked::Pubsub
    };
    Ok((asked, PubsubRequest { host, action }))
}

/// A node that no name can belong to does not exist.
fn node(query: Element<'_>) -> Result<Option<NodeId>, Refusal> {
    query
        .attr("node")
        .filter(|node| !node.is_empty())
        .map(|node| NodeId::parse(node).map_err(|_| Reason::ItemNotFound.into()))
        .transpose()
}

/// Writes what stands in the result.
pub(in crate::xmpp) fn write_reply(
    reply: &PubsubReply,
    asked: Asked,
    from: Option<&str>,
    out: &mut Vec<u8>,
) {
    let as_owner = asked == Asked::PubsubOwner;
    pubsub::render_reply(reply, as_owner, from.unwrap_or_default(), out);
}

/// Writes a notification: what all subscribers share comes from the event, only `to`, headers and delay are theirs (S23).
pub(in crate::xmpp) fn write_event(
    event: &Event,
    node: &NodeEvent,
    to: &str,
    tag: Option<&SubscriptionTag>,
    delay: Option<(&BareJid, Timestamp)>,
    around: &Surroundings,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"<message to='");
    escape_attr_into(to, out);
    out.push(b'\'');
    out.extend_from_slice(event.xmpp(|_| render_shared(node, &around.shared.service)));
    if let Some(tag) = tag {
        if tag.body {
            out.extend_from_slice(event.xmpp_body(|_| pubsub::render_body(&node.change)));
        }
        pubsub::render_headers(tag, &node.change, out);
    }
    if let Some((by, at)) = delay {
        write_delay(by, at, &mut Writer::new(out));
    }
    out.extend_from_slice(b"</message>");
}

/// The rest of the message's start tag, and the `<event/>`.
fn render_shared(node: &NodeEvent, service: &BareJid) -> Bytes {
    let event = pubsub::render_event(node);
    let from = node.at.host.as_ref().unwrap_or(service);
    let mut head = Vec::new();
    let mut w = Writer::new(&mut head);
    w.open("message").attr("from", from.as_str());
    write_kind(node.kind, &mut w);
    w.raw(&event);
    // `to` comes first, so the name is written by whoever writes that.
    let attributes = &head["<message".len()..];
    Bytes::copy_from_slice(attributes)
}
