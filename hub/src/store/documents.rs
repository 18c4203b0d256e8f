//! Documents that accounts keep, and whom they have blocked.

use bytes::Bytes;
use leveret_engine::{
    address::{BareJid, Jid},
    document::DocumentKey,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{LIST_ENTRIES_MAX, fault::Fault};

/// An account that is no more leaves nothing.
pub(super) fn put(
    conn: &Connection,
    account: &BareJid,
    key: &DocumentKey,
    content: Option<&Bytes>,
) -> Result<(), Fault> {
    let (account, namespace, name) = (account.as_str(), &*key.namespace, &*key.name);
    match content {
        Some(content) => conn
            .prepare_cached(
                "INSERT INTO document (account, namespace, name, content) SELECT jid, ?2, ?3, ?4 FROM account WHERE jid = ?1
                 ON CONFLICT (account, namespace, name) DO UPDATE SET content = ?4",
            )?
            .execute(params![account, namespace, name, &content[..]])?,
        None => conn
            .prepare_cached("DELETE FROM document WHERE account = ?1 AND namespace = ?2 AND name = ?3")?
            .execute(params![account, namespace, name])?,
    };
    Ok(())
}

pub(super) fn get(
    conn: &Connection,
    account: &BareJid,
    key: &DocumentKey,
) -> Result<Option<Bytes>, Fault> {
    let content: Option<Vec<u8>> = conn
        .prepare_cached(
            "SELECT content FROM document WHERE account = ?1 AND namespace = ?2 AND name = ?3",
        )?
        .query_row(
            params![account.as_str(), &*key.namespace, &*key.name],
            |row| row.get(0),
        )
        .optional()?;
    Ok(content.map(Bytes::from))
}

/// In order of name. The bytes are not read for that: SQLite knows how many there are.
pub(super) fn sizes(
    conn: &Connection,
    account: &BareJid,
) -> Result<Vec<(DocumentKey, u64)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT namespace, name, length(content) FROM document WHERE account = ?1 ORDER BY namespace, name LIMIT ?2",
    )?;
    let mut rows = statement.query(params![account.as_str(), LIST_ENTRIES_MAX])?;
    super::collect(&mut rows, |row| {
        let key = DocumentKey::new(super::text(row, 0)?, super::text(row, 1)?);
        Ok((key, row.get::<_, i64>(2)?.cast_unsigned()))
    })
}

/// An account that is no more blocks nobody.
pub(super) fn block(conn: &Connection, account: &BareJid, jid: &Jid) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT OR IGNORE INTO blocked (account, jid) SELECT jid, ?2 FROM account WHERE jid = ?1",
    )?
    .execute([account.as_str(), jid.as_str()])?;
    Ok(())
}

pub(super) fn unblock(
    conn: &Connection,
    account: &BareJid,
    jid: Option<&Jid>,
) -> Result<(), Fault> {
    match jid {
        Some(jid) => conn
            .prepare_cached("DELETE FROM blocked WHERE account = ?1 AND jid = ?2")?
            .execute([account.as_str(), jid.as_str()])?,
        None => conn
            .prepare_cached("DELETE FROM blocked WHERE account = ?1")?
            .execute([account.as_str()])?,
    };
    Ok(())
}

/// All lists.
pub(super) fn blocked(conn: &Connection) -> Result<Vec<(BareJid, Jid)>, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT account, jid FROM blocked ORDER BY account, jid")?;
    let mut rows = statement.query(())?;
    super::collect(&mut rows, |row| {
        let jid = Jid::parse(super::text(row, 1)?).map_err(|_| Fault::Damaged("address"))?;
        Ok((super::jid(row, 0)?, jid))
    })
}
