//! Which question is answered by whom, and which commits it must see.

use leveret_engine::{
    address::BareJid,
    command::PageInfo,
    effect::{StoreAnswer, StoreOp, StoreQuery},
    node::NodeAddress,
};
use rusqlite::Connection;

use super::{accounts, documents, fault::Fault, items, nodes, owed, subscriptions};

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
        StoreQuery::ItemsById { at, ids } => {
            let node = nodes::find(conn, at)?;
            let items = node.map_or(Ok(Vec::new()), |node| items::by_id(conn, node, ids))?;
            let count = node.map_or(Ok(0), |node| items::count(conn, node))?;
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
            with_payload,
        } => {
            let (items, page) = match nodes::find(conn, at)? {
                Some(node) => items::page(conn, node, *max, page.as_ref(), *with_payload)?,
                None => Default::default(),
            };
            StoreAnswer::Items { items, page }
        }
        StoreQuery::Nodes { host, under, page } => {
            let (list, page) = nodes::page(conn, host.as_ref(), under.as_ref(), page)?;
            StoreAnswer::Nodes { list, page }
        }
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

/// What an operation or a question is about.
enum About<'a> {
    Account(&'a BareJid),
    /// Items alone; a change of the node itself is about more.
    ItemsOf(&'a NodeAddress),
    More,
}

/// Whether the answer to `query` may depend on `op`. A query that depends on nothing that waits need not hurry it to the
/// disk: else each sign-in would force a write of the telemetry that S2 lets wait.
pub(super) fn depends(query: &StoreQuery, op: &StoreOp) -> bool {
    match (about_query(query), about_op(op)) {
        (About::More, About::ItemsOf(_)) => matches!(query, StoreQuery::Boot),
        (About::More, _) | (_, About::More) => true,
        (About::Account(one), About::Account(other)) => one == other,
        (About::ItemsOf(one), About::ItemsOf(other)) => one == other,
        (About::Account(_), About::ItemsOf(_)) | (About::ItemsOf(_), About::Account(_)) => false,
    }
}

fn about_query(query: &StoreQuery) -> About<'_> {
    match query {
        StoreQuery::Account(account)
        | StoreQuery::Roster(account)
        | StoreQuery::Document { account, .. }
        | StoreQuery::DocumentSizes(account)
        | StoreQuery::Offline { account, .. }
        | StoreQuery::Owed { account, .. } => About::Account(account),
        StoreQuery::Node(at)
        | StoreQuery::NodeCounts(at)
        | StoreQuery::ItemsById { at, .. }
        | StoreQuery::Items { at, .. } => About::ItemsOf(at),
        StoreQuery::Boot
        | StoreQuery::Nodes { .. }
        | StoreQuery::PersonalNodes { .. }
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

fn about_op(op: &StoreOp) -> About<'_> {
    match op {
        StoreOp::PutAccount(account) => About::Account(&account.jid),
        StoreOp::LastSeen { account, .. }
        | StoreOp::PutBlocked { account, .. }
        | StoreOp::RemoveBlocked { account, .. }
        | StoreOp::PutDocument { account, .. }
        | StoreOp::PutContact { account, .. }
        | StoreOp::RemoveContact { account, .. }
        | StoreOp::PutOffline { account, .. }
        | StoreOp::RemoveOffline { account, .. } => About::Account(account),
        StoreOp::PutItem { at, .. } | StoreOp::TrimItems { at, .. } => About::ItemsOf(at),
        // What an account owes hangs on the body, which other accounts' operations replace.
        StoreOp::PutOwed { .. }
        | StoreOp::RemoveOwed { .. }
        | StoreOp::RemoveItems { .. }
        | StoreOp::RemoveAccount { .. }
        | StoreOp::PutNode { .. }
        | StoreOp::RemoveNode { .. }
        | StoreOp::PutAffiliation { .. }
        | StoreOp::PutSubscription { .. }
        | StoreOp::RemoveSubscription { .. } => About::More,
    }
}
