//! A small pool of connections that only read, so that a long page does not hold up a commit.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use leveret_engine::effect::{StoreFault, StoreQuery, StoreResponse};
use rusqlite::Connection;

use super::{
    database,
    fault::OpenError,
    query,
    shell::{Respond, Shared},
};

/// Threads, and connections, of the pool. One answers while the other waits for the disk.
const READERS: usize = 2;
/// Stack of each, in bytes: the deepest query of ours needs a tenth.
pub(super) const STACK_BYTES: usize = 512 * 1024;

/// The pool. Dropped, it answers what was asked and ends.
pub(super) struct Readers {
    asked: Arc<Asked>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Asked {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    queries: VecDeque<(u64, StoreQuery)>,
    is_over: bool,
}

impl Asked {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next query; `None` when there will be none.
    fn next(&self) -> Option<(u64, StoreQuery)> {
        let inside = self.lock();
        let mut inside = self
            .changed
            .wait_while(inside, |inside| {
                inside.queries.is_empty() && !inside.is_over
            })
            .unwrap_or_else(PoisonError::into_inner);
        inside.queries.pop_front()
    }
}

impl Readers {
    /// Opens the connections and starts the threads.
    pub(super) fn start(
        file: &Path,
        respond: &Respond,
        shared: &Arc<Shared>,
    ) -> Result<Self, OpenError> {
        let mut readers = Self {
            asked: Arc::default(),
            threads: Vec::with_capacity(READERS),
        };
        for _ in 0..READERS {
            let conn = database::open_reader(file)?;
            let (asked, respond, shared) = (readers.asked.clone(), respond.clone(), shared.clone());
            let thread = spawn("store-reader", move || {
                read(&conn, &asked, &respond, &shared)
            });
            readers
                .threads
                .push(thread.map_err(|source| OpenError::Unwritable {
                    dir: file.parent().unwrap_or(file).into(),
                    source,
                })?);
        }
        Ok(readers)
    }

    /// Has a query answered. It sees what was committed before this call.
    pub(super) fn ask(&self, id: u64, query: StoreQuery) {
        self.asked.lock().queries.push_back((id, query));
        self.asked.changed.notify_one();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.asked.lock().is_over = true;
        self.asked.changed.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader of the store has failed");
            }
        }
    }
}

fn read(conn: &Connection, asked: &Asked, respond: &Respond, shared: &Shared) {
    while let Some((id, query)) = asked.next() {
        let answer = query::answer(conn, &query).map_err(StoreFault::from);
        if let Err(StoreFault::Failed(fault)) = &answer {
            tracing::error!(?query, "{fault}");
            shared.note_fault(fault);
        }
        shared.answered_query();
        respond(vec![StoreResponse::Answered { id, answer }]);
    }
}

/// A thread of the store.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.into())
        .stack_size(STACK_BYTES)
        .spawn(run)
}
