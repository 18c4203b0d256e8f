//! The hub's side of an external component's stream.
//!
//! Implements: XEP-0114 1.6 §3 `jabber:component:accept` (header, handshake, stanzas with `from` and `to`); RFC 6120 §4.4, §4.6,
//! §4.9 as far as they hold for this stream too. Not: `jabber:component:connect`, where the server calls the component.
//!
//! ```text
//!  bytes ─▶ Framer ─▶ Tree ─▶ Opening ─(handshake)─▶ Attached ─▶ Closing ─▶ Closed
//! ```
//!
//! Past the framer the stream's content namespace is `jabber:client`, so that stanzas are read and written as on any other
//! stream. What a component may and may not is checked where its `from` is read, and again by the router.

mod attached;
mod handshake;
mod queries;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use memchr::memmem;

use crate::{
    command::{Command, Cursor, EndReason, Token},
    component::Component,
    limits::PARKED_COMMANDS_MAX,
    mailbox::{Entry, Mailbox},
    time::{Instant, Now},
    xmpp::{
        framing::{Content, Frame, Framer},
        namespace as ns,
        output::{Action, Output},
        session::{CLOSE_WAIT, CLOSING_TAG, Seed, Surroundings, XmppShared, end_of_stream},
        stream_error::{Condition, StreamError},
        xml::{Scope, Tree},
    },
};

use attached::Attached;
use handshake::Opening;

/// How long a component that is in somebody's way may take to show that it lives.
const PROOF_WAIT: Duration = Duration::from_secs(10);

/// Shared by all components' sessions; swapped whole on reload.
#[derive(Debug)]
pub struct ComponentShared {
    /// What they have in common with everybody.
    pub xmpp: Arc<XmppShared>,
    /// Which components there may be.
    pub components: Vec<Arc<Component>>,
}

/// One component's stream, driven as an [`XmppSession`](crate::xmpp::session::XmppSession) is.
#[derive(Debug)]
pub struct ComponentSession {
    framer: Framer,
    scope: Scope,
    around: Surroundings,
    phase: Phase,
    /// When the peer was last heard.
    heard: Instant,
}

#[derive(Debug)]
enum Phase {
    /// Until the handshake is accepted.
    Opening(Box<Opening>),
    /// Stanzas.
    Attached(Box<Attached>),
    /// The hub has said its last word.
    Closing { until: Instant, reason: EndReason },
    /// The link is to be closed.
    Closed,
}

/// What follows from a frame or an answer.
enum Flow {
    /// Nothing special.
    Go,
    /// The router has taken it for its domain's component.
    Attached(Arc<Component>),
    /// The peer closed its stream.
    Farewell,
}

impl ComponentSession {
    /// A stream on a link that was just accepted. All randomness of the session comes from `seed`.
    pub fn new(
        shared: Arc<ComponentShared>,
        peer: Option<IpAddr>,
        seed: [u8; 32],
        now: Now,
    ) -> Self {
        let xmpp = Arc::clone(&shared.xmpp);
        let deadline = now.mono + xmpp.limits.unauthenticated;
        Self {
            framer: Framer::of(Content::Component, xmpp.frame_limits(false)),
            scope: Scope::client(),
            phase: Phase::Opening(Box::new(Opening::new(shared, deadline))),
            around: Surroundings {
                shared: xmpp,
                mailbox: None,
                seed: Seed::new(seed),
                peer,
            },
            heard: now.mono,
        }
    }

    /// Bytes from the peer, in any fragmentation.
    pub fn handle_input(&mut self, mut input: &[u8], tree: &mut Tree, now: Now, out: &mut Output) {
        loop {
            match &mut self.phase {
                Phase::Closed => return,
                Phase::Opening(opening) if opening.is_holding() => {
                    let max = self.around.shared.limits.stanza_bytes_before_login;
                    let held = opening.hold(input, max);
                    return self.follow(held.map(|()| Flow::Go), now, out);
                }
                _ => {}
            }
            let flow = match self.framer.next(&mut input) {
                Ok(None) => {
                    // Part of a stanza is no sign of life: a byte a minute would hold a session for ever.
                    if !self.framer.has_partial() {
                        hear(&mut self.heard, &mut self.phase, now);
                    }
                    return;
                }
                Ok(Some(frame)) => {
                    hear(&mut self.heard, &mut self.phase, now);
                    receive(
                        frame,
                        tree,
                        &mut self.scope,
                        &mut self.phase,
                        &mut self.around,
                        now,
                        out,
                    )
                }
                // Whatever the peer says after our last word, it is not judged.
                Err(_) if matches!(self.phase, Phase::Closing { .. }) => return,
                Err(error) => Err(error),
            };
            self.follow(flow, now, out);
        }
    }

    /// What the router put into the mailbox, in order.
    pub fn handle_entries(&mut self, entries: &mut Vec<Entry>, now: Now, out: &mut Output) {
        for entry in entries.drain(..) {
            match (&mut self.phase, entry) {
                (Phase::Closing { .. } | Phase::Closed, _) => return,
                (_, Entry::End(reason)) => return self.end(reason, now, out),
                (Phase::Attached(attached), Entry::Continue(Cursor::PROVE)) => {
                    attached.prove(&self.around, now, &mut out.bytes);
                }
                (_, Entry::Continue(cursor)) => {
                    out.commands
                        .push((Token::default(), Command::Continue(cursor)));
                }
                (Phase::Opening(opening), Entry::Answer(answer)) => {
                    let flow = opening.on_answer(answer.result, &mut self.around, now, out);
                    self.follow(flow, now, out);
                }
                (Phase::Attached(attached), Entry::Answer(answer)) => {
                    attached.answer(&answer, &self.around, &mut out.bytes);
                }
                (
                    Phase::Attached(attached),
                    Entry::Event {
                        event, tag, delay, ..
                    },
                ) => attached.event(&event, tag.as_deref(), delay, &self.around, &mut out.bytes),
                // Nothing is addressed to a component before it is one.
                (Phase::Opening(_), Entry::Event { .. }) | (_, Entry::Gone) => {}
            }
        }
    }

    /// The deadline has passed, or may have.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Output) {
        match &mut self.phase {
            Phase::Opening(opening) => {
                let flow = opening.on_time(&mut self.around, now, out);
                self.follow(flow, now, out);
            }
            Phase::Attached(attached) => {
                if attached.is_unresponsive(now, &self.around) {
                    self.end(EndReason::Unresponsive, now, out);
                } else if attached.is_quiet()
                    && self.heard + self.around.shared.limits.ping <= now.mono
                {
                    attached.ping(&self.around, now, &mut out.bytes);
                }
            }
            Phase::Closing { until, reason } if *until <= now.mono => {
                let reason = *reason;
                self.close(reason, out);
            }
            Phase::Closing { .. } | Phase::Closed => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let at = match &self.phase {
            Phase::Opening(opening) => opening.next_deadline(),
            Phase::Attached(attached) => attached.next_deadline(self.heard, &self.around),
            Phase::Closing { until, .. } => *until,
            Phase::Closed => return None,
        };
        // A lifted bound is the end of time.
        (at.micros() != u64::MAX).then_some(at)
    }

    /// The hub stops. Sessions that the router knows hear it from there.
    pub fn handle_shutdown(&mut self, now: Now, out: &mut Output) {
        if matches!(self.phase, Phase::Opening(_)) {
            self.end(EndReason::Shutdown, now, out);
        }
    }

    /// The peer will send nothing more, or the link broke.
    pub fn handle_link_lost(&mut self, _now: Now, out: &mut Output) {
        match self.phase {
            Phase::Closed => {}
            Phase::Closing { reason, .. } => self.close(reason, out),
            _ => {
                self.detach(EndReason::LinkLost, out);
                self.close(EndReason::LinkLost, out);
            }
        }
    }

    /// Where answers and events for this session go; none before the first command.
    pub fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.around.mailbox.as_ref()
    }

    /// Whether the connection should read: not while the handshake is judged, nor while too many answers are owed (S6).
    pub fn wants_input(&self) -> bool {
        match &self.phase {
            Phase::Opening(opening) => !opening.is_holding(),
            Phase::Attached(attached) => attached.owed() < PARKED_COMMANDS_MAX,
            Phase::Closing { .. } => true,
            Phase::Closed => false,
        }
    }

    fn follow(&mut self, flow: Result<Flow, StreamError>, now: Now, out: &mut Output) {
        match flow {
            Ok(Flow::Go) => {}
            Ok(Flow::Attached(component)) => {
                let Phase::Opening(opening) = &mut self.phase else {
                    return;
                };
                let held = opening.take_held();
                self.framer
                    .set_limits(self.around.shared.frame_limits(true));
                self.phase = Phase::Attached(Box::new(Attached::new(component)));
                if !held.is_empty() {
                    self.handle_input(&held, &mut Tree::new(), now, out);
                }
            }
            Ok(Flow::Farewell) => match &self.phase {
                Phase::Closing { reason, .. } => {
                    let reason = *reason;
                    self.close(reason, out);
                }
                // RFC 6120 §4.4: our closing tag answers the peer's.
                _ => {
                    out.bytes.extend_from_slice(CLOSING_TAG);
                    self.detach(EndReason::Farewell, out);
                    self.close(EndReason::Farewell, out);
                }
            },
            Err(error) => {
                let reason = match error.condition() {
                    Condition::ConnectionTimeout => EndReason::Unresponsive,
                    _ => EndReason::ProtocolError,
                };
                self.fail(&error, reason, now, out);
            }
        }
    }

    /// The session is over for a reason that the router or the clock gave.
    fn end(&mut self, reason: EndReason, now: Now, out: &mut Output) {
        let error = match reason {
            EndReason::AccountChanged => Some(StreamError::Policy(
                Condition::NotAuthorized,
                "the component was removed, or has another secret or role now",
            )),
            reason => end_of_stream(reason),
        };
        match error {
            Some(error) => self.fail(&error, reason, now, out),
            None => self.say_goodbye(reason, now, out),
        }
    }

    fn fail(&mut self, error: &StreamError, reason: EndReason, now: Now, out: &mut Output) {
        if let Phase::Opening(opening) = &mut self.phase {
            // RFC 6120 §4.9.1.2: an error needs an open stream.
            opening.ensure_header(&mut self.around, out);
        }
        if !matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            error.render_into(&mut out.bytes);
            self.say_goodbye(reason, now, out);
        }
    }

    fn say_goodbye(&mut self, reason: EndReason, now: Now, out: &mut Output) {
        out.bytes.extend_from_slice(CLOSING_TAG);
        self.detach(reason, out);
        self.phase = Phase::Closing {
            until: now.mono + CLOSE_WAIT,
            reason,
        };
    }

    /// The router hears of the end once, if it ever heard of the session.
    fn detach(&mut self, reason: EndReason, out: &mut Output) {
        if let Some(mailbox) = self.around.mailbox.take() {
            mailbox.close();
            out.commands
                .push((Token::default(), Command::Detach(reason)));
        }
    }

    fn close(&mut self, reason: EndReason, out: &mut Output) {
        self.phase = Phase::Closed;
        out.actions.push(Action::Close(reason));
    }
}

/// The peer is there.
fn hear(heard: &mut Instant, phase: &mut Phase, now: Now) {
    *heard = now.mono;
    if let Phase::Attached(attached) = phase {
        attached.heard();
    }
}

/// Gives a frame to the phase that it is for.
fn receive(
    frame: Frame<'_>,
    tree: &mut Tree,
    scope: &mut Scope,
    phase: &mut Phase,
    around: &mut Surroundings,
    now: Now,
    out: &mut Output,
) -> Result<Flow, StreamError> {
    match (frame, phase) {
        (Frame::Close, _) => Ok(Flow::Farewell),
        (_, Phase::Closing { .. } | Phase::Closed) => Ok(Flow::Go),
        (Frame::Open(header), Phase::Opening(opening)) => {
            scope.clone_from(&header.scope);
            opening.on_header(&header, around, out)?;
            Ok(Flow::Go)
        }
        (Frame::Element(bytes), phase) => {
            let renamed = as_client(bytes);
            let element = tree.parse(renamed.as_deref().unwrap_or(bytes), scope)?;
            match phase {
                Phase::Opening(opening) => opening.on_element(element, around, out),
                Phase::Attached(attached) => {
                    attached.on_element(element, around, now, out)?;
                    Ok(Flow::Go)
                }
                Phase::Closing { .. } | Phase::Closed => Ok(Flow::Go),
            }
        }
        // The framer cuts one header for each time it is reset.
        (Frame::Open(_), Phase::Attached(_)) => Err(StreamError::Internal("a second header")),
    }
}

/// A stanza that declares the stream's content namespace itself, as some libraries have it, with that namespace named as the
/// rest of the hub knows it. Only the first tag is looked at: inside, the declaration of the header suffices.
fn as_client(element: &[u8]) -> Option<Vec<u8>> {
    let tag = memchr::memchr(b'>', element)?;
    let at = memmem::find(&element[..tag], ns::COMPONENT.as_bytes())?;
    let before = &element[..at];
    if !(before.ends_with(b"xmlns='") || before.ends_with(b"xmlns=\"")) {
        return None;
    }
    let after = &element[at + ns::COMPONENT.len()..];
    Some([before, ns::CLIENT.as_bytes(), after].concat())
}
