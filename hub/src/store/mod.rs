//! The store: everything that outlives a session, in one SQLite database (DESIGN §9).
//!
//! [`Database`] is the synchronous core: it applies groups of commits and answers queries, on the caller's thread. Tools
//! and simulations use it as it is. [`Store`] is the hub's: a thread that groups commits, and a small pool of readers.
//!
//! ```text
//!  shard ─StoreRequest─▶ queue ─▶ writer ─group─▶ Database ─▶ leveret.db-wal ─▶ leveret.db
//!    ▲                              │ queries, after the commits that they must see
//!    └──────StoreResponse───────────┴──────▶ readers
//! ```

mod accounts;
mod database;
mod documents;
mod encode;
mod fault;
mod items;
mod lock;
mod names;
mod nodes;
mod owed;
mod query;
mod reader;
mod schema;
mod shell;
mod subscriptions;
mod tree;
mod writer;

#[cfg(test)]
mod tests;

pub use database::{Database, Durability, Sizes};
pub use fault::{Fault, OpenError};
pub use shell::{Respond, Store, StoreConfig, StoreStats};

use leveret_engine::{
    address::BareJid,
    node::{NodeAddress, NodeId},
    time::Timestamp,
};
use rusqlite::{Row, Rows};

/// Most entries of any list that one query answers.
pub const LIST_ENTRIES_MAX: u32 = 10_000;
/// Most bytes of payload in one page of items; a single larger item is a page of its own.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// Most bytes of bodies in one answer of what is kept for an account: its mailbox takes no more at a time, and what it
/// does not take is read again.
pub const KEPT_BYTES_MAX: usize = 512 * 1024;

fn text<'a>(row: &'a Row<'_>, at: usize) -> Result<&'a str, Fault> {
    Ok(row.get_ref(at)?.as_str().map_err(rusqlite::Error::from)?)
}

fn jid(row: &Row<'_>, at: usize) -> Result<BareJid, Fault> {
    parse_jid(text(row, at)?)
}

fn parse_jid(text: &str) -> Result<BareJid, Fault> {
    BareJid::parse(text).map_err(|_| Fault::Damaged("address"))
}

fn node_id(row: &Row<'_>, at: usize) -> Result<NodeId, Fault> {
    NodeId::parse(text(row, at)?).map_err(|_| Fault::Damaged("node name"))
}

fn time(row: &Row<'_>, at: usize) -> Result<Timestamp, Fault> {
    Ok(Timestamp::from_micros(row.get(at)?))
}

/// A host as its column has it.
fn host(at: &NodeAddress) -> &str {
    at.host.as_ref().map_or("", BareJid::as_str)
}

fn host_of(row: &Row<'_>, at: usize) -> Result<Option<BareJid>, Fault> {
    match text(row, at)? {
        "" => Ok(None),
        _ => jid(row, at).map(Some),
    }
}

/// A number of ours as a column has it; none of them comes near the end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn collect<T>(
    rows: &mut Rows<'_>,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        list.push(read(row)?);
    }
    Ok(list)
}

/// The same, up to [`KEPT_BYTES_MAX`] in the column `body`; at least one row.
fn collect_some<T>(
    rows: &mut Rows<'_>,
    body: usize,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let (mut list, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let body = row.get_ref(body)?.as_blob();
        bytes += body.map_err(rusqlite::Error::from)?.len();
        if bytes > KEPT_BYTES_MAX && !list.is_empty() {
            break;
        }
        list.push(read(row)?);
    }
    Ok(list)
}
