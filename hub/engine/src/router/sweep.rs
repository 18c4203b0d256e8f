//! Items that expire at nodes where nobody publishes: all nodes are looked through, a few at a time.
//!
//! What is expired is never shown, whether it is still there or not, so there is no hurry; and no index by age, which would
//! cost a page of the disk for every item of every node (`store::schema`).

use std::time::Duration;

use super::{Router, stored::Asked};
use crate::{
    effect::{StoreAnswer, StoreFault, StoreQuery},
    time::Instant,
};

/// How many nodes are looked at in one step.
const NODES: u32 = 512;
/// How long it takes from one step to the next. A million nodes are looked through in five hours and a half.
const STEP: Duration = Duration::from_secs(10);
/// How long it takes from the end of a round to the next one.
const ROUND: Duration = Duration::from_secs(600);

/// Where the round stands.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    after: u64,
    /// Nothing while the store is asked, and before the hub has started.
    due: Option<Instant>,
}

impl Sweep {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }
}

impl Router {
    /// A first round, soon: the hub may have been off for long.
    pub(super) fn begin_to_sweep(&mut self) {
        self.sweep.due.get_or_insert(self.now.mono + STEP);
    }

    pub(super) fn sweep_on(&mut self) {
        let now = self.now;
        if self.sweep.due.take_if(|at| *at <= now.mono).is_none() {
            return;
        }
        if !now.wall_trusted {
            // S28: nothing is old by a clock that cannot be believed.
            self.sweep.due = Some(now.mono + ROUND);
            return;
        }
        let query = StoreQuery::Sweep {
            after: self.sweep.after,
            max: NODES,
        };
        self.query(query, Asked::Sweep);
    }

    pub(super) fn swept(&mut self, answer: Result<StoreAnswer, StoreFault>) {
        let Ok(StoreAnswer::Sweep { nodes, next }) = answer else {
            self.sweep.due = Some(self.now.mono + ROUND);
            return;
        };
        if let Some(change) = self.pubsub.sweep(nodes, self.now) {
            self.change(change, None);
        }
        let pause = if next.is_some() { STEP } else { ROUND };
        self.sweep.after = next.unwrap_or_default();
        self.sweep.due = Some(self.now.mono + pause);
    }
}
