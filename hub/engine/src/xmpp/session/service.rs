//! The one place where a session and the XML of pubsub meet.

use crate::{
    address::{BareJid, FullJid},
    command::{PubsubReply, PubsubRequest},
    event::{Event, NodeEvent},
    mailbox::SubscriptionTag,
    message::IqKind,
    refusal::{Reason, Refusal},
    time::Timestamp,
    xmpp::{
        disco, namespace as ns,
        xml::{Element, Writer},
    },
};

use super::shared::Surroundings;

/// Writes disco#info of the service.
pub(super) fn write_info(w: &mut Writer<'_>) {
    w.open("query").attr("xmlns", ns::DISCO_INFO);
    disco::write_identity("pubsub", "service", None, w);
    for feature in [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::VERSION] {
        disco::write_feature(feature, w);
    }
    w.close("query");
}

/// What a request to the service asks.
pub(super) fn read(
    _child: Element<'_>,
    _kind: IqKind,
    _asker: &FullJid,
) -> Result<PubsubRequest, Refusal> {
    Err(Reason::ServiceUnavailable.into())
}

/// Writes an answer of the service.
pub(super) fn write_reply(_reply: &PubsubReply, _w: &mut Writer<'_>) {}

/// Writes a notification.
pub(super) fn write_event(
    _event: &Event,
    _node: &NodeEvent,
    _to: &str,
    _tag: Option<&SubscriptionTag>,
    _delay: Option<(&BareJid, Timestamp)>,
    _around: &Surroundings,
    _out: &mut Vec<u8>,
) {
}
