//! Sign-in by SASL: the carrier of [`Exchange`].
//!
//! Implements: RFC 6120 §6.4 the negotiation, §6.5 errors, §6.4.5 retries; RFC 4648 §4 (strict base64).
//! Not: XEP-0388, which brings its own elements.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use crate::{
    address::{BareJid, prepare_local},
    command::{Command, Reply},
    refusal::Refusal,
    time::Now,
    xmpp::{
        namespace as ns,
        output::{Action, Output, Work, WorkDone},
        sasl::{
            AccountRecord, Channel, Condition as SaslCondition, Context, Exchange, Mechanism,
            SaslError, Step,
        },
        stream_error::{Condition, StreamError},
        xml::{Element, Writer},
    },
};

use super::{
    Flow,
    asked::{Asked, ask},
    negotiation::{Expect, Negotiation},
    shared::{LinkSecurity, Surroundings},
};

/// Failed sign-ins of one stream before it is closed (RFC 6120 §6.4.5: at least 2, at most 5).
const FAILURES_MAX: u32 = 5;

/// How a sign-in ended.
pub(super) enum Verdict {
    Success {
        account: BareJid,
        mechanism: Mechanism,
        data: Option<Vec<u8>>,
    },
    Failure(SaslError),
}

impl Negotiation {
    /// The stream as SASL sees it.
    pub(super) fn with_channel<R>(
        &self,
        around: &Surroundings,
        then: impl FnOnce(&Channel<'_>) -> R,
    ) -> R {
        let certificate: Vec<String> = match &self.security {
            LinkSecurity::Plain => Vec::new(),
            LinkSecurity::Tls { certificate, .. } => {
                certificate.iter().map(ToString::to_string).collect()
            }
        };
        then(&Channel {
            domain: around.shared.domain.as_str(),
            prepare: |name| prepare_local(name).ok(),
            encrypted: self.is_secure(),
            require_tls: around.shared.require_tls,
            bindings: self.bindings(),
            certificate: &certificate,
        })
    }

    /// An element of SASL from the peer.
    pub(super) fn on_sasl(
        &mut self,
        name: &str,
        element: Element<'_>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        let exchange = match std::mem::replace(&mut self.expect, Expect::SignIn) {
            Expect::Response(exchange) => Some(exchange),
            _ => None,
        };
        match (name, exchange) {
            ("auth", None) => self.on_auth(element, around, now, out),
            ("response", Some(mut exchange)) => {
                // RFC 6120 §6.4.3: an empty response and `=` both mean no data.
                match decode(&element.text()) {
                    Some(data) => {
                        let step = exchange.respond(data.as_deref().unwrap_or_default());
                        self.take_step(exchange, step, around, now, out)
                    }
                    None => self.refuse(SaslError::INCORRECT_ENCODING, around, now, out),
                }
            }
            // §6.4.4.
            ("abort", _) => self.refuse(aborted(), around, now, out),
            // §6.5.8: an answer to no challenge; a second attempt in the middle of the first, which ends that too.
            ("response" | "auth", _) => self.refuse(malformed(), around, now, out),
            _ => Err(StreamError::Peer(
                Condition::UnsupportedStanzaType,
                "this element has no meaning in SASL",
            )),
        }
    }

    fn on_auth(
        &mut self,
        auth: Element<'_>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        self.login = None;
        let Some(mechanism) = auth.attr("mechanism").and_then(Mechanism::from_name) else {
            return self.refuse(SaslError::INVALID_MECHANISM, around, now, out);
        };
        let Some(initial) = decode(&auth.text()) else {
            return self.refuse(SaslError::INCORRECT_ENCODING, around, now, out);
        };
        let nonce = around.seed.bytes();
        let (exchange, step) = self.with_channel(around, |channel| {
            let context = Context {
                channel,
                offered: &self.offered,
                nonce: &nonce,
                decoy_secret: &around.shared.decoy_secret,
                downgrade_protection: true,
            };
            Exchange::start(mechanism, initial.as_deref(), &context)
        });
        self.take_step(Box::new(exchange), step, around, now, out)
    }

    /// The router's answer to a look-up.
    pub(super) fn on_keys(
        &mut self,
        mut exchange: Box<Exchange>,
        result: Result<Reply, Refusal>,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        let step = match result {
            Ok(Reply::Credentials { found }) => {
                exchange.account_found(found.map(|account| AccountRecord {
                    credentials: Some(account.credentials),
                    enabled: account.enabled,
                }))
            }
            _ => exchange.unavailable(),
        };
        self.take_step(exchange, step, around, now, out)
    }

    /// The shell's answer to a [`Step::Derive`].
    pub(super) fn on_password_checked(
        &mut self,
        mut exchange: Box<Exchange>,
        fits: bool,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        let step = exchange.derived(fits);
        self.take_step(exchange, step, around, now, out)
    }

    fn take_step(
        &mut self,
        exchange: Box<Exchange>,
        step: Step,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        match step {
            Step::Challenge(data) => {
                write_data("challenge", Some(&data), out);
                self.expect = Expect::Response(exchange);
                Ok(Flow::Go)
            }
            Step::Lookup { account } => {
                let Ok(account) = BareJid::new(&account, around.shared.domain.as_str()) else {
                    return self.refuse(malformed(), around, now, out);
                };
                self.login = Some(account.clone());
                ask(
                    Asked::SignIn.bare_token(),
                    Command::SignIn { account },
                    around,
                    out,
                );
                self.expect = Expect::Keys(exchange);
                Ok(Flow::Go)
            }
            Step::Derive(check) => {
                let known = Arc::clone(&around.shared.known_passwords);
                let job = move || WorkDone::PasswordChecked(check.run(&known));
                out.actions.push(Action::Work(Work(Box::new(job))));
                self.expect = Expect::PasswordCheck(exchange);
                Ok(Flow::Go)
            }
            Step::Success { account, data } => {
                match BareJid::new(&account, around.shared.domain.as_str()) {
                    Ok(account) => self.decide(
                        Verdict::Success {
                            account,
                            mechanism: exchange.mechanism(),
                            data,
                        },
                        around,
                        now,
                        out,
                    ),
                    Err(_) => self.refuse(malformed(), around, now, out),
                }
            }
            Step::Failure(error) => self.refuse(error, around, now, out),
        }
    }

    fn refuse(
        &mut self,
        error: SaslError,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        self.decide(Verdict::Failure(error), around, now, out)
    }

    /// The router hears of a verdict at once; the peer when the throttle allows. Good news is held back like bad, or its
    /// absence would tell a guesser what it waits for.
    fn decide(
        &mut self,
        verdict: Verdict,
        around: &mut Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        let outcome = match &verdict {
            Verdict::Success { .. } => Some(true),
            Verdict::Failure(error) => error.counts_as_failed_login().then_some(false),
        };
        let (Some(ok), Some(account)) = (outcome, self.login.take()) else {
            return self.tell(verdict, around, now, out);
        };
        ask(
            Asked::SignIn.bare_token(),
            Command::SignedIn { account, ok },
            around,
            out,
        );
        self.expect = Expect::HoldBack(Box::new(verdict));
        Ok(Flow::Go)
    }

    /// The router's answer to an outcome.
    pub(super) fn on_wait(
        &mut self,
        verdict: Box<Verdict>,
        answer: &Result<Reply, Refusal>,
        around: &Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        let Ok(Reply::HoldBack { wait }) = *answer else {
            // The hub could not keep its count, so that it must not let anybody guess.
            let unsure = SaslError {
                condition: SaslCondition::TemporaryAuthFailure,
                scram: None,
            };
            return self.tell(Verdict::Failure(unsure), around, now, out);
        };
        if wait.is_zero() {
            return self.tell(*verdict, around, now, out);
        }
        // The time that the hub makes a peer wait is not held against it.
        self.deadline = self.deadline + wait;
        self.expect = Expect::Release {
            at: now.mono + wait,
            verdict,
        };
        Ok(Flow::Go)
    }

    /// Tells the peer.
    pub(super) fn tell(
        &mut self,
        verdict: Verdict,
        around: &Surroundings,
        now: Now,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        match verdict {
            Verdict::Success {
                account,
                mechanism,
                data,
            } => {
                write_data("success", data.as_deref(), out);
                self.signed_in = Some((account, mechanism));
                self.begin_anew(now.mono + around.shared.limits.unauthenticated);
                Ok(Flow::Restart)
            }
            Verdict::Failure(error) => {
                let condition = error.condition.as_str();
                let mut w = Writer::new(&mut out.bytes);
                w.open("failure").attr("xmlns", ns::SASL);
                w.open(condition).close(condition).close("failure");
                self.expect = Expect::SignIn;
                self.failures += 1;
                if self.failures >= FAILURES_MAX {
                    // RFC 6120 §6.4.5.
                    return Err(StreamError::Policy(
                        Condition::PolicyViolation,
                        "too many failed sign-ins",
                    ));
                }
                Ok(Flow::Go)
            }
        }
    }
}

const fn malformed() -> SaslError {
    SaslError {
        condition: SaslCondition::MalformedRequest,
        scram: None,
    }
}

const fn aborted() -> SaslError {
    SaslError {
        condition: SaslCondition::Aborted,
        scram: None,
    }
}

/// What the text of an element carries: RFC 6120 §6.4.2 `Some(None)` is nothing at all, `=` is data of no length, all else
/// is base64 without white space. `None`: it is none of them.
#[allow(
    clippy::option_option,
    reason = "three cases, as the document tells them apart"
)]
fn decode(text: &str) -> Option<Option<Vec<u8>>> {
    match text {
        "" => Some(None),
        "=" => Some(Some(Vec::new())),
        _ => BASE64.decode(text).ok().map(Some),
    }
}

/// Writes a challenge or a success; data of no length is `=` (§6.4.2), none is nothing.
fn write_data(name: &str, data: Option<&[u8]>, out: &mut Output) {
    let mut w = Writer::new(&mut out.bytes);
    w.open(name).attr("xmlns", ns::SASL);
    match data {
        None => {}
        Some([]) => {
            w.text("=");
        }
        Some(data) => {
            w.text(&BASE64.encode(data));
        }
    }
    w.close(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_4_2_base64_is_strict_and_the_equals_sign_is_empty() {
        assert_eq!(decode(""), Some(None));
        assert_eq!(decode("="), Some(Some(Vec::new())));
        assert_eq!(decode("AGE="), Some(Some(vec![0, b'a'])));
        for wrong in ["AGE", "AG E=", " AGE=", "AGE=\n", "====", "AGF=", "A-_="] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
