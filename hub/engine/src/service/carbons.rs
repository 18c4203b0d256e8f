//! Which messages are copied to the other resources of those who send and get them.
//!
//! Implements: XEP-0280 1.0.1 §6.1, §9; XEP-0334 0.4.0 §4.2 (`no-copy`). Not: `urn:xmpp:carbons:rules:0` (§6.2), since an error that a
//! client sends need not show what it answers: one that does not is not copied.

use crate::{
    event::Way,
    message::{Hints, Message, MessageKind},
};

/// Whether a message is copied.
pub fn is_eligible(message: &Message, way: Way) -> bool {
    let Message { kind, hints, .. } = message;
    // §9, XEP-0334 §4.2.
    if hints.no_copy {
        return false;
    }
    // §6.1, last rule: a room has copied what came through it already. What goes out to a room's occupant is copied.
    if hints.room && way == Way::Received && message.from.resource().is_some() {
        return false;
    }
    match kind {
        MessageKind::Groupchat => false,
        MessageKind::Chat => true,
        MessageKind::Normal => hints.body || hints.instant,
        MessageKind::Headline => hints.instant,
        // One that shows what it answers (RFC 6120 §8.3.1) has its children.
        MessageKind::Error => shows_talk(*hints),
    }
}

/// Whether the hub's own error in answer to a message is copied: as that message is.
pub fn is_error_eligible(refused: &Message) -> bool {
    refused.kind != MessageKind::Error && is_eligible(refused, Way::Sent)
}

const fn shows_talk(hints: Hints) -> bool {
    hints.body || hints.instant
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Jid;

    fn message(kind: MessageKind, hints: Hints) -> Message {
        Message {
            from: Jid::parse("romeo@localhost/a").unwrap(),
            to: Jid::parse("juliet@localhost/b").unwrap(),
            kind,
            id: None,
            lang: None,
            content: bytes::Bytes::new(),
            hints,
        }
    }

    #[test]
    fn s6_1_what_is_copied() {
        use MessageKind::{Chat, Error, Groupchat, Headline, Normal};
        let none = Hints::default();
        let body = Hints { body: true, ..none };
        let instant = Hints {
            instant: true,
            ..none
        };
        for (hints, copied) in [
            (none, &[Chat][..]),
            (body, &[Chat, Normal, Error]),
            (instant, &[Chat, Normal, Error, Headline]),
        ] {
            for kind in [Chat, Error, Groupchat, Headline, Normal] {
                for way in [Way::Sent, Way::Received] {
                    let expected = copied.contains(&kind);
                    assert_eq!(
                        is_eligible(&message(kind, hints), way),
                        expected,
                        "{kind:?} {hints:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn s9_what_is_private_is_not_copied() {
        let hints = Hints {
            body: true,
            no_copy: true,
            ..Hints::default()
        };
        assert!(!is_eligible(&message(MessageKind::Chat, hints), Way::Sent));
    }

    #[test]
    fn s6_1_a_rooms_private_message_is_copied_where_it_is_sent_and_not_where_it_is_got() {
        let hints = Hints {
            body: true,
            room: true,
            ..Hints::default()
        };
        let mut message = message(MessageKind::Chat, hints);
        assert!(is_eligible(&message, Way::Sent) && !is_eligible(&message, Way::Received));
        message.from = Jid::parse("room@localhost").unwrap();
        assert!(is_eligible(&message, Way::Received));
    }

    #[test]
    fn s6_1_the_hubs_error_is_copied_as_what_it_answers() {
        let chat = message(MessageKind::Chat, Hints::default());
        let normal = message(MessageKind::Normal, Hints::default());
        assert!(is_error_eligible(&chat) && !is_error_eligible(&normal));
    }
}
