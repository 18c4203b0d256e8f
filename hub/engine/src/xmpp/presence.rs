//! Presence: XML to availability, handshake and probe, and back.
//!
//! Implements: RFC 6121 §4.7 syntax (type, show, status, priority), §3 the four words of the handshake, §4.3 probes.

use bytes::Bytes;

use crate::{
    address::{BareJid, Jid},
    event::What,
    message::{Handshake, Presence, PresenceKind, Probe, Show, SubscriptionStanza},
    refusal::{Reason, Refusal},
    time::Timestamp,
    xmpp::{
        message::write_delay,
        namespace as ns,
        stanza::Stanza,
        xml::{Element, Writer, escape_attr_into},
    },
};

/// What a presence stanza says (RFC 6121 §4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Here, gone, or an undeliverable presence that comes back.
    Availability(PresenceKind),
    /// A word of the subscription handshake.
    Handshake(Handshake),
    /// A question for somebody's presence.
    Probe,
}

/// What the stanza says.
pub fn word(stanza: &Stanza<'_>) -> Result<Word, Refusal> {
    Ok(match stanza.kind {
        None => Word::Availability(PresenceKind::Available {
            show: show(stanza.element)?,
            priority: priority(stanza.element)?,
        }),
        Some("unavailable") => Word::Availability(PresenceKind::Unavailable),
        Some("error") => Word::Availability(PresenceKind::Error),
        Some("subscribe") => Word::Handshake(Handshake::Subscribe),
        Some("subscribed") => Word::Handshake(Handshake::Subscribed),
        Some("unsubscribe") => Word::Handshake(Handshake::Unsubscribe),
        Some("unsubscribed") => Word::Handshake(Handshake::Unsubscribed),
        Some("probe") => Word::Probe,
        // RFC 6121 §4.7.1: other values are a bad request.
        Some(_) => return Err(Refusal::new(Reason::BadRequest).say("an unknown type of presence")),
    })
}

/// The availability that a session announces.
pub fn read(stanza: &Stanza<'_>, from: Jid, kind: PresenceKind, at: Timestamp) -> Presence {
    Presence {
        from,
        kind,
        id: stanza.own_id(),
        lang: stanza.own_lang(),
        status: stanza
            .element
            .child("status", ns::CLIENT)
            .map(|status| status.text())
            .filter(|status| !status.is_empty())
            .map(Into::into),
        content: stanza.content(),
        at,
    }
}

fn show(presence: Element<'_>) -> Result<Show, Refusal> {
    let Some(show) = single(presence, "show")? else {
        return Ok(Show::Online);
    };
    Ok(match &*show.text() {
        "away" => Show::Away,
        "chat" => Show::Chat,
        "dnd" => Show::Dnd,
        "xa" => Show::Xa,
        // RFC 6121 §4.7.2.1 names four values, and contacts would be sent what they cannot read.
        _ => return Err(Refusal::new(Reason::BadRequest).say("show is away, chat, dnd or xa")),
    })
}

/// RFC 6121 §4.7.2.3: an integer from -128 to 127, without it 0.
fn priority(presence: Element<'_>) -> Result<i8, Refusal> {
    single(presence, "priority")?.map_or(Ok(0), |priority| {
        let text = priority.text();
        text.trim().parse().map_err(|_| {
            Refusal::new(Reason::BadRequest).say("priority is a number from -128 to 127")
        })
    })
}

/// RFC 6121 §4.7.2.1, §4.7.2.3: at most one of them, or contacts would read different things.
fn single<'t>(presence: Element<'t>, name: &str) -> Result<Option<Element<'t>>, Refusal> {
    let mut found = presence
        .children()
        .filter(|child| child.is(name, ns::CLIENT));
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Refusal::new(Reason::BadRequest).say("at most one show, one priority")),
        (one, None) => Ok(one),
    }
}

/// Writes a presence for one of those who see it; `shared` is what [`render_shared`] made of it.
pub fn write(shared: &[u8], to: &str, delay: Option<(&BareJid, Timestamp)>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<presence to='");
    escape_attr_into(to, out);
    out.push(b'\'');
    out.extend_from_slice(shared);
    if let Some((by, at)) = delay {
        write_delay(by, at, &mut Writer::new(out));
    }
    out.extend_from_slice(b"</presence>");
}

/// What all who see a presence are sent alike (S23): its attributes but `to`, and its children.
pub fn render_shared(what: &What) -> Bytes {
    let What::Presence(presence) = what else {
        return Bytes::new();
    };
    let mut out = Vec::with_capacity(64 + presence.content.len());
    let mut attribute = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"='");
            escape_attr_into(value, &mut out);
            out.push(b'\'');
        }
    };
    attribute("from", Some(presence.from.as_str()));
    attribute(
        "type",
        match presence.kind {
            PresenceKind::Available { .. } => None,
            PresenceKind::Unavailable => Some("unavailable"),
            PresenceKind::Error => Some("error"),
        },
    );
    attribute("id", presence.id.as_deref());
    attribute("xml:lang", presence.lang.as_deref());
    out.push(b'>');
    out.extend_from_slice(&presence.content);
    out.into()
}

/// Writes a word of the handshake. RFC 6121 §3.1.3: both addresses are bare, whoever of the account's sessions reads it.
pub fn write_handshake(stanza: &SubscriptionStanza, out: &mut Vec<u8>) {
    Writer::new(out)
        .open("presence")
        .attr("to", stanza.to.as_str())
        .attr("from", stanza.from.as_str())
        .attr("type", stanza.kind.name())
        .attr_opt("id", stanza.id.as_deref())
        .attr_opt("xml:lang", stanza.lang.as_deref())
        .raw(&stanza.content)
        .close("presence");
}

/// Writes a probe to a contact that lives elsewhere (RFC 6121 §4.3.1).
pub fn write_probe(probe: &Probe, out: &mut Vec<u8>) {
    Writer::new(out)
        .open("presence")
        .attr("to", probe.to.as_str())
        .attr("from", probe.from.as_str())
        .attr("type", "probe")
        .attr_opt("id", probe.id.as_deref())
        .close("presence");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn word_of(xml: &str) -> Result<Word, Refusal> {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        word(&Stanza::read(tree.parse(xml.as_bytes(), &scope).unwrap()).unwrap())
    }

    #[test]
    fn s4_7_2_3_priority_is_a_signed_byte() {
        for (text, is) in [
            ("0", Some(0)),
            ("-128", Some(-128)),
            ("127", Some(127)),
            (" 5\n", Some(5)),
            ("128", None),
            ("-129", None),
            ("", None),
            ("1.5", None),
        ] {
            let word = word_of(&format!("<presence><priority>{text}</priority></presence>"));
            let read = word.ok().map(|word| match word {
                Word::Availability(PresenceKind::Available { priority, .. }) => priority,
                other => panic!("{other:?}"),
            });
            assert_eq!(read, is, "{text:?}");
        }
    }

    #[test]
    fn s4_7_an_unknown_type_and_an_unknown_show_or_two_are_bad_requests() {
        for xml in [
            "<presence type='available'/>",
            "<presence type=''/>",
            "<presence><show>busy</show></presence>",
            "<presence><show>away</show><show>dnd</show></presence>",
            "<presence><priority>1</priority><priority>2</priority></presence>",
        ] {
            assert_eq!(
                word_of(xml).unwrap_err().reason,
                Reason::BadRequest,
                "{xml}"
            );
        }
    }
}
