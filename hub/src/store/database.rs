//! The synchronous core: one connection that writes, and reads what it wrote.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use leveret_engine::effect::{Commit, StoreAnswer, StoreOp, StoreQuery, Urgency};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::{
    accounts, documents,
    fault::{Fault, OpenError},
    items,
    lock::{DataLock, private},
    nodes, owed, query, schema,
};

/// The database's name in the data directory.
const FILE_NAME: &str = "leveret.db";
/// What a database of SQLite begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How long one connection waits for another's lock: they hold theirs for moments only.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// Statements kept prepared, one connection each. There are some eighty; a reader uses half of them.
const STATEMENTS_MAX: usize = 96;
/// Memory for pages of the writing connection, in KiB. A larger group spills to the log, which costs nothing more.
const WRITER_CACHE_KIB: i64 = 1_024;
/// The same for each reading one.
const READER_CACHE_KIB: i64 = 512;
/// The log is written back when it is this long, in pages of 4 KiB. The longer, the fewer writes of a page that changes
/// often; the shorter, the sooner a start after a crash.
const CHECKPOINT_PAGES: i64 = 2_000;
/// To what the log is cut after it was written back, in bytes.
const LOG_BYTES_KEPT: i64 = 8 << 20;
/// A log that grew so long because readers never paused is written back while they wait, in bytes.
const LOG_BYTES_MAX: u64 = 32 << 20;
/// Findings that `integrity_check` lists before it stops.
const FINDINGS_MAX: i64 = 20;

/// What "committed" means (`[storage] durability`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// On the disk before the answer: a power cut loses nothing that was answered.
    #[default]
    Full,
    /// In the log before the answer, on the disk soon; alarms are on the disk before their answer (S2). A power cut may
    /// lose the last moments of all else, and never damages the database; a killed process loses nothing.
    Normal,
    /// Never synced. For tests.
    Off,
}

impl Durability {
    /// The word in the config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
            Self::Off => "off",
        }
    }

    const fn synchronous(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

/// The size of the database on the disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// `leveret.db`.
    pub database: u64,
    /// `leveret.db-wal`.
    pub log: u64,
}

/// An open database, held exclusively.
#[derive(Debug)]
pub struct Database {
    conn: Connection,
    durability: Durability,
    next: Numbers,
    file: Option<PathBuf>,
    /// Given back last.
    _lock: Option<DataLock>,
}

/// Numbers given to rows that are listed "after one": never used twice while the hub runs, so that no reader that stands
/// behind a removed row can miss a new one. A failed group leaves a gap.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    offline: i64,
    owed: i64,
}

impl Numbers {
    fn read(conn: &Connection) -> rusqlite::Result<Self> {
        let next = |table: &str| {
            conn.query_row(
                &format!("SELECT coalesce(max(seq), 0) + 1 FROM {table}"),
                (),
                |row| row.get(0),
            )
        };
        Ok(Self {
            offline: next("offline")?,
            owed: next("owed_item")?,
        })
    }

    fn take(number: &mut i64) -> i64 {
        let taken = *number;
        *number += 1;
        taken
    }
}

impl Database {
    /// Opens the database in `data_dir` for `domain`, or makes it. A database that is not ours is left as it was.
    pub fn open(data_dir: &Path, durability: Durability, domain: &str) -> Result<Self, OpenError> {
        let lock = DataLock::take(data_dir)?;
        let file = data_dir.join(FILE_NAME);
        if has_content(&file)? {
            // First without the right to write: closing a writable connection would write the log back into a database
            // that may be another program's, or a newer one's.
            let conn = connect(&file, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)?;
            schema::check(&conn, &file, domain)?;
        }
        let conn = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE_KIB)?;
        let database = Self::prepare(conn, durability, domain, Some(file.clone()), Some(lock))
            .map_err(|error| schema::failure(&file, error))?;
        if durability != Durability::Off {
            sync_dir(data_dir).map_err(|source| OpenError::Unwritable {
                dir: data_dir.into(),
                source,
            })?;
        }
        Ok(database)
    }

    /// A database that is gone with the value; for simulations.
    pub fn open_in_memory(domain: &str) -> Result<Self, OpenError> {
        let open = || {
            Self::prepare(
                Connection::open_in_memory()?,
                Durability::Off,
                domain,
                None,
                None,
            )
        };
        open().map_err(|error| schema::failure(Path::new(":memory:"), error))
    }

    fn prepare(
        mut conn: Connection,
        durability: Durability,
        domain: &str,
        file: Option<PathBuf>,
        lock: Option<DataLock>,
    ) -> rusqlite::Result<Self> {
        conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        conn.pragma_update(None, "page_size", 4_096)?;
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        conn.pragma_update(None, "synchronous", durability.synchronous())?;
        conn.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
        conn.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_KEPT, |_| Ok(()))?;
        schema::migrate(&mut conn, domain)?;
        let next = Numbers::read(&conn)?;
        Ok(Self {
            conn,
            durability,
            next,
            file,
            _lock: lock,
        })
    }

    /// Applies the commits in order, all in one transaction: either all are committed, or nothing happened. Answers, for
    /// each commit, how many items each of its `RemoveItems` removed.
    pub fn apply(&mut self, commits: &[Commit]) -> Result<Vec<Vec<u32>>, Fault> {
        let sync = self.durability == Durability::Normal
            && commits
                .iter()
                .any(|commit| commit.urgency == Urgency::Synced);
        if !sync {
            return self.apply_group(commits);
        }
        // With FULL, SQLite syncs the log at the end of this transaction, and with it whatever stood there unsynced.
        self.conn
            .pragma_update(None, "synchronous", Durability::Full.synchronous())?;
        let applied = self.apply_group(commits);
        let back = self
            .conn
            .pragma_update(None, "synchronous", self.durability.synchronous());
        if let Err(error) = back {
            tracing::warn!(%error, "the store stays at full durability");
        }
        applied
    }

    fn apply_group(&mut self, commits: &[Commit]) -> Result<Vec<Vec<u32>>, Fault> {
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut removed = Vec::with_capacity(commits.len());
        for commit in commits {
            let mut counts = Vec::new();
            for op in &commit.ops {
                apply_op(&tx, &mut self.next, op, &mut counts)?;
            }
            removed.push(counts);
        }
        tx.commit()?;
        self.bound_log();
        Ok(removed)
    }

    /// Answers a query; it sees every applied commit.
    pub fn query(&self, query: &StoreQuery) -> Result<StoreAnswer, Fault> {
        query::answer(&self.conn, query)
    }

    /// Reads the whole database and lists what is wrong with it: nothing, if all is well. Takes its time.
    pub fn integrity_check(&self) -> Result<Vec<String>, Fault> {
        integrity_check(&self.conn)
    }

    /// Writes the log back into the database.
    pub fn checkpoint(&self) -> Result<(), Fault> {
        Ok(self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?)
    }

    /// How large it is; zero in memory.
    pub fn sizes(&self) -> Sizes {
        self.file.as_deref().map(sizes).unwrap_or_default()
    }

    /// Where it is, if it is on the disk.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// For tests that break things.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.conn
    }

    /// The last numbers given, of offline messages and of owed items.
    #[cfg(test)]
    pub(super) fn numbers(&self) -> (u64, u64) {
        let Numbers { offline, owed } = self.next;
        ((offline - 1).cast_unsigned(), (owed - 1).cast_unsigned())
    }

    /// SQLite writes the log back after a commit, but only starts it anew when no reader is in it.
    fn bound_log(&self) {
        if self.sizes().log > LOG_BYTES_MAX
            && let Err(error) = self.checkpoint()
        {
            tracing::warn!(%error, "the store's log could not be written back");
        }
    }
}

/// Which operation is carried out by whom.
fn apply_op(
    tx: &Transaction<'_>,
    next: &mut Numbers,
    op: &StoreOp,
    removed: &mut Vec<u32>,
) -> Result<(), Fault> {
    match op {
        StoreOp::PutAccount(account) => accounts::put(tx, account),
        StoreOp::RemoveAccount { account } => accounts::remove(tx, account),
        StoreOp::LastSeen { account, seen } => accounts::put_last_seen(tx, account, seen),
        StoreOp::PutContact {
            account,
            contact,
            version,
        } => accounts::put_contact(tx, account, contact, *version),
        StoreOp::RemoveContact {
            account,
            contact,
            version,
        } => accounts::remove_contact(tx, account, contact, *version),
        StoreOp::PutOffline {
            account,
            message,
            at,
        } => accounts::put_offline(tx, Numbers::take(&mut next.offline), account, message, *at),
        StoreOp::RemoveOffline { account, up_to } => accounts::remove_offline(tx, account, *up_to),
        StoreOp::PutBlocked { account, jid } => documents::block(tx, account, jid),
        StoreOp::RemoveBlocked { account, jid } => documents::unblock(tx, account, jid.as_ref()),
        StoreOp::PutDocument {
            account,
            key,
            content,
        } => documents::put(tx, account, key, content.as_ref()),
        StoreOp::PutNode {
            at,
            config,
            creator,
            created,
        } => nodes::put(tx, at, config, creator, *created),
        StoreOp::RemoveNode { at } => nodes::remove(tx, at),
        StoreOp::PutAffiliation {
            at,
            jid,
            affiliation,
        } => nodes::put_affiliation(tx, at, jid, *affiliation),
        StoreOp::PutSubscription { at, subscription } => {
            nodes::put_subscription(tx, at, subscription)
        }
        StoreOp::RemoveSubscription { at, subid } => nodes::remove_subscription(tx, at, subid),
        StoreOp::PutItem {
            at,
            item,
            retained,
            keep,
        } => items::put(tx, nodes::expect(tx, at)?, item, *retained, keep),
        StoreOp::RemoveItems { at, ids } => {
            removed.push(items::remove(tx, at, nodes::find(tx, at)?, ids)?);
            Ok(())
        }
        StoreOp::TrimItems { at, keep } => match nodes::find(tx, at)? {
            Some(node) => items::trim(tx, node, keep),
            None => Ok(()),
        },
        StoreOp::PutOwed { account, at, item } => {
            owed::put(tx, Numbers::take(&mut next.owed), account, at, item)
        }
        StoreOp::RemoveOwed {
            account, at, item, ..
        } => owed::remove(tx, account, at, item),
    }
}

/// A connection that reads what the writer committed.
pub(super) fn open_reader(file: &Path) -> Result<Connection, OpenError> {
    let conn = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(conn)
}

fn connect(file: &Path, access: OpenFlags, cache_kib: i64) -> Result<Connection, OpenError> {
    let open = || {
        // Each connection belongs to one thread, so SQLite need not lock it.
        let conn = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(BUSY_MAX)?;
        conn.pragma_update(None, "cache_size", -cache_kib)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        conn.pragma_update(None, "foreign_keys", false)?; // none are declared
        Ok(conn)
    };
    open().map_err(|error| schema::failure(file, error))
}

/// Makes the file if it is not there, for its owner alone: SQLite gives the log and the index of the log the same rights.
/// A file that is no database of SQLite is found before SQLite touches it.
fn has_content(file: &Path) -> Result<bool, OpenError> {
    let dir = || file.parent().unwrap_or(Path::new(".")).to_path_buf();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut head = Vec::new();
    private(&mut options)
        .open(file)
        .and_then(|opened| opened.take(MAGIC.len() as u64).read_to_end(&mut head))
        .map_err(|source| OpenError::Unwritable { dir: dir(), source })?;
    match &head[..] {
        [] => Ok(false),
        head if head == MAGIC => Ok(true),
        _ => Err(OpenError::Damaged {
            file: file.into(),
            detail: "it does not begin as a database does".into(),
        }),
    }
}

/// So that a new file is found again after a power cut.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) fn sizes(file: &Path) -> Sizes {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    Sizes {
        database: size(file),
        log: size(Path::new(&log)),
    }
}

pub(super) fn integrity_check(conn: &Connection) -> Result<Vec<String>, Fault> {
    match findings(conn) {
        Ok(found) => Ok(found.into_iter().filter(|line| line != "ok").collect()),
        // So damaged that the check itself gave up.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Ok(vec![error.to_string()])
        }
        Err(error) => Err(error.into()),
    }
}

fn findings(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare(&format!("PRAGMA integrity_check({FINDINGS_MAX})"))?;
    statement.query_map((), |row| row.get(0))?.collect()
}
