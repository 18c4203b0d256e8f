//! Messages: XML to [`Message`], and back.
//!
//! Implements: RFC 6121 §5.2; XEP-0334 0.4.0 §4 and XEP-0160 1.0.1 §3 as far as what a message says of its own keeping;
//! XEP-0203 2.0 §4. Not: judging bodies and subjects, which belong to the two who talk.

use crate::{
    address::{BareJid, Jid},
    message::{Hints, Message, MessageKind},
    time::Timestamp,
    xmpp::{
        namespace as ns,
        stanza::Stanza,
        xml::{Element, Writer},
    },
};

/// XEP-0085: chat states.
const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";

/// The message that a session sends.
pub fn read(stanza: &Stanza<'_>, from: Jid, to: Jid) -> Message {
    Message {
        from,
        to,
        kind: MessageKind::by_name(stanza.kind.unwrap_or_default()),
        id: stanza.own_id(),
        lang: stanza.own_lang(),
        content: stanza.content(),
        hints: hints(stanza.element),
    }
}

fn hints(message: Element<'_>) -> Hints {
    let mut hints = Hints::default();
    let (mut states, mut others) = (false, false);
    for child in message.children() {
        match (child.namespace(), child.name()) {
            (ns::CLIENT, "body") => (hints.body, others) = (true, true),
            (ns::CLIENT, "thread") => {}
            (CHAT_STATES, _) => states = true,
            // A hint is about the message, not a part of what it says.
            (ns::HINTS, "no-store" | "no-permanent-store") => hints.no_store = true,
            (ns::HINTS, "store") => hints.store = true,
            (ns::HINTS, _) => {}
            _ => others = true,
        }
    }
    hints.chat_state_only = states && !others;
    hints
}

/// Writes a message for one of its receivers.
pub fn write(message: &Message, to: &str, delay: Option<(&BareJid, Timestamp)>, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("message")
        .attr("to", to)
        .attr("from", message.from.as_str());
    write_kind(message.kind, &mut w);
    w.attr_opt("id", message.id.as_deref())
        .attr_opt("xml:lang", message.lang.as_deref())
        .raw(&message.content);
    if let Some((by, at)) = delay {
        write_delay(by, at, &mut w);
    }
    w.close("message");
}

/// RFC 6121 §5.2.2: `normal` is the type of a message that names none.
pub fn write_kind(kind: MessageKind, w: &mut Writer<'_>) {
    if kind != MessageKind::Normal {
        w.attr("type", kind.name());
    }
}

/// XEP-0203 §4: the stanza is told late by `by`; it happened at `at`.
pub fn write_delay(by: &BareJid, at: Timestamp, w: &mut Writer<'_>) {
    w.open("delay")
        .attr("xmlns", ns::DELAY)
        .attr("from", by.as_str())
        .attr("stamp", &at.to_string())
        .close("delay");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn hints_of(children: &str) -> Hints {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let xml = format!("<message>{children}</message>");
        hints(tree.parse(xml.as_bytes(), &scope).unwrap())
    }

    #[test]
    fn xep_0334_hints_are_read_and_are_no_content() {
        let read = hints_of("<body>x</body><no-store xmlns='urn:xmpp:hints'/>");
        assert!(read.no_store && read.body && !read.store);
        let read = hints_of(
            "<composing xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>",
        );
        assert!(read.store && read.chat_state_only);
    }

    #[test]
    fn xep_0160_a_lone_chat_state_is_told_from_a_message_with_one() {
        const STATE: &str = "<active xmlns='http://jabber.org/protocol/chatstates'/>";
        assert!(hints_of(&format!("{STATE}<thread>t</thread>")).chat_state_only);
        assert!(!hints_of(&format!("{STATE}<body>x</body>")).chat_state_only);
        assert!(!hints_of(&format!("{STATE}<x xmlns='y'/>")).chat_state_only);
        assert!(!hints_of("<thread>t</thread>").chat_state_only);
    }

    #[test]
    fn a_body_of_another_namespace_is_none() {
        assert!(!hints_of("<body xmlns='http://www.w3.org/1999/xhtml'/>").body);
    }
}
