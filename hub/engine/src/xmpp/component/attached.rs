//! A component's stream after the handshake: its stanzas in, and what the mailbox brings out.
//!
//! Implements: XEP-0114 1.6 §3: `from` at the component's domain and no other (`invalid-from`); RFC 6120 §8.1.1.2 `to`, §8.3.3.8;
//! XEP-0199 to see whether it lives. What a stanza without `to` comes back as is `bad-request`; one without `from` is the
//! component's own, since libraries leave it out.

use std::{collections::HashMap, sync::Arc};

use crate::{
    address::Jid,
    command::{Answer, Command, Token},
    component::Component,
    event::{Event, What},
    mailbox::SubscriptionTag,
    message::{Iq, IqKind},
    refusal::{Reason, Refusal},
    time::{Instant, Now, Timestamp},
    xmpp::{
        message,
        output::Output,
        ping,
        presence::{self, Word},
        session::{Asked, Surroundings, ask, service, write_answer, write_iq},
        stanza::{Stanza, StanzaName},
        stream_error::{Condition, StreamError},
        xml::Element,
    },
};

use super::{PROOF_WAIT, queries::Request};

/// What an attached stream keeps.
#[derive(Debug)]
pub(super) struct Attached {
    component: Arc<Component>,
    /// When the hub asked whether anybody is there, unless it has heard since.
    pinged: Option<Instant>,
    /// By when it must be heard, because somebody else wants its place.
    prove_by: Option<Instant>,
    /// Which address of the component asked what the router has not answered.
    asked: HashMap<u32, Due>,
    /// Questions and pings so far.
    numbers: u32,
}

/// An answer that is due.
#[derive(Debug)]
struct Due {
    asked: Asked,
    id: Box<str>,
    from: Jid,
    to: Jid,
}

impl Attached {
    pub(super) fn new(component: Arc<Component>) -> Self {
        Self {
            component,
            pinged: None,
            prove_by: None,
            asked: HashMap::new(),
            numbers: 0,
        }
    }

    /// How many answers are due.
    pub(super) fn owed(&self) -> usize {
        self.asked.len()
    }

    /// It was heard.
    pub(super) fn heard(&mut self) {
        self.pinged = None;
        self.prove_by = None;
    }

    /// Whether nothing was asked of it since it was heard.
    pub(super) const fn is_quiet(&self) -> bool {
        self.pinged.is_none()
    }

    pub(super) fn is_unresponsive(&self, now: Now, around: &Surroundings) -> bool {
        let patience = around.shared.limits.ping;
        let pinged = self.pinged.is_some_and(|at| at + patience <= now.mono);
        pinged || self.prove_by.is_some_and(|by| by <= now.mono)
    }

    pub(super) fn next_deadline(&self, heard: Instant, around: &Surroundings) -> Instant {
        let ping = self.pinged.unwrap_or(heard) + around.shared.limits.ping;
        self.prove_by.map_or(ping, |by| ping.min(by))
    }

    pub(super) fn ping(&mut self, around: &Surroundings, now: Now, out: &mut Vec<u8>) {
        self.pinged = Some(now.mono);
        self.numbers = self.numbers.wrapping_add(1);
        let id = format!("hub-{}", self.numbers);
        let to = self.component.domain.as_str();
        ping::write_request(&id, &around.shared.domain, to, out);
    }

    /// Another connection wants the domain: this one has a few seconds to show that it is alive.
    pub(super) fn prove(&mut self, around: &Surroundings, now: Now, out: &mut Vec<u8>) {
        if self.prove_by.is_none() {
            self.ping(around, now, out);
            self.prove_by = Some(now.mono + PROOF_WAIT);
        }
    }

    pub(super) fn on_element(
        &mut self,
        element: Element<'_>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), StreamError> {
        let Some(stanza) = Stanza::read(element) else {
            // RFC 6120 §4.9.3.24.
            return Err(StreamError::Peer(
                Condition::UnsupportedStanzaType,
                "this element has no meaning here",
            ));
        };
        let from = self.from(element)?;
        let (done, to) = match stanza.address() {
            Ok(Some(to)) => {
                let text = to.to_string();
                let done = self.on_stanza(&stanza, &from, to, around, now, out);
                (done, text)
            }
            Ok(None) => {
                let refusal =
                    Refusal::new(Reason::BadRequest).say("a component's stanza has a 'to'");
                (Err(refusal), around.shared.domain.to_string())
            }
            // RFC 6120 §8.3.3.8. What is no address cannot be the sender of the error, so the hub is.
            Err(_) => {
                let refusal = Refusal::new(Reason::JidMalformed).say("'to' is not an address");
                (Err(refusal), around.shared.domain.to_string())
            }
        };
        if let Err(refusal) = done {
            stanza.refuse(&refusal, Some(&to), Some(from.as_str()), &mut out.bytes);
        }
        Ok(())
    }

    /// XEP-0114 §3: "the domain identifier portion of the JID contained in the 'from' attribute MUST match the hostname of the
    /// component".
    fn from(&self, element: Element<'_>) -> Result<Jid, StreamError> {
        let Some(from) = element.attr("from") else {
            return Ok(self.component.domain.as_jid().clone());
        };
        match Jid::parse(from) {
            Ok(from) if from.domain() == self.component.domain.as_str() => Ok(from),
            _ => Err(StreamError::Peer(
                Condition::InvalidFrom,
                "'from' is not an address of this component",
            )),
        }
    }

    fn on_stanza(
        &mut self,
        stanza: &Stanza<'_>,
        from: &Jid,
        to: Jid,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        match stanza.name {
            StanzaName::Message => {
                let message = message::read(stanza, from.clone(), to);
                tell(from, Command::Send(message), around, out);
            }
            StanzaName::Presence => {
                let command = match presence::word(stanza)? {
                    Word::Availability(kind) => Command::Direct {
                        to,
                        presence: presence::read(stanza, from.clone(), kind, now.wall),
                    },
                    Word::Handshake(kind) => Command::Handshake {
                        to,
                        kind,
                        id: stanza.own_id(),
                        lang: stanza.own_lang(),
                        content: stanza.content(),
                    },
                    Word::Probe => Command::Probe {
                        to,
                        id: stanza.own_id(),
                    },
                };
                tell(from, command, around, out);
            }
            StanzaName::Iq => return self.on_iq(stanza, from, to, around, now, out),
        }
        Ok(())
    }

    fn on_iq(
        &mut self,
        stanza: &Stanza<'_>,
        from: &Jid,
        to: Jid,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let (kind, id) = stanza.iq()?;
        if matches!(kind, IqKind::Get | IqKind::Set) {
            let child = stanza.only_child()?;
            let request = Request {
                stanza,
                child,
                kind,
                id,
                from,
                to,
            };
            return self.query(request, around, now, out);
        }
        // An answer to one of the hub's own pings ends here: that it came is all it says.
        let hub = [&around.shared.domain, &around.shared.service];
        if !hub.into_iter().any(|hub| to == *hub.as_jid()) {
            let iq = routed(stanza, from, to, kind, id);
            tell(from, Command::Query(iq), around, out);
        }
        Ok(())
    }

    /// A command with an answer.
    pub(super) fn ask(
        &mut self,
        asked: Asked,
        request: Request<'_, '_>,
        command: Command,
        around: &mut Surroundings,
        out: &mut Output,
    ) {
        self.numbers = self.numbers.wrapping_add(1);
        let due = Due {
            asked,
            id: request.id.into(),
            from: request.from.clone(),
            to: request.to,
        };
        self.asked.insert(self.numbers, due);
        let token = Token {
            kind: self.numbers,
            ..Token::default()
        };
        ask(token, by(request.from, command), around, out);
    }

    /// Writes the answer to one of its questions.
    pub(super) fn answer(&mut self, answer: &Answer, around: &Surroundings, out: &mut Vec<u8>) {
        let Some(due) = self.asked.remove(&answer.token.kind) else {
            return;
        };
        let (id, from, to) = (&*due.id, due.to.as_str(), due.from.as_str());
        write_answer(due.asked, &answer.result, id, Some(from), to, around, out);
    }

    /// Writes an event for one of its addresses.
    pub(super) fn event(
        &mut self,
        event: &Event,
        tag: Option<&SubscriptionTag>,
        delay: Option<Timestamp>,
        around: &Surroundings,
        out: &mut Vec<u8>,
    ) {
        let delay = delay.map(|at| (&around.shared.domain, at));
        let to = tag.and_then(|tag| tag.to.as_ref());
        let to = to.map_or(self.component.domain.as_str(), Jid::as_str);
        match &event.what {
            // These name whom they are for.
            What::Message(message) => message::write(message, message.to.as_str(), delay, out),
            What::Iq(iq) => write_iq(iq, iq.to.as_str(), out),
            What::Subscription(stanza) => presence::write_handshake(stanza, out),
            What::Probe(probe) => presence::write_probe(probe, out),
            What::Presence(_) => {
                presence::write(event.xmpp(presence::render_shared), to, delay, out);
            }
            What::Node(node) => service::write_event(event, node, to, tag, delay, around, out),
            // It has neither roster nor block list, and no other resources; the hub does not ask what it can.
            What::Roster(_) | What::BlockList(_) | What::Carbon(_) | What::Question(_) => {}
        }
    }
}

/// An IQ on its way to somebody else.
pub(super) fn routed(stanza: &Stanza<'_>, from: &Jid, to: Jid, kind: IqKind, id: &str) -> Iq {
    Iq {
        from: from.clone(),
        to,
        kind,
        id: id.into(),
        lang: stanza.own_lang(),
        content: stanza.content(),
    }
}

/// A command without an answer.
pub(super) fn tell(from: &Jid, command: Command, around: &mut Surroundings, out: &mut Output) {
    ask(Token::default(), by(from, command), around, out);
}

fn by(from: &Jid, command: Command) -> Command {
    Command::As {
        from: from.clone(),
        command: Box::new(command),
    }
}
