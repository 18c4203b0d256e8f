//! Alarms that are owed until they are acknowledged (S12). The body is kept once, however many owe it, and apart from
//! the node's items: trimming a node's history never drops an alarm.
//!
//! What is owed is the item as it now is: when an alarm is raised again under the same id with other content, all who
//! still owe the former owe the new one, at its place in the order. An equal one changes nothing (S11).

use std::{collections::BTreeMap, sync::Arc};

use leveret_engine::{
    address::BareJid,
    item::Item,
    node::{ItemId, NodeAddress},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{LIST_ENTRIES_MAX, encode::Encoded as _, fault::Fault};

/// `fresh` is the number for the body if it is a new one.
pub(super) fn put(
    conn: &Connection,
    fresh: i64,
    account: &BareJid,
    at: &NodeAddress,
    item: &Item,
) -> Result<(), Fault> {
    let body = item.encode();
    let publisher = item.publisher.bare();
    let known: Option<(i64, bool)> = conn
        .prepare_cached(
            "SELECT seq, body = ?4 FROM owed_item WHERE host = ?1 AND node = ?2 AND id = ?3",
        )?
        .query_row(
            params![super::host(at), at.node.as_str(), item.id.as_str(), body],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let seq = match known {
        Some((seq, true)) => seq,
        Some((seq, false)) => {
            conn.prepare_cached(
                "UPDATE owed_item SET seq = ?2, publisher = ?3, body = ?4 WHERE seq = ?1",
            )?
            .execute(params![seq, fresh, publisher.as_str(), body])?;
            conn.prepare_cached("UPDATE owed SET seq = ?2 WHERE seq = ?1")?
                .execute([seq, fresh])?;
            fresh
        }
        None => {
            conn.prepare_cached(
                "INSERT INTO owed_item (seq, publisher, host, node, id, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                fresh,
                publisher.as_str(),
                super::host(at),
                at.node.as_str(),
                item.id.as_str(),
                body
            ])?;
            fresh
        }
    };
    conn.prepare_cached("INSERT INTO owed (account, seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![account.as_str(), seq])?;
    Ok(())
}

/// One account has acknowledged it; the body goes with the last.
pub(super) fn remove(
    conn: &Connection,
    account: &BareJid,
    at: &NodeAddress,
    item: &ItemId,
) -> Result<(), Fault> {
    if let Some(seq) = find(conn, at, item)? {
        conn.prepare_cached("DELETE FROM owed WHERE account = ?1 AND seq = ?2")?
            .execute(params![account.as_str(), seq])?;
        drop_unowed(conn, seq)?;
    }
    Ok(())
}

/// The item was retracted; whether it was owed.
pub(super) fn remove_item(
    conn: &Connection,
    at: &NodeAddress,
    item: &ItemId,
) -> Result<bool, Fault> {
    let Some(seq) = find(conn, at, item)? else {
        return Ok(false);
    };
    conn.prepare_cached("DELETE FROM owed WHERE seq = ?1")?
        .execute([seq])?;
    drop_unowed(conn, seq)?;
    Ok(true)
}

/// The node was deleted.
pub(super) fn remove_node(conn: &Connection, at: &NodeAddress) -> Result<(), Fault> {
    let node = [super::host(at), at.node.as_str()];
    conn.prepare_cached(
        "DELETE FROM owed WHERE seq IN (SELECT seq FROM owed_item WHERE host = ?1 AND node = ?2)",
    )?
    .execute(node)?;
    conn.prepare_cached("DELETE FROM owed_item WHERE host = ?1 AND node = ?2")?
        .execute(node)?;
    Ok(())
}

/// The account was removed.
pub(super) fn remove_account(conn: &Connection, account: &BareJid) -> Result<(), Fault> {
    let owed: Vec<i64> = conn
        .prepare_cached("SELECT seq FROM owed WHERE account = ?1")?
        .query_map([account.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    conn.prepare_cached("DELETE FROM owed WHERE account = ?1")?
        .execute([account.as_str()])?;
    owed.into_iter().try_for_each(|seq| drop_unowed(conn, seq))
}

fn find(conn: &Connection, at: &NodeAddress, item: &ItemId) -> Result<Option<i64>, Fault> {
    Ok(conn
        .prepare_cached("SELECT seq FROM owed_item WHERE host = ?1 AND node = ?2 AND id = ?3")?
        .query_row([super::host(at), at.node.as_str(), item.as_str()], |row| {
            row.get(0)
        })
        .optional()?)
}

fn drop_unowed(conn: &Connection, seq: i64) -> Result<(), Fault> {
    conn.prepare_cached(
        "DELETE FROM owed_item WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM owed WHERE seq = ?1)",
    )?
    .execute([seq])?;
    Ok(())
}

/// Oldest first, after one.
pub(super) fn list(
    conn: &Connection,
    account: &BareJid,
    after: u64,
    max: u32,
) -> Result<Vec<(u64, NodeAddress, Arc<Item>)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT owed.seq, host, node, body FROM owed CROSS JOIN owed_item USING (seq)
         WHERE account = ?1 AND owed.seq > ?2 ORDER BY owed.seq LIMIT ?3",
    )?;
    let max = max.min(LIST_ENTRIES_MAX);
    let mut rows = statement.query(params![account.as_str(), super::signed(after), max])?;
    super::collect_some(&mut rows, 3, |row| {
        let body = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        let at = NodeAddress {
            host: super::host_of(row, 1)?,
            node: super::node_id(row, 2)?,
        };
        Ok((
            row.get::<_, i64>(0)?.cast_unsigned(),
            at,
            Arc::new(Item::decode(body)?),
        ))
    })
}

/// How much is owed to each account, by who raised it. Asked once, at the start; counted here, since SQLite would sort all
/// of it in a file.
pub(super) fn totals(conn: &Connection) -> Result<Vec<(BareJid, BareJid, u32)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT account, publisher FROM owed CROSS JOIN owed_item USING (seq) ORDER BY account",
    )?;
    let mut rows = statement.query(())?;
    let mut counts = BTreeMap::<(String, String), u32>::new();
    while let Some(row) = rows.next()? {
        *counts.entry((row.get(0)?, row.get(1)?)).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((account, publisher), count)| {
            Ok((
                super::parse_jid(&account)?,
                super::parse_jid(&publisher)?,
                count,
            ))
        })
        .collect()
}
