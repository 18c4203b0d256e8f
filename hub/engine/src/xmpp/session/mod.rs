//! The hub's side of one XMPP stream, from the first byte to the closing tag.
//!
//! Implements: RFC 6120 §4 streams (opening, restarts, errors, closing), §4.6 silence and keep-alive; the phases
//! are in their files: `negotiation` (§5 to §7), `bound` (§8, §10).
//!
//! ```text
//!  bytes ─▶ Framer ─▶ Tree ─▶ Negotiating ─(bind)─▶ Bound ─▶ Closing ─▶ Closed
//!                               │  ▲                 │  ▲
//!                    Command, Work  Answer     Command  Entry          (Output)          (Mailbox)
//! ```

mod asked;
mod bound;
mod deliver;
mod end;
mod negotiation;
mod queries;
mod registration;
mod seed;
pub(in crate::xmpp) mod service;
mod shared;
mod sign_in;

#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{
    address::FullJid,
    command::{Command, EndReason, Token},
    limits::PARKED_COMMANDS_MAX,
    mailbox::{Entry, Mailbox},
    time::{Instant, Now},
    xmpp::{
        framing::{Frame, Framer},
        output::{Action, Output, WorkDone},
        starttls,
        stream_error::{Condition, StreamError},
        xml::{Scope, Tree},
    },
};

use bound::Bound;
use negotiation::Negotiation;
pub use shared::{LinkSecurity, XmppShared};

// What a component's stream has in common with a client's.
pub(in crate::xmpp) use self::{
    asked::{Asked, ask},
    deliver::{write_answer, write_iq},
    end::stream_error as end_of_stream,
    seed::Seed,
    shared::Surroundings,
};

/// How long the hub waits for the peer's closing tag after its own, and makes the peer wait for answers before its own
/// (RFC 6120 §4.4: "a reasonable amount of time").
pub(in crate::xmpp) const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// The end of our stream (RFC 6120 §4.4).
pub(in crate::xmpp) const CLOSING_TAG: &[u8] = b"</stream:stream>";

/// One XMPP stream.
///
/// Contract: after each `handle_*` the connection hands on what is in `Output` (bytes to the peer, commands to the
/// router, actions to itself), looks at [`next_deadline`](Self::next_deadline) and [`wants_input`](Self::wants_input), and
/// before handing on the first command registers [`mailbox`](Self::mailbox) with the router. After [`Action::Close`]
/// nothing more comes.
///
/// A bound session that is idle owns its own few words, its address and its mailbox: no buffer, no negotiation (S29).
#[derive(Debug)]
pub struct XmppSession {
    framer: Framer,
    /// What the peer's header declared.
    scope: Scope,
    around: Surroundings,
    phase: Phase,
    /// When the peer was last heard: something whole, or white space between stanzas.
    heard: Instant,
}

#[derive(Debug)]
enum Phase {
    /// Until a resource is bound. Boxed, so that nothing of it stays (S29).
    Negotiating(Box<Negotiation>),
    /// Stanzas.
    Bound(Bound),
    /// The hub has said its last word; the peer may still end its side.
    Closing { until: Instant, reason: EndReason },
    /// The link is to be closed.
    Closed,
}

/// What follows from a frame or an answer.
#[derive(Debug)]
enum Flow {
    /// Nothing special.
    Go,
    /// The peer begins its stream anew (RFC 6120 §4.3.3).
    Restart,
    /// The peer asked for TLS, and may have it if it has sent nothing after that.
    StartTls,
    /// The stream is negotiated.
    Bound(FullJid),
    /// The peer closed its stream.
    Farewell,
    /// The stream ends after a failure that is not a stream error.
    Refused,
}

impl XmppSession {
    /// A stream on a link that was just accepted. All randomness of the session comes from `seed`.
    pub fn new(
        shared: Arc<XmppShared>,
        security: LinkSecurity,
        peer: Option<IpAddr>,
        seed: [u8; 32],
        now: Now,
    ) -> Self {
        let deadline = now.mono + shared.limits.unauthenticated;
        Self {
            framer: Framer::new(shared.frame_limits(false)),
            scope: Scope::client(),
            phase: Phase::Negotiating(Box::new(Negotiation::new(security, deadline))),
            around: Surroundings {
                shared,
                mailbox: None,
                seed: Seed::new(seed),
                peer,
            },
            heard: now.mono,
        }
    }

    /// Bytes from the peer, in any fragmentation. `tree` is the thread's: sessions own none.
    pub fn handle_input(&mut self, input: &[u8], tree: &mut Tree, now: Now, out: &mut Output) {
        self.feed(input, tree, now, out);
    }

    /// What the router put into the mailbox, in order.
    pub fn handle_entries(&mut self, entries: &mut Vec<Entry>, now: Now, out: &mut Output) {
        for entry in entries.drain(..) {
            match (&mut self.phase, entry) {
                (Phase::Closing { .. } | Phase::Closed, _) => return,
                (_, Entry::End(reason)) => return self.end(reason, now, out),
                (_, Entry::Continue(cursor)) => {
                    out.commands
                        .push((Token::default(), Command::Continue(cursor)));
                }
                (Phase::Negotiating(negotiation), Entry::Answer(answer)) => {
                    let flow = negotiation.on_answer(*answer, &mut self.around, now, out);
                    self.follow(flow, now, out);
                }
                (Phase::Bound(bound), Entry::Answer(answer)) => {
                    bound.answer(&answer, &self.around, &mut out.bytes);
                }
                (
                    Phase::Bound(bound),
                    Entry::Event {
                        event,
                        to,
                        tag,
                        delay,
                    },
                ) => {
                    bound.event(
                        &event,
                        to,
                        tag.as_deref(),
                        delay,
                        &self.around,
                        &mut out.bytes,
                    );
                }
                // Nothing is addressed to a session before it has an address.
                (Phase::Negotiating(_), Entry::Event { .. }) | (_, Entry::Gone) => {}
            }
        }
        if matches!(&self.phase, Phase::Bound(bound) if bound.has_left && !bound.is_owed_words()) {
            return self.part(out);
        }
        self.go_on(now, out);
    }

    /// The TLS handshake that [`Action::StartTls`] asked for is done.
    pub fn handle_tls(&mut self, security: LinkSecurity, _now: Now, _out: &mut Output) {
        if let Phase::Negotiating(negotiation) = &mut self.phase {
            negotiation.secured(security);
            self.restart();
        }
    }

    /// The job of an [`Action::Work`] is done.
    pub fn handle_work(&mut self, done: WorkDone, now: Now, out: &mut Output) {
        match &mut self.phase {
            Phase::Negotiating(negotiation) => {
                let flow = negotiation.on_work(done, &mut self.around, now, out);
                self.follow(flow, now, out);
                self.go_on(now, out);
            }
            Phase::Bound(bound) => {
                bound.on_work(done, out);
                if bound.has_left && !bound.is_owed_words() {
                    self.part(out);
                }
            }
            Phase::Closing { .. } | Phase::Closed => {}
        }
    }

    /// The deadline has passed, or may have.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Output) {
        match &mut self.phase {
            Phase::Negotiating(negotiation) => {
                let flow = negotiation.on_time(&mut self.around, now, out);
                if flow.is_err() && negotiation.is_securing() {
                    // Nothing can be said in the middle of a TLS handshake.
                    self.detach(EndReason::Unresponsive, out);
                    return self.close(EndReason::Unresponsive, out);
                }
                self.follow(flow, now, out);
                self.go_on(now, out);
            }
            Phase::Bound(bound) if bound.has_left => {
                if self.heard + CLOSE_WAIT <= now.mono {
                    self.part(out);
                }
            }
            Phase::Bound(bound) => {
                let silence = self.around.shared.limits.ping;
                match bound.pinged {
                    Some(pinged) if pinged + silence <= now.mono => {
                        self.end(EndReason::Unresponsive, now, out);
                    }
                    None if self.heard + silence <= now.mono => {
                        bound.ping(&self.around, now, &mut out.bytes);
                    }
                    _ => {}
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
            Phase::Negotiating(negotiation) => negotiation.next_deadline(),
            Phase::Bound(bound) if bound.has_left => self.heard + CLOSE_WAIT,
            Phase::Bound(bound) => {
                bound.pinged.unwrap_or(self.heard) + self.around.shared.limits.ping
            }
            Phase::Closing { until, .. } => *until,
            Phase::Closed => return None,
        };
        // A lifted bound is the end of time.
        (at.micros() != u64::MAX).then_some(at)
    }

    /// The hub stops. Sessions that the router knows hear it from there; this is for a stream that it never heard of.
    pub fn handle_shutdown(&mut self, now: Now, out: &mut Output) {
        if matches!(self.phase, Phase::Negotiating(_)) {
            self.end(EndReason::Shutdown, now, out);
        }
    }

    /// The peer will send nothing more.
    pub fn handle_eof(&mut self, _now: Now, out: &mut Output) {
        self.lost(out);
    }

    /// The link broke: nothing can be read or written.
    pub fn handle_link_lost(&mut self, _now: Now, out: &mut Output) {
        self.lost(out);
    }

    /// Where answers and events for this session go; none before the first command.
    pub fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.around.mailbox.as_ref()
    }

    /// Whether the connection should read: not while something that the peer's next word depends on is under way, nor
    /// while too many answers are owed (S6). What was read already may still be handed in; it is kept, within bounds.
    pub fn wants_input(&self) -> bool {
        match &self.phase {
            Phase::Negotiating(negotiation) => !negotiation.is_holding(),
            Phase::Bound(bound) => {
                usize::from(bound.owed) < PARKED_COMMANDS_MAX
                    && !bound.is_at_work()
                    && !bound.has_left
            }
            Phase::Closing { .. } => true,
            Phase::Closed => false,
        }
    }

    /// The session's address, once it has one.
    pub fn address(&self) -> Option<&FullJid> {
        match &self.phase {
            Phase::Bound(bound) => Some(&bound.jid),
            _ => None,
        }
    }

    /// New settings (SIGHUP): they hold from the next stanza on.
    pub fn reload(&mut self, shared: Arc<XmppShared>) {
        let signed_in = match &self.phase {
            Phase::Negotiating(negotiation) => negotiation.is_signed_in(),
            _ => true,
        };
        self.framer.set_limits(shared.frame_limits(signed_in));
        self.around.shared = shared;
    }

    fn feed(&mut self, mut input: &[u8], tree: &mut Tree, now: Now, out: &mut Output) {
        loop {
            match &mut self.phase {
                Phase::Closed => return,
                Phase::Negotiating(negotiation) if negotiation.is_holding() => {
                    let bound = self.around.shared.limits.stanza_bytes_before_login;
                    let held = negotiation.hold(input, bound);
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
            if matches!(flow, Ok(Flow::StartTls)) {
                return self.start_tls(input, now, out);
            }
            self.follow(flow, now, out);
        }
    }

    /// RFC 6120 §5.4.3.3: nothing that was sent in the clear may count under TLS. A peer sends nothing between its request
    /// and our answer, so what came along was put there by somebody else, or by a peer that does not know the rule.
    fn start_tls(&mut self, rest: &[u8], now: Now, out: &mut Output) {
        if !rest.is_empty() || self.framer.reset() {
            starttls::write_failure(&mut out.bytes);
            return self.say_goodbye(EndReason::ProtocolError, now, out);
        }
        if let Phase::Negotiating(negotiation) = &mut self.phase {
            negotiation.expect_tls();
        }
        starttls::write_proceed(&mut out.bytes);
        out.actions.push(Action::StartTls);
    }

    fn follow(&mut self, flow: Result<Flow, StreamError>, now: Now, out: &mut Output) {
        match flow {
            Ok(Flow::Go | Flow::StartTls) => {}
            Ok(Flow::Restart) => self.restart(),
            Ok(Flow::Bound(jid)) => {
                let Phase::Negotiating(negotiation) = &mut self.phase else {
                    return;
                };
                let held = negotiation.take_held();
                self.phase = Phase::Bound(Bound::new(jid, negotiation.is_secure()));
                if !held.is_empty() {
                    self.feed(&held, &mut Tree::new(), now, out);
                }
            }
            Ok(Flow::Farewell) => match &mut self.phase {
                Phase::Closing { reason, .. } => {
                    let reason = *reason;
                    self.close(reason, out);
                }
                // RFC 6120 §4.4: the peer waits for our closing tag so that we can finish what we have to say, which is to answer
                // what it asked before.
                Phase::Bound(bound) if bound.is_owed_words() => bound.has_left = true,
                _ => self.part(out),
            },
            Ok(Flow::Refused) => self.say_goodbye(EndReason::ProtocolError, now, out),
            Err(error) => {
                let reason = match error.condition() {
                    Condition::ConnectionTimeout => EndReason::Unresponsive,
                    _ => EndReason::ProtocolError,
                };
                self.fail(&error, reason, now, out);
            }
        }
    }

    /// Goes on with what was read while the session could not.
    fn go_on(&mut self, now: Now, out: &mut Output) {
        let Phase::Negotiating(negotiation) = &mut self.phase else {
            return;
        };
        if negotiation.is_holding() {
            return;
        }
        let held = negotiation.take_held();
        if !held.is_empty() {
            self.feed(&held, &mut Tree::new(), now, out);
        }
    }

    fn restart(&mut self) {
        let signed_in = match &self.phase {
            Phase::Negotiating(negotiation) => negotiation.is_signed_in(),
            _ => true,
        };
        // What began before TLS was refused in `start_tls`; after SASL without a security layer it may go on.
        let _ = self.framer.reset();
        self.framer
            .set_limits(self.around.shared.frame_limits(signed_in));
        self.scope = Scope::client();
    }

    /// The session is over for a reason that the router or the clock gave.
    fn end(&mut self, reason: EndReason, now: Now, out: &mut Output) {
        match end::stream_error(reason) {
            Some(error) => self.fail(&error, reason, now, out),
            None => self.say_goodbye(reason, now, out),
        }
    }

    fn fail(&mut self, error: &StreamError, reason: EndReason, now: Now, out: &mut Output) {
        if let Phase::Negotiating(negotiation) = &mut self.phase {
            // RFC 6120 §4.9.1.2: an error needs an open stream.
            negotiation.ensure_header(&mut self.around, out);
        }
        if !matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            error.render_into(&mut out.bytes);
            self.say_goodbye(reason, now, out);
        }
    }

    /// RFC 6120 §4.4: our closing tag answers the peer's.
    fn part(&mut self, out: &mut Output) {
        out.bytes.extend_from_slice(CLOSING_TAG);
        self.detach(EndReason::Farewell, out);
        self.close(EndReason::Farewell, out);
    }

    /// RFC 6120 §4.4: our closing tag, then for a while the peer's is awaited.
    fn say_goodbye(&mut self, reason: EndReason, now: Now, out: &mut Output) {
        out.bytes.extend_from_slice(CLOSING_TAG);
        self.detach(reason, out);
        self.phase = Phase::Closing {
            until: now.mono + CLOSE_WAIT,
            reason,
        };
    }

    fn lost(&mut self, out: &mut Output) {
        match self.phase {
            Phase::Closed => {}
            Phase::Closing { reason, .. } => self.close(reason, out),
            _ => {
                self.detach(EndReason::LinkLost, out);
                self.close(EndReason::LinkLost, out);
            }
        }
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
    if let Phase::Bound(bound) = phase {
        bound.pinged = None;
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
        (Frame::Open(header), Phase::Negotiating(negotiation)) => {
            scope.clone_from(&header.scope);
            negotiation.on_header(&header, around, out)
        }
        (Frame::Element(bytes), Phase::Negotiating(negotiation)) => {
            negotiation.on_element(tree.parse(bytes, scope)?, around, now, out)
        }
        (Frame::Element(bytes), Phase::Bound(bound)) => {
            bound.on_element(tree.parse(bytes, scope)?, around, now, out)?;
            Ok(Flow::Go)
        }
        // The framer cuts one header for each time it is reset.
        (Frame::Open(_), Phase::Bound(_)) => Err(StreamError::Internal("a second header")),
    }
}
