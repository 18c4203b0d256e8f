//! Stanzas that come back as errors. Sessions render refusals of their own commands; a refused message, query or presence
//! travels as an event like any other, and its error element is made here.
//!
//! Implements: RFC 6120 §8.3 stanza errors; XEP-0191 1.3 §3.3 (`<blocked/>`).

use bytes::Bytes;

use crate::{
    address::Jid,
    event::{Event, What},
    message::{Iq, IqKind, Message, MessageKind, Presence, PresenceKind},
    refusal::{Detail, Refusal},
    time::Timestamp,
};

/// The message as it comes back; `None` for an error, which is never answered with one (RFC 6120 §8.3.1).
pub(super) fn message(message: &Message, refusal: &Refusal) -> Option<Event> {
    (message.kind != MessageKind::Error).then(|| {
        Event::new(What::Message(Message {
            from: message.to.clone(),
            to: message.from.clone(),
            kind: MessageKind::Error,
            id: message.id.clone(),
            lang: None,
            content: error(refusal),
            hints: crate::message::Hints::default(),
        }))
    })
}

/// The query as it comes back; answers do not (RFC 6120 §8.3.1).
pub(super) fn iq(iq: &Iq, refusal: &Refusal) -> Option<Event> {
    matches!(iq.kind, IqKind::Get | IqKind::Set).then(|| {
        Event::new(What::Iq(Iq {
            from: iq.to.clone(),
            to: iq.from.clone(),
            kind: IqKind::Error,
            id: iq.id.clone(),
            lang: None,
            content: error(refusal),
        }))
    })
}

/// A presence from `to` that says why the one sent to it did not arrive.
pub(super) fn presence(to: &Jid, id: Option<Box<str>>, refusal: &Refusal, at: Timestamp) -> Event {
    Event::new(What::Presence(Presence {
        from: to.clone(),
        kind: PresenceKind::Error,
        id,
        lang: None,
        status: None,
        content: error(refusal),
        at,
    }))
}

/// The `<error/>` element, with `jabber:client` as the default namespace.
fn error(refusal: &Refusal) -> Bytes {
    const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
    let (kind, condition) = (refusal.advice(), refusal.reason.name());
    let mut xml = format!("<error type='{kind}'><{condition} xmlns='{STANZAS}'/>");
    if let Some(text) = &refusal.text {
        xml.push_str(&format!("<text xmlns='{STANZAS}' xml:lang='en'>"));
        for sign in text.chars() {
            match sign {
                '<' => xml.push_str("&lt;"),
                '&' => xml.push_str("&amp;"),
                '>' => xml.push_str("&gt;"),
                _ => xml.push(sign),
            }
        }
        xml.push_str("</text>");
    }
    // Of the applications' own conditions this is the only one that a routed stanza is refused for.
    if refusal.detail == Some(Detail::Blocked) {
        xml.push_str("<blocked xmlns='urn:xmpp:blocking:errors'/>");
    }
    xml.push_str("</error>");
    xml.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    #[test]
    fn rfc6120_s8_3_an_error_has_type_condition_and_escaped_text() {
        let refusal = Refusal::new(Reason::ServiceUnavailable).say("a<b&c");
        assert_eq!(
            error(&refusal),
            "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>a&lt;b&amp;c</text></error>"
        );
    }
}
