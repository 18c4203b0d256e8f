//! What one session has shown of itself, and to whom it owes a farewell.
//!
//! Implements: RFC 6121 §4.2 initial presence, §4.4 updates, §4.5 unavailable, §4.6 directed presence.

use std::{collections::HashMap, sync::Arc};

use crate::{
    address::{BareJid, FullJid, Jid},
    event::{Event, What},
    message::{Presence, PresenceKind},
    time::Timestamp,
};

/// Longest status that is kept of who has left, in bytes: it outlives the session, in memory and on the disk.
pub const LEFT_BYTES_MAX: usize = 1_024;

/// One session's availability.
#[derive(Debug, Default)]
pub struct Availability {
    /// The last broadcast, while available.
    current: Option<Arc<Event>>,
    /// Who was addressed directly: `true` sees the session, `false` was told that it is gone.
    #[allow(clippy::box_collection, reason = "most sessions pay one word for it")]
    directed: Option<Box<HashMap<Jid, bool>>>,
    /// The status of the last unavailable presence (XEP-0012 §3).
    left: Option<Box<str>>,
}

/// What a broadcast was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// The first of this availability (RFC 6121 §4.2).
    Initial,
    /// A change (§4.4). `now_reachable`: the priority was negative and is no longer.
    Update {
        /// Kept messages are due now (XEP-0160 §2).
        now_reachable: bool,
    },
    /// The session is no longer available (§4.5).
    Gone,
    /// It was not available before either.
    Nothing,
}

impl Availability {
    /// The last broadcast, while available.
    pub const fn current(&self) -> Option<&Arc<Event>> {
        self.current.as_ref()
    }

    /// The kind of the last broadcast, while available.
    pub fn kind(&self) -> Option<PresenceKind> {
        match &self.current.as_ref()?.what {
            What::Presence(presence) => Some(presence.kind),
            _ => None,
        }
    }

    /// Whether the session takes messages to the bare address: available with a priority that is not negative.
    pub fn is_reachable(&self) -> bool {
        matches!(self.kind(), Some(PresenceKind::Available { priority, .. }) if priority >= 0)
    }

    /// The status that the session left, taken.
    pub const fn take_left(&mut self) -> Option<Box<str>> {
        self.left.take()
    }

    /// Takes a broadcast; the event is what others are to see.
    pub fn announce(&mut self, event: &Arc<Event>) -> Announced {
        let What::Presence(presence) = &event.what else {
            return Announced::Nothing;
        };
        let (was, reachable) = (self.current.is_some(), self.is_reachable());
        match presence.kind {
            PresenceKind::Available { .. } => {
                self.current = Some(Arc::clone(event));
                self.left = None;
                // Whoever was told "gone" hears of the update, and of the farewell again.
                if let Some(directed) = &mut self.directed {
                    directed.retain(|_, sees| *sees);
                }
                if was {
                    Announced::Update {
                        now_reachable: !reachable && self.is_reachable(),
                    }
                } else {
                    Announced::Initial
                }
            }
            PresenceKind::Unavailable => {
                self.current = None;
                let status = presence.status.clone();
                self.left = status.filter(|status| status.len() <= LEFT_BYTES_MAX);
                if was {
                    Announced::Gone
                } else {
                    Announced::Nothing
                }
            }
            PresenceKind::Error => Announced::Nothing,
        }
    }

    /// Notes that `to` was addressed directly (RFC 6121 §4.6.2). False: the session addresses more than `max` entities, and
    /// since none may be forgotten the presence must not be shown.
    pub fn direct(&mut self, to: &Jid, available: bool, max: usize) -> bool {
        let directed = self.directed.get_or_insert_default();
        let fits = directed.len() < max || directed.contains_key(to);
        if fits {
            directed.insert(to.clone(), available);
        }
        fits
    }

    /// Takes the directed entities, for a farewell.
    pub fn take_directed(&mut self) -> Directed {
        Directed(
            self.directed
                .take()
                .map(|directed| *directed)
                .unwrap_or_default(),
        )
    }

    /// Whether anybody was shown presence directly.
    pub fn has_directed(&self) -> bool {
        self.directed
            .as_ref()
            .is_some_and(|directed| directed.values().any(|&sees| sees))
    }
}

/// Who was addressed directly, by a session that leaves.
#[derive(Debug, Default)]
pub struct Directed(HashMap<Jid, bool>);

impl Directed {
    /// Whether the account, or one of its resources for itself, was told already and must not be told twice.
    pub fn was_told(&self, account: &BareJid) -> bool {
        self.0.get(account.as_jid()) == Some(&false)
    }

    /// Those who see the session only because it addressed them (RFC 6121 §4.6.3), in a stable order; `is_watcher` says who
    /// hears of it anyway.
    pub fn to_tell(&self, is_watcher: impl Fn(&BareJid) -> bool) -> Vec<Jid> {
        let sees = self.0.iter().filter(|(_, sees)| **sees).map(|(jid, _)| jid);
        let mut due: Vec<Jid> = sees
            .filter(|jid| !is_watcher(&jid.bare()))
            .cloned()
            .collect();
        due.sort();
        due
    }
}

/// The unavailable presence that the hub sends for a session which did not (RFC 6121 §4.5.2).
pub fn farewell(of: &FullJid, at: Timestamp) -> Presence {
    Presence {
        from: of.clone().into(),
        kind: PresenceKind::Unavailable,
        id: None,
        lang: None,
        status: None,
        content: bytes::Bytes::new(),
        at,
    }
}
