//! A component's stream before its handshake is accepted.
//!
//! Implements: XEP-0114 1.6 §3: the header names the component, `host-unknown` for one that is not served; the handshake is the
//! SHA-1 of stream id and secret, `not-authorized` if it does not fit; `conflict` while an older connection lives. Not: the
//! version of the stream, which this protocol does not have.
//!
//! A verdict is held back as those of logins are (S32), whichever it is.

use std::{fmt, sync::Arc};

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use crate::{
    address::prepare_domain,
    command::{Command, Reply, Token, Transport},
    component::{Component, ComponentSecret},
    refusal::{Reason, Refusal},
    time::{Instant, Now},
    xmpp::{
        framing::StreamHeader,
        namespace as ns,
        output::Output,
        session::{Surroundings, ask},
        stream_error::{Condition, Limit, StreamError},
        xml::{Element, Writer},
    },
};

use super::{ComponentShared, Flow};

/// All that a stream needs until its handshake is accepted.
pub(super) struct Opening {
    shared: Arc<ComponentShared>,
    deadline: Instant,
    header_sent: bool,
    /// What was read while the handshake was judged.
    held: Vec<u8>,
    expect: Expect,
}

/// What is expected next.
enum Expect {
    /// From the peer: its header.
    Header,
    /// From the peer: the handshake for the stream of this id.
    Handshake {
        component: Arc<Component>,
        id: String,
    },
    /// From the router: how long to hold back the verdict.
    HoldBack { component: Arc<Component>, ok: bool },
    /// From the clock: that the verdict may be told.
    Release {
        at: Instant,
        component: Arc<Component>,
        ok: bool,
    },
    /// From the router: that this is the component's session.
    Attached(Arc<Component>),
    /// Nothing: the stream has failed.
    Nothing,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opening")
    }
}

impl Opening {
    pub(super) const fn new(shared: Arc<ComponentShared>, deadline: Instant) -> Self {
        Self {
            shared,
            deadline,
            header_sent: false,
            held: Vec::new(),
            expect: Expect::Header,
        }
    }

    /// Whether the peer's next word must wait.
    pub(super) const fn is_holding(&self) -> bool {
        matches!(
            self.expect,
            Expect::HoldBack { .. } | Expect::Release { .. } | Expect::Attached(_)
        )
    }

    /// Keeps what was read, for later.
    pub(super) fn hold(&mut self, input: &[u8], bytes_max: usize) -> Result<(), StreamError> {
        if self.held.len() + input.len() > bytes_max {
            let max = u32::try_from(bytes_max).unwrap_or(u32::MAX);
            return Err(StreamError::Limit(Limit::StanzaBytes(max)));
        }
        self.held.extend_from_slice(input);
        Ok(())
    }

    pub(super) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    pub(super) fn next_deadline(&self) -> Instant {
        match &self.expect {
            Expect::Release { at, .. } => self.deadline.min(*at),
            _ => self.deadline,
        }
    }

    /// The peer's header: ours, and the id that the handshake is made of.
    pub(super) fn on_header(
        &mut self,
        header: &StreamHeader,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<(), StreamError> {
        let wanted = header.to.as_deref().map(prepare_domain);
        let components = &self.shared.components;
        let component = wanted.as_ref().and_then(|wanted| {
            let wanted = wanted.as_deref().ok()?;
            components.iter().find(|one| one.domain.as_str() == wanted)
        });
        let component = component.cloned();
        // RFC 6120 §4.9.1.2: our header comes before any error about the peer's.
        let name = component.as_ref().map(|one| one.domain.as_str());
        let id = self.write_header(name, around, out);
        match (component, wanted) {
            (Some(component), _) => {
                self.expect = Expect::Handshake { component, id };
                Ok(())
            }
            (None, None) => Err(StreamError::Peer(
                Condition::ImproperAddressing,
                "the stream header has no 'to': it names the component",
            )),
            (None, Some(_)) => Err(StreamError::Policy(
                Condition::HostUnknown,
                "no such component is configured here",
            )),
        }
    }

    pub(super) fn on_element(
        &mut self,
        element: Element<'_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        if !element.is("handshake", ns::CLIENT) {
            return Err(StreamError::Peer(
                Condition::NotAuthorized,
                "nothing but the handshake comes first",
            ));
        }
        match std::mem::replace(&mut self.expect, Expect::Nothing) {
            Expect::Handshake { component, id } => {
                let ok = fits(&element.text(), &id, &component.secret);
                let account = component.domain.clone();
                ask(
                    Token::default(),
                    Command::SignedIn { account, ok },
                    around,
                    out,
                );
                self.expect = Expect::HoldBack { component, ok };
                Ok(Flow::Go)
            }
            _ => Err(StreamError::Peer(
                Condition::NotAuthorized,
                "the handshake comes once",
            )),
        }
    }

    pub(super) fn on_answer(
        &mut self,
        result: Result<Reply, Refusal>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        match std::mem::replace(&mut self.expect, Expect::Nothing) {
            Expect::HoldBack { component, ok } => {
                let Ok(Reply::HoldBack { wait }) = result else {
                    return Err(StreamError::Internal("a handshake cannot be judged"));
                };
                let at = now.mono + wait;
                self.expect = Expect::Release { at, component, ok };
                self.on_time(around, now, out)
            }
            Expect::Attached(component) => match result {
                Ok(_) => {
                    out.bytes.extend_from_slice(b"<handshake/>");
                    Ok(Flow::Attached(component))
                }
                Err(refusal) if refusal.reason == Reason::Conflict => Err(StreamError::Policy(
                    Condition::Conflict,
                    "the component is connected already",
                )),
                Err(_) => Err(not_authorized()),
            },
            // Nothing was asked.
            other => {
                self.expect = other;
                Ok(Flow::Go)
            }
        }
    }

    pub(super) fn on_time(
        &mut self,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        match std::mem::replace(&mut self.expect, Expect::Nothing) {
            Expect::Release { at, component, ok } if at <= now.mono => {
                if !ok {
                    return Err(not_authorized());
                }
                let command = Command::AttachComponent {
                    component: Arc::clone(&component),
                    transport: Transport {
                        protocol: "component",
                        peer: around.peer,
                        tls: false,
                        mechanism: "handshake",
                    },
                };
                ask(Token::default(), command, around, out);
                self.expect = Expect::Attached(component);
            }
            other => self.expect = other,
        }
        if self.deadline <= now.mono {
            // RFC 6120 §4.9.3.4.
            return Err(StreamError::Policy(
                Condition::ConnectionTimeout,
                "the handshake took too long",
            ));
        }
        Ok(Flow::Go)
    }

    /// A header of ours, if none was sent.
    pub(super) fn ensure_header(&mut self, around: &mut Surroundings, out: &mut Output) {
        if !self.header_sent {
            self.write_header(None, around, out);
        }
    }

    /// `from` is the component's name (XEP-0114 §3, example 2). Gives the stream's id.
    fn write_header(
        &mut self,
        component: Option<&str>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> String {
        self.header_sent = true;
        let id = around.seed.text();
        out.bytes.extend_from_slice(b"<?xml version='1.0'?>");
        Writer::new(&mut out.bytes)
            .open("stream:stream")
            .attr("xmlns", ns::COMPONENT)
            .attr("xmlns:stream", ns::STREAMS)
            .attr("id", &id)
            .attr("from", component.unwrap_or(around.shared.domain.as_str()))
            .finish_tag();
        id
    }
}

fn not_authorized() -> StreamError {
    StreamError::Policy(
        Condition::NotAuthorized,
        "the handshake does not fit the secret",
    )
}

/// XEP-0114 §3: the SHA-1 of stream id and secret, in lower-case hexadecimal. Compared without telling by the time how much
/// of it was right.
fn fits(given: &str, id: &str, secret: &ComponentSecret) -> bool {
    let due = handshake(id, secret);
    given.trim().as_bytes().ct_eq(due.as_bytes()).into()
}

fn handshake(id: &str, secret: &ComponentSecret) -> String {
    use std::fmt::Write as _;
    let hash = Sha1::new()
        .chain_update(id)
        .chain_update(secret.reveal())
        .finalize();
    hash.iter()
        .fold(String::with_capacity(40), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_the_handshake_is_the_sha_1_of_id_and_secret_in_lower_case() {
        let secret = ComponentSecret::new("correct horse battery staple").unwrap();
        // printf '3BF96D32correct horse battery staple' | sha1sum
        let due = "906f7f9f825ef1a8fc5f9b7dc475da8cb9caf8e3";
        assert!(fits(due, "3BF96D32", &secret));
        assert!(fits(&format!("\n{due} "), "3BF96D32", &secret));
        for wrong in ["", "0", &due[1..], &due.to_uppercase(), &format!("{due}0")] {
            assert!(!fits(wrong, "3BF96D32", &secret), "{wrong}");
        }
        assert!(!fits(due, "3BF96D33", &secret));
    }
}
