//! The writer: takes requests in order, and commits what has come together as one group.
//!
//! A group is what was there when the writer looked, so it grows by itself when the disk is slow. Lazy commits wait for a
//! group that somebody needs, at most `flush` (S2); since a group is always all that waits, in order, nothing overtakes.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use leveret_engine::effect::{Commit, StoreOp, StoreRequest, StoreResponse, Urgency};

use super::{
    database::Database,
    fault::Fault,
    query,
    reader::Readers,
    shell::{Respond, Shared},
};

/// Most commits of one group.
const GROUP_COMMITS_MAX: usize = 4_096;
/// Most bytes of one group, as estimated; a group beyond it is committed at once, lazy or not.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// What an operation weighs beside its content, in bytes.
const OP_BYTES: usize = 128;

/// What the writer is told.
pub(super) enum Told {
    /// To be done, in order.
    Requests(Vec<StoreRequest>),
    /// Finish what was told, and end.
    Stop,
}

/// The writer's side.
pub(super) struct Writer {
    pub(super) database: Database,
    pub(super) told: Receiver<Told>,
    pub(super) readers: Readers,
    pub(super) respond: Respond,
    pub(super) shared: Arc<Shared>,
    pub(super) flush: Duration,
    pub(super) waiting: Waiting,
}

/// The group that is being gathered.
#[derive(Default)]
pub(super) struct Waiting {
    commits: Vec<Commit>,
    bytes: usize,
    /// Somebody waits for one of them.
    is_urgent: bool,
    /// When the oldest must be written at last.
    deadline: Option<Instant>,
}

impl Waiting {
    fn add(&mut self, commit: Commit, flush: Duration) {
        self.bytes += weight(&commit);
        self.is_urgent |= commit.urgency != Urgency::Lazy;
        self.deadline.get_or_insert_with(|| Instant::now() + flush);
        self.commits.push(commit);
    }

    fn is_full(&self) -> bool {
        self.commits.len() >= GROUP_COMMITS_MAX || self.bytes >= GROUP_BYTES_MAX
    }

    fn is_due(&self) -> bool {
        self.is_urgent || self.is_full() || self.deadline.is_some_and(|at| at <= Instant::now())
    }
}

impl Writer {
    /// Until it is told to stop, or nobody is left to tell it anything.
    pub(super) fn run(mut self) {
        self.shared.note_thread();
        while let Some(told) = self.wait() {
            let mut is_over = self.take(told);
            while !is_over && !self.waiting.is_full() {
                match self.told.try_recv() {
                    Ok(told) => is_over = self.take(told),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            if is_over {
                break;
            }
            if self.waiting.is_due() {
                self.commit();
            }
        }
        self.commit();
        drop(self.readers); // so that the log can be written back whole
        if let Err(fault) = self.database.checkpoint() {
            tracing::warn!("{fault}");
        }
    }

    /// What comes next; nothing when all is over. Writes what is lazy when its time has come.
    fn wait(&mut self) -> Option<Told> {
        loop {
            let Some(deadline) = self.waiting.deadline else {
                return self.told.recv().ok();
            };
            match self
                .told
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(told) => return Some(told),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.commit(),
            }
        }
    }

    /// Whether it is over.
    fn take(&mut self, told: Told) -> bool {
        let Told::Requests(requests) = told else {
            return true;
        };
        for request in requests {
            match request {
                StoreRequest::Commit(commit) => {
                    self.shared.took_commit();
                    self.waiting.add(commit, self.flush);
                    if self.waiting.is_full() {
                        self.commit();
                    }
                }
                StoreRequest::Query { id, query } => {
                    let mut ops = self.waiting.commits.iter().flat_map(|commit| &commit.ops);
                    if ops.any(|op| query::depends(&query, op)) {
                        self.commit();
                    }
                    self.readers.ask(id, query);
                }
            }
        }
        false
    }

    /// Commits what waits and answers it, in order.
    fn commit(&mut self) {
        let group = std::mem::take(&mut self.waiting).commits;
        if group.is_empty() {
            return;
        }
        let responses = match self.database.apply(&group) {
            Ok(removed) => {
                self.shared.committed(group.len());
                group
                    .iter()
                    .zip(removed)
                    .map(|(commit, removed)| committed(commit, removed))
                    .collect()
            }
            // One bad commit must not fail its neighbours; a full disk fails them all.
            Err(fault) if fault.is_of_one_commit() && group.len() > 1 => group
                .iter()
                .map(|commit| self.commit_alone(commit))
                .collect(),
            Err(fault) => group
                .iter()
                .map(|commit| self.failed(commit, &fault))
                .collect(),
        };
        (self.respond)(responses);
    }

    fn commit_alone(&mut self, commit: &Commit) -> StoreResponse {
        match self.database.apply(std::slice::from_ref(commit)) {
            Ok(mut removed) => {
                self.shared.committed(1);
                committed(commit, removed.pop().unwrap_or_default())
            }
            Err(fault) => self.failed(commit, &fault),
        }
    }

    fn failed(&self, commit: &Commit, fault: &Fault) -> StoreResponse {
        let words = fault.to_string();
        tracing::error!(commit = commit.seq, "{words}");
        self.shared.note_fault(&words);
        self.shared.failed();
        StoreResponse::Failed {
            seq: commit.seq,
            fault: leveret_engine::effect::StoreFault::Failed(words),
        }
    }
}

fn committed(commit: &Commit, removed: Vec<u32>) -> StoreResponse {
    StoreResponse::Committed {
        seq: commit.seq,
        removed,
    }
}

/// About how much memory a commit holds.
fn weight(commit: &Commit) -> usize {
    let content = |op: &StoreOp| match op {
        StoreOp::PutItem { item, .. } | StoreOp::PutOwed { item, .. } => item
            .payload
            .as_ref()
            .map_or(0, |payload| payload.bytes.len()),
        StoreOp::PutOffline { message, .. } => message.content.len(),
        StoreOp::PutDocument { content, .. } => content.as_ref().map_or(0, |content| content.len()),
        StoreOp::RemoveItems { ids, .. } => ids.len() * OP_BYTES,
        _ => OP_BYTES,
    };
    commit.ops.iter().map(|op| OP_BYTES + content(op)).sum()
}
