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
    command::{Command, RouterStatus, SessionId, Token},
    component::Component,
    effect::{StoreRequest, StoreResponse},
    mailbox::Mailbox,
    router::{Reloaded, Router},
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
        let deadline = self.lock().router.next_deadline();
        self.run_left();
        deadline
    }

    /// Whether the session has so much waiting for the store that it must not be read from (S6).
    pub fn is_congested(&self, session: SessionId) -> bool {
        // While somebody else is in the router the answer is not worth waiting for: it is asked again at the next read.
        let congested = self
            .try_lock()
            .is_some_and(|inside| inside.router.is_congested(session));
        self.run_left();
        congested
    }

    /// Takes new limits and rules (SIGHUP).
    pub fn reload(&self, settings: Reloaded) {
        let now = self.clock.now();
        self.lock().router.reload(settings, now);
        self.run();
    }

    /// Takes the components that there may be (at the start, SIGHUP).
    pub fn set_components(&self, components: Vec<Component>) {
        let now = self.clock.now();
        self.lock().router.set_components(components, now);
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
        let status = self.lock().router.status();
        self.run_left();
        status
    }

    fn leave(&self, left: Left) {
        self.inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(left);
    }

    /// After the lock was held for a look: somebody may have found it taken meanwhile, and have left us his work. Without this
    /// it would lie there until the next command of anybody.
    fn run_left(&self) {
        let is_empty = self
            .inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty();
        if !is_empty {
            self.run();
        }
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

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        sync::{
            atomic::{AtomicBool, Ordering},
            mpsc,
        },
        thread,
        time::{Duration, Instant as StdInstant},
    };

    use leveret_engine::{
        access::AccessRules,
        address::BareJid,
        class::ClassRules,
        effect::StoreAnswer,
        history::HistoryRules,
        limits::Limits,
        mailbox::{Entry, MailboxBudget},
        roster_group::RosterGroups,
        router::RouterSettings,
    };

    use super::*;

    /// Commands of each thread: enough for the hand-over to meet every order of events many times.
    const COMMANDS: usize = 20_000;

    fn shard(budget: &Arc<MailboxBudget>) -> Arc<Shard> {
        let router = Router::new(RouterSettings {
            domain: BareJid::parse("localhost").unwrap(),
            service: BareJid::parse("pubsub.localhost").unwrap(),
            access: AccessRules::new(Vec::new()),
            classes: ClassRules::default(),
            history: HistoryRules::default(),
            roster_groups: RosterGroups::default(),
            limits: Limits::default(),
            registration: false,
            seed: [7; 32],
            budget: Arc::clone(budget),
        });
        let (ask, asked) = mpsc::channel();
        let queue = move |requests: &mut Vec<StoreRequest>| {
            requests
                .drain(..)
                .for_each(|request| drop(ask.send(request)));
        };
        let shard = Shard::new(router, Clock::start(), Box::new(queue));
        // What a start needs is nothing.
        if let Ok(StoreRequest::Query { id, .. }) = asked.recv() {
            let answer = Ok(StoreAnswer::Boot {
                filters: Vec::new(),
                owed: Default::default(),
                asked: Vec::new(),
                blocked: Default::default(),
            });
            shard.stored(vec![StoreResponse::Answered { id, answer }]);
        }
        shard
    }

    /// Asks again and again, each time only when the last was answered; what was not answered in time.
    fn ask(shard: &Shard, budget: &Arc<MailboxBudget>) -> Result<(), usize> {
        let mailbox = Mailbox::new(Arc::clone(budget));
        let id = shard.open(Arc::clone(&mailbox), None);
        let mut entries = Vec::new();
        for asked in 0..COMMANDS {
            shard.submit(id, &mut vec![(Token::default(), Command::AttachOperator)]);
            let until = StdInstant::now() + Duration::from_secs(20);
            loop {
                mailbox.take(8, &mut entries, Waker::noop());
                if entries
                    .drain(..)
                    .any(|entry| matches!(entry, Entry::Answer(_)))
                {
                    break;
                }
                if StdInstant::now() > until {
                    return Err(asked);
                }
                thread::yield_now();
            }
        }
        Ok(())
    }

    #[test]
    fn s31_nothing_left_in_the_inbox_is_forgotten_however_holders_and_lookers_meet() {
        let budget = MailboxBudget::new(1_000, 1 << 20, 1 << 24);
        let shard = shard(&budget);
        let done = AtomicBool::new(false);
        let results: HashMap<usize, Result<(), usize>> = thread::scope(|scope| {
            let looker = scope.spawn(|| {
                let id = shard.open(Mailbox::new(Arc::clone(&budget)), None);
                while !done.load(Ordering::Relaxed) {
                    shard.is_congested(id);
                    shard.status();
                    shard.next_deadline();
                }
            });
            let askers: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| ask(&shard, &budget)))
                .collect();
            let results = askers
                .into_iter()
                .map(|asker| asker.join().unwrap())
                .enumerate()
                .collect();
            done.store(true, Ordering::Relaxed);
            looker.join().unwrap();
            results
        });
        assert!(
            results.values().all(Result::is_ok),
            "unanswered after: {results:?}"
        );
    }
}
