//! `leveret status`: health at a glance.

use super::{CommandError, print, target::Target};
use crate::admin::protocol::{Request, Response, Status};

pub(super) async fn run(deep: bool, json: bool, target: &mut Target) -> Result<(), CommandError> {
    let status = match target.ask(Request::Status { deep }).await? {
        Response::Status(status) => status,
        other => return Err(CommandError::unexpected(&other)),
    };
    let damaged = status
        .storage
        .integrity
        .as_deref()
        .is_some_and(|found| found != "ok");
    if json {
        print::json(&status);
    } else {
        show(*status);
    }
    if damaged {
        Err(CommandError::Failed("the database is damaged".to_owned()))
    } else {
        Ok(())
    }
}

fn show(status: Status) {
    let mut rows = vec![
        ["version".to_owned(), status.version],
        ["domain".to_owned(), status.domain],
    ];
    let mut row = |name: &str, value: String| rows.push([name.to_owned(), value]);
    if status.running {
        row(
            "running",
            format!(
                "yes, pid {}, for {}",
                status.pid,
                print::duration(status.uptime_seconds)
            ),
        );
        for (name, address) in status.listeners {
            row("listener", format!("{address} {name}"));
        }
        row("connections", status.connections.to_string());
        row("sessions", status.sessions.to_string());
        if status.components > 0 {
            let (may, here) = (status.components, status.components_attached);
            row("components", format!("{here} of {may} connected"));
        }
        row(
            "memory",
            status
                .resident_bytes
                .map_or_else(|| "unknown".to_owned(), print::bytes),
        );
    } else {
        row("running", "no".to_owned());
    }
    row("accounts", status.accounts.to_string());
    row(
        "nodes",
        format!(
            "{} ({} in memory, {})",
            status.nodes,
            status.nodes_resident,
            print::bytes(status.node_cache_bytes as u64)
        ),
    );
    if status.running {
        row("items published", status.items_published.to_string());
        row("deliveries", status.deliveries.to_string());
        row("messages", status.messages.to_string());
        row("failed logins", status.failed_logins.to_string());
        let waiting = print::bytes(status.mailbox_bytes as u64);
        row(
            "mailboxes",
            format!(
                "{waiting} waiting, {} dropped or superseded",
                status.mailbox_dropped
            ),
        );
    }
    let storage = status.storage;
    row(
        "database",
        format!("{} ({})", storage.file, print::bytes(storage.file_bytes)),
    );
    row(
        "commits",
        format!(
            "{} in {} transactions, {} failed, {} waiting",
            storage.commits, storage.transactions, storage.commits_failed, storage.queue
        ),
    );
    if let Some(written) = storage.bytes_written {
        row("written", print::bytes(written));
    }
    if let Some(fault) = storage.last_fault {
        row("last fault", fault);
    }
    if let Some(integrity) = storage.integrity {
        row("integrity", integrity);
    }
    print::table(["", ""], rows);
}
