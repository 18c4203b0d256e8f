//! `leveret node`: the tree, with the rights of the operator of this machine.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{CommandError, account, args::NodeCommand, print, target::Target};
use crate::admin::protocol::{NodeFigures, NodeInfo, NodeRequest, NodeSummary, Request, Response};

/// Nodes asked for at a time by `list`.
const PAGE: u32 = 1_000;
/// Largest payload read from a file, in bytes; the node's own bound is checked by the hub.
const PAYLOAD_BYTES_MAX: u64 = 4 << 20;

pub(super) async fn run(
    command: NodeCommand,
    json: bool,
    domain: &str,
    target: &mut Target,
) -> Result<(), CommandError> {
    match command {
        NodeCommand::List {
            subtree,
            prefix,
            after,
            max,
            long,
        } => {
            let span = Span {
                subtree,
                prefix,
                after,
                max,
                long,
            };
            list(span, json, target).await
        }
        NodeCommand::Show { node } => show(node, json, target).await,
        NodeCommand::Create {
            node,
            fields,
            settings,
        } => {
            let request = NodeRequest::Create {
                node: node.clone(),
                config: [fields, settings].concat(),
            };
            done(json, target, &node, request, "created").await
        }
        NodeCommand::Configure {
            node,
            fields,
            settings,
        } => {
            let request = NodeRequest::Configure {
                node: node.clone(),
                config: [fields, settings].concat(),
            };
            done(json, target, &node, request, "configured").await
        }
        NodeCommand::Retract { node, ids } => {
            let what = format!("retracted {}", ids.join(", "));
            let request = NodeRequest::Retract {
                node: node.clone(),
                ids,
            };
            done(json, target, &node, request, &what).await
        }
        NodeCommand::Purge { node } => {
            let request = NodeRequest::Purge { node: node.clone() };
            done(json, target, &node, request, "purged").await
        }
        NodeCommand::Delete { node } => {
            let request = NodeRequest::Delete { node: node.clone() };
            done(json, target, &node, request, "deleted").await
        }
        NodeCommand::Affiliate {
            node,
            address,
            affiliation,
        } => {
            let jid = full(&address, domain)?;
            let what = format!("{jid} is {affiliation}");
            let request = NodeRequest::Affiliate {
                node: node.clone(),
                jid,
                affiliation,
            };
            done(json, target, &node, request, &what).await
        }
        NodeCommand::Subscribe { node, address } => {
            let jid = full(&address, domain)?;
            let what = format!("{jid} is subscribed");
            let request = NodeRequest::Subscribe {
                node: node.clone(),
                jid,
                subscribed: true,
            };
            done(json, target, &node, request, &what).await
        }
        NodeCommand::Unsubscribe { node, address } => {
            let jid = full(&address, domain)?;
            let what = format!("{jid} is not subscribed");
            let request = NodeRequest::Subscribe {
                node: node.clone(),
                jid,
                subscribed: false,
            };
            done(json, target, &node, request, &what).await
        }
        NodeCommand::Items { node, max } => items(node, max, json, target).await,
        NodeCommand::Publish {
            node,
            payload,
            file,
            id,
        } => {
            let bytes = match (payload, file) {
                (Some(text), _) => text.into_bytes(),
                (None, Some(path)) => read(&path)?,
                (None, None) => Vec::new(),
            };
            let request = Request::Node(NodeRequest::Publish {
                node: node.clone(),
                id,
                payload: BASE64.encode(bytes),
            });
            match target.ask(request).await? {
                Response::Published { id } if json => {
                    print::json(&serde_json::json!({ "node": node, "id": id }));
                    Ok(())
                }
                Response::Published { id } => {
                    print::line(&format!("{node}: published {id}"));
                    Ok(())
                }
                other => Err(CommandError::unexpected(&other)),
            }
        }
    }
}

async fn done(
    json: bool,
    target: &mut Target,
    node: &str,
    request: NodeRequest,
    what: &str,
) -> Result<(), CommandError> {
    target.ask(Request::Node(request)).await?;
    tell(json, node, what)
}

/// A name is that of an account of the hub; an address may have a resource.
fn full(address: &str, domain: &str) -> Result<String, CommandError> {
    if address.contains('/') {
        return Ok(address.to_owned());
    }
    Ok(account::address(address, domain)?.to_string())
}

fn tell(json: bool, node: &str, what: &str) -> Result<(), CommandError> {
    if json {
        print::json(&serde_json::json!({ "node": node, "result": what }));
    } else {
        print::line(&format!("{node}: {what}"));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let failed = |error: io::Error| CommandError::Failed(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let limit = PAYLOAD_BYTES_MAX + 1;
    if path == Path::new("-") {
        io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    } else {
        File::open(path)
            .map_err(failed)?
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    }
    if bytes.len() as u64 > PAYLOAD_BYTES_MAX {
        let max = print::bytes(PAYLOAD_BYTES_MAX);
        return Err(CommandError::Failed(format!(
            "{} has more than {max}",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Which nodes are listed, and how.
struct Span {
    subtree: Option<String>,
    prefix: Option<String>,
    after: Option<String>,
    max: Option<u64>,
    long: bool,
}

/// Page by page as they come: there may be millions.
async fn list(span: Span, json: bool, target: &mut Target) -> Result<(), CommandError> {
    let mut after = span.after;
    let mut left = span.max.unwrap_or(u64::MAX);
    let mut printed = print::List::begin(json);
    while left > 0 {
        let request = Request::Node(NodeRequest::List {
            under: span.subtree.clone(),
            prefix: span.prefix.clone(),
            after,
            max: PAGE.min(u32::try_from(left).unwrap_or(PAGE)),
            long: span.long,
        });
        let mut nodes = match target.ask(request).await? {
            Response::Nodes(nodes) => nodes,
            other => return Err(CommandError::unexpected(&other)),
        };
        let Some(last) = nodes.last() else { break };
        after = Some(last.node.clone());
        nodes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= nodes.len() as u64;
        let goes_on = if json {
            printed.values(&nodes)
        } else if span.long {
            let headings = [
                "NODE",
                "ITEMS",
                "BYTES",
                "SUBSCRIBERS",
                "CLASS",
                "PUBLISHED",
                "TITLE",
            ];
            printed.rows(headings, nodes.into_iter().map(long_row))
        } else {
            let rows = nodes.into_iter().map(|one| [one.node, one.title]);
            printed.rows(["NODE", "TITLE"], rows)
        };
        if !goes_on {
            break;
        }
    }
    printed.end();
    Ok(())
}

fn long_row(one: NodeSummary) -> [String; 7] {
    // It went while it was being looked at.
    let Some(figures) = one.figures else {
        let gone = || "-".to_owned();
        return [one.node, gone(), gone(), gone(), gone(), gone(), one.title];
    };
    [
        one.node,
        figures.items.to_string(),
        figures.payload_bytes.to_string(),
        figures.subscribers.to_string(),
        figures.class.clone().unwrap_or_else(unknown),
        traffic(figures.published, &figures),
        one.title,
    ]
}

/// `12 in 83s`; the hub counts only while the node is in memory.
fn traffic(count: Option<u32>, figures: &NodeFigures) -> String {
    match (count, figures.within_seconds) {
        (Some(count), Some(seconds)) => format!("{count} in {seconds}s"),
        _ => unknown(),
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

async fn show(node: String, json: bool, target: &mut Target) -> Result<(), CommandError> {
    let request = Request::Node(NodeRequest::Show { node });
    let info = match target.ask(request).await? {
        Response::Node(info) => info,
        other => return Err(CommandError::unexpected(&other)),
    };
    if json {
        print::json(&as_json(*info));
        return Ok(());
    }
    let figures = &info.figures;
    let memory = figures.memory_bytes;
    let mut rows = vec![
        ["node".to_owned(), info.node],
        ["creator".to_owned(), info.creator],
        ["created".to_owned(), info.created],
        ["items".to_owned(), figures.items.to_string()],
        ["payload".to_owned(), print::bytes(figures.payload_bytes)],
        ["subscribers".to_owned(), figures.subscribers.to_string()],
        [
            "class".to_owned(),
            figures.class.clone().unwrap_or_else(unknown),
        ],
        [
            "memory".to_owned(),
            memory.map_or_else(unknown, |bytes| print::bytes(bytes as u64)),
        ],
        ["published".to_owned(), traffic(figures.published, figures)],
        ["delivered".to_owned(), traffic(figures.delivered, figures)],
    ];
    // What is not set is no line; `--json` has all.
    let set = info
        .config
        .into_iter()
        .filter(|(_, value)| !value.is_empty());
    rows.extend(set.map(|(name, value)| [name, value]));
    print::table(["", ""], rows);
    let pairs = |list: Vec<(String, String)>| list.into_iter().map(|(jid, is)| [jid, is]);
    if !info.affiliations.is_empty() {
        print::line("");
        print::table(["ACCOUNT", "AFFILIATION"], pairs(info.affiliations));
    }
    if !info.subscriptions.is_empty() {
        print::line("");
        print::table(["SUBSCRIBER", "SUBSCRIPTION"], pairs(info.subscriptions));
    }
    Ok(())
}

/// For programs: fields of the configuration, and addresses, by their names.
fn as_json(info: NodeInfo) -> serde_json::Value {
    let by_name = |list: &[(String, String)]| {
        let pairs = list
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()));
        serde_json::Value::Object(pairs.collect())
    };
    // An address may have several subscriptions.
    let subscriptions = info.subscriptions.iter();
    let subscriptions =
        subscriptions.map(|(jid, state)| serde_json::json!({ "jid": jid, "subscription": state }));
    let subscriptions: Vec<_> = subscriptions.collect();
    let (config, affiliations) = (by_name(&info.config), by_name(&info.affiliations));
    let mut json = serde_json::to_value(info).unwrap_or_default();
    json["config"] = config;
    json["affiliations"] = affiliations;
    json["subscriptions"] = subscriptions.into();
    json
}

async fn items(
    node: String,
    max: u32,
    json: bool,
    target: &mut Target,
) -> Result<(), CommandError> {
    let mut items = match target
        .ask(Request::Node(NodeRequest::Items { node, max }))
        .await?
    {
        Response::Items(items) => items,
        other => return Err(CommandError::unexpected(&other)),
    };
    items.reverse();
    if json {
        print::json(&items);
    } else {
        let rows = items.into_iter().map(|item| {
            [
                item.published,
                item.id,
                item.publisher,
                item.payload.unwrap_or_default(),
            ]
        });
        print::table(["PUBLISHED", "ITEM", "PUBLISHER", "PAYLOAD"], rows);
    }
    Ok(())
}
