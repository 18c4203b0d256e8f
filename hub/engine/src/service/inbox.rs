//! Where a message goes: the table of RFC 6121 §8.5.4, and what is kept for an absent account.
//!
//! Implements: RFC 6121 §8.5.1, §8.5.2, §8.5.3 for messages; XEP-0160 1.0.1 §2, §3; XEP-0334 0.4 §4.3, §4.4 (`no-store`,
//! `no-permanent-store`) and §4.5 (`store`). Of the choices that the table leaves, these are taken: to a bare address,
//! *all* resources with a priority that is not negative get the message; what the sender may still be waiting for comes
//! back as `service-unavailable` rather than vanish, and what nobody waits for (headline, error) is dropped.

use crate::message::{Hints, MessageKind};

/// What the directory knows of a message's addressee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee {
    /// No such account.
    Unknown,
    /// An account, by its bare address.
    Bare {
        /// Whether a resource is available with a priority that is not negative.
        reachable: bool,
    },
    /// A full address that a session has bound.
    Connected,
    /// A full address that no session has.
    Absent {
        /// Whether another resource of the account could take it.
        reachable: bool,
    },
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// To the session that has the full address.
    DeliverTo,
    /// To all resources of the account with a priority that is not negative.
    DeliverToAll,
    /// Kept until one of them is here.
    Keep,
    /// Back to the sender as `service-unavailable`.
    Refuse,
    /// Dropped.
    Ignore,
}

/// The table of RFC 6121 §8.5.4.
pub fn fate(kind: MessageKind, hints: Hints, to: Addressee) -> Fate {
    use MessageKind::{Chat, Error, Groupchat, Headline, Normal};
    match (to, kind) {
        // §8.5.3.1: any type.
        (Addressee::Connected, _) => Fate::DeliverTo,
        // An error is never answered with an error (RFC 6120 §8.3.1), and there is no session that asked.
        (_, Error) => Fate::Ignore,
        // §8.5.1.
        (Addressee::Unknown, Headline) => Fate::Ignore,
        (Addressee::Unknown, _) => Fate::Refuse,
        // §8.5.2.1.1, §8.5.2.2.1: never to a resource.
        (Addressee::Bare { .. }, Groupchat) => Fate::Refuse,
        (Addressee::Bare { reachable: true }, _) => Fate::DeliverToAll,
        (Addressee::Bare { reachable: false }, Headline) => Fate::Ignore,
        (Addressee::Bare { reachable: false }, Chat | Normal) => kept(kind, hints),
        // §8.5.3.2.1: a chat goes on as if to the bare address, the others were meant for that resource alone.
        (Addressee::Absent { reachable: true }, Chat) => Fate::DeliverToAll,
        (Addressee::Absent { reachable: false }, Chat) => kept(kind, hints),
        (Addressee::Absent { .. }, Headline) => Fate::Ignore,
        (Addressee::Absent { .. }, Normal | Groupchat) => Fate::Refuse,
    }
}

/// Whether the absent account should find it later: XEP-0160 §3 keeps all `normal` and `chat` messages, with or without a body,
/// but for a chat state alone. That, and what asks not to be kept, is dropped: the sender is not bothered with an error for a
/// passing state (XEP-0334 §4.3).
fn kept(kind: MessageKind, hints: Hints) -> Fate {
    if hints.no_store || (hints.chat_state_only && kind == MessageKind::Chat && !hints.store) {
        Fate::Ignore
    } else {
        Fate::Keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: Hints = Hints {
        no_store: false,
        store: false,
        body: true,
        chat_state_only: false,
        no_copy: false,
        instant: false,
        room: false,
    };

    #[test]
    fn rfc6121_s8_5_4_every_cell() {
        use Fate::{DeliverTo as D, DeliverToAll as A, Ignore as S, Keep as O, Refuse as E};
        use MessageKind::{Chat, Error, Groupchat, Headline, Normal};
        let (here, not_here) = (true, false);
        #[rustfmt::skip]
        let table = [
            //                                             normal chat groupchat headline error
            (Addressee::Unknown,                           [E, E, E, S, S]),
            (Addressee::Bare { reachable: not_here },      [O, O, E, S, S]),
            (Addressee::Bare { reachable: here },          [A, A, E, A, S]),
            (Addressee::Connected,                         [D, D, D, D, D]),
            (Addressee::Absent { reachable: not_here },    [E, O, E, S, S]),
            (Addressee::Absent { reachable: here },        [E, A, E, S, S]),
        ];
        for (to, row) in table {
            for (kind, expected) in [Normal, Chat, Groupchat, Headline, Error]
                .into_iter()
                .zip(row)
            {
                assert_eq!(fate(kind, BODY, to), expected, "{kind:?} to {to:?}");
            }
        }
    }

    #[test]
    fn xep0160_s3_and_xep0334_say_what_is_kept() {
        let none = Hints::default();
        let away = Addressee::Bare { reachable: false };
        for (hints, expected) in [
            (BODY, Fate::Keep),
            (none, Fate::Keep),
            (
                Hints {
                    no_store: true,
                    ..BODY
                },
                Fate::Ignore,
            ),
            (
                Hints {
                    store: true,
                    ..none
                },
                Fate::Keep,
            ),
            (
                Hints {
                    chat_state_only: true,
                    ..none
                },
                Fate::Ignore,
            ),
            (
                Hints {
                    chat_state_only: true,
                    store: true,
                    ..none
                },
                Fate::Keep,
            ),
        ] {
            assert_eq!(fate(MessageKind::Chat, hints, away), expected, "{hints:?}");
        }
    }
}
