//! Nodes with their affiliations and subscriptions, and filters, which have subscriptions and are no nodes (S16).

use leveret_engine::{
    address::{BareJid, Jid},
    command::{PageInfo, PageRequest},
    effect::StoreAnswer,
    item::{
        Affiliation, NodeConfig, NodeRecord, NodeSubscription, PersonalNode, SendLastItem,
        SubscriptionOptions, SubscriptionState,
    },
    node::{NodeAddress, NodeId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    LIST_ENTRIES_MAX,
    encode::{Code as _, Encoded as _},
    fault::Fault,
    items, names, owed,
};

/// The row of a node.
pub(super) fn find(conn: &Connection, at: &NodeAddress) -> Result<Option<i64>, Fault> {
    Ok(conn
        .prepare_cached("SELECT id FROM node WHERE host = ?1 AND name = ?2")?
        .query_row([super::host(at), at.node.as_str()], |row| row.get(0))
        .optional()?)
}

/// The row of a node that must be there.
pub(super) fn expect(conn: &Connection, at: &NodeAddress) -> Result<i64, Fault> {
    find(conn, at)?.ok_or_else(|| Fault::NoSuchNode(at.node.as_str().into()))
}

pub(super) fn put(
    conn: &Connection,
    at: &NodeAddress,
    config: &NodeConfig,
    creator: &BareJid,
    created: Timestamp,
) -> Result<(), Fault> {
    let shows = config.send_last_published_item == SendLastItem::OnSubAndPresence;
    let config = config.encode();
    match find(conn, at)? {
        Some(id) => conn
            .prepare_cached(
                "UPDATE node SET creator = ?2, created = ?3, config = ?4, shows = ?5 WHERE id = ?1",
            )?
            .execute(params![
                id,
                creator.as_str(),
                created.micros(),
                config,
                shows
            ])?,
        None => {
            let id: i64 = conn
                .prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM node")?
                .query_row((), |row| row.get(0))?;
            if id > items::NODE_ROW_MAX {
                return Err(Fault::Damaged("number of nodes"));
            }
            conn.prepare_cached(
                "INSERT INTO node (id, host, name, creator, created, config, shows)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                id,
                super::host(at),
                at.node.as_str(),
                creator.as_str(),
                created.micros(),
                config,
                shows
            ])?
        }
    };
    Ok(())
}

pub(super) fn remove(conn: &Connection, at: &NodeAddress) -> Result<(), Fault> {
    if let Some(node) = find(conn, at)? {
        items::remove_all(conn, node)?;
        conn.prepare_cached("DELETE FROM affiliation WHERE node = ?1")?
            .execute([node])?;
        conn.prepare_cached("DELETE FROM subscription WHERE node = ?1")?
            .execute([node])?;
        conn.prepare_cached("DELETE FROM node WHERE id = ?1")?
            .execute([node])?;
    }
    owed::remove_node(conn, at)
}

/// Removes all personal nodes of an account.
pub(super) fn remove_personal(conn: &Connection, host: &BareJid) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached("SELECT name FROM node WHERE host = ?1")?;
    let names = super::collect(&mut statement.query([host.as_str()])?, |row| {
        super::node_id(row, 0)
    })?;
    for node in names {
        let at = NodeAddress {
            host: Some(host.clone()),
            node,
        };
        remove(conn, &at)?;
    }
    Ok(())
}

pub(super) fn put_affiliation(
    conn: &Connection,
    at: &NodeAddress,
    jid: &BareJid,
    affiliation: Affiliation,
) -> Result<(), Fault> {
    if affiliation == Affiliation::None {
        if let Some(node) = find(conn, at)? {
            conn.prepare_cached("DELETE FROM affiliation WHERE node = ?1 AND jid = ?2")?
                .execute(params![node, jid.as_str()])?;
        }
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO affiliation (node, jid, affiliation) VALUES (?1, ?2, ?3)
         ON CONFLICT (node, jid) DO UPDATE SET affiliation = ?3",
    )?
    .execute(params![expect(conn, at)?, jid.as_str(), affiliation.code()])?;
    Ok(())
}

pub(super) fn put_subscription(
    conn: &Connection,
    at: &NodeAddress,
    subscription: &NodeSubscription,
) -> Result<(), Fault> {
    let NodeSubscription {
        jid,
        subid,
        state,
        options,
    } = subscription;
    let (account, resource) = (jid.bare(), jid.resource());
    let expires = options.as_ref().and_then(|options| options.expire);
    let expires = expires.map(Timestamp::micros);
    let options = options.as_ref().map(|options| options.encode());
    if at.is_filter() {
        conn.prepare_cached(
            "INSERT INTO filter (host, name, subid, account, resource, state, options, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (host, name, subid)
             DO UPDATE SET account = ?4, resource = ?5, state = ?6, options = ?7, expires = ?8",
        )?
        .execute(params![
            super::host(at),
            at.node.as_str(),
            subid,
            account.as_str(),
            resource,
            state.code(),
            options,
            expires
        ])?;
    } else {
        conn.prepare_cached(
            "INSERT INTO subscription (node, subid, account, resource, state, options, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (node, subid)
             DO UPDATE SET account = ?3, resource = ?4, state = ?5, options = ?6, expires = ?7",
        )?
        .execute(params![
            expect(conn, at)?,
            subid,
            account.as_str(),
            resource,
            state.code(),
            options,
            expires
        ])?;
    }
    Ok(())
}

pub(super) fn remove_subscription(
    conn: &Connection,
    at: &NodeAddress,
    subid: &str,
) -> Result<(), Fault> {
    if at.is_filter() {
        conn.prepare_cached("DELETE FROM filter WHERE host = ?1 AND name = ?2 AND subid = ?3")?
            .execute([super::host(at), at.node.as_str(), subid])?;
    } else if let Some(node) = find(conn, at)? {
        conn.prepare_cached("DELETE FROM subscription WHERE node = ?1 AND subid = ?2")?
            .execute(params![node, subid])?;
    }
    Ok(())
}

/// Reads subid, account, resource, state and options from five columns.
pub(super) fn subscription(row: &Row<'_>, at: usize) -> Result<NodeSubscription, Fault> {
    let account = super::jid(row, at + 1)?;
    let resource: Option<Box<str>> = row.get(at + 2)?;
    let jid: Jid = match resource {
        Some(resource) => account
            .with_resource(&resource)
            .map_err(|_| Fault::Damaged("address"))?
            .into(),
        None => account.into(),
    };
    let state = SubscriptionState::of_column(row.get(at + 3)?)?;
    let options = row
        .get_ref(at + 4)?
        .as_blob_or_null()
        .map_err(rusqlite::Error::from)?;
    Ok(NodeSubscription {
        jid,
        subid: row.get(at)?,
        state,
        options: options
            .map(SubscriptionOptions::decode)
            .transpose()?
            .map(Box::new),
    })
}

/// The whole record.
pub(super) fn get(conn: &Connection, at: &NodeAddress) -> Result<Option<NodeRecord>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT id, creator, created, config FROM node WHERE host = ?1 AND name = ?2",
    )?;
    let mut rows = statement.query([super::host(at), at.node.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let node: i64 = row.get(0)?;
    let mut affiliations = conn
        .prepare_cached("SELECT jid, affiliation FROM affiliation WHERE node = ?1 ORDER BY jid")?;
    let mut subscriptions = conn.prepare_cached(
        "SELECT subid, account, resource, state, options FROM subscription WHERE node = ?1 ORDER BY subid",
    )?;
    let config = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Some(NodeRecord {
        config: NodeConfig::decode(config)?,
        created: super::time(row, 2)?,
        creator: super::jid(row, 1)?,
        affiliations: super::collect(&mut affiliations.query([node])?, |row| {
            Ok((super::jid(row, 0)?, Affiliation::of_column(row.get(1)?)?))
        })?,
        subscriptions: super::collect(&mut subscriptions.query([node])?, |row| {
            subscription(row, 0)
        })?,
        last: items::last(conn, node)?,
    }))
}

/// Number of items and of subscriptions.
pub(super) fn counts(conn: &Connection, at: &NodeAddress) -> Result<(u32, u32), Fault> {
    let Some(node) = find(conn, at)? else {
        return Ok((0, 0));
    };
    let subscriptions = conn
        .prepare_cached("SELECT count(*) FROM subscription WHERE node = ?1")?
        .query_row([node], |row| row.get(0))?;
    Ok((items::count(conn, node)?, subscriptions))
}

/// Nodes in the order of their rows, after one; where to go on, if there are more.
pub(super) fn sweep(conn: &Connection, after: u64, max: u32) -> Result<StoreAnswer, Fault> {
    let max = max.min(LIST_ENTRIES_MAX);
    let mut statement = conn.prepare_cached(
        "SELECT id, host, name, config FROM node WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = statement.query([super::signed(after), max.into()])?;
    let (mut nodes, mut next) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let at = NodeAddress {
            host: super::host_of(row, 1)?,
            node: super::node_id(row, 2)?,
        };
        let config = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        nodes.push((at, Box::new(NodeConfig::decode(config)?)));
        next = Some(row.get::<_, i64>(0)?.cast_unsigned());
    }
    if nodes.len() < max as usize {
        next = None;
    }
    Ok(StoreAnswer::Sweep { nodes, next })
}

/// Every filter with its subscriptions.
pub(super) fn filters(conn: &Connection) -> Result<Vec<(NodeAddress, NodeSubscription)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT host, name, subid, account, resource, state, options FROM filter ORDER BY host, name, subid",
    )?;
    super::collect(&mut statement.query(())?, |row| {
        let at = NodeAddress {
            host: super::host_of(row, 0)?,
            node: super::node_id(row, 1)?,
        };
        Ok((at, subscription(row, 2)?))
    })
}

/// In order of name and subid, filters too. The account comes first in the plan: a host may have a million nodes.
pub(super) fn subscriptions_of(
    conn: &Connection,
    host: Option<&BareJid>,
    account: &BareJid,
) -> Result<Vec<(NodeId, NodeSubscription)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT name, subid, account, resource, state, options
         FROM subscription CROSS JOIN node ON node.id = subscription.node WHERE account = ?2 AND host = ?1
         UNION ALL
         SELECT name, subid, account, resource, state, options FROM filter WHERE account = ?2 AND host = ?1
         ORDER BY name, subid",
    )?;
    let host = host.map_or("", BareJid::as_str);
    super::collect(&mut statement.query([host, account.as_str()])?, |row| {
        Ok((super::node_id(row, 0)?, subscription(row, 1)?))
    })
}

/// In order of name.
pub(super) fn affiliations_of(
    conn: &Connection,
    host: Option<&BareJid>,
    account: &BareJid,
) -> Result<Vec<(NodeId, Affiliation)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT name, affiliation FROM affiliation CROSS JOIN node ON node.id = affiliation.node
         WHERE jid = ?2 AND host = ?1 ORDER BY name",
    )?;
    let host = host.map_or("", BareJid::as_str);
    super::collect(&mut statement.query([host, account.as_str()])?, |row| {
        Ok((
            super::node_id(row, 0)?,
            Affiliation::of_column(row.get(1)?)?,
        ))
    })
}

/// Which personal nodes of these names these accounts have. Most have none at all, and cost one look.
pub(super) fn present(
    conn: &Connection,
    hosts: &[BareJid],
    names: &[NodeId],
) -> Result<Vec<NodeAddress>, Fault> {
    let mut any = conn.prepare_cached("SELECT 1 FROM node WHERE host = ?1 LIMIT 1")?;
    let mut present = Vec::new();
    for host in hosts {
        if !any.exists([host.as_str()])? {
            continue;
        }
        for node in names {
            let at = NodeAddress {
                host: Some(host.clone()),
                node: node.clone(),
            };
            if find(conn, &at)?.is_some() {
                present.push(at);
            }
        }
    }
    Ok(present)
}

/// Nodes of the service that an account is subscribed to and that show their last item to who comes, after one.
pub(super) fn awaiting(
    conn: &Connection,
    account: &BareJid,
    after: Option<&NodeId>,
    max: u32,
) -> Result<Vec<NodeAddress>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT name FROM subscription CROSS JOIN node ON node.id = subscription.node
         WHERE account = ?1 AND resource IS NULL AND host = '' AND shows = 1 AND name > ?2 ORDER BY name LIMIT ?3",
    )?;
    let after = after.map_or("", NodeId::as_str);
    let mut rows = statement.query(params![account.as_str(), after, max.min(LIST_ENTRIES_MAX)])?;
    super::collect(&mut rows, |row| {
        Ok(NodeAddress::of_service(super::node_id(row, 0)?))
    })
}

/// A page of an account's personal nodes, with what `asker` is to each.
pub(super) fn personal_page(
    conn: &Connection,
    host: &BareJid,
    asker: &BareJid,
    request: &PageRequest,
) -> Result<(Vec<PersonalNode>, PageInfo), Fault> {
    let (names, info) = names::page(conn, Some(host), None, request)?;
    let mut statement = conn.prepare_cached(
        "SELECT config, affiliation FROM node
         LEFT JOIN affiliation ON affiliation.node = node.id AND affiliation.jid = ?3
         WHERE host = ?1 AND name = ?2",
    )?;
    let mut list = Vec::with_capacity(names.len());
    for (node, _) in names {
        let mut rows = statement.query([host.as_str(), node.as_str(), asker.as_str()])?;
        let Some(row) = rows.next()? else { continue };
        let config = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        let affiliation: Option<i64> = row.get(1)?;
        list.push(PersonalNode {
            node,
            config: Box::new(NodeConfig::decode(config)?),
            affiliation: affiliation.map_or(Ok(Affiliation::None), Affiliation::of_column)?,
        });
    }
    Ok((list, info))
}

/// Nodes of the hub and of all accounts.
pub(super) fn total(conn: &Connection) -> Result<u64, Fault> {
    let total: i64 = conn
        .prepare_cached("SELECT count(*) FROM node")?
        .query_row((), |row| row.get(0))?;
    Ok(total.cast_unsigned())
}
