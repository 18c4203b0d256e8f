//! Accounts and what belongs to them: last seen, roster, offline messages.

use leveret_engine::{
    account::{Account, Contact, LastSeen, Role, Roster},
    address::BareJid,
    credentials::Credentials,
    effect::AccountCounts,
    message::Message,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    LIST_ENTRIES_MAX,
    encode::{ContactBody, Encoded as _},
    fault::Fault,
};

pub(super) fn put(conn: &Connection, account: &Account) -> Result<(), Fault> {
    let Account {
        jid,
        role,
        enabled,
        credentials,
        created,
        last_seen,
    } = account;
    conn.prepare_cached(
        "INSERT INTO account (jid, role, enabled, created, credentials) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (jid) DO UPDATE SET role = ?2, enabled = ?3, created = ?4, credentials = ?5",
    )?
    .execute(params![
        jid.as_str(),
        role.name(),
        enabled,
        created.micros(),
        credentials.encode()
    ])?;
    match last_seen {
        Some(seen) => put_last_seen(conn, jid, seen),
        None => {
            conn.prepare_cached("DELETE FROM last_seen WHERE account = ?1")?
                .execute([jid.as_str()])?;
            Ok(())
        }
    }
}

/// Removes the account and all that is kept for it, personal nodes too. Nodes of the service stay.
pub(super) fn remove(conn: &Connection, account: &BareJid) -> Result<(), Fault> {
    super::nodes::remove_personal(conn, account)?;
    const OF_THE_ACCOUNT: [&str; 10] = [
        "DELETE FROM account WHERE jid = ?1",
        "DELETE FROM last_seen WHERE account = ?1",
        "DELETE FROM roster WHERE account = ?1",
        "DELETE FROM contact WHERE account = ?1",
        "DELETE FROM offline WHERE account = ?1",
        "DELETE FROM affiliation WHERE jid = ?1",
        "DELETE FROM subscription WHERE account = ?1",
        "DELETE FROM filter WHERE account = ?1",
        "DELETE FROM blocked WHERE account = ?1",
        "DELETE FROM document WHERE account = ?1",
    ];
    for statement in OF_THE_ACCOUNT {
        conn.prepare_cached(statement)?
            .execute([account.as_str()])?;
    }
    super::owed::remove_account(conn, account)
}

/// An account that is no more leaves nothing: its sessions end after it was removed.
pub(super) fn put_last_seen(
    conn: &Connection,
    account: &BareJid,
    seen: &LastSeen,
) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO last_seen (account, at, status) SELECT jid, ?2, ?3 FROM account WHERE jid = ?1
         ON CONFLICT (account) DO UPDATE SET at = ?2, status = ?3",
    )?
    .execute(params![
        account.as_str(),
        seen.at.micros(),
        seen.status.as_deref()
    ])?;
    Ok(())
}

pub(super) fn put_contact(
    conn: &Connection,
    account: &BareJid,
    contact: &Contact,
    version: u64,
) -> Result<(), Fault> {
    let body = ContactBody::of(contact).encode();
    conn.prepare_cached(
        "INSERT INTO contact (account, jid, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (account, jid) DO UPDATE SET body = ?3",
    )?
    .execute(params![account.as_str(), contact.jid.as_str(), body])?;
    put_roster_version(conn, account, version)
}

pub(super) fn remove_contact(
    conn: &Connection,
    account: &BareJid,
    contact: &BareJid,
    version: u64,
) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM contact WHERE account = ?1 AND jid = ?2")?
        .execute([account.as_str(), contact.as_str()])?;
    put_roster_version(conn, account, version)
}

fn put_roster_version(conn: &Connection, account: &BareJid, version: u64) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO roster (account, version) VALUES (?1, ?2)
         ON CONFLICT (account) DO UPDATE SET version = ?2 WHERE version <> ?2",
    )?
    .execute(params![account.as_str(), version.cast_signed()])?;
    Ok(())
}

pub(super) fn put_offline(
    conn: &Connection,
    seq: i64,
    account: &BareJid,
    message: &Message,
    at: Timestamp,
) -> Result<(), Fault> {
    conn.prepare_cached("INSERT INTO offline (seq, account, at, message) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            seq,
            account.as_str(),
            at.micros(),
            message.encode()
        ])?;
    Ok(())
}

pub(super) fn remove_offline(
    conn: &Connection,
    account: &BareJid,
    up_to: u64,
) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM offline WHERE account = ?1 AND seq <= ?2")?
        .execute(params![account.as_str(), super::signed(up_to)])?;
    Ok(())
}

const COLUMNS: &str = "jid, role, enabled, created, credentials, at, status
    FROM account LEFT JOIN last_seen ON last_seen.account = account.jid";

fn read(row: &Row<'_>) -> Result<Account, Fault> {
    let seen: Option<i64> = row.get(5)?;
    let status: Option<Box<str>> = row.get(6)?;
    let role = Role::by_name(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?);
    let credentials = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Account {
        jid: super::jid(row, 0)?,
        role: role.ok_or(Fault::Damaged("role"))?,
        enabled: row.get(2)?,
        credentials: Credentials::decode(credentials).map_err(|_| Fault::Damaged("key"))?,
        created: super::time(row, 3)?,
        last_seen: seen.map(|at| LastSeen {
            at: Timestamp::from_micros(at),
            status,
        }),
    })
}

pub(super) fn get(conn: &Connection, jid: &BareJid) -> Result<Option<Account>, Fault> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} WHERE jid = ?1"))?;
    let mut rows = statement.query([jid.as_str()])?;
    rows.next()?.map(read).transpose()
}

/// In order of address, after one.
pub(super) fn list(
    conn: &Connection,
    after: Option<&BareJid>,
    max: u32,
) -> Result<Vec<Account>, Fault> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} WHERE jid > ?1 ORDER BY jid LIMIT ?2"
    ))?;
    let after = after.map_or("", BareJid::as_str);
    let mut rows = statement.query(params![after, max.min(LIST_ENTRIES_MAX)])?;
    super::collect(&mut rows, read)
}

/// Those of a role that are not disabled and whose address begins so, in order of address, after one. The index holds all
/// that is asked, so their keys are not read.
pub(super) fn of_role(
    conn: &Connection,
    role: Role,
    start: &str,
    after: Option<&BareJid>,
    max: u32,
) -> Result<Vec<(BareJid, Role)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT jid FROM account INDEXED BY account_role
         WHERE role = ?1 AND enabled = 1 AND jid >= ?2 AND jid < ?3 AND jid > ?4
         ORDER BY jid LIMIT ?5",
    )?;
    // No address holds the last character of all.
    let end = format!("{start}{}", char::MAX);
    let after = after.map_or("", BareJid::as_str);
    let max = max.min(LIST_ENTRIES_MAX);
    let mut rows = statement.query(params![role.name(), start, end, after, max])?;
    super::collect(&mut rows, |row| Ok((super::jid(row, 0)?, role)))
}

/// Those of these that exist and are not disabled.
pub(super) fn roles_of(conn: &Connection, jids: &[BareJid]) -> Result<Vec<(BareJid, Role)>, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT role FROM account WHERE jid = ?1 AND enabled")?;
    let mut found = Vec::new();
    for jid in jids {
        let mut rows = statement.query([jid.as_str()])?;
        if let Some(row) = rows.next()? {
            let role = Role::by_name(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
            found.push((jid.clone(), role.ok_or(Fault::Damaged("role"))?));
        }
    }
    Ok(found)
}

pub(super) fn counts(conn: &Connection, account: &BareJid) -> Result<AccountCounts, Fault> {
    let count = |statement: &str| -> Result<u32, Fault> {
        Ok(conn
            .prepare_cached(statement)?
            .query_row([account.as_str()], |row| row.get(0))?)
    };
    Ok(AccountCounts {
        offline: count("SELECT count(*) FROM offline WHERE account = ?1")?,
        owed: count("SELECT count(*) FROM owed WHERE account = ?1")?,
        // Those that it made, whoever owns them now: else to give a node away would make room for the next, and would
        // fill the account of whom it is given to.
        nodes: count("SELECT count(*) FROM node WHERE creator = ?1")?,
        subscriptions: count("SELECT count(*) FROM subscription WHERE account = ?1")?
            + count("SELECT count(*) FROM filter WHERE account = ?1")?,
    })
}

pub(super) fn roster(conn: &Connection, account: &BareJid) -> Result<Roster, Fault> {
    let version: Option<i64> = conn
        .prepare_cached("SELECT version FROM roster WHERE account = ?1")?
        .query_row([account.as_str()], |row| row.get(0))
        .optional()?;
    let mut statement =
        conn.prepare_cached("SELECT jid, body FROM contact WHERE account = ?1 ORDER BY jid")?;
    let mut rows = statement.query([account.as_str()])?;
    let contacts = super::collect(&mut rows, |row| {
        let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        Ok(ContactBody::decode(body)?.with(super::jid(row, 0)?))
    })?;
    Ok(Roster {
        contacts,
        version: version.map_or(0, i64::cast_unsigned),
    })
}

/// Oldest first, after one.
pub(super) fn offline(
    conn: &Connection,
    account: &BareJid,
    after: u64,
    max: u32,
) -> Result<Vec<(u64, Timestamp, Message)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, at, message FROM offline WHERE account = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let max = max.min(LIST_ENTRIES_MAX);
    let mut rows = statement.query(params![account.as_str(), super::signed(after), max])?;
    super::collect_some(&mut rows, 2, |row| {
        let message = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        Ok((
            row.get::<_, i64>(0)?.cast_unsigned(),
            super::time(row, 1)?,
            Message::decode(message)?,
        ))
    })
}

/// All accounts.
pub(super) fn total(conn: &Connection) -> Result<u64, Fault> {
    let total: i64 = conn
        .prepare_cached("SELECT count(*) FROM account")?
        .query_row((), |row| row.get(0))?;
    Ok(total.cast_unsigned())
}
