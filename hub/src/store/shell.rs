//! The store as the hub has it: threads around a [`Database`].

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use leveret_engine::effect::{StoreFault, StoreRequest, StoreResponse};

use super::{
    database::{self, Database, Durability, Sizes},
    fault::{Fault, OpenError},
    reader::{Readers, spawn},
    writer::{Told, Waiting, Writer},
};

/// Takes what the store answers, on a thread of the store: commits in the order of their numbers, queries when they are
/// done. It must not wait.
pub type Respond = Arc<dyn Fn(Vec<StoreResponse>) + Send + Sync>;

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `data_dir`.
    pub data_dir: PathBuf,
    /// `domain`: a database belongs to one.
    pub domain: String,
    /// `[storage] durability`.
    pub durability: Durability,
    /// `[storage] flush`: how long a lazy commit may wait (S2).
    pub flush: Duration,
}

/// An open store. Dropped, it commits what it was sent and closes.
pub struct Store {
    told: mpsc::Sender<Told>,
    writer: Mutex<Option<JoinHandle<()>>>,
    respond: Respond,
    shared: Arc<Shared>,
    file: PathBuf,
}

/// How the store does, for `status` and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Commits that were sent and that the writer has not come to, and queries that are not answered.
    pub backlog: usize,
    /// Commits that happened.
    pub commits: u64,
    /// Transactions that they took.
    pub groups: u64,
    /// Commits that failed.
    pub commits_failed: u64,
    /// Queries answered.
    pub queries: u64,
    /// Bytes written by the writer since it started, log and database together; `None` where the system does not say.
    pub bytes_written: Option<u64>,
    /// The last fault, in its own words.
    pub last_fault: Option<String>,
    /// On the disk.
    pub sizes: Sizes,
}

/// What the threads tell `stats`.
#[derive(Debug, Default)]
pub(super) struct Shared {
    backlog: AtomicUsize,
    commits: AtomicU64,
    groups: AtomicU64,
    commits_failed: AtomicU64,
    queries: AtomicU64,
    last_fault: Mutex<Option<String>>,
    /// The writer's entry in `/proc`.
    thread: OnceLock<PathBuf>,
}

impl Shared {
    pub(super) fn took_commit(&self) {
        self.backlog.fetch_sub(1, Relaxed);
    }

    pub(super) fn committed(&self, commits: usize) {
        self.commits.fetch_add(commits as u64, Relaxed);
        self.groups.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.commits_failed.fetch_add(1, Relaxed);
    }

    pub(super) fn answered_query(&self) {
        self.queries.fetch_add(1, Relaxed);
        self.backlog.fetch_sub(1, Relaxed);
    }

    pub(super) fn note_fault(&self, fault: &str) {
        *self
            .last_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(fault.into());
    }

    /// Called on the writer's own thread.
    pub(super) fn note_thread(&self) {
        if let Ok(thread) = std::fs::read_link("/proc/thread-self") {
            // Set once: there is one writer.
            let _ = self
                .thread
                .set(PathBuf::from("/proc").join(thread).join("io"));
        }
    }

    fn bytes_written(&self) -> Option<u64> {
        let io = std::fs::read_to_string(self.thread.get()?).ok()?;
        io.lines()
            .find_map(|line| line.strip_prefix("wchar: "))?
            .trim()
            .parse()
            .ok()
    }
}

impl Store {
    /// Opens the database and starts the threads.
    pub fn open(config: &StoreConfig, respond: Respond) -> Result<Self, OpenError> {
        let database = Database::open(&config.data_dir, config.durability, &config.domain)?;
        Self::start(database, config.flush, respond)
    }

    /// Starts the threads around a database on the disk.
    pub fn start(database: Database, flush: Duration, respond: Respond) -> Result<Self, OpenError> {
        let file = database.file().map(PathBuf::from).unwrap_or_default();
        let shared = Arc::new(Shared::default());
        let (told, queue) = mpsc::channel();
        let writer = Writer {
            readers: Readers::start(&file, &respond, &shared)?,
            database,
            told: queue,
            respond: respond.clone(),
            shared: shared.clone(),
            flush,
            waiting: Waiting::default(),
        };
        let thread = spawn("store-writer", move || writer.run()).map_err(|source| {
            OpenError::Unwritable {
                dir: file.parent().unwrap_or(&file).into(),
                source,
            }
        })?;
        Ok(Self {
            told,
            writer: Mutex::new(Some(thread)),
            respond,
            shared,
            file,
        })
    }

    /// Hands requests over, in order. Never waits: what bounds the queue is that connections read no further while their
    /// durable commands are unanswered (S6), and that the hub may look at [`Store::backlog`] before it reads on.
    /// After [`Store::shutdown`] every request fails at once.
    pub fn send(&self, requests: Vec<StoreRequest>) {
        if requests.is_empty() {
            return;
        }
        let count = requests.len();
        self.shared.backlog.fetch_add(count, Relaxed);
        if let Err(mpsc::SendError(told)) = self.told.send(Told::Requests(requests)) {
            self.shared.backlog.fetch_sub(count, Relaxed);
            self.refuse(told);
        }
    }

    /// Requests that wait; see [`StoreStats::backlog`].
    pub fn backlog(&self) -> usize {
        self.shared.backlog.load(Relaxed)
    }

    /// The database's file.
    pub fn file(&self) -> &std::path::Path {
        &self.file
    }

    /// How it does.
    pub fn stats(&self) -> StoreStats {
        let shared = &self.shared;
        StoreStats {
            backlog: self.backlog(),
            commits: shared.commits.load(Relaxed),
            groups: shared.groups.load(Relaxed),
            commits_failed: shared.commits_failed.load(Relaxed),
            queries: shared.queries.load(Relaxed),
            bytes_written: shared.bytes_written(),
            last_fault: shared
                .last_fault
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            sizes: database::sizes(&self.file),
        }
    }

    /// Reads the whole database, on the caller's thread, and lists what is wrong with it. The store works on meanwhile.
    pub fn integrity_check(&self) -> Result<Vec<String>, Fault> {
        let conn = database::open_reader(&self.file).map_err(|error| match error {
            OpenError::Sqlite { source, .. } => Fault::Sqlite(source),
            _ => Fault::Damaged("database"),
        })?;
        database::integrity_check(&conn)
    }

    /// Commits and answers all that was sent, writes the log back and closes the database. Waits for it. Not to be called
    /// by what takes the answers.
    pub fn shutdown(&self) {
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            // If nobody hears it, the writer has ended already.
            let _ = self.told.send(Told::Stop);
            if writer.join().is_err() {
                tracing::error!("the store's writer has failed");
            }
        }
    }

    fn refuse(&self, told: Told) {
        let Told::Requests(requests) = told else {
            return;
        };
        let fault = || StoreFault::Failed("the store is closed".into());
        let refused = requests.into_iter().map(|request| match request {
            StoreRequest::Commit(commit) => StoreResponse::Failed {
                seq: commit.seq,
                fault: fault(),
            },
            StoreRequest::Query { id, .. } => StoreResponse::Answered {
                id,
                answer: Err(fault()),
            },
        });
        (self.respond)(refused.collect());
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shutdown();
    }
}
