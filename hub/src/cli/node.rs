//! `leveret node`: the tree, with the rights of the operator of this machine.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{CommandError, args::NodeCommand, print, target::Target};
use crate::admin::protocol::{NodeSummary, Request, Response};

/// Nodes asked for at a time by `list`.
const PAGE: u32 = 1_000;
/// Largest payload read from a file, in bytes; the node's own bound is checked by the hub.
const PAYLOAD_BYTES_MAX: u64 = 4 << 20;

pub(super) async fn run(
    command: NodeCommand,
    json: bool,
    target: &mut Target,
) -> Result<(), CommandError> {
    match command {
        NodeCommand::List { subtree } => list(subtree, json, target).await,
        NodeCommand::Show { node } => show(node, json, target).await,
        NodeCommand::Create { node, settings } => {
            target
                .ask(Request::CreateNode {
                    node: node.clone(),
                    config: settings,
                })
                .await?;
            tell(json, &node, "created")
        }
        NodeCommand::Configure { node, settings } => {
            target
                .ask(Request::ConfigureNode {
                    node: node.clone(),
                    config: settings,
                })
                .await?;
            tell(json, &node, "configured")
        }
        NodeCommand::Delete { node } => {
            target
                .ask(Request::DeleteNode { node: node.clone() })
                .await?;
            tell(json, &node, "deleted")
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
            let request = Request::Publish {
                node: node.clone(),
                id,
                payload: BASE64.encode(bytes),
            };
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

async fn list(
    subtree: Option<String>,
    json: bool,
    target: &mut Target,
) -> Result<(), CommandError> {
    let mut all: Vec<NodeSummary> = Vec::new();
    loop {
        let after = all.last().map(|last| last.node.clone());
        let request = Request::ListNodes {
            under: subtree.clone(),
            after,
            max: PAGE,
        };
        match target.ask(request).await? {
            Response::Nodes { nodes, .. } if nodes.is_empty() => break,
            Response::Nodes { nodes, .. } => all.extend(nodes),
            other => return Err(CommandError::unexpected(&other)),
        }
    }
    if json {
        print::json(&all);
    } else {
        print::table(
            ["NODE", "TITLE"],
            all.into_iter().map(|one| [one.node, one.title]),
        );
    }
    Ok(())
}

async fn show(node: String, json: bool, target: &mut Target) -> Result<(), CommandError> {
    let info = match target.ask(Request::ShowNode { node }).await? {
        Response::Node(info) => info,
        other => return Err(CommandError::unexpected(&other)),
    };
    if json {
        print::json(&info);
        return Ok(());
    }
    let mut rows = vec![
        ["node".to_owned(), info.node],
        ["creator".to_owned(), info.creator],
        ["created".to_owned(), info.created],
        ["items".to_owned(), info.items.to_string()],
        ["subscribers".to_owned(), info.subscribers.to_string()],
    ];
    rows.extend(info.config.into_iter().map(|(name, value)| [name, value]));
    rows.extend(info.affiliations.into_iter().map(|(jid, is)| [is, jid]));
    rows.extend(info.subscriptions.into_iter().map(|(jid, is)| [is, jid]));
    print::table(["", ""], rows);
    Ok(())
}

async fn items(
    node: String,
    max: u32,
    json: bool,
    target: &mut Target,
) -> Result<(), CommandError> {
    let mut items = match target.ask(Request::ListItems { node, max }).await? {
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
