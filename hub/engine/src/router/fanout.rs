//! The only place where one event becomes many deliveries (S7).
//!
//! The first [`FANOUT_SLICE`] deliveries of a list go out at once. The rest follows in slices, one source (node or account)
//! after the other; a source's next event waits until its last is through, so each source keeps its order. Sources with an
//! alarm under way go first. A delivery is a look-up by index and a pointer pushed: nothing is rendered and nothing waits.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    task::Waker,
};

use crate::{
    address::Jid,
    class::Class,
    command::{Cursor, EndReason, SessionId},
    event::Event,
    item::Shows,
    limits::{FANOUT_SLICE, FANOUTS_PER_SESSION_MAX},
    mailbox::{Addressed, Entry, Pushed, SubscriptionTag},
    node::NodeAddress,
    router::{
        block_lists::Screen,
        digest::Digests,
        directory::{Directory, Session},
    },
    service::{AccountId, Deliveries, Delivery, Recipient},
    time::{Instant, Timestamp},
};

/// What keeps its own order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Node(NodeAddress),
    Account(AccountId),
}

/// Which resources of an account get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Available ones with a priority that is not negative (RFC 6121 §8.5.2.1.1).
    Reachable,
    /// Available ones (§8.5.2.1.2).
    Available,
    /// Those that asked for the roster (§2.1.6).
    Interested,
}

impl Reach {
    pub(super) fn includes(self, session: &Session) -> bool {
        match self {
            Self::Reachable => session.availability.is_reachable(),
            Self::Available => session.availability.current().is_some(),
            Self::Interested => session.interested,
        }
    }
}

/// One event on its way to many.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) event: Arc<Event>,
    pub(super) to: Deliveries,
    pub(super) reach: Reach,
    /// It is told late: when it happened.
    pub(super) delay: Option<Timestamp>,
    /// The session that publishes, which must not run ahead of the deliveries (S6).
    pub(super) by: Option<SessionId>,
}

struct Begun {
    job: Job,
    next: usize,
}

/// Pushes entries into mailboxes, and notes whom to wake and whose mailbox is closed.
#[derive(Default)]
pub(super) struct Post {
    pub(super) wakes: Vec<Waker>,
    /// Sessions whose connection has left or whose mailbox overflowed: to be detached.
    pub(super) gone: Vec<SessionId>,
    pub(super) deliveries: u64,
    /// What is held back.
    pub(super) digests: Digests,
    /// The time of the entry that is being handled.
    pub(super) now: Instant,
}

impl Post {
    /// To one session.
    pub(super) fn push(&mut self, directory: &Directory, to: SessionId, entry: Entry) {
        let Some(session) = directory.get(to) else {
            return;
        };
        let last = matches!(entry, Entry::End(_));
        match session.mailbox.push(entry) {
            Pushed::Queued => {}
            Pushed::Wake(waker) => self.wakes.push(waker),
            Pushed::Closed if last => {}
            Pushed::Closed => self.gone.push(to),
        }
    }

    /// An event to one session, unless a block list is between (XEP-0191).
    pub(super) fn tell(
        &mut self,
        directory: &Directory,
        to: SessionId,
        event: &Arc<Event>,
        addressed: Addressed,
        delay: Option<Timestamp>,
    ) {
        let screen = directory.screen(event);
        let stops = |screen: &Screen<'_>| directory.get(to).is_some_and(|to| screen.stops(to));
        if !screen.as_ref().is_some_and(stops) {
            self.insist(directory, to, event, addressed, delay);
        }
    }

    /// The hub's own word to one session, whoever it says it is from: an error in answer to what the session sent.
    pub(super) fn insist(
        &mut self,
        directory: &Directory,
        to: SessionId,
        event: &Arc<Event>,
        addressed: Addressed,
        delay: Option<Timestamp>,
    ) {
        self.deliveries += 1;
        let event = Arc::clone(event);
        self.push(
            directory,
            to,
            Entry::Event {
                event,
                to: addressed,
                tag: None,
                delay,
            },
        );
    }

    /// The last word to a session.
    pub(super) fn end(&mut self, directory: &Directory, to: SessionId, reason: EndReason) {
        self.push(directory, to, Entry::End(reason));
    }
}

/// What is on its way.
#[derive(Default)]
pub(super) struct Fanout {
    queues: HashMap<Source, VecDeque<Begun>>,
    /// Sources in turn.
    ring: VecDeque<Source>,
    /// Sources with an alarm under way.
    urgent: VecDeque<Source>,
    /// Of sessions that publish: how many of their jobs are in the queues.
    backlogs: HashMap<SessionId, Backlog>,
}

/// How far a session is ahead of the deliveries of what it published.
#[derive(Default)]
struct Backlog {
    jobs: usize,
    congested: bool,
}

impl Fanout {
    /// Makes the first slice at once if nothing of the source is under way, and takes up the rest for [`work`](Self::work).
    pub(super) fn send(
        &mut self,
        source: Source,
        job: Job,
        directory: &Directory,
        post: &mut Post,
    ) {
        let mut next = 0;
        if !self.queues.contains_key(&source) {
            next = slice(&job, 0, directory, post);
            if next >= job.to.len() {
                return;
            }
        }
        if job.event.class() == Some(Class::Alarm) && !self.urgent.contains(&source) {
            self.urgent.push_back(source.clone());
        }
        let queue = self.queues.entry(source.clone()).or_default();
        if queue.is_empty() {
            self.ring.push_back(source);
        }
        if let Some(by) = job.by {
            let backlog = self.backlogs.entry(by).or_default();
            backlog.jobs += 1;
            backlog.congested |= backlog.jobs >= FANOUTS_PER_SESSION_MAX;
        }
        queue.push_back(Begun { job, next });
    }

    /// Whether the session has published so much that is not delivered yet that its connection should stop reading (S6).
    pub(super) fn is_congested(&self, session: SessionId) -> bool {
        self.backlogs
            .get(&session)
            .is_some_and(|backlog| backlog.congested)
    }

    /// Whether the source's events must queue behind what is under way.
    pub(super) fn is_busy(&self, source: &Source) -> bool {
        !self.queues.is_empty() && self.queues.contains_key(source)
    }

    /// Makes one slice of deliveries; true if more is left.
    pub(super) fn work(&mut self, directory: &Directory, post: &mut Post) -> bool {
        let (source, urgent) = match self.urgent.front() {
            Some(source) => (source.clone(), true),
            None => match self.ring.pop_front() {
                Some(source) => (source, false),
                None => return false,
            },
        };
        if let Some(queue) = self.queues.get_mut(&source) {
            if let Some(begun) = queue.front_mut() {
                begun.next = slice(&begun.job, begun.next, directory, post);
                if begun.next >= begun.job.to.len() {
                    let done = queue.pop_front();
                    if let Some(by) = done.and_then(|begun| begun.job.by)
                        && relieved(&mut self.backlogs, by)
                    {
                        post.push(directory, by, Entry::Continue(Cursor::NUDGE));
                    }
                }
            }
            let calm = !queue
                .iter()
                .any(|begun| begun.job.event.class() == Some(Class::Alarm));
            if queue.is_empty() {
                self.queues.remove(&source);
                self.ring.retain(|other| *other != source);
            } else if !urgent {
                self.ring.push_back(source);
            }
            if urgent && calm {
                self.urgent.pop_front();
            }
        } else if urgent {
            self.urgent.pop_front();
        }
        !self.queues.is_empty()
    }
}

/// A job of the session is through; true if its connection, which was told to stop reading, can go on: at half the bound.
fn relieved(backlogs: &mut HashMap<SessionId, Backlog>, by: SessionId) -> bool {
    let Some(backlog) = backlogs.get_mut(&by) else {
        return false;
    };
    backlog.jobs = backlog.jobs.saturating_sub(1);
    let relieved = backlog.congested && backlog.jobs <= FANOUTS_PER_SESSION_MAX / 2;
    backlog.congested &= !relieved;
    if backlog.jobs == 0 {
        backlogs.remove(&by);
    }
    relieved
}

/// Delivers a job to all whom it is for, who are few.
pub(super) fn at_once(job: &Job, directory: &Directory, post: &mut Post) {
    let mut next = 0;
    while next < job.to.len() {
        next = slice(job, next, directory, post);
    }
}

/// Whether a delivery waits for others (`pubsub#digest`). One that cannot wait takes those along that do.
fn is_held_back(job: &Job, delivery: &Delivery, directory: &Directory, post: &mut Post) -> bool {
    if Digests::holds(&job.event) {
        let tag = delivery.tag.as_ref();
        let Some((tag, millis)) = tag.and_then(|tag| Some((tag, tag.digest_millis?))) else {
            return false;
        };
        if is_here(delivery.to, job.reach, directory) {
            let now = post.now;
            post.digests.hold(&job.event, delivery, tag, millis, now);
        }
        return true;
    }
    if !post.digests.is_empty() && post.digests.must_go_before(&job.event, delivery.to) {
        for held in post.digests.take_all(delivery.to) {
            at_once(&held, directory, post);
        }
    }
    false
}

/// Whether anybody would get a delivery now.
fn is_here(to: Recipient, reach: Reach, directory: &Directory) -> bool {
    match to {
        Recipient::Session(id) => directory.get(id).is_some(),
        Recipient::Account(account) => {
            let mut sessions = directory.sessions_of(account).iter();
            let reached =
                |id: &SessionId| directory.get(*id).is_some_and(|one| reach.includes(one));
            sessions.any(reached) || directory.relay(account).is_some()
        }
    }
}

/// Delivers up to a slice of the list from `next` on; returns where to go on.
fn slice(job: &Job, next: usize, directory: &Directory, post: &mut Post) -> usize {
    let end = job.to.len().min(next + FANOUT_SLICE);
    let screen = directory.screen(&job.event);
    let passes = |session: &Session| !screen.as_ref().is_some_and(|screen| screen.stops(session));
    let hides = |jid: &Jid| screen.as_ref().is_some_and(|screen| screen.hides_from(jid));
    for delivery in job.to.range(next, FANOUT_SLICE) {
        if is_held_back(job, delivery, directory, post) {
            continue;
        }
        match delivery.to {
            Recipient::Session(id) => {
                // A component's session has many addresses: which one is meant is in the tag.
                let to = delivery.tag.as_ref().and_then(|tag| tag.to.as_ref());
                let hidden = to.is_some_and(hides);
                if screen.is_none() || !hidden && directory.get(id).is_some_and(passes) {
                    deliver(job, delivery, id, Addressed::Full, directory, post);
                }
            }
            Recipient::Account(account) => {
                for &id in directory.sessions_of(account) {
                    if directory
                        .get(id)
                        .is_some_and(|session| job.reach.includes(session) && passes(session))
                    {
                        deliver(job, delivery, id, Addressed::Bare, directory, post);
                    }
                }
                if let Some((component, jid)) =
                    directory.relay(account).filter(|(_, jid)| !hides(jid))
                {
                    let tag = delivery.tag.as_deref().cloned().unwrap_or_default();
                    let delivery = Delivery {
                        tag: Some(Arc::new(SubscriptionTag {
                            to: Some(jid.clone()),
                            ..tag
                        })),
                        ..delivery.clone()
                    };
                    deliver(job, &delivery, component, Addressed::Full, directory, post);
                }
            }
        }
    }
    end
}

fn deliver(
    job: &Job,
    delivery: &Delivery,
    id: SessionId,
    to: Addressed,
    directory: &Directory,
    post: &mut Post,
) {
    // Nearly all take it whatever they show: no second look-up for them.
    let shown = || {
        let session = directory.get(id);
        session.is_some_and(|session| delivery.shows.includes(session.availability.show()))
    };
    if delivery.shows != Shows::ANY && !shown() {
        return;
    }
    post.deliveries += 1;
    let entry = Entry::Event {
        event: Arc::clone(&job.event),
        to,
        tag: delivery.tag.clone(),
        delay: job.delay,
    };
    post.push(directory, id, entry);
}
