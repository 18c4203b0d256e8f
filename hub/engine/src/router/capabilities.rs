//! What clients can, learnt once for each kind of client (XEP-0115).
//!
//! Implements: XEP-0115 1.6.0 §5.4, §8.1 (the cache), §6.2 as far as who is asked is decided here. A client whose verification
//! string is not known is asked; others with the same one wait for its answer. What the hash confirms counts for all of them;
//! what it does not confirm counts for who said it, as long as its session says so, and the next one who waits is asked.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    capabilities::{Announced, Disclosed, Verification, Wishes},
    command::SessionId,
    event::{Event, Question, What},
    mailbox::Addressed,
    router::Router,
    time::Instant,
};

/// Most kinds of clients remembered; those learnt first are forgotten first.
const KNOWN_MAX: usize = 4_096;
/// Most questions under way. Beyond it a client is asked at its next presence.
const ASKED_MAX: usize = 1_024;
/// Most questions to one session: a client that changes its mind with every presence is no longer asked.
const QUESTIONS_PER_SESSION_MAX: u8 = 16;
/// After how long another client of the kind is asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Capabilities {
    known: HashMap<Verification, Arc<Wishes>>,
    learnt: VecDeque<Verification>,
    asked: HashMap<u32, Asked>,
    /// Which question is about which kind.
    by_kind: HashMap<Verification, u32>,
    /// When each question is given up, in that order.
    due: VecDeque<(Instant, u32)>,
    made: u32,
}

/// A question under way.
#[derive(Debug)]
struct Asked {
    of: SessionId,
    /// `None`: the answer cannot be checked.
    verification: Option<Verification>,
    /// What the client is asked for.
    node: Box<str>,
    /// Sessions of the same kind of client: a fleet that returns at once.
    waiting: BTreeSet<SessionId>,
}

impl Capabilities {
    fn learn(&mut self, verification: Verification, wishes: &Arc<Wishes>) {
        if self
            .known
            .insert(verification, Arc::clone(wishes))
            .is_none()
        {
            self.learnt.push_back(verification);
        }
        if self.learnt.len() > KNOWN_MAX
            && let Some(oldest) = self.learnt.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// How many questions were made.
    #[cfg(test)]
    pub(super) const fn made(&self) -> u32 {
        self.made
    }

    fn take(&mut self, number: u32) -> Option<Asked> {
        let asked = self.asked.remove(&number)?;
        if let Some(verification) = &asked.verification {
            self.by_kind.remove(verification);
        }
        Some(asked)
    }

    /// When [`Router::give_up_questions`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due.front().map(|(at, _)| *at)
    }
}

impl Router {
    /// The session's presence has announced what its client can.
    pub(super) fn capabilities_announced(&mut self, id: SessionId, announced: Announced) {
        let Some(session) = self.directory.get(id) else {
            return;
        };
        // A presence that was refused announces nothing.
        if session.availability.current().is_none() && !session.availability.has_directed() {
            return;
        }
        if let Some(verification) = announced.verification {
            let hearing = session.hearing.as_ref();
            if hearing.is_some_and(|hearing| hearing.verification == Some(verification)) {
                return;
            }
            if let Some(wishes) = self.capabilities.known.get(&verification) {
                let wishes = Arc::clone(wishes);
                self.listen(id, Some(verification), wishes);
                return;
            }
            let under_way = self.capabilities.by_kind.get(&verification);
            if let Some(asked) =
                under_way.and_then(|number| self.capabilities.asked.get_mut(number))
            {
                if asked.of != id {
                    asked.waiting.insert(id);
                }
                return;
            }
        }
        self.ask_client(id, announced.verification, announced.node, BTreeSet::new());
    }

    fn ask_client(
        &mut self,
        of: SessionId,
        verification: Option<Verification>,
        node: Box<str>,
        waiting: BTreeSet<SessionId>,
    ) {
        let Some(session) = self.directory.get_mut(of) else {
            return;
        };
        if session.questions >= QUESTIONS_PER_SESSION_MAX
            || self.capabilities.asked.len() >= ASKED_MAX
        {
            return;
        }
        session.questions += 1;
        let capabilities = &mut self.capabilities;
        capabilities.made = capabilities.made.wrapping_add(1);
        let number = capabilities.made;
        if let Some(verification) = verification {
            capabilities.by_kind.insert(verification, number);
        }
        let question = Question {
            number,
            node: node.clone(),
        };
        let asked = Asked {
            of,
            verification,
            node,
            waiting,
        };
        capabilities.asked.insert(number, asked);
        capabilities
            .due
            .push_back((self.now.mono + PATIENCE, number));
        let event = Arc::new(Event::new(What::Question(question)));
        self.post
            .tell(&self.directory, of, &event, Addressed::Full, None);
    }

    /// A client has answered.
    pub(super) fn capabilities_disclosed(
        &mut self,
        id: SessionId,
        number: u32,
        disclosed: Disclosed,
    ) {
        // An answer to what was not asked, or by somebody else, or too late.
        let of = self.capabilities.asked.get(&number).map(|asked| asked.of);
        if of != Some(id) {
            return;
        }
        let Some(asked) = self.capabilities.take(number) else {
            return;
        };
        let wishes = Arc::new(disclosed.wishes);
        let confirmed = asked
            .verification
            .filter(|one| disclosed.hashes.is_some_and(|hashes| hashes.contains(one)));
        match confirmed {
            Some(verification) => {
                self.capabilities.learn(verification, &wishes);
                for id in asked.waiting.into_iter().chain([id]) {
                    self.listen(id, Some(verification), Arc::clone(&wishes));
                }
            }
            None => {
                // §5.4: not cached, and not believed of anybody else.
                self.ask_next(asked);
                self.listen(id, None, wishes);
            }
        }
    }

    /// Another client of the kind is asked, if one waits.
    fn ask_next(&mut self, mut asked: Asked) {
        while let Some(next) = asked.waiting.pop_first() {
            let hears = self.directory.get(next);
            let able = hears.is_some_and(|session| session.questions < QUESTIONS_PER_SESSION_MAX);
            if able {
                self.ask_client(next, asked.verification, asked.node, asked.waiting);
                return;
            }
        }
    }

    /// The session is over: whoever waits for its answer asks elsewhere.
    pub(super) fn forget_questions(&mut self, id: SessionId) {
        let asked = self.capabilities.asked.iter();
        let theirs = asked.filter(|(_, asked)| asked.of == id);
        let theirs: Vec<u32> = theirs.map(|(number, _)| *number).collect();
        for number in theirs {
            if let Some(asked) = self.capabilities.take(number) {
                self.ask_next(asked);
            }
        }
    }

    /// Clients that did not answer in time are not waited for.
    pub(super) fn give_up_questions(&mut self) {
        while let Some((_, number)) = self
            .capabilities
            .due
            .pop_front_if(|(at, _)| *at <= self.now.mono)
        {
            if let Some(asked) = self.capabilities.take(number) {
                self.ask_next(asked);
            }
        }
    }
}
