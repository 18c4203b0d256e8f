//! A stream with a resource: stanzas in.
//!
//! Implements: RFC 6120 §8.1.2.1 `from`, §8.2 kinds, §8.3.3.8 malformed addresses, §10.3 stanzas without `to`; RFC 6121
//! §4 presence, §5 messages, as far as they become commands. The router routes; IQs to the hub itself are in `queries`.

use crate::{
    address::{BareJid, FullJid, Jid},
    capabilities::{Disclosed, Wishes},
    command::{Command, PubsubRequest, Token},
    message::{Iq, IqKind, PresenceKind},
    refusal::{Reason, Refusal},
    time::{Instant, Now},
    xmpp::{
        caps, message, namespace as ns,
        output::{Output, WorkDone},
        ping,
        presence::{self, Word},
        pubsub,
        stanza::{Stanza, StanzaName, write_error},
        stream_error::{Condition, StreamError},
        xml::Element,
    },
};

use super::{
    asked::{Asked, ask},
    registration::bad_password,
    service,
    shared::Surroundings,
};

/// What a bound stream keeps. S29: every word here is paid for by each idle session.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) jid: FullJid,
    /// When the hub asked whether anybody is there, unless it has heard since.
    pub(super) pinged: Option<Instant>,
    /// The password change whose keys are being derived.
    pub(super) changing: Option<Box<Token>>,
    /// Commands whose answers are due (S6).
    pub(super) owed: u16,
    /// Pings and pushes sent.
    numbers: u32,
    /// Whether the link is encrypted.
    pub(super) secure: bool,
    /// The peer has closed its side, and waits for answers (RFC 6120 §4.4).
    pub(super) has_left: bool,
}

/// Who is meant by a `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The session's own account: its bare address, or nobody (RFC 6120 §10.3).
    Account,
    /// The hub.
    Hub,
    /// Its pubsub service.
    Service,
    /// Somebody else, or a session of the same account.
    Other,
}

impl Bound {
    pub(super) const fn new(jid: FullJid, secure: bool) -> Self {
        Self {
            jid,
            pinged: None,
            changing: None,
            owed: 0,
            numbers: 0,
            secure,
            has_left: false,
        }
    }

    /// Whether answers to the peer's requests are due.
    pub(super) const fn is_owed_words(&self) -> bool {
        self.owed > 0 || self.is_at_work()
    }

    /// Whether keys are being derived for this session: one job at a time.
    pub(super) const fn is_at_work(&self) -> bool {
        self.changing.is_some()
    }

    /// The session's bare address, without making one.
    pub(super) fn bare_text(&self) -> &str {
        let full = self.jid.as_str();
        // Neither a localpart nor a domainpart has a slash.
        full.split_once('/').map_or(full, |(bare, _)| bare)
    }

    /// An id for a stanza of the hub's own.
    pub(super) fn next_id(&mut self) -> String {
        self.numbers = self.numbers.wrapping_add(1);
        format!("hub-{}", self.numbers)
    }

    pub(super) fn ping(&mut self, around: &Surroundings, now: Now, out: &mut Vec<u8>) {
        self.pinged = Some(now.mono);
        let id = self.next_id();
        ping::write_request(&id, &around.shared.domain, self.jid.as_str(), out);
    }

    pub(super) fn on_element(
        &mut self,
        element: Element<'_>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), StreamError> {
        let Some(stanza) = Stanza::read(element) else {
            // RFC 6120 §4.9.3.24; a second sign-in among others (§6.4.6 offers none).
            return Err(StreamError::Peer(
                Condition::UnsupportedStanzaType,
                "this element has no meaning here",
            ));
        };
        if let Some(from) = element.attr("from") {
            self.check_from(from)?;
        }
        let done = match stanza.address() {
            Ok(to) => match stanza.name {
                StanzaName::Message => self.on_message(&stanza, to, around, out),
                StanzaName::Presence => self.on_presence(&stanza, to, around, now, out),
                StanzaName::Iq => self.on_iq(&stanza, to, around, now, out),
            },
            // RFC 6120 §8.3.3.8. What is no address cannot be the sender of the error, so the hub is.
            Err(_) => {
                let refusal = Refusal::new(Reason::JidMalformed).say("'to' is not an address");
                let hub = Some(around.shared.domain.as_str());
                stanza.refuse(&refusal, hub, Some(self.jid.as_str()), &mut out.bytes);
                return Ok(());
            }
        };
        if let Err(refusal) = done {
            stanza.refuse(&refusal, stanza.to, Some(self.jid.as_str()), &mut out.bytes);
        }
        Ok(())
    }

    /// RFC 6120 §8.1.2.1: a client's `from` is its full or bare address, or the stream ends.
    fn check_from(&self, from: &str) -> Result<(), StreamError> {
        let own = from == self.jid.as_str()
            || from == self.bare_text()
            || Jid::parse(from)
                .is_ok_and(|from| [self.jid.as_str(), self.bare_text()].contains(&from.as_str()));
        if own {
            Ok(())
        } else {
            Err(StreamError::Peer(
                Condition::InvalidFrom,
                "'from' is not an address of this session",
            ))
        }
    }

    pub(super) fn target(&self, to: Option<&Jid>, around: &Surroundings) -> Target {
        match to.map(Jid::as_str) {
            None => Target::Account,
            Some(to) if to == self.bare_text() => Target::Account,
            Some(to) if to == around.shared.domain.as_str() => Target::Hub,
            Some(to) if to == around.shared.service.as_str() => Target::Service,
            Some(_) => Target::Other,
        }
    }

    fn on_message(
        &mut self,
        stanza: &Stanza<'_>,
        to: Option<Jid>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        match self.target(to.as_ref(), around) {
            // RFC 6120 §10.5.2 leaves a message to the domain to the server: nobody here reads any.
            Target::Hub => Err(Reason::ServiceUnavailable.into()),
            // XEP-0060 §8.6: but for owners' answers. What comes back as an error is not answered.
            Target::Service if stanza.is_answer() => Ok(()),
            Target::Service => {
                let answer = service::read_message(stanza.element, None)?;
                self.approve(answer, stanza, to, around, out);
                Ok(())
            }
            // The same to one's own personal nodes (XEP-0163 §1): what it answers came from there.
            Target::Account if pubsub::is_approval(stanza.element) => {
                let host = Some(self.account());
                let answer = service::read_message(stanza.element, host)?;
                self.approve(answer, stanza, to, around, out);
                Ok(())
            }
            Target::Account | Target::Other => {
                // RFC 6120 §10.3.1: without `to` it is for the sender's own account.
                let to = to.unwrap_or_else(|| self.jid.bare().into());
                let message = message::read(stanza, self.jid.clone().into(), to);
                self.tell(Command::Send(message), around, out);
                Ok(())
            }
        }
    }

    fn approve(
        &mut self,
        answer: Option<PubsubRequest>,
        stanza: &Stanza<'_>,
        to: Option<Jid>,
        around: &mut Surroundings,
        out: &mut Output,
    ) {
        if let Some(answer) = answer {
            let command = Command::Pubsub(Box::new(answer));
            self.ask(Asked::Approval, stanza, to, command, around, out);
        }
    }

    fn on_presence(
        &self,
        stanza: &Stanza<'_>,
        to: Option<Jid>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let command = match (presence::word(stanza)?, to) {
            // An error about no presence of ours.
            (Word::Availability(PresenceKind::Error), None) => return Ok(()),
            (Word::Availability(kind), to) => {
                let presence = presence::read(stanza, self.jid.clone().into(), kind, now.wall);
                match to {
                    // RFC 6121 §4.2, §4.4, §4.5.
                    None => Command::Announce(presence),
                    // RFC 6121 §4.6.
                    Some(to) => Command::Direct { to, presence },
                }
            }
            (Word::Handshake(kind), Some(to)) => Command::Handshake {
                to,
                kind,
                id: stanza.own_id(),
                lang: stanza.own_lang(),
                content: stanza.content(),
            },
            // RFC 6121 §3: it is a word to somebody.
            (Word::Handshake(_), None) => {
                return Err(Refusal::new(Reason::BadRequest).say("to whom?"));
            }
            (Word::Probe, to) => Command::Probe {
                to: to.unwrap_or_else(|| self.jid.bare().into()),
                id: stanza.own_id(),
            },
        };
        let announces = matches!(
            &command,
            Command::Announce(presence) | Command::Direct { presence, .. }
                if matches!(presence.kind, PresenceKind::Available { .. })
        );
        self.tell(command, around, out);
        if announces && let Some(announced) = caps::announced(stanza.element) {
            self.tell(Command::Capabilities(announced.into()), around, out);
        }
        Ok(())
    }

    fn on_iq(
        &mut self,
        stanza: &Stanza<'_>,
        to: Option<Jid>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let (kind, id) = stanza.iq()?;
        let target = self.target(to.as_ref(), around);
        if matches!(kind, IqKind::Get | IqKind::Set) {
            let child = stanza.only_child()?;
            let request = super::queries::Request {
                stanza,
                child,
                kind,
                to,
            };
            return self.query(request, target, around, now, out);
        }
        if let (Target::Hub, Some(question)) = (target, caps::question_of(id)) {
            // An error is an answer too: one that says nothing.
            let query = stanza.element.child("query", ns::DISCO_INFO);
            let query = query.filter(|_| kind == IqKind::Result);
            let nothing = Disclosed {
                hashes: None,
                wishes: Wishes::default(),
            };
            let command = Command::Disclose {
                question,
                disclosed: query.map_or(nothing, caps::disclosed).into(),
            };
            self.tell(command, around, out);
            return Ok(());
        }
        // An answer to one of the hub's own pings and pushes ends here: that it came is all it says.
        if let (Target::Other, Some(to)) = (target, to) {
            let iq = self.routed(stanza, to, kind, id);
            self.tell(Command::Query(iq), around, out);
        }
        Ok(())
    }

    /// An IQ on its way to somebody else.
    pub(super) fn routed(&self, stanza: &Stanza<'_>, to: Jid, kind: IqKind, id: &str) -> Iq {
        Iq {
            from: self.jid.clone().into(),
            to,
            kind,
            id: id.into(),
            lang: stanza.own_lang(),
            content: stanza.content(),
        }
    }

    /// A command without an answer.
    pub(super) fn tell(&self, command: Command, around: &mut Surroundings, out: &mut Output) {
        ask(Token::default(), command, around, out);
    }

    /// A command with one.
    pub(super) fn ask(
        &mut self,
        asked: Asked,
        stanza: &Stanza<'_>,
        to: Option<Jid>,
        command: Command,
        around: &mut Surroundings,
        out: &mut Output,
    ) {
        self.owed = self.owed.saturating_add(1);
        ask(asked.token(stanza, to), command, around, out);
    }

    /// Keys for a new password are there (XEP-0077 §3.3), or it was not acceptable.
    pub(super) fn on_work(&mut self, done: WorkDone, out: &mut Output) {
        let (Some(token), WorkDone::Derived(credentials)) = (self.changing.take(), done) else {
            return;
        };
        match credentials {
            Some(credentials) => {
                self.owed = self.owed.saturating_add(1);
                out.commands
                    .push((*token, Command::ChangeCredentials(credentials)));
            }
            None => write_error(
                StanzaName::Iq,
                Some(&token.id),
                token.to.as_ref().map(Jid::as_str),
                Some(self.jid.as_str()),
                &bad_password(),
                &mut out.bytes,
            ),
        }
    }

    /// The session's account.
    pub(super) fn account(&self) -> BareJid {
        self.jid.bare()
    }
}
