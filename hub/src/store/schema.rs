//! The tables, and how a database comes from one version to the next.
//!
//! Each index costs a page in the write-ahead log for every change, and an SD card wears by pages: so an index is here
//! only if a question of the router's hot path or a removal needs it, and its comment says which.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::fault::OpenError;

/// What `PRAGMA application_id` holds: "Lvrt".
const APPLICATION_ID: i64 = 0x4c76_7274;

/// The version that this program reads and writes.
pub(super) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Step n brings a database from version n to n + 1. Append only: what was released is never edited.
const MIGRATIONS: &[&str] = &[V1, V2];

pub(super) const V1: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    jid TEXT PRIMARY KEY, role TEXT NOT NULL, enabled INTEGER NOT NULL, created INTEGER NOT NULL,
    credentials BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Apart from the account, because it changes at every farewell: a hundred of these share a page.
CREATE TABLE last_seen (account TEXT PRIMARY KEY, at INTEGER NOT NULL, status TEXT) STRICT, WITHOUT ROWID;

CREATE TABLE roster (account TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE contact (
    account TEXT, jid TEXT, body BLOB NOT NULL, PRIMARY KEY (account, jid)
) STRICT, WITHOUT ROWID;

-- Appended at the end, whoever it is for; the index finds an account's own, in order.
CREATE TABLE offline (
    seq INTEGER PRIMARY KEY, account TEXT NOT NULL, at INTEGER NOT NULL, message BLOB NOT NULL
) STRICT;
CREATE INDEX offline_account ON offline (account);

-- host is '' for the hub's own service. The index names a node, and lists names in order.
CREATE TABLE node (
    id INTEGER PRIMARY KEY, host TEXT NOT NULL, name TEXT NOT NULL, creator TEXT NOT NULL,
    created INTEGER NOT NULL, config BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX node_name ON node (host, name);
-- How many nodes an account has made.
CREATE INDEX node_creator ON node (creator);

-- The index: what an account owns, and what goes with it when it is removed.
CREATE TABLE affiliation (
    node INTEGER, jid TEXT, affiliation INTEGER NOT NULL, PRIMARY KEY (node, jid)
) STRICT, WITHOUT ROWID;
CREATE INDEX affiliation_jid ON affiliation (jid, affiliation);

-- The index: what an account is subscribed to.
CREATE TABLE subscription (
    node INTEGER, subid TEXT, account TEXT NOT NULL, resource TEXT, state INTEGER NOT NULL,
    PRIMARY KEY (node, subid)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscription_account ON subscription (account);

-- Subscriptions of a filter, which is no node.
CREATE TABLE filter (
    host TEXT, name TEXT, subid TEXT, account TEXT NOT NULL, resource TEXT, state INTEGER NOT NULL,
    PRIMARY KEY (host, name, subid)
) STRICT, WITHOUT ROWID;
CREATE INDEX filter_account ON filter (account);

-- See items.rs. place is the node's id and, in the low bits, the item's number in the node.
CREATE TABLE item (
    place INTEGER PRIMARY KEY, count INTEGER NOT NULL, retained INTEGER, id TEXT NOT NULL, publisher TEXT NOT NULL,
    published INTEGER NOT NULL, class INTEGER NOT NULL, media INTEGER, payload BLOB
) STRICT;
-- Not an index, because a node that keeps one item needs no entry here: its publish then writes one page.
CREATE TABLE item_id (
    node INTEGER, id TEXT, seq INTEGER NOT NULL, PRIMARY KEY (node, id)
) STRICT, WITHOUT ROWID;

-- See owed.rs. publisher, the bare address, stands before the body: who counts by it reads no body.
CREATE TABLE owed_item (
    seq INTEGER PRIMARY KEY, publisher TEXT NOT NULL, host TEXT NOT NULL, node TEXT NOT NULL, id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX owed_item_id ON owed_item (host, node, id);
CREATE TABLE owed (account TEXT, seq INTEGER, PRIMARY KEY (account, seq)) STRICT, WITHOUT ROWID;
CREATE INDEX owed_seq ON owed (seq);
";

const V2: &str = "
-- NULL: all defaults.
ALTER TABLE subscription ADD COLUMN options BLOB;
ALTER TABLE filter ADD COLUMN options BLOB;

-- Who belongs to a roster group: the accounts of a role, in order of address, without a look at their keys.
CREATE INDEX account_role ON account (role, enabled, jid);

-- When the lease ends, which the options say too: to find those that are over without reading all others.
ALTER TABLE subscription ADD COLUMN expires INTEGER;
ALTER TABLE filter ADD COLUMN expires INTEGER;
CREATE INDEX subscription_expires ON subscription (expires) WHERE expires IS NOT NULL;
CREATE INDEX filter_expires ON filter (expires) WHERE expires IS NOT NULL;
-- Those that wait for approval, which are few: what an owner is asked. State 1 is pending.
CREATE INDEX subscription_pending ON subscription (node) WHERE state = 1;

-- Whom an account has blocked; read as a whole at the start.
CREATE TABLE blocked (account TEXT, jid TEXT, PRIMARY KEY (account, jid)) STRICT, WITHOUT ROWID;

-- vCards and private XML, by the name of the root element. With a rowid, so that large ones do not widen the tree of names.
CREATE TABLE document (
    account TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (account, namespace, name)
) STRICT;
-- Whether its last item is shown to subscribers who come (on_sub_and_presence): no node was before.
ALTER TABLE node ADD COLUMN shows INTEGER NOT NULL DEFAULT 0;

-- See items. What the newest row tells of a node with history; NULL: every row is shown. They stand at the end of the row,
-- behind the payload, because older rows are not rewritten: only a payload of several pages makes that felt.
ALTER TABLE item ADD COLUMN bytes INTEGER;
ALTER TABLE item ADD COLUMN shown INTEGER;
ALTER TABLE item ADD COLUMN first INTEGER;
ALTER TABLE item ADD COLUMN ordered INTEGER;
-- NULL: not replaced since by an item of its id (1), nor retracted (2).
ALTER TABLE item ADD COLUMN hidden INTEGER;
-- The number under which its id came first, where it came before.
ALTER TABLE item ADD COLUMN born INTEGER;
";

/// Whether the database is one of ours that this program can use. Changes nothing.
pub(super) fn check(conn: &Connection, file: &Path, domain: &str) -> Result<(), OpenError> {
    let fail = |error| failure(file, error);
    let pragma = |name: &str| {
        conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(fail)
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(fail)?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(()); // new, or stopped before its first transaction
    }
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign { file: file.into() });
    }
    if version > SCHEMA_VERSION {
        return Err(OpenError::Newer {
            file: file.into(),
            found: version,
        });
    }
    let theirs: Option<String> = conn
        .query_row("SELECT value FROM meta WHERE key = 'domain'", (), |row| {
            row.get(0)
        })
        .optional()
        .map_err(fail)?;
    match theirs {
        Some(theirs) if theirs == domain => Ok(()),
        Some(theirs) => Err(OpenError::OtherDomain {
            file: file.into(),
            theirs,
            ours: domain.into(),
        }),
        None => Err(OpenError::Damaged {
            file: file.into(),
            detail: "it names no domain".into(),
        }),
    }
}

/// Brings a checked database to [`SCHEMA_VERSION`], all steps in one transaction.
pub(super) fn migrate(conn: &mut Connection, domain: &str) -> rusqlite::Result<()> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in MIGRATIONS
        .iter()
        .skip(usize::try_from(version).unwrap_or(0))
    {
        tx.execute_batch(step)?;
    }
    if version == 0 {
        tx.execute(
            "INSERT INTO meta (key, value) VALUES ('domain', ?1)",
            [domain],
        )?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit()
}

/// What an error of SQLite means for somebody who opens the database.
pub(super) fn failure(file: &Path, error: rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseCorrupt, NotADatabase, ReadOnly};
    let file = file.to_path_buf();
    match error.sqlite_error_code() {
        Some(NotADatabase | DatabaseCorrupt) => OpenError::Damaged {
            file,
            detail: error.to_string(),
        },
        Some(CannotOpen | ReadOnly) => OpenError::Unwritable {
            dir: file.parent().unwrap_or(Path::new(".")).to_path_buf(),
            source: std::io::Error::other(error),
        },
        _ => OpenError::Sqlite {
            file,
            source: error,
        },
    }
}
