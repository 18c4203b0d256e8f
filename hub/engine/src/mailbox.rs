//! One session's bounded queue outward (S8 to S10). Fan-out pushes pointers into it and never waits; the session's
//! connection takes them out when its socket has room. When it is full the delivery class decides.
//!
//! Shared between the shard, which pushes, and one connection, which takes. The lock is held for moves of a few words.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use crate::{
    address::Jid,
    class::Class,
    command::{Answer, Cursor, EndReason},
    event::{Event, What},
    node::Filter,
    time::Timestamp,
};

/// What every mailbox may hold even while all together hold too much, in bytes: those who do not read must not be able
/// to end the sessions of those who do.
const RESERVED_BYTES: usize = 16 * 1024;

/// Bytes after which no further entry is taken at once: what was taken is no longer counted, and a peer that does not read
/// must not make its connection hold a second mailbox's worth.
const TAKEN_BYTES_MAX: usize = 64 * 1024;

/// Under which of its addresses the receiver is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressed {
    /// The account's bare address.
    Bare,
    /// The session's full address.
    Full,
}

/// Through which subscriptions a node's event reached its receiver, and what these ask of each delivery; shared by all
/// events of that subscription.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionTag {
    /// Identifiers to name in the notification (XEP-0060 §12.16): filled only where the receiver has several.
    pub subids: Vec<Box<str>>,
    /// The filter that matched: the SHIM `Collection` header (S17).
    pub collection: Option<Filter>,
    /// `pubsub#include_body`: the message has a text for people, too.
    pub body: bool,
    /// `pubsub#digest_frequency`: deliveries are held back and come together, at most once in so many milliseconds.
    pub digest_millis: Option<u32>,
    /// The receiver may know which of its account's sessions published the item (XEP-0163 §4.3.1).
    pub publisher: bool,
    /// For which address it is, where the receiver has many: a component. Others know theirs.
    pub to: Option<Jid>,
}

/// One thing to be written to the session's peer, or done by the session.
#[derive(Debug)]
pub enum Entry {
    /// Tell of an event.
    Event {
        /// The event, shared with all who get it.
        event: Arc<Event>,
        /// How the receiver is addressed.
        to: Addressed,
        /// Through which subscriptions, if the event must say so.
        tag: Option<Arc<SubscriptionTag>>,
        /// The event is told late: when it happened (XEP-0203).
        delay: Option<Timestamp>,
    },
    /// The answer to one of the session's own commands.
    Answer(Box<Answer>),
    /// More waits behind this cursor: ask for it (S10).
    Continue(Cursor),
    /// The session is over.
    End(EndReason),
    /// Was superseded or dropped.
    Gone,
}

impl Entry {
    fn weight(&self) -> usize {
        const ANSWER: usize = 256;
        match self {
            Self::Event { event, .. } => event.weight(),
            Self::Answer(answer) => ANSWER + answer.weight(),
            Self::Continue(_) | Self::End(_) | Self::Gone => 0,
        }
    }

    fn class(&self) -> Option<Class> {
        match self {
            Self::Event { event, .. } => event.class(),
            _ => None,
        }
    }

    /// For which of a component's addresses it is.
    fn reader(&self) -> Option<&Jid> {
        match self {
            Self::Event { tag, .. } => tag.as_deref()?.to.as_ref(),
            _ => None,
        }
    }

    /// State keeps one entry a key (S10).
    fn state_event(&self) -> Option<&Event> {
        match self {
            Self::Event { event, .. } if event.class() == Some(Class::State) => Some(event),
            _ => None,
        }
    }
}

/// The bounds of a mailbox, and what all mailboxes hold together.
#[derive(Debug)]
pub struct MailboxBudget {
    events_max: AtomicUsize,
    bytes_max: AtomicUsize,
    memory_max: AtomicUsize,
    memory: AtomicUsize,
    dropped: AtomicU64,
    hasher: RandomState,
}

impl MailboxBudget {
    /// At most `events` and `bytes` a mailbox, at most `memory` bytes in all of them.
    pub fn new(events: usize, bytes: usize, memory: usize) -> Arc<Self> {
        Arc::new(Self {
            events_max: events.into(),
            bytes_max: bytes.into(),
            memory_max: memory.into(),
            memory: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            hasher: RandomState::new(),
        })
    }

    /// Sets new bounds (SIGHUP); mailboxes that hold more keep it until it is taken.
    pub fn set(&self, events: usize, bytes: usize, memory: usize) {
        self.events_max.store(events, Ordering::Relaxed);
        self.bytes_max.store(bytes, Ordering::Relaxed);
        self.memory_max.store(memory, Ordering::Relaxed);
    }

    /// Bytes in all mailboxes.
    pub fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// Entries superseded or dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// What became of a push.
#[derive(Debug)]
pub enum Pushed {
    /// It is in; the connection knows already.
    Queued,
    /// It is in, and the connection must be woken: the mailbox was empty (S31).
    Wake(Waker),
    /// The session is over.
    Closed,
}

/// One session's bounded queue outward.
#[derive(Debug)]
pub struct Mailbox {
    budget: Arc<MailboxBudget>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// Entries other than `Gone`.
    live: usize,
    bytes: usize,
    /// How many entries were ever removed from the front: `position - taken` is an index.
    taken: u64,
    /// Where the state of a key waits, by the hash of the key; kept only while the receiver is behind.
    #[allow(
        clippy::box_collection,
        reason = "an idle mailbox pays one word for it"
    )]
    index: Option<Box<HashMap<u64, u64>>>,
    waker: Option<Waker>,
    closed: bool,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(budget: Arc<MailboxBudget>) -> Arc<Self> {
        Arc::new(Self {
            budget,
            queue: Mutex::default(),
        })
    }

    /// Puts `entry` in, making room by its class if there is none.
    pub fn push(&self, entry: Entry) -> Pushed {
        let mut queue = self.lock();
        if queue.closed {
            return Pushed::Closed;
        }
        let was_empty = queue.live == 0;
        let events_max = self.budget.events_max.load(Ordering::Relaxed);
        // Conflation starts while there is still room, so that a receiver that is a little late misses nothing and one
        // that is far behind gets the newest values (S9, S10).
        if queue.live >= events_max / 4 && queue.replace_state(&entry, &self.budget) {
            return Pushed::Queued;
        }
        let weight = entry.weight();
        if !self.make_room(&mut queue, &entry, weight, events_max) {
            if entry.class().is_some_and(|class| class != Class::Alarm) {
                self.budget.dropped.fetch_add(1, Ordering::Relaxed);
                return Pushed::Queued;
            }
            queue.clear(&self.budget);
            queue.entries.push_back(Entry::End(EndReason::Overflow));
            queue.live = 1;
            queue.closed = true;
            return queue.waker.take().map_or(Pushed::Closed, Pushed::Wake);
        }
        if let Some(hash) = queue.index.as_ref().and_then(|_| self.budget.key(&entry)) {
            let position = queue.taken + queue.entries.len() as u64;
            if let Some(index) = &mut queue.index {
                index.insert(hash, position);
            }
        }
        let end = matches!(entry, Entry::End(_));
        queue.entries.push_back(entry);
        queue.live += 1;
        queue.bytes += weight;
        queue.closed = end;
        self.budget.memory.fetch_add(weight, Ordering::Relaxed);
        match queue.waker.take_if(|_| was_empty) {
            Some(waker) => Pushed::Wake(waker),
            None => Pushed::Queued,
        }
    }

    /// Moves up to `max` entries to `into`, fewer if they are large. If the mailbox is empty after that, `waker` is kept and woken by the next push.
    pub fn take(&self, max: usize, into: &mut Vec<Entry>, waker: &Waker) {
        let mut queue = self.lock();
        let mut freed = 0;
        for _ in 0..max {
            let Some(entry) = queue.pop() else { break };
            freed += entry.weight();
            into.push(entry);
            if freed >= TAKEN_BYTES_MAX {
                break;
            }
        }
        queue.bytes -= freed;
        self.budget.memory.fetch_sub(freed, Ordering::Relaxed);
        if queue.live == 0 {
            // An idle session owns no queue memory.
            queue.entries = VecDeque::new();
            queue.index = None;
            queue.taken = 0;
            if !queue
                .waker
                .as_ref()
                .is_some_and(|kept| kept.will_wake(waker))
            {
                queue.waker = Some(waker.clone());
            }
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lock().live == 0
    }

    /// The session is over: what waits is forgotten, later pushes answer [`Pushed::Closed`].
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.clear(&self.budget);
        queue.closed = true;
        queue.waker = None;
    }

    fn make_room(
        &self,
        queue: &mut Queue,
        entry: &Entry,
        weight: usize,
        events_max: usize,
    ) -> bool {
        let bytes_max = self.budget.bytes_max.load(Ordering::Relaxed);
        let essential = entry.class().is_none_or(|class| class == Class::Alarm);
        let memory_max = self.budget.memory_max.load(Ordering::Relaxed);
        let fits = |queue: &Queue| {
            // One entry that cannot be dropped may go over the bound by its own size: two large answers in a row are no
            // fault of the peer.
            let bytes = queue.bytes + if essential { 1 } else { weight };
            queue.live == 0
                || (queue.live < events_max
                    && bytes <= bytes_max
                    && (queue.bytes + weight <= RESERVED_BYTES
                        || self.budget.memory() + weight <= memory_max))
        };
        if fits(queue) || matches!(entry, Entry::End(_)) {
            return true;
        }
        while !fits(queue) {
            let victim = queue
                .oldest(Class::Event)
                .or_else(|| queue.oldest(Class::State));
            match victim {
                Some(at)
                    if essential
                        || queue.class_at(at) == entry.class()
                        || entry.class() == Some(Class::State) =>
                {
                    queue.forget(at, &self.budget);
                }
                Some(at) if queue.class_at(at) == Some(Class::Event) => {
                    queue.forget(at, &self.budget)
                }
                _ => return false,
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere leaves a queue of whole entries: it can be used on.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let queue = self.queue.get_mut().unwrap_or_else(PoisonError::into_inner);
        queue.clear(&self.budget);
    }
}

impl MailboxBudget {
    /// What state entries of the same key have in common.
    fn key(&self, entry: &Entry) -> Option<u64> {
        match &entry.state_event()?.what {
            What::Presence(presence) => {
                Some(self.hasher.hash_one((&presence.from, entry.reader())))
            }
            What::Node(event) => Some(self.hasher.hash_one((&event.at, entry.reader()))),
            _ => None,
        }
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Entry> {
        loop {
            let entry = self.entries.pop_front()?;
            self.taken += 1;
            if !matches!(entry, Entry::Gone) {
                self.live -= 1;
                return Some(entry);
            }
        }
    }

    /// Puts newer state where older state of the same key waits (S9 "conflate state first").
    fn replace_state(&mut self, entry: &Entry, budget: &MailboxBudget) -> bool {
        let (
            Some(hash),
            Entry::Event {
                event,
                to,
                tag,
                delay,
            },
        ) = (budget.key(entry), entry)
        else {
            return false;
        };
        if self.index.is_none() {
            let positions = (self.taken..).zip(&self.entries);
            let known = positions.filter_map(|(at, entry)| Some((budget.key(entry)?, at)));
            self.index = Some(Box::new(known.collect()));
        }
        let Some(at) = self.index.as_ref().and_then(|index| index.get(&hash)) else {
            return false;
        };
        let Some(at) = at.checked_sub(self.taken) else {
            return false;
        };
        let Some(waiting) = usize::try_from(at)
            .ok()
            .and_then(|at| self.entries.get_mut(at))
        else {
            return false;
        };
        if waiting.reader() != entry.reader()
            || !waiting
                .state_event()
                .is_some_and(|old| old.is_superseded_by(event))
        {
            return false;
        }
        let (old, new) = (waiting.weight(), entry.weight());
        *waiting = Entry::Event {
            event: Arc::clone(event),
            to: *to,
            tag: tag.clone(),
            delay: *delay,
        };
        self.bytes = self.bytes - old + new;
        budget.memory.fetch_add(new, Ordering::Relaxed);
        budget.memory.fetch_sub(old, Ordering::Relaxed);
        budget.dropped.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn oldest(&self, class: Class) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.class() == Some(class))
    }

    fn class_at(&self, at: usize) -> Option<Class> {
        self.entries.get(at).and_then(Entry::class)
    }

    fn forget(&mut self, at: usize, budget: &MailboxBudget) {
        if let Some(entry) = self.entries.get_mut(at) {
            let weight = entry.weight();
            *entry = Entry::Gone;
            self.live -= 1;
            self.bytes -= weight;
            budget.memory.fetch_sub(weight, Ordering::Relaxed);
            budget.dropped.fetch_add(1, Ordering::Relaxed);
        }
        while matches!(self.entries.front(), Some(Entry::Gone)) {
            self.entries.pop_front();
            self.taken += 1;
        }
        // Holes in the middle are closed once they outnumber what is left.
        if self.entries.len() > 2 * self.live + 16 {
            self.entries.retain(|entry| !matches!(entry, Entry::Gone));
            self.index = None;
        }
    }

    fn clear(&mut self, budget: &MailboxBudget) {
        budget.memory.fetch_sub(self.bytes, Ordering::Relaxed);
        let waker = self.waker.take();
        *self = Self {
            waker,
            closed: self.closed,
            ..Self::default()
        };
    }
}
