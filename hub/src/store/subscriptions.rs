//! Subscriptions that something is to be done about, whatever node they are of: approved by an owner, or ended.

use leveret_engine::{
    address::BareJid,
    item::{Affiliation, NodeSubscription},
    node::NodeAddress,
    time::Timestamp,
};
use rusqlite::{Connection, Row, params};

use super::{LIST_ENTRIES_MAX, encode::Code as _, fault::Fault, nodes};

/// Where, and which.
type Placed = (NodeAddress, NodeSubscription);

/// Reads host, name, and a subscription.
fn placed(row: &Row<'_>) -> Result<Placed, Fault> {
    let at = NodeAddress {
        host: super::host_of(row, 0)?,
        node: super::node_id(row, 1)?,
    };
    Ok((at, nodes::subscription(row, 2)?))
}

/// Those that wait for the approval of an owner of their nodes. State 1 is `pending`, in the words of the index.
pub(super) fn pending(
    conn: &Connection,
    owner: &BareJid,
    max: u32,
) -> Result<(Vec<Placed>, bool), Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT host, name, subid, account, resource, state, options
         FROM affiliation CROSS JOIN subscription ON subscription.node = affiliation.node AND state = 1
         CROSS JOIN node ON node.id = subscription.node
         WHERE jid = ?1 AND affiliation = ?2 LIMIT ?3",
    )?;
    let owns = Affiliation::Owner.code();
    let max = max.min(LIST_ENTRIES_MAX);
    let list = super::collect(
        &mut statement.query(params![owner.as_str(), owns, max])?,
        placed,
    )?;
    let owns = conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM affiliation WHERE jid = ?1 AND affiliation = ?2)",
        )?
        .query_row(params![owner.as_str(), owns], |row| row.get(0))?;
    Ok((list, owns))
}

/// Owners at whose nodes somebody waits.
pub(super) fn asked(conn: &Connection) -> Result<Vec<BareJid>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT jid FROM subscription CROSS JOIN affiliation ON affiliation.node = subscription.node
         AND affiliation = ?1 WHERE state = 1 ORDER BY jid",
    )?;
    let mut rows = statement.query([Affiliation::Owner.code()])?;
    super::collect(&mut rows, |row| super::jid(row, 0))
}

/// Those whose lease ends up to a time, those first that end first.
pub(super) fn ended(conn: &Connection, before: Timestamp, max: u32) -> Result<Vec<Placed>, Fault> {
    let max = max.min(LIST_ENTRIES_MAX);
    let mut statement = conn.prepare_cached(
        "SELECT host, name, subid, account, resource, state, options, expires
         FROM subscription CROSS JOIN node ON node.id = subscription.node WHERE expires <= ?1
         UNION ALL
         SELECT host, name, subid, account, resource, state, options, expires FROM filter WHERE expires <= ?1
         ORDER BY expires LIMIT ?2",
    )?;
    super::collect(&mut statement.query(params![before.micros(), max])?, placed)
}
