//! The one place where the router runs (S31): a lock with hand-over.
//!
//! Whoever has commands tries the lock. If it is free they run at once, on the thread that read them, with no switch of
//! threads. If it is not, they are left in the inbox, and whoever holds the lock runs them before it goes.
//!
//! Lock order: router, then inbox or the store's queue, then a mailbox. Wakers are called with none of them held.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    task::Waker,
};

use leveret_engine::{
    access::AccessRules,
    class::ClassRules,
    command::{Command, RouterStatus, SessionId, Token},
    effect::{StoreRequest, StoreResponse},
    limits::Limits,
    mailbox::Mailbox,
    router::Router,
    time::Instant,
};

use crate::clock::Clock;

/// What was left for the holder of the lock.
enum Left {
    Batch(SessionId, Vec<(Token, Command)>),
    Stored(Vec<StoreResponse>),
    Timeout,
}

/// Takes what the router asks of the store, in order. Called with the router locked: it must not wait.
pub type StoreQueue = Box<dyn Fn(&mut Vec<StoreRequest>) + Send + Sync>;

/// A router and the way to it.
pub struct Shard {
    router: Mutex<Inside>,
    inbox: Mutex<VecDeque<Left>>,
    clock: Clock,
    store: StoreQueue,
}

struct Inside {
    router: Router,
    /// Kept for their capacity.
    requests: Vec<StoreRequest>,
    wakes: Vec<Waker>,
}

impl Shard {
    /// A shard whose router speaks to `store`.
    pub fn new(router: Router, clock: Clock, store: StoreQueue) -> Arc<Self> {
        let shard = Arc::new(Self {
            router: Mutex::new(Inside {
                router,
                requests: Vec::new(),
                wakes: Vec::new(),
            }),
            inbox: Mutex::default(),
            clock,
            store,
        });
        shard.run();
        shard
    }

    /// The clocks that the router lives by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Makes a session known; its answers come to `mailbox`.
    pub fn open(&self, mailbox: Arc<Mailbox>, peer: Option<IpAddr>) -> SessionId {
        let id = self.lock().router.open(mailbox, peer);
        self.run();
        id
    }

    /// Runs a batch, now or by whoever is in the router. `batch` is left empty.
    pub fn submit(&self, session: SessionId, batch: &mut Vec<(Token, Command)>) {
        if batch.is_empty() {
            return;
        }
        match self.try_lock() {
            Some(mut inside) => {
                self.run_inbox(&mut inside);
                let now = self.clock.now();
                for (token, command) in batch.drain(..) {
                    inside.router.handle(session, token, command, now);
                }
                self.finish(inside);
            }
            None => self.leave(Left::Batch(session, std::mem::take(batch))),
        }
        self.run();
    }

    /// What the store answered.
    pub fn stored(&self, responses: Vec<StoreResponse>) {
        self.leave(Left::Stored(responses));
        self.run();
    }

    /// A deadline of the router may have come.
    pub fn timeout(&self) {
        self.leave(Left::Timeout);
        self.run();
    }

    /// The router's next deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.lock().router.next_deadline()
    }

    /// Whether the session has so much waiting for the store that it must not be read from (S6).
    pub fn is_congested(&self, session: SessionId) -> bool {
        // While somebody else is in the router the answer is not worth waiting for: it is asked again at the next read.
        self.try_lock()
            .is_some_and(|inside| inside.router.is_congested(session))
    }

    /// Takes new limits and rules (SIGHUP).
    pub fn reload(
        &self,
        limits: Limits,
        access: AccessRules,
        classes: ClassRules,
        registration: bool,
    ) {
        let now = self.clock.now();
        self.lock()
            .router
            .reload(limits, access, classes, registration, now);
        self.run();
    }

    /// Ends all sessions.
    pub fn shutdown(&self) {
        let now = self.clock.now();
        self.lock().router.shutdown(now);
        self.run();
    }

    /// The router's counts.
    pub fn status(&self) -> RouterStatus {
        self.lock().router.status()
    }

    fn leave(&self, left: Left) {
        self.inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(left);
    }

    /// Works until nothing is left, or somebody else is at it. What is left in the inbox while the lock is held is seen
    /// by the holder's next look, which comes after it let go: nothing is forgotten.
    fn run(&self) {
        while let Some(mut inside) = self.try_lock() {
            self.run_inbox(&mut inside);
            let more = inside.router.work();
            self.finish(inside);
            if !more
                && self
                    .inbox
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .is_empty()
            {
                break;
            }
        }
    }

    fn run_inbox(&self, inside: &mut Inside) {
        let left = std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        if left.is_empty() {
            return;
        }
        let now = self.clock.now();
        for left in left {
            match left {
                Left::Batch(session, batch) => {
                    for (token, command) in batch {
                        inside.router.handle(session, token, command, now);
                    }
                }
                Left::Stored(responses) => {
                    for response in responses {
                        inside.router.handle_stored(response, now);
                    }
                }
                Left::Timeout => inside.router.handle_timeout(now),
            }
        }
    }

    /// Hands on what the router asks for, lets go, and only then wakes.
    fn finish(&self, mut inside: MutexGuard<'_, Inside>) {
        let inside_mut = &mut *inside;
        inside_mut
            .router
            .take_store_requests(&mut inside_mut.requests);
        if !inside_mut.requests.is_empty() {
            (self.store)(&mut inside_mut.requests);
            inside_mut.requests.clear();
        }
        inside_mut.router.take_wakes(&mut inside_mut.wakes);
        if inside_mut.wakes.is_empty() {
            return;
        }
        let mut wakes = std::mem::take(&mut inside_mut.wakes);
        drop(inside);
        wakes.drain(..).for_each(Waker::wake);
        // The vector goes back for its capacity, if nobody is in the way.
        if let Some(mut inside) = self.try_lock()
            && inside.wakes.capacity() == 0
        {
            inside.wakes = wakes;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Inside>> {
        match self.router.try_lock() {
            Ok(inside) => Some(inside),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
