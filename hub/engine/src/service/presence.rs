//! What one session has shown of itself, and to whom it owes a farewell.
//!
//! Implements: RFC 6121 §4.2 initial presence, §4.4 updates, §4.5 unavailable, §4.6 directed presence.

use std::{collections::HashSet, sync::Arc};

use crate::{
    address::{BareJid, FullJid, Jid},
    event::{Event, What},
    message::{Presence, PresenceKind, Show},
    time::Timestamp,
};

/// Longest status that is kept of who has left, in bytes: it outlives the session, in memory and on the disk.
pub const LEFT_BYTES_MAX: usize = 1_024;

/// One session's availability.
#[derive(Debug, Default)]
pub struct Availability {
    /// The last broadcast, while available.
    current: Option<Arc<Event>>,
    /// Who was shown presence directly, and not told since that it is over (RFC 6121 §4.6.1).
    #[allow(clippy::box_collection, reason = "most sessions pay one word for it")]
    directed: Option<Box<HashSet<Jid>>>,
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

    /// What it shows, while available.
    pub fn show(&self) -> Option<Show> {
        match self.kind()? {
            PresenceKind::Available { show, .. } => Some(show),
            PresenceKind::Unavailable | PresenceKind::Error => None,
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

    /// Notes that `to` is shown presence directly (RFC 6121 §4.6.3). False: the session addresses more than `max` entities, and
    /// since none may be forgotten the presence must not be shown.
    pub fn show_to(&mut self, to: &Jid, max: usize) -> bool {
        let directed = self.directed.get_or_insert_default();
        let fits = directed.len() < max || directed.contains(to);
        if fits {
            directed.insert(to.clone());
        }
        fits
    }

    /// RFC 6121 §4.6.1: who is told directly that the session is gone is owed no farewell, unless it is a subscriber too: that
    /// one hears every broadcast (§4.6.3, first rule).
    pub fn hide_from(&mut self, to: &Jid) {
        if let Some(directed) = &mut self.directed {
            directed.remove(to);
            if directed.is_empty() {
                self.directed = None;
            }
        }
    }

    /// The same for all whom `is_meant` says.
    pub fn hide_from_all(&mut self, is_meant: impl Fn(&Jid) -> bool) {
        if let Some(directed) = &mut self.directed {
            directed.retain(|jid| !is_meant(jid));
            if directed.is_empty() {
                self.directed = None;
            }
        }
    }

    /// Who was shown presence directly.
    pub fn directed(&self) -> impl Iterator<Item = &Jid> {
        self.directed.iter().flat_map(|directed| directed.iter())
    }

    /// Whether `who`, or its account, was shown presence directly (RFC 6121 §4.6.6).
    pub fn is_shown_to(&self, who: &FullJid) -> bool {
        self.directed.as_ref().is_some_and(|directed| {
            directed.contains(who.as_jid()) || directed.contains(who.bare().as_jid())
        })
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
    pub const fn has_directed(&self) -> bool {
        self.directed.is_some()
    }
}

/// Who was addressed directly, by a session that leaves.
#[derive(Debug, Default)]
pub struct Directed(HashSet<Jid>);

impl Directed {
    /// Those who see the session only because it addressed them (RFC 6121 §4.6.3), in a stable order; `is_watcher` says who
    /// hears of it anyway.
    pub fn to_tell(&self, is_watcher: impl Fn(&BareJid) -> bool) -> Vec<Jid> {
        let unheard = self.0.iter().filter(|jid| !is_watcher(&jid.bare()));
        let mut due: Vec<Jid> = unheard.cloned().collect();
        due.sort();
        due
    }
}

/// The unavailable presence that the hub sends for a session which did not (RFC 6121 §4.5.2), or for an account without one
/// (§4.3.2).
pub fn farewell(of: &Jid, at: Timestamp) -> Presence {
    Presence {
        from: of.clone(),
        kind: PresenceKind::Unavailable,
        id: None,
        lang: None,
        status: None,
        content: bytes::Bytes::new(),
        at,
    }
}
