//! IQs that the hub answers: for itself, for its pubsub service, for the accounts of its domain.
//!
//! Implements: RFC 6120 §8.4, §10.3.3, §10.5.3; RFC 6121 §2 roster, §8.5.2.1.3 what is answered on behalf of an account;
//! RFC 3921 §3 session; XEP-0012, 0030, 0049, 0054, 0077, 0092, 0191, 0199, 0202, 0280 by their files.

use crate::{
    address::Jid,
    command::Command,
    message::IqKind,
    refusal::{Reason, Refusal},
    time::Now,
    xmpp::{
        blocking, caps, carbons, disco, last, mam, namespace as ns,
        output::Output,
        private, register, roster, rsm,
        stanza::{Stanza, open_result},
        time, vcard, version,
        xml::{Element, Writer},
    },
};

use super::{
    asked::Asked,
    bound::{Bound, Target},
    registration::derivation,
    service,
    shared::Surroundings,
};

/// A get or set with its one child.
pub(super) struct Request<'s, 't> {
    pub(super) stanza: &'s Stanza<'t>,
    pub(super) child: Element<'t>,
    pub(super) kind: IqKind,
    pub(super) to: Option<Jid>,
}

impl Request<'_, '_> {
    /// For what can only be asked, not set, or the other way round.
    fn only(&self, kind: IqKind) -> Result<(), Refusal> {
        if self.kind == kind {
            Ok(())
        } else {
            Err(Reason::NotAllowed.into())
        }
    }

    /// XEP-0030 §3.2: neither the hub nor an account has info nodes.
    fn no_node(&self) -> Result<(), Refusal> {
        self.only(IqKind::Get)?;
        match self.child.attr("node") {
            None | Some("") => Ok(()),
            Some(_) => Err(Reason::ItemNotFound.into()),
        }
    }
}

impl Bound {
    pub(super) fn query(
        &mut self,
        request: Request<'_, '_>,
        target: Target,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        match target {
            Target::Account => self.query_account(request, around, out),
            Target::Hub => self.query_hub(request, around, now, out),
            Target::Service => self.query_service(request, around, now, out),
            Target::Other => self.query_other(request, around, out),
        }
    }

    /// The session's own account.
    fn query_account(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        match (request.child.namespace(), request.child.name()) {
            (ns::ROSTER, "query") => {
                let command = roster::read(request.child, request.kind)?;
                let asked = match &command {
                    Command::GetRoster { .. } => Asked::Roster,
                    _ => Asked::Done,
                };
                self.ask(asked, request.stanza, request.to, command, around, out);
                Ok(())
            }
            (ns::LAST | ns::DISCO_INFO | ns::DISCO_ITEMS, "query")
            | (ns::PUBSUB | ns::PUBSUB_OWNER, "pubsub")
            | (ns::MAM, _)
            | (ns::VCARD, "vCard") => self.query_of_account(request, around, out),
            (ns::PRIVATE, "query") => {
                let command = private::read(request.child, request.kind, self.account())?;
                let asked = match &command {
                    Command::GetDocument { .. } => Asked::Private,
                    _ => Asked::Done,
                };
                self.ask(asked, request.stanza, request.to, command, around, out);
                Ok(())
            }
            (ns::BLOCKING, _) => {
                let command = blocking::read(request.child, request.kind)?;
                let asked = match &command {
                    Command::GetBlockList => Asked::BlockList,
                    _ => Asked::Done,
                };
                self.ask(asked, request.stanza, request.to, command, around, out);
                Ok(())
            }
            (ns::CARBONS, _) => {
                let command = carbons::read(request.child, request.kind)?;
                self.ask(
                    Asked::Done,
                    request.stanza,
                    request.to,
                    command,
                    around,
                    out,
                );
                Ok(())
            }
            _ => self.query_session(request, around, out),
        }
    }

    /// The hub itself.
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
                let node = request.child.attr("node");
                let node = node.filter(|node| caps::is_own(node, shared.hub()));
                if node.is_some() {
                    request.only(IqKind::Get)?;
                } else {
                    request.no_node()?;
                }
                self.result(&request, out, |w| {
                    disco::write_hub_info(shared.hub(), node, w);
                });
            }
            (ns::DISCO_ITEMS, "query") => {
                request.no_node()?;
                self.ask(
                    Asked::HubItems,
                    request.stanza,
                    request.to,
                    Command::ListComponents,
                    around,
                    out,
                );
            }
            (ns::VERSION, "query") => {
                request.only(IqKind::Get)?;
                self.result(&request, out, |w| {
                    version::write(shared.software, shared.version, w);
                });
            }
            (ns::TIME, "time") => {
                request.only(IqKind::Get)?;
                self.result(&request, out, |w| time::write(now.wall, w));
            }
            (ns::LAST, "query") => {
                request.only(IqKind::Get)?;
                // XEP-0012 §5: of a server, how long it has been up.
                let uptime = now.mono.since(shared.started.mono).as_secs();
                self.result(&request, out, |w| last::write(uptime, None, w));
            }
            _ => return self.query_session(request, around, out),
        }
        Ok(())
    }

    /// What may be asked with the hub or nobody as `to`, and means the session or its account.
    fn query_session(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        match (request.child.namespace(), request.child.name()) {
            (ns::PING, "ping") => {
                request.only(IqKind::Get)?;
                self.result(&request, out, |_| {});
                Ok(())
            }
            (ns::SESSION, "session") => {
                request.only(IqKind::Set)?;
                self.result(&request, out, |_| {});
                Ok(())
            }
            // RFC 6120 §7.6.2.2: a stream has one resource, and this one has it.
            (ns::BIND, "bind") => {
                Err(Refusal::new(Reason::NotAllowed).say("this stream has a resource already"))
            }
            (ns::REGISTER, "query") => self.query_register(request, around, out),
            // RFC 6120 §8.4: nothing that the hub knows.
            _ => Err(Reason::ServiceUnavailable.into()),
        }
    }

    /// XEP-0077 by one who is signed in.
    fn query_register(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        match register::read(request.child, request.kind)? {
            register::Request::Fields => {
                let name = self.jid.local();
                self.result(&request, out, |w| register::write_fields(name, w));
            }
            register::Request::Remove => self.ask(
                Asked::Done,
                request.stanza,
                request.to,
                Command::Unregister,
                around,
                out,
            ),
            register::Request::Account { username, password } => {
                let own = |name: &str| {
                    crate::address::prepare_local(name)
                        .is_ok_and(|name| Some(&*name) == self.jid.local())
                };
                if username.is_some_and(|name| !own(&name)) {
                    return Err(Refusal::new(Reason::NotAllowed).say("this is another account"));
                }
                // XEP-0077 §3.3: the channel must be safe enough for a password.
                if around.shared.require_tls && !self.secure {
                    return Err(Reason::NotAuthorized.into());
                }
                if self.changing.is_some() {
                    return Err(
                        Refusal::new(Reason::ResourceConstraint).say("one change at a time")
                    );
                }
                out.actions.push(derivation(password, &mut around.seed));
                self.changing = Some(Box::new(Asked::Done.token(request.stanza, request.to)));
            }
        }
        Ok(())
    }

    /// The pubsub service.
    fn query_service(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let shared = &around.shared;
        match (request.child.namespace(), request.child.name()) {
            (ns::PING, "ping") => {
                request.only(IqKind::Get)?;
                self.result(&request, out, |_| {});
            }
            (ns::VERSION, "query") => {
                request.only(IqKind::Get)?;
                self.result(&request, out, |w| {
                    version::write(shared.software, shared.version, w);
                });
            }
            (ns::DISCO_INFO, "query") if request.no_node().is_ok() => {
                self.result(&request, out, service::write_info);
            }
            (ns::DISCO_INFO | ns::DISCO_ITEMS, "query")
                if request.kind == IqKind::Get && service::is_of_commands(request.child) =>
            {
                let jid = shared.service.as_str();
                self.result(&request, out, |w| {
                    service::write_commands(request.child, jid, w)
                });
            }
            (ns::COMMANDS, "command") => {
                request.only(IqKind::Set)?;
                let unique = self.next_id();
                match service::read_step(request.child, &unique, now)? {
                    Ok(step) => {
                        let command = Command::Pubsub(Box::new(step));
                        let asked = Asked::PubsubCommand;
                        self.ask(asked, request.stanza, request.to, command, around, out);
                    }
                    Err(execution) => self.result(&request, out, |w| {
                        service::write_canceled(&execution, w);
                    }),
                }
            }
            _ if service::is_archive_form(request.child, request.kind, false) => {
                self.result(&request, out, mam::write_form);
            }
            _ => {
                let (asked, pubsub) = service::read(request.child, request.kind, None)?;
                let command = Command::Pubsub(Box::new(pubsub));
                self.ask(asked, request.stanza, request.to, command, around, out);
            }
        }
        Ok(())
    }

    /// Somebody else.
    fn query_other(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let Some(to) = &request.to else {
            return Err(Reason::BadRequest.into());
        };
        let of_our_account =
            to.is_bare() && to.local().is_some() && to.domain() == around.shared.domain.as_str();
        let answered_here = matches!(
            (request.child.namespace(), request.child.name()),
            (ns::LAST | ns::DISCO_INFO | ns::DISCO_ITEMS, "query")
                | (ns::PUBSUB | ns::PUBSUB_OWNER, "pubsub")
                | (ns::MAM, _)
                | (ns::VCARD, "vCard")
        );
        if of_our_account && answered_here {
            return self.query_of_account(request, around, out);
        }
        // RFC 6121 §2.3.3: a roster is its own account's to see and to change, whether or not there is such an account.
        // XEP-0049 §2.3: so is what it keeps for itself.
        let is_its_own =
            request.child.is("query", ns::ROSTER) || request.child.is("query", ns::PRIVATE);
        if of_our_account && is_its_own {
            return Err(Reason::Forbidden.into());
        }
        let id = request.stanza.id.unwrap_or_default();
        let iq = self.routed(request.stanza, to.clone(), request.kind, id);
        let command = if (request.child.namespace(), request.child.name()) == (ns::LAST, "query") {
            Command::QueryOfPresence(iq)
        } else {
            Command::Query(iq)
        };
        self.tell(command, around, out);
        Ok(())
    }

    /// What the hub answers on behalf of an account (RFC 6121 §8.5.2.1.3); the router knows who may ask.
    fn query_of_account(
        &mut self,
        request: Request<'_, '_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        if service::is_archive_form(request.child, request.kind, true) {
            self.result(&request, out, mam::write_form);
            return Ok(());
        }
        let account = request
            .to
            .as_ref()
            .map_or_else(|| self.account(), Jid::bare);
        let (asked, command) = match request.child.namespace() {
            ns::LAST => {
                request.only(IqKind::Get)?;
                (Asked::Activity, Command::Activity { of: account.into() })
            }
            ns::VCARD => {
                let is_own = account == self.account();
                let command = vcard::read(request.child, request.kind, account, is_own)?;
                let asked = match &command {
                    Command::GetDocument { .. } => Asked::VCard,
                    _ => Asked::Done,
                };
                (asked, command)
            }
            // XEP-0163 §3.1: every account a pubsub service; its nodes are asked for at its own address.
            namespace
                if matches!(namespace, ns::PUBSUB | ns::PUBSUB_OWNER | ns::MAM)
                    || request
                        .child
                        .attr("node")
                        .is_some_and(|node| !node.is_empty()) =>
            {
                let (asked, pubsub) = service::read(request.child, request.kind, Some(account))?;
                (asked, Command::Pubsub(Box::new(pubsub)))
            }
            ns::DISCO_INFO => {
                request.no_node()?;
                (Asked::AccountInfo, Command::Describe { account })
            }
            _ => {
                request.no_node()?;
                let page = rsm::read_page(request.child)?;
                (
                    Asked::AccountItems,
                    Command::ListBelongings { account, page },
                )
            }
        };
        self.ask(asked, request.stanza, request.to, command, around, out);
        Ok(())
    }

    fn result(
        &self,
        request: &Request<'_, '_>,
        out: &mut Output,
        content: impl FnOnce(&mut Writer<'_>),
    ) {
        let mut w = Writer::new(&mut out.bytes);
        let from = request.to.as_ref().map(Jid::as_str);
        let id = request.stanza.id.unwrap_or_default();
        open_result(&mut w, id, from, Some(self.jid.as_str()));
        content(&mut w);
        w.close("iq");
    }
}
