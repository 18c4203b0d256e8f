//! Messages: XML to [`Message`], and back.
//!
//! Implements: RFC 6121 §5.2; XEP-0334 0.4.0 §4 and XEP-0160 1.0.1 §3 as far as what a message says of its own keeping;
//! XEP-0280 1.0.1 §6.1, §9 and XEP-0334 §4.2 as far as what it says of being copied; XEP-0203 2.0 §4. Not: judging bodies and subjects, which belong to the two who talk.

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
/// XEP-0184: receipts.
const RECEIPTS: &str = "urn:xmpp:receipts";
/// XEP-0333: markers of what was displayed.
const CHAT_MARKERS: &str = "urn:xmpp:chat-markers:0";
/// XEP-0249: direct invitations.
const CONFERENCE: &str = "jabber:x:conference";
/// XEP-0045: what a room says of its occupants; with `<invite/>` a mediated invitation.
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

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
            (CHAT_STATES, _) => (states, hints.instant) = (true, true),
            // A hint is about the message, not a part of what it says.
            (ns::HINTS, "no-store" | "no-permanent-store") => hints.no_store = true,
            (ns::HINTS, "store") => hints.store = true,
            (ns::HINTS, "no-copy") | (ns::CARBONS, "private") => hints.no_copy = true,
            (ns::HINTS, _) => {}
            (RECEIPTS | CHAT_MARKERS, _) | (CONFERENCE, "x") => {
                (hints.instant, others) = (true, true);
            }
            (MUC_USER, "x") => {
                let invites = child.child("invite", MUC_USER).is_some();
                hints.instant |= invites;
                hints.room |= !invites;
                others = true;
            }
            _ => others = true,
        }
    }
    hints.chat_state_only = states && !others;
    hints
}

/// Writes a message for one of its receivers.
pub fn write(message: &Message, to: &str, delay: Option<(&BareJid, Timestamp)>, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("message");
    write_rest(message, to, &mut w);
    if let Some((by, at)) = delay {
        write_delay(by, at, &mut w);
    }
    w.close("message");
}

/// Writes a message as its sender addressed it, to stand inside another stanza (XEP-0297 §3).
pub fn write_whole(message: &Message, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("message").attr("xmlns", ns::CLIENT);
    write_rest(message, message.to.as_str(), &mut w);
    w.close("message");
}

fn write_rest(message: &Message, to: &str, w: &mut Writer<'_>) {
    w.attr("to", to).attr("from", message.from.as_str());
    write_kind(message.kind, w);
    w.attr_opt("id", message.id.as_deref())
        .attr_opt("xml:lang", message.lang.as_deref())
        .raw(&message.content);
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
    fn xep_0280_s6_1_and_s9_what_a_message_says_of_being_copied() {
        let invitation = "<x xmlns='http://jabber.org/protocol/muc#user'><invite/></x>";
        for (children, instant, room, no_copy) in [
            ("<received xmlns='urn:xmpp:receipts'/>", true, false, false),
            (
                "<displayed xmlns='urn:xmpp:chat-markers:0'/>",
                true,
                false,
                false,
            ),
            (
                "<paused xmlns='http://jabber.org/protocol/chatstates'/>",
                true,
                false,
                false,
            ),
            ("<x xmlns='jabber:x:conference'/>", true, false, false),
            (invitation, true, false, false),
            (
                "<x xmlns='http://jabber.org/protocol/muc#user'/>",
                false,
                true,
                false,
            ),
            ("<private xmlns='urn:xmpp:carbons:2'/>", false, false, true),
            ("<no-copy xmlns='urn:xmpp:hints'/>", false, false, true),
            ("<private/>", false, false, false),
        ] {
            let hints = hints_of(children);
            assert_eq!(
                (hints.instant, hints.room, hints.no_copy),
                (instant, room, no_copy),
                "{children}"
            );
        }
    }

    #[test]
    fn a_body_of_another_namespace_is_none() {
        assert!(!hints_of("<body xmlns='http://www.w3.org/1999/xhtml'/>").body);
    }
}
