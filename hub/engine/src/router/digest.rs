//! Deliveries that are held back, to come together (`pubsub#digest`, XEP-0060 §16.4.2).
//!
//! The first event that is held back sets the time at which all that came meanwhile goes out, so between two digests is never
//! less than was asked for. What goes out is one message a node, its items in order. Held back is only what is told of items;
//! whatever else is to be told, an alarm, a purge, the end of the subscription, takes along what was held before it, so that
//! nobody hears things in the wrong order.
//!
//! Digests are memory alone: they do not outlive the hub, nor the session to which they would go.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use smallvec::SmallVec;

use crate::{
    class::Class,
    event::{Event, NodeChange, NodeEvent, What},
    item::Shows,
    mailbox::SubscriptionTag,
    router::fanout::{Job, Reach},
    service::{Delivery, Recipient},
    time::Instant,
};

/// Events held back for one digest; then the oldest are dropped (S9).
const EVENTS_MAX: usize = 256;
/// What they may weigh, in bytes: a digest is one message, and must fit a stanza.
const BYTES_MAX: usize = 64 * 1024;
/// Frequencies of one recipient; one more joins the slowest of them, so that it comes no sooner than was asked. Who makes up
/// ever new ones must not fill the room of all.
const FREQUENCIES_MAX: usize = 4;
/// What all digests together may weigh, in bytes; then nothing more is held back but dropped.
const ALL_BYTES_MAX: usize = 32 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Digests {
    of: HashMap<Recipient, SmallVec<[Digest; 1]>>,
    due: BTreeSet<(Instant, Recipient)>,
    bytes: usize,
    dropped: u64,
}

/// What is held back for one recipient at one frequency.
#[derive(Debug)]
struct Digest {
    millis: u32,
    due: Instant,
    held: VecDeque<Held>,
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    event: Arc<Event>,
    tag: Arc<SubscriptionTag>,
    shows: Shows,
}

impl Digests {
    /// Whether an event is one that digests are made of.
    pub(super) fn holds(event: &Event) -> bool {
        let of_items = matches!(
            &event.what,
            What::Node(NodeEvent {
                change: NodeChange::Published { .. } | NodeChange::Retracted(_),
                ..
            })
        );
        of_items && event.class() != Some(Class::Alarm)
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.of.values().map(|digests| digests.len()).sum()
    }

    /// Whether an event may not come before what is held back for somebody: it is about the same node, or ends a subscription,
    /// perhaps of many nodes.
    pub(super) fn must_go_before(&self, event: &Event, to: Recipient) -> bool {
        let What::Node(node) = &event.what else {
            return false;
        };
        let of_node =
            |held: &Held| matches!(&held.event.what, What::Node(held) if held.at == node.at);
        match node.change {
            NodeChange::Digest(_) => false,
            NodeChange::Subscription { .. } => true,
            _ => {
                let digests = self.of.get(&to).into_iter().flatten();
                let mut held = digests.flat_map(|digest| &digest.held);
                held.any(of_node)
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Holds an event back.
    pub(super) fn hold(
        &mut self,
        event: &Arc<Event>,
        delivery: &Delivery,
        tag: &Arc<SubscriptionTag>,
        millis: u32,
        now: Instant,
    ) {
        let weight = event.weight();
        if self.bytes + weight > ALL_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        let digests = self.of.entry(delivery.to).or_default();
        let mut place = digests.iter().position(|digest| digest.millis == millis);
        if place.is_none() && digests.len() >= FREQUENCIES_MAX {
            place = (0..digests.len()).max_by_key(|&place| digests[place].millis);
        }
        let place = place.unwrap_or_else(|| {
            let due = now + Duration::from_millis(millis.into());
            self.due.insert((due, delivery.to));
            digests.push(Digest {
                millis,
                due,
                held: VecDeque::new(),
                bytes: 0,
            });
            digests.len() - 1
        });
        let digest = &mut digests[place];
        let before = digest.bytes;
        // Of state the newest value is all that anybody wants who has not seen an older one (S10).
        let superseded = |held: &Held| held.event.is_superseded_by(event);
        if let Some(place) = digest.held.iter().position(superseded)
            && let Some(held) = digest.held.remove(place)
        {
            digest.bytes -= held.event.weight();
        }
        digest.held.push_back(Held {
            event: Arc::clone(event),
            tag: Arc::clone(tag),
            shows: delivery.shows,
        });
        digest.bytes += weight;
        while digest.held.len() > EVENTS_MAX || (digest.bytes > BYTES_MAX && digest.held.len() > 1)
        {
            if let Some(held) = digest.held.pop_front() {
                digest.bytes -= held.event.weight();
                self.dropped += 1;
            }
        }
        self.bytes = self.bytes + digest.bytes - before;
    }

    /// When the next one goes out.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The next one whose time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Vec<Job>> {
        let (due, to) = *self.due.first().filter(|(due, _)| *due <= now)?;
        Some(self.take(to, |digest| digest.due <= due))
    }

    /// All that is held back for a recipient.
    pub(super) fn take_all(&mut self, to: Recipient) -> Vec<Job> {
        self.take(to, |_| true)
    }

    fn take(&mut self, to: Recipient, which: impl Fn(&Digest) -> bool) -> Vec<Job> {
        let mut jobs = Vec::new();
        let Some(digests) = self.of.get_mut(&to) else {
            return jobs;
        };
        let mut kept: SmallVec<[Digest; 1]> = SmallVec::new();
        for digest in std::mem::take(digests) {
            if !which(&digest) {
                kept.push(digest);
                continue;
            }
            self.due.remove(&(digest.due, to));
            self.bytes -= digest.bytes;
            jobs.extend(together(to, digest.held));
        }
        // Two of one recipient may be due at the same time.
        for digest in &kept {
            self.due.insert((digest.due, to));
        }
        if kept.is_empty() {
            self.of.remove(&to);
        } else {
            *digests = kept;
        }
        jobs
    }
}

/// One job a node, and one for whatever differs in how it is to be delivered.
fn together(to: Recipient, held: VecDeque<Held>) -> Vec<Job> {
    let mut groups: Vec<Vec<Held>> = Vec::new();
    for one in held {
        let alike = |group: &&mut Vec<Held>| {
            let first = &group[0];
            match (&first.event.what, &one.event.what) {
                (What::Node(a), What::Node(b)) => {
                    a.at == b.at
                        && a.kind == b.kind
                        && first.tag == one.tag
                        && first.shows == one.shows
                }
                _ => false,
            }
        };
        match groups.iter_mut().rev().find(alike) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let jobs = groups.into_iter().filter_map(|group| {
        let first = group.first()?;
        let What::Node(node) = &first.event.what else {
            return None;
        };
        let event = if group.len() == 1 {
            Arc::clone(&first.event)
        } else {
            let changes = group.iter().filter_map(|held| match &held.event.what {
                What::Node(node) => Some(node.change.clone()),
                _ => None,
            });
            Arc::new(Event::new(What::Node(NodeEvent {
                change: NodeChange::Digest(changes.collect()),
                ..node.clone()
            })))
        };
        let tag = SubscriptionTag {
            digest_millis: None,
            ..(*first.tag).clone()
        };
        let delivery = Delivery {
            to,
            tag: Some(Arc::new(tag)),
            shows: first.shows,
        };
        Some(Job {
            event,
            to: [delivery].into(),
            reach: Reach::Reachable,
            delay: None,
            by: None,
        })
    });
    jobs.collect()
}
