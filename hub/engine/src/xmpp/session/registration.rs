//! An account for a stranger, where the operator allows it; and the derivation of keys, which a changed password needs too.
//!
//! Implements: XEP-0077 2.4 §3.1, before sign-in.

use zeroize::Zeroizing;

use crate::{
    address::BareJid,
    command::{Command, Reply},
    credentials::{Credentials, Derivation, Password},
    message::IqKind,
    refusal::{Reason, Refusal},
    xmpp::{
        namespace as ns,
        output::{Action, Output, Work, WorkDone},
        register::{self, Request},
        stanza::{Stanza, StanzaName, open_result, write_error},
        stream_error::{Condition, StreamError},
        xml::Writer,
    },
};

use super::{
    Flow,
    asked::{Asked, ask},
    negotiation::{Expect, Negotiation},
    seed::Seed,
    shared::Surroundings,
};

/// Accounts asked for on one link (XEP-0077 §3.1.1 leaves the number to the server). Each costs a key derivation.
const REGISTRATIONS_MAX: u32 = 3;

/// A registration under way.
pub(super) struct Registering {
    /// The request's id.
    id: Box<str>,
    account: BareJid,
}

impl Negotiation {
    /// Whether strangers may register on this stream: never in the clear where TLS is required.
    pub(super) fn may_register(&self, around: &Surroundings) -> bool {
        around.shared.registration && (self.is_secure() || !around.shared.require_tls)
    }

    /// A stanza before sign-in, which can only be a registration.
    pub(super) fn on_register(
        &mut self,
        stanza: &Stanza<'_>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Result<Flow, StreamError> {
        let query = stanza.element.child("query", ns::REGISTER);
        let kind = match stanza.kind {
            Some("get") => Some(IqKind::Get),
            Some("set") => Some(IqKind::Set),
            _ => None,
        };
        let (StanzaName::Iq, Some(query), Some(kind), Some(id)) =
            (stanza.name, query, kind, stanza.id)
        else {
            return Err(StreamError::Peer(
                Condition::NotAuthorized,
                "no stanzas before sign-in and binding",
            ));
        };
        let begun = register::read(query, kind).and_then(|request| match request {
            Request::Fields => Ok(None),
            Request::Account {
                username: Some(username),
                password,
            } => {
                let account = account_name(&username, around)?;
                Ok(Some((account, password)))
            }
            Request::Account { username: None, .. } => {
                Err(Refusal::new(Reason::NotAcceptable).say("a user name is needed"))
            }
            // XEP-0077 §3.2: a stranger has nothing to remove.
            Request::Remove => Err(Reason::RegistrationRequired.into()),
        });
        match begun {
            Ok(None) => {
                let mut w = Writer::new(&mut out.bytes);
                open_result(&mut w, id, None, None);
                register::write_fields(None, &mut w);
                w.close("iq");
            }
            Ok(Some((account, password))) => {
                self.registrations += 1;
                if self.registrations > REGISTRATIONS_MAX {
                    return Err(StreamError::Policy(
                        Condition::PolicyViolation,
                        "too many registrations",
                    ));
                }
                out.actions.push(derivation(password, &mut around.seed));
                self.expect = Expect::Registration(Box::new(Registering {
                    id: id.into(),
                    account,
                }));
            }
            Err(refusal) => stanza.refuse(&refusal, None, None, &mut out.bytes),
        }
        Ok(Flow::Go)
    }
}

impl Registering {
    /// The keys are there, or the password was not acceptable.
    pub(super) fn derived(
        self: Box<Self>,
        credentials: Option<Box<Credentials>>,
        around: &mut Surroundings,
        out: &mut Output,
    ) -> Option<Box<Self>> {
        let Some(credentials) = credentials else {
            self.answered(Err(bad_password()), out);
            return None;
        };
        let command = Command::Register {
            account: self.account.clone(),
            credentials,
        };
        ask(Asked::Register.bare_token(), command, around, out);
        Some(self)
    }

    /// The router has made the account, or not.
    pub(super) fn answered(&self, result: Result<Reply, Refusal>, out: &mut Output) {
        match result {
            Ok(_) => {
                let mut w = Writer::new(&mut out.bytes);
                open_result(&mut w, &self.id, None, None).close("iq");
            }
            Err(refusal) => write_error(
                StanzaName::Iq,
                Some(&self.id),
                None,
                None,
                &refusal,
                &mut out.bytes,
            ),
        }
    }
}

/// S14: names with `+ # $` cannot be made, nor what RFC 7622 §3.3 refuses.
fn account_name(username: &str, around: &Surroundings) -> Result<BareJid, Refusal> {
    BareJid::new(username, around.shared.domain.as_str())
        .ok()
        .filter(|account| {
            account
                .local()
                .is_some_and(|local| !local.is_empty() && !local.contains(['+', '#', '$', '\0']))
        })
        .ok_or(Refusal::new(Reason::NotAcceptable).say("this cannot be the name of an account"))
}

pub(super) fn bad_password() -> Refusal {
    Refusal::new(Reason::NotAcceptable).say("this cannot be a password")
}

/// The job that makes keys of a new password, off the shard (S32).
pub(super) fn derivation(password: Zeroizing<String>, seed: &mut Seed) -> Action {
    let how = Derivation::with_salts(seed.bytes(), seed.bytes());
    Action::Work(Work(Box::new(move || {
        let prepared = Password::prepare(&password).ok();
        WorkDone::Derived(prepared.map(|password| Box::new(Credentials::derive(&password, &how))))
    })))
}
