//! Which question is answered by whom, and which commits it must see.

use leveret_engine::{
    address::BareJid,
    command::PageInfo,
    effect::{StoreAnswer, StoreOp, StoreQuery},
    node::NodeAddress,
};
use rusqlite::Connection;

use super::{accounts, documents, fault::Fault, items, names, nodes, owed, subscriptions, tree};

/// Answers a query on any connection.
pub(super) fn answer(conn: &Connection, query: &StoreQuery) -> Result<StoreAnswer, Fault> {
    Ok(match query {
        StoreQuery::Boot => StoreAnswer::Boot {
            filters: nodes::filters(conn)?,
            owed: owed::totals(conn)?,
            asked: subscriptions::asked(conn)?,
            blocked: documents::blocked(conn)?,
        },
        StoreQuery::Account(jid) => {
            let account = accounts::get(conn, jid)?;
            StoreAnswer::Account(account.map(Box::new), accounts::counts(conn, jid)?)
        }
        StoreQuery::Roster(account) => StoreAnswer::Roster(accounts::roster(conn, account)?),
        StoreQuery::Node(at) => StoreAnswer::Node(nodes::get(conn, at)?.map(Box::new)),
        StoreQuery::ItemsById { at, ids, since } => {
            let (items, count) = match nodes::find(conn, at)? {
                Some(node) => items::by_id(conn, node, ids, *since)?,
                None => Default::default(),
            };
            StoreAnswer::Items {
                items,
                page: PageInfo {
                    count,
                    ..PageInfo::default()
                },
            }
        }
        StoreQuery::Items {
            at,
            max,
            page,
            order,
            since,
            with_payload,
        } => {
            let wanted = items::ItemsWanted {
                max: *max,
                page: page.as_ref(),
                order: *order,
                since: *since,
                with_payload: *with_payload,
            };
            let (items, page) = match nodes::find(conn, at)? {
                Some(node) => items::page(conn, node, &wanted)?,
                None => Default::default(),
            };
            StoreAnswer::Items { items, page }
        }
        StoreQuery::Archive {
            at,
            filter,
            page,
            descending,
            since,
        } => {
            let wanted = items::ArchiveWanted {
                filter,
                page,
                descending: *descending,
                since: *since,
            };
            let (entries, page) = match nodes::find(conn, at)? {
                Some(node) => items::archive(conn, node, &wanted)?,
                None => Default::default(),
            };
            StoreAnswer::Archive { entries, page }
        }
        StoreQuery::ArchiveEnds { at, since } => {
            let node = nodes::find(conn, at)?;
            StoreAnswer::ArchiveEnds(node.map_or(Ok(None), |node| items::ends(conn, node, *since))?)
        }
        StoreQuery::Sweep { after, max } => nodes::sweep(conn, *after, *max)?,
        StoreQuery::Branch { under, items, page } => {
            let tree::Branch { nodes, items, page } =
                tree::branch(conn, under.as_ref(), *items, page)?;
            StoreAnswer::Branch { nodes, items, page }
        }
        StoreQuery::Nodes { host, under, page } => {
            let (list, page) = names::page(conn, host.as_ref(), under.as_ref(), page)?;
            StoreAnswer::Nodes { list, page }
        }
        StoreQuery::Present { hosts, names } => {
            StoreAnswer::Present(nodes::present(conn, hosts, names)?)
        }
        StoreQuery::Awaiting {
            account,
            after,
            max,
        } => StoreAnswer::Present(nodes::awaiting(conn, account, after.as_ref(), *max)?),
        StoreQuery::PersonalNodes { host, asker, page } => {
            let (list, page) = nodes::personal_page(conn, host, asker, page)?;
            StoreAnswer::PersonalNodes { list, page }
        }
        StoreQuery::NodeCounts(at) => {
            let (items, subscriptions) = nodes::counts(conn, at)?;
            StoreAnswer::Counts {
                items,
                subscriptions,
            }
        }
        StoreQuery::NodeBytes(at) => {
            let node = nodes::find(conn, at)?;
            let (items, bytes) = node.map_or(Ok((0, 0)), |node| items::kept(conn, node))?;
            StoreAnswer::Kept { items, bytes }
        }
        StoreQuery::SubscriptionsOf { host, account } => {
            StoreAnswer::Subscriptions(nodes::subscriptions_of(conn, host.as_ref(), account)?)
        }
        StoreQuery::Pending { owner, max } => {
            let (list, owns) = subscriptions::pending(conn, owner, *max)?;
            StoreAnswer::Pending { list, owns }
        }
        StoreQuery::Ended { before, max } => {
            StoreAnswer::Ended(subscriptions::ended(conn, *before, *max)?)
        }
        StoreQuery::AffiliationsOf { host, account } => {
            StoreAnswer::Affiliations(nodes::affiliations_of(conn, host.as_ref(), account)?)
        }
        StoreQuery::Offline {
            account,
            after,
            max,
        } => StoreAnswer::Offline(accounts::offline(conn, account, *after, *max)?),
        StoreQuery::Owed {
            account,
            after,
            max,
        } => StoreAnswer::Owed(owed::list(conn, account, *after, *max)?),
        StoreQuery::Document { account, key } => {
            StoreAnswer::Document(documents::get(conn, account, key)?)
        }
        StoreQuery::DocumentSizes(account) => {
            StoreAnswer::DocumentSizes(documents::sizes(conn, account)?)
        }
        StoreQuery::Accounts { after, max } => {
            StoreAnswer::Accounts(accounts::list(conn, after.as_ref(), *max)?)
        }
        StoreQuery::AccountsOfRole {
            role,
            start,
            after,
            max,
        } => StoreAnswer::Roles(accounts::of_role(conn, *role, start, after.as_ref(), *max)?),
        StoreQuery::RolesOf(jids) => StoreAnswer::Roles(accounts::roles_of(conn, jids)?),
        StoreQuery::Totals => StoreAnswer::Totals {
            accounts: accounts::total(conn)?,
            nodes: nodes::total(conn)?,
        },
    })
}

/// What a question is about.
enum About<'a> {
    Account(&'a BareJid),
    /// A node with what is kept of it.
    Node(&'a NodeAddress),
    More,
}

/// Whether the answer to `query` may depend on `op`. A query that depends on nothing that waits need not hurry it to the
/// disk: else each sign-in would force a write of the telemetry that S2 lets wait, and a fleet whose devices make their nodes
/// at the same time, each of which is asked for first, would have a transaction for every node.
pub(super) fn depends(query: &StoreQuery, op: &StoreOp) -> bool {
    match about(query) {
        About::Account(account) => changes_account(op, account),
        About::Node(at) => changes_node(op, at),
        About::More => match op {
            StoreOp::PutItem { .. } | StoreOp::TrimItems { .. } => {
                matches!(query, StoreQuery::Boot)
            }
            _ => true,
        },
    }
}

fn about(query: &StoreQuery) -> About<'_> {
    match query {
        StoreQuery::Account(account)
        | StoreQuery::Roster(account)
        | StoreQuery::Document { account, .. }
        | StoreQuery::DocumentSizes(account)
        | StoreQuery::Offline { account, .. }
        | StoreQuery::Owed { account, .. } => About::Account(account),
        StoreQuery::Node(at)
        | StoreQuery::NodeCounts(at)
        | StoreQuery::NodeBytes(at)
        | StoreQuery::ItemsById { at, .. }
        | StoreQuery::Items { at, .. }
        | StoreQuery::Archive { at, .. }
        | StoreQuery::ArchiveEnds { at, .. } => About::Node(at),
        StoreQuery::Boot
        | StoreQuery::Branch { .. }
        | StoreQuery::Nodes { .. }
        | StoreQuery::PersonalNodes { .. }
        | StoreQuery::Present { .. }
        | StoreQuery::Awaiting { .. }
        | StoreQuery::Sweep { .. }
        | StoreQuery::SubscriptionsOf { .. }
        | StoreQuery::AffiliationsOf { .. }
        | StoreQuery::Pending { .. }
        | StoreQuery::Ended { .. }
        | StoreQuery::Accounts { .. }
        | StoreQuery::AccountsOfRole { .. }
        | StoreQuery::RolesOf(_)
        | StoreQuery::Totals => About::More,
    }
}

/// Whether what is kept of an account itself may change: its record, its roster, what waits for it, how much it has.
fn changes_account(op: &StoreOp, asked: &BareJid) -> bool {
    match op {
        StoreOp::PutAccount(account) => account.jid == *asked,
        StoreOp::LastSeen { account, .. }
        | StoreOp::PutContact { account, .. }
        | StoreOp::RemoveContact { account, .. }
        | StoreOp::PutBlocked { account, .. }
        | StoreOp::RemoveBlocked { account, .. }
        | StoreOp::PutDocument { account, .. }
        | StoreOp::PutOffline { account, .. }
        | StoreOp::RemoveOffline { account, .. } => account == asked,
        // It is counted among the nodes of who made it.
        StoreOp::PutNode { creator, .. } => creator == asked,
        StoreOp::PutSubscription { subscription, .. } => subscription.jid.bare() == *asked,
        StoreOp::PutItem { .. } | StoreOp::TrimItems { .. } | StoreOp::PutAffiliation { .. } => {
            false
        }
        // What an account owes hangs on the body, which other accounts' operations replace; whose a node or subscription was,
        // its removal does not say.
        StoreOp::PutOwed { .. }
        | StoreOp::RemoveOwed { .. }
        | StoreOp::RemoveItems { .. }
        | StoreOp::RemoveAccount { .. }
        | StoreOp::RemoveNode { .. }
        | StoreOp::RemoveSubscription { .. } => true,
    }
}

/// Whether what is kept of a node may change.
fn changes_node(op: &StoreOp, asked: &NodeAddress) -> bool {
    match op {
        StoreOp::PutNode { at, .. }
        | StoreOp::RemoveNode { at }
        | StoreOp::PutAffiliation { at, .. }
        | StoreOp::PutSubscription { at, .. }
        | StoreOp::RemoveSubscription { at, .. }
        | StoreOp::PutItem { at, .. }
        | StoreOp::RemoveItems { at, .. }
        | StoreOp::TrimItems { at, .. } => at == asked,
        // Its affiliations and subscriptions go, wherever they are.
        StoreOp::RemoveAccount { .. } => true,
        // What is owed stands apart from the node's items.
        StoreOp::PutOwed { .. }
        | StoreOp::RemoveOwed { .. }
        | StoreOp::PutAccount(_)
        | StoreOp::LastSeen { .. }
        | StoreOp::PutContact { .. }
        | StoreOp::RemoveContact { .. }
        | StoreOp::PutBlocked { .. }
        | StoreOp::RemoveBlocked { .. }
        | StoreOp::PutDocument { .. }
        | StoreOp::PutOffline { .. }
        | StoreOp::RemoveOffline { .. } => false,
    }
}
