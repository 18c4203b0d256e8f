//! `leveret session`: who is here.

use super::{CommandError, account::address, args::SessionCommand, print, target::Target};
use crate::admin::protocol::{Request, Response, SessionInfo};

pub(super) async fn run(
    command: SessionCommand,
    json: bool,
    domain: &str,
    target: &mut Target,
) -> Result<(), CommandError> {
    if matches!(target, Target::Offline(_)) {
        return Err(CommandError::Failed(
            "no hub runs on this data directory: nobody is here".to_owned(),
        ));
    }
    match command {
        SessionCommand::List => match target.ask(Request::ListSessions { account: None }).await? {
            Response::Sessions(sessions) if json => print::json(&sessions),
            Response::Sessions(sessions) => show(sessions),
            other => return Err(CommandError::unexpected(&other)),
        },
        SessionCommand::Kick { jid } => {
            let given = jid.clone();
            let jid = if let Some(component) = jid.strip_prefix('@') {
                component.to_owned()
            } else if jid.contains('/') {
                jid
            } else {
                address(&jid, domain)?.to_string()
            };
            match target.ask(Request::Kick { jid: jid.clone() }).await? {
                Response::Count(0) => {
                    // What looks like a domain alone was taken for an account's name.
                    let hint = match given.contains('.') && !given.contains('@') {
                        true => format!("; a component's is @{given}"),
                        false => String::new(),
                    };
                    let said = format!("{jid} has no session{hint}");
                    return Err(CommandError::Failed(said));
                }
                Response::Count(count) if json => {
                    print::json(&serde_json::json!({ "jid": jid, "ended": count }));
                }
                Response::Count(count) => print::line(&format!("{jid}: {count} ended")),
                other => return Err(CommandError::unexpected(&other)),
            }
        }
    }
    Ok(())
}

fn show(sessions: Vec<SessionInfo>) {
    let rows = sessions.into_iter().map(|one| {
        let link = if one.tls {
            format!("{} TLS", one.protocol)
        } else {
            one.protocol
        };
        let presence = match one.priority {
            Some(priority) => format!("{} ({priority})", one.presence),
            None => one.presence,
        };
        [
            one.jid,
            presence,
            link,
            one.mechanism,
            one.address.unwrap_or_default(),
            one.since,
        ]
    });
    print::table(
        ["SESSION", "PRESENCE", "LINK", "SIGN-IN", "ADDRESS", "SINCE"],
        rows,
    );
}
