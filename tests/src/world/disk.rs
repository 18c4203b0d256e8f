//! The real store under a bad disk: it takes its time, commits in groups, and forgets at a crash what it had not
//! committed. What it had committed and not yet told is the case that matters most.

use std::collections::VecDeque;

use leveret_engine::effect::{
    Commit, StoreAnswer, StoreFault, StoreOp, StoreRequest, StoreResponse, Urgency,
};
use leveret_hub::store::{Database, Durability};
use tempfile::TempDir;

use super::{DOMAIN, chance::Chance};

/// The longest time for a group commit, in microseconds, and for telling of it.
const TURN_MICROS_MAX: u64 = 20_000;
/// The most requests of one group.
const GROUP_MAX: u64 = 16;

/// The store of a world.
pub struct Disk {
    database: Database,
    place: TempDir,
    /// What the router asked for and nothing was done about.
    waiting: VecDeque<StoreRequest>,
    /// What was done and is not yet told, by time.
    told: VecDeque<(u64, StoreResponse)>,
    next_turn: Option<u64>,
    /// How often of a thousand times a group fails.
    failing: u64,
}

impl Disk {
    /// A disk with a database that knows nobody.
    pub fn empty() -> Self {
        let place = TempDir::new().expect("a temporary directory");
        // The world's disk fails by forgetting; that a real one is synced is for other tests.
        let database = Database::open(place.path(), Durability::Off, DOMAIN);
        Self {
            database: database.expect("a new database"),
            place,
            waiting: VecDeque::new(),
            told: VecDeque::new(),
            next_turn: None,
            failing: 0,
        }
    }

    /// From now on a group fails so often of a thousand times, and nothing of it happens.
    pub const fn fail(&mut self, in_thousand: u64) {
        self.failing = in_thousand;
    }

    /// Takes requests in their order.
    pub fn ask(&mut self, requests: &mut Vec<StoreRequest>, now: u64, chance: &mut Chance) {
        self.waiting.extend(requests.drain(..));
        if self.next_turn.is_none() && !self.waiting.is_empty() {
            self.next_turn = Some(now + chance.between(0, TURN_MICROS_MAX));
        }
    }

    /// When something happens next.
    pub fn next_event(&self) -> Option<u64> {
        let told = self.told.front().map(|(at, _)| *at);
        [told, self.next_turn].into_iter().flatten().min()
    }

    /// Works; gives what is to be told by now.
    pub fn turn(&mut self, now: u64, chance: &mut Chance) -> Vec<StoreResponse> {
        if self.next_turn.is_some_and(|at| at <= now) {
            self.work(now, chance);
            self.next_turn =
                (!self.waiting.is_empty()).then(|| now + chance.between(0, TURN_MICROS_MAX));
        }
        let mut told = Vec::new();
        while self.told.front().is_some_and(|(at, _)| *at <= now) {
            told.extend(self.told.pop_front().map(|(_, response)| response));
        }
        told
    }

    /// The power fails: requests and untold answers are gone, committed data is not.
    pub fn crash(&mut self) {
        self.waiting.clear();
        self.told.clear();
        self.next_turn = None;
    }

    /// Puts something on the disk before the hub starts.
    pub fn prepare(&mut self, ops: Vec<StoreOp>) {
        let commit = Commit {
            seq: 0,
            urgency: Urgency::Group,
            ops,
        };
        self.database
            .apply(&[commit])
            .expect("a fresh database takes it");
    }

    /// How many rows each table holds, those of the database itself aside.
    pub fn rows(&self) -> Vec<(String, u64)> {
        let count = || -> rusqlite::Result<Vec<(String, u64)>> {
            let file = self.database.file().unwrap_or(self.place.path());
            let reader = rusqlite::Connection::open(file)?;
            let mut names = reader.prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'meta'",
            )?;
            let names: Vec<String> = names
                .query_map((), |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let count = |name: String| {
                let rows: i64 =
                    reader.query_row(&format!("SELECT count(*) FROM {name}"), (), |row| {
                        row.get(0)
                    })?;
                Ok((name, u64::try_from(rows).unwrap_or_default()))
            };
            names.into_iter().map(count).collect()
        };
        count().expect("a second reader of the database")
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.told.is_empty()
    }

    /// One group: some of the requests, commits before the queries that must see them.
    fn work(&mut self, now: u64, chance: &mut Chance) {
        let count = usize::try_from(chance.between(1, GROUP_MAX)).unwrap_or(1);
        let count = count.min(self.waiting.len());
        let mut responses = Vec::new();
        let mut group = Vec::new();
        let fails = chance.happens(self.failing);
        for request in self.waiting.drain(..count) {
            match request {
                request if fails => responses.push(refused(&request)),
                StoreRequest::Commit(commit) => group.push(commit),
                StoreRequest::Query { id, query } => {
                    commit_all(&mut self.database, &mut group, &mut responses);
                    let answer: Result<StoreAnswer, StoreFault> =
                        self.database.query(&query).map_err(Into::into);
                    responses.push(StoreResponse::Answered { id, answer });
                }
            }
        }
        commit_all(&mut self.database, &mut group, &mut responses);
        let last = self.told.back().map_or(0, |(at, _)| *at);
        let at = last.max(now + chance.between(0, TURN_MICROS_MAX));
        self.told.extend(responses.into_iter().map(|it| (at, it)));
    }
}

/// What a disk says that is full.
fn refused(request: &StoreRequest) -> StoreResponse {
    let fault = StoreFault::Failed("the world's disk is full".into());
    match request {
        StoreRequest::Commit(commit) => StoreResponse::Failed {
            seq: commit.seq,
            fault,
        },
        StoreRequest::Query { id, .. } => StoreResponse::Answered {
            id: *id,
            answer: Err(fault),
        },
    }
}

/// Commits a group as the writer thread does: together, or one by one if one of them is at fault.
fn commit_all(
    database: &mut Database,
    group: &mut Vec<Commit>,
    responses: &mut Vec<StoreResponse>,
) {
    if group.is_empty() {
        return;
    }
    match database.apply(group) {
        Ok(removed) => {
            let all = group.drain(..).zip(removed);
            responses.extend(all.map(|(commit, removed)| StoreResponse::Committed {
                seq: commit.seq,
                removed,
            }));
        }
        Err(_) => {
            for commit in group.drain(..) {
                let seq = commit.seq;
                responses.push(match database.apply(std::slice::from_ref(&commit)) {
                    Ok(mut removed) => StoreResponse::Committed {
                        seq,
                        removed: removed.pop().unwrap_or_default(),
                    },
                    Err(fault) => StoreResponse::Failed {
                        seq,
                        fault: fault.into(),
                    },
                });
            }
        }
    }
}
