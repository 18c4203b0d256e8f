//! One session's commands under way, so that its answers come in the order of its questions (S6).
//!
//! Two queues. *Parked* commands wait, in strict order, for something to be loaded: whichever service they are for, since a
//! device speaks to one service at a time and one order is easier to trust than several. A command whose needs are in memory
//! never parks by itself: so publishes run one after the other into the same group commit, however many are unanswered.
//! *Answers* are those of commands that ran and whose outcome the store still has to confirm; a later answer that is ready
//! waits behind them.

use std::collections::VecDeque;

use crate::{
    command::{Answer, Command, SessionId, Token},
    limits::PARKED_COMMANDS_MAX,
    router::residency::Need,
};

/// A command that waits for what it needs.
pub(super) struct Parked {
    pub(super) token: Token,
    pub(super) command: Command,
    /// What it keeps in memory until it ran.
    pub(super) pins: Vec<Need>,
}

/// A command that runs: whose it is, and where its answer belongs.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) session: SessionId,
    pub(super) token: Token,
    /// Unique among all asks.
    pub(super) number: u64,
}

enum Due {
    Waiting,
    /// `None`: a command that has no answer is done.
    Ready(Option<Box<Answer>>),
}

/// See the module.
#[derive(Default)]
pub(super) struct Pipeline {
    pub(super) parked: VecDeque<Parked>,
    answers: VecDeque<(u64, Due)>,
    /// Loads that parked commands wait for.
    pub(super) loads: u32,
    congested: bool,
}

impl Pipeline {
    /// The answer to `number` comes later; those to later commands wait for it.
    pub(super) fn defer(&mut self, number: u64) {
        self.answers.push_back((number, Due::Waiting));
        self.congested |= self.under_way() >= PARKED_COMMANDS_MAX;
    }

    /// The answer is here; `ready` gets it, and those behind it, once it is first.
    #[allow(clippy::vec_box, reason = "answers travel boxed")]
    pub(super) fn answer(
        &mut self,
        number: u64,
        answer: Option<Box<Answer>>,
        ready: &mut Vec<Box<Answer>>,
    ) {
        match self
            .answers
            .iter_mut()
            .find(|(waiting, _)| *waiting == number)
        {
            Some((_, due)) => *due = Due::Ready(answer),
            None => self.answers.push_back((number, Due::Ready(answer))),
        }
        while let Some((number, due)) = self.answers.pop_front() {
            match due {
                Due::Ready(answer) => ready.extend(answer),
                Due::Waiting => {
                    self.answers.push_front((number, due));
                    break;
                }
            }
        }
    }

    /// Takes a command that must wait.
    pub(super) fn park(&mut self, parked: Parked) {
        self.parked.push_back(parked);
        self.congested |= self.under_way() >= PARKED_COMMANDS_MAX;
    }

    fn under_way(&self) -> usize {
        self.parked.len() + self.answers.len()
    }

    /// Whether the connection should stop reading (S6).
    pub(super) const fn is_congested(&self) -> bool {
        self.congested
    }

    /// Whether a connection that was told to stop reading can go on: once half of what was under way is done.
    pub(super) fn take_relief(&mut self) -> bool {
        let relieved = self.congested && self.under_way() <= PARKED_COMMANDS_MAX / 2;
        self.congested &= !relieved;
        relieved
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way() == 0 && self.loads == 0 && !self.congested
    }
}
