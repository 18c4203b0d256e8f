//! Ad-hoc commands: the element by which one is executed, and the words about those that there are.
//!
//! Implements: XEP-0050 1.3.0 §2.2 list, §2.4 execution in stages, §3.3 session lifetime, §4.1, §4.4 errors. Not: `<note/>`, and
//! `<actions/>`, without which a form is sent back by `execute` (§3.4).
//!
//! An execution leaves nothing behind here: its identifier says when it began, and an answer brings all that it needs.

use std::time::Duration;

use crate::{
    refusal::{CommandFault, Detail, Reason, Refusal},
    time::{Instant, Now},
    xmpp::{
        data_form::Submitted,
        disco, namespace as ns,
        xml::{Element, Writer},
    },
};

/// How long a form may be filled in.
const EXECUTION_MAX: Duration = Duration::from_secs(15 * 60);

/// What is to be done with an execution (§4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum Action {
    Cancel,
    Complete,
    Execute,
    Next,
    Prev,
}

/// One step of a command, as asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'t> {
    /// The command's name.
    pub node: &'t str,
    /// What to do.
    pub action: Action,
    /// The execution that it is a step of; `None` begins one.
    pub execution: Option<&'t str>,
    /// The form that goes along.
    pub form: Option<Submitted>,
}

/// Where an execution stands (§4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum Status {
    Canceled,
    Completed,
    Executing,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Canceled => "canceled",
            Self::Completed => "completed",
            Self::Executing => "executing",
        }
    }
}

/// Reads a `<command/>`. An execution that is over, or never was, is refused.
pub fn read(command: Element<'_>, now: Now) -> Result<Step<'_>, Refusal> {
    let action = match command.attr("action") {
        None | Some("execute") => Action::Execute,
        Some("cancel") => Action::Cancel,
        Some("complete") => Action::Complete,
        Some("next") => Action::Next,
        Some("prev") => Action::Prev,
        Some(_) => return Err(fault(CommandFault::MalformedAction)),
    };
    let node = command.attr("node").filter(|node| !node.is_empty());
    let execution = command.attr("sessionid");
    if let Some(execution) = execution {
        check(execution, now.mono)?;
    } else if action != Action::Execute {
        // There is nothing to go on with, nor to end.
        return Err(fault(CommandFault::BadAction));
    }
    let form = command.child("x", ns::DATA_FORM);
    Ok(Step {
        node: node.ok_or(Refusal::new(Reason::BadRequest))?,
        action,
        execution,
        form: match form {
            Some(form) => Some(Submitted::read(form).map_err(|refusal| Refusal {
                detail: Some(Detail::Command(CommandFault::BadPayload)),
                ..refusal
            })?),
            None => None,
        },
    })
}

/// An identifier for an execution that begins now. `unique`: no two of a session have the same.
pub fn begin(unique: &str, now: Now) -> Box<str> {
    format!("{}-{unique}", now.mono.micros()).into()
}

fn check(execution: &str, now: Instant) -> Result<(), Refusal> {
    let began = execution
        .split_once('-')
        .and_then(|(began, _)| began.parse().ok())
        .map(Instant::from_micros)
        .ok_or_else(|| fault(CommandFault::BadSessionid))?;
    // One that begins in the time to come is of an earlier life of the hub.
    if began > now || now.since(began) > EXECUTION_MAX {
        return Err(
            Refusal::new(Reason::NotAllowed).because(Detail::Command(CommandFault::SessionExpired))
        );
    }
    Ok(())
}

/// A step that cannot be taken (§4.4).
pub const fn fault(fault: CommandFault) -> Refusal {
    Refusal::new(Reason::BadRequest).because(Detail::Command(fault))
}

/// Writes the condition that stands beside the general one in an error (§4.4).
pub fn write_fault(fault: CommandFault, w: &mut Writer<'_>) {
    let name = match fault {
        CommandFault::BadAction => "bad-action",
        CommandFault::BadPayload => "bad-payload",
        CommandFault::BadSessionid => "bad-sessionid",
        CommandFault::MalformedAction => "malformed-action",
        CommandFault::SessionExpired => "session-expired",
    };
    w.open(name).attr("xmlns", ns::COMMANDS).close(name);
}

/// Writes the answer to a step.
pub fn write(
    node: &str,
    execution: &str,
    status: Status,
    w: &mut Writer<'_>,
    payload: impl FnOnce(&mut Writer<'_>),
) {
    w.open("command").attr("xmlns", ns::COMMANDS);
    w.attr("sessionid", execution).attr("node", node);
    w.attr("status", status.name());
    payload(w);
    w.close("command");
}

/// Writes which commands an entity has (§2.2): their nodes and names.
pub fn write_list(jid: &str, commands: &[(&str, &str)], w: &mut Writer<'_>) {
    w.open("query").attr("xmlns", ns::DISCO_ITEMS);
    w.attr("node", ns::COMMANDS);
    for (node, name) in commands {
        w.open("item").attr("jid", jid);
        w.attr("node", node).attr("name", name).close("item");
    }
    w.close("query");
}

/// Writes what one of the commands is, or, by the name of their list, the list (§2.2).
pub fn write_info(node: &str, commands: &[(&str, &str)], w: &mut Writer<'_>) {
    let command = commands.iter().find(|(name, _)| *name == node);
    w.open("query").attr("xmlns", ns::DISCO_INFO);
    w.attr("node", node);
    match command {
        Some((_, name)) => {
            disco::write_identity("automation", "command-node", Some(name), w);
            disco::write_feature(ns::COMMANDS, w);
            disco::write_feature(ns::DATA_FORM, w);
        }
        None => disco::write_identity("automation", "command-list", None, w),
    }
    w.close("query");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn at(secs: u64) -> Now {
        Now {
            mono: Instant::from_secs(secs),
            ..Now::default()
        }
    }

    fn read_at(xml: &str, now: Now) -> Result<(Action, bool), Refusal> {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let xml = format!("<command xmlns='{}' node='n' {xml}", ns::COMMANDS);
        let element = tree.parse(xml.as_bytes(), &scope).unwrap();
        read(element, now).map(|step| (step.action, step.form.is_some()))
    }

    #[test]
    fn s4_1_a_command_is_executed_unless_it_says_otherwise() {
        assert_eq!(read_at("/>", at(1)), Ok((Action::Execute, false)));
        let step = read_at(
            "action='execute'><x xmlns='jabber:x:data' type='submit'/></command>",
            at(1),
        );
        assert_eq!(step, Ok((Action::Execute, true)));
    }

    #[test]
    fn s3_3_an_execution_lasts_a_quarter_of_an_hour() {
        let execution = begin("hub-1", at(100));
        let next = format!("action='complete' sessionid='{execution}'/>");
        assert_eq!(read_at(&next, at(101)), Ok((Action::Complete, false)));
        for over in [at(99), at(100 + 15 * 60 + 1)] {
            let refusal = read_at(&next, over).unwrap_err();
            assert_eq!(refusal.reason, Reason::NotAllowed);
            assert_eq!(
                refusal.detail,
                Some(Detail::Command(CommandFault::SessionExpired))
            );
        }
    }

    #[test]
    fn s4_4_what_is_malformed_is_refused_with_its_own_condition() {
        for (xml, expected) in [
            ("action='dance'/>", CommandFault::MalformedAction),
            ("action='next'/>", CommandFault::BadAction),
            ("action='cancel'/>", CommandFault::BadAction),
            ("sessionid='x'/>", CommandFault::BadSessionid),
            (
                "><x xmlns='jabber:x:data' type='form'/></command>",
                CommandFault::BadPayload,
            ),
        ] {
            let refusal = read_at(xml, at(1)).unwrap_err();
            assert_eq!(refusal.reason, Reason::BadRequest, "{xml}");
            assert_eq!(refusal.detail, Some(Detail::Command(expected)), "{xml}");
        }
    }
}
