//! IQs of a component that the hub answers: for itself, for its pubsub service, for the accounts of its domain.
//!
//! Implements: RFC 6120 §8.4, §10.5.3; RFC 6121 §8.5.2.1.3; XEP-0012, 0030, 0054, 0092, 0199, 0202 by their files.

use crate::{
    address::Jid,
    command::Command,
    message::IqKind,
    refusal::{Reason, Refusal},
    time::Now,
    xmpp::{
        disco, last, mam, namespace as ns,
        output::Output,
        rsm,
        session::{Asked, Surroundings, service},
        stanza::{Stanza, open_result},
        time, vcard, version,
        xml::{Element, Writer},
    },
};

use super::attached::{Attached, routed, tell};

/// A get or set with its one child.
pub(super) struct Request<'s, 't> {
    pub(super) stanza: &'s Stanza<'t>,
    pub(super) child: Element<'t>,
    pub(super) kind: IqKind,
    pub(super) id: &'s str,
    pub(super) from: &'s Jid,
    pub(super) to: Jid,
}

impl Request<'_, '_> {
    /// For what can only be asked, not set.
    fn only_get(&self) -> Result<(), Refusal> {
        match self.kind {
            IqKind::Get => Ok(()),
            _ => Err(Reason::NotAllowed.into()),
        }
    }

    /// XEP-0030 §3.2: the hub has no info nodes.
    fn no_node(&self) -> Result<(), Refusal> {
        self.only_get()?;
        match self.child.attr("node") {
            None | Some("") => Ok(()),
            Some(_) => Err(Reason::ItemNotFound.into()),
        }
    }

    fn result(&self, out: &mut Output, content: impl FnOnce(&mut Writer<'_>)) {
        let mut w = Writer::new(&mut out.bytes);
        open_result(
            &mut w,
            self.id,
            Some(self.to.as_str()),
            Some(self.from.as_str()),
        );
        content(&mut w);
        w.close("iq");
    }
}

impl Attached {
    pub(super) fn query(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let shared = &around.shared;
        if request.to == *shared.domain.as_jid() {
            self.query_hub(request, around, now, out)
        } else if request.to == *shared.service.as_jid() {
            self.query_service(request, around, out)
        } else if request.to.is_bare()
            && request.to.local().is_some()
            && request.to.domain() == shared.domain.as_str()
        {
            self.query_account(request, around, out)
        } else {
            let is_activity = request.child.is("query", ns::LAST);
            pass_on(request, is_activity, around, out);
            Ok(())
        }
    }

    fn query_hub(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let shared = &around.shared;
        match (request.child.namespace(), request.child.name()) {
            (ns::DISCO_INFO, "query") => {
                request.no_node()?;
                request.result(out, |w| {
                    disco::write_hub_info(shared.hub(), None, w);
                });
            }
            (ns::DISCO_ITEMS, "query") => {
                request.no_node()?;
                self.ask(
                    Asked::HubItems,
                    request,
                    Command::ListComponents,
                    around,
                    out,
                );
            }
            (ns::VERSION, "query") => {
                request.only_get()?;
                request.result(out, |w| version::write(shared.software, shared.version, w));
            }
            (ns::TIME, "time") => {
                request.only_get()?;
                request.result(out, |w| time::write(now.wall, w));
            }
            (ns::LAST, "query") => {
                request.only_get()?;
                // XEP-0012 §5: of a server, how long it has been up.
                let uptime = now.mono.since(shared.started.mono).as_secs();
                request.result(out, |w| last::write(uptime, None, w));
            }
            (ns::PING, "ping") => {
                request.only_get()?;
                request.result(out, |_| {});
            }
            // RFC 6120 §8.4.
            _ => return Err(Reason::ServiceUnavailable.into()),
        }
        Ok(())
    }

    fn query_service(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let shared = &around.shared;
        match (request.child.namespace(), request.child.name()) {
            (ns::PING, "ping") => {
                request.only_get()?;
                request.result(out, |_| {});
            }
            (ns::VERSION, "query") => {
                request.only_get()?;
                request.result(out, |w| version::write(shared.software, shared.version, w));
            }
            (ns::DISCO_INFO, "query") if request.no_node().is_ok() => {
                request.result(out, service::write_info);
            }
            _ if service::is_archive_form(request.child, request.kind, false) => {
                request.result(out, mam::write_form);
            }
            _ => {
                let (asked, pubsub) = service::read(request.child, request.kind, None)?;
                let command = Command::Pubsub(Box::new(pubsub));
                self.ask(asked, request, command, around, out);
            }
        }
        Ok(())
    }

    /// What the hub answers on behalf of an account (RFC 6121 §8.5.2.1.3); the router knows who may ask.
    fn query_account(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        if service::is_archive_form(request.child, request.kind, true) {
            request.result(out, mam::write_form);
            return Ok(());
        }
        let account = request.to.bare();
        let (asked, command) = match (request.child.namespace(), request.child.name()) {
            (ns::LAST, "query") => {
                request.only_get()?;
                (Asked::Activity, Command::Activity { of: account.into() })
            }
            // XEP-0163 §3.1: every account a pubsub service; its nodes are asked for at its own address.
            (ns::PUBSUB | ns::PUBSUB_OWNER, "pubsub") | (ns::MAM, _) => {
                let (asked, pubsub) = service::read(request.child, request.kind, Some(account))?;
                (asked, Command::Pubsub(Box::new(pubsub)))
            }
            (ns::DISCO_INFO | ns::DISCO_ITEMS, "query") if request.no_node().is_err() => {
                let (asked, pubsub) = service::read(request.child, request.kind, Some(account))?;
                (asked, Command::Pubsub(Box::new(pubsub)))
            }
            (ns::DISCO_INFO, "query") => (Asked::AccountInfo, Command::Describe { account }),
            (ns::DISCO_ITEMS, "query") => {
                let page = rsm::read_page(request.child)?;
                (
                    Asked::AccountItems,
                    Command::ListBelongings { account, page },
                )
            }
            (ns::VCARD, "vCard") => (
                Asked::VCard,
                vcard::read(request.child, request.kind, account, false)?,
            ),
            // RFC 6121 §2.3.3, XEP-0049 §2.3: these are their own account's to see and to change.
            (ns::ROSTER | ns::PRIVATE, "query") => return Err(Reason::Forbidden.into()),
            _ => {
                pass_on(request, false, around, out);
                return Ok(());
            }
        };
        self.ask(asked, request, command, around, out);
        Ok(())
    }
}

/// A query that is somebody else's to answer.
fn pass_on(
    request: Request<'_, '_>,
    is_of_presence: bool,
    around: &mut Surroundings,
    out: &mut Output,
) {
    let Request {
        stanza,
        kind,
        id,
        from,
        to,
        ..
    } = request;
    let iq = routed(stanza, from, to, kind, id);
    let command = if is_of_presence {
        Command::QueryOfPresence(iq)
    } else {
        Command::Query(iq)
    };
    tell(from, command, around, out);
}
