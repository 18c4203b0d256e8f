//! Sign-in, the hub's side: which mechanisms are offered, and one attempt as a value that is fed.
//!
//! Implements: RFC 4422 §3 (the exchange), RFC 6120 §6 (mechanisms, identities, errors); the mechanisms in their files.
//! Not: re-authentication after a success, security layers (§3.7), mechanism lists for servers.
//!
//! An [`Exchange`] sees the mechanisms' own octets and nothing of what carries them: base64, `<auth/>`, XEP-0388's
//! `<authenticate/>` or an MQTT AUTH packet are their carrier's business, and so are `=` for "empty" and incorrect-encoding.
//!
//! ```text
//! step       answered by      then
//! Challenge  respond          Lookup, or the end
//! Lookup     account_found    SCRAM: Challenge     PLAIN: Derive     EXTERNAL: the end
//! Derive     derived          the end
//! the end: Success or Failure; abort and unavailable lead there from anywhere
//! ```

mod channel_binding;
mod downgrade;
mod error;
mod external;
mod fuzz;
mod mechanism;
mod names;
mod plain;
mod scram;
#[cfg(test)]
mod tests;

pub use channel_binding::{
    ChannelBindingType, ChannelBindings, TLS_EXPORTER_BYTES, TLS_EXPORTER_LABEL,
};
pub use error::{Condition, SaslError, ScramError};
#[doc(hidden)]
pub use fuzz::fuzz_exchange;
pub use mechanism::{Channel, Mechanism};
pub use plain::PasswordCheck;

use crate::credentials::Credentials;
use names::Names;

/// Longest message a client may send, decoded. PLAIN's longest sensible one is some 5 KiB: two bare JIDs of 2,047 bytes
/// (RFC 7622 §3.1) and a password.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024;
const _: () = assert!(
    MESSAGE_BYTES_MAX >= 2 * 2047 + 2 + crate::credentials::PASSWORD_BYTES_MAX,
    "the longest names and password must fit into one PLAIN message"
);
/// Randomness the shell gives to each attempt: 144 bits, which is 24 characters of base64 without padding.
pub const NONCE_BYTES: usize = 18;

/// All that an attempt depends on besides the client.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The stream under it.
    pub channel: &'a Channel<'a>,
    /// The mechanisms as they were advertised, from [`Channel::offered`]: the client chose among them, and `h` hashes them.
    pub offered: &'a [Mechanism],
    /// Fresh from a cryptographic generator.
    pub nonce: &'a [u8; NONCE_BYTES],
    /// The hub's own secret for [`Credentials::decoy`].
    pub decoy_secret: &'a [u8; 32],
    /// Send XEP-0474's `h`? Right for a carrier that advertises mechanisms (and bindings, XEP-0440) in a list.
    pub downgrade_protection: bool,
}

/// One attempt to sign in, from the chosen mechanism to its end.
///
/// Contract: do what each [`Step`] says and call the method it names. After `Success` or `Failure` the exchange is over;
/// a call that the state does not expect ends it too, so that nothing can be tried twice on one challenge.
pub struct Exchange {
    mechanism: Mechanism,
    names: Names,
    state: State,
}

/// What the shell or session does next.
#[derive(Debug)]
pub enum Step {
    /// Send this to the client (it may be empty) and feed its answer to [`Exchange::respond`].
    Challenge(Vec<u8>),
    /// Find this account, then [`Exchange::account_found`].
    Lookup {
        /// The prepared localpart.
        account: String,
    },
    /// Run this off the shard (S32), then [`Exchange::derived`].
    Derive(PasswordCheck),
    /// Signed in.
    Success {
        /// The prepared localpart.
        account: String,
        /// The mechanism's last word to the client, to send with the success.
        data: Option<Vec<u8>>,
    },
    /// Not signed in.
    Failure(SaslError),
}

/// What the store knows of an account that exists.
#[derive(Clone, Debug)]
pub struct AccountRecord {
    /// Its keys; `None` if it has no password and signs in by certificate only.
    pub credentials: Option<Credentials>,
    /// May it sign in at all?
    pub enabled: bool,
}

/// Named by what is due next.
enum State {
    ExpectFirst(First),
    ExpectAccount(Lookup),
    ExpectProof(scram::AwaitProof),
    ExpectVerdict(plain::AwaitVerdict),
    Ended,
}

enum First {
    Scram(scram::Start),
    Plain {
        decoy_secret: zeroize::Zeroizing<[u8; 32]>,
    },
    External {
        accounts: Vec<String>,
    },
}

enum Lookup {
    Scram(scram::AwaitAccount),
    Plain(plain::AwaitAccount),
    External(String),
}

impl Exchange {
    /// Begins with the mechanism that the client chose, and its first message if it sent one along: `Some(b"")` is an
    /// empty message, `None` is none.
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>, ctx: &Context<'_>) -> (Self, Step) {
        let mut exchange = Self {
            mechanism,
            names: Names::new(ctx.channel),
            state: State::Ended,
        };
        if !ctx.offered.contains(&mechanism) {
            return (exchange, Step::Failure(refusal(mechanism, ctx)));
        }
        let first = match (mechanism, mechanism.scram_hash()) {
            (_, Some(hash)) => {
                First::Scram(scram::Start::new(hash, mechanism.binds_channel(), ctx))
            }
            (Mechanism::External, None) => First::External {
                accounts: ctx.channel.certificate_accounts(),
            },
            (_, None) => First::Plain {
                decoy_secret: zeroize::Zeroizing::new(*ctx.decoy_secret),
            },
        };
        exchange.state = State::ExpectFirst(first);
        let step = match initial {
            Some(data) => exchange.respond(data),
            // RFC 4422 §3: the client speaks first in all our mechanisms, so an empty challenge asks it to.
            None => Step::Challenge(Vec::new()),
        };
        (exchange, step)
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Is the exchange over?
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// The client's next message.
    pub fn respond(&mut self, data: &[u8]) -> Step {
        let state = self.take_state();
        if data.len() > MESSAGE_BYTES_MAX {
            return Step::Failure(SaslError::new(Condition::MalformedRequest));
        }
        match state {
            State::ExpectFirst(first) => self.receive_first(first, data),
            State::ExpectProof(state) => settle(
                state
                    .receive(data)
                    .map(|(account, data)| (account, Some(data))),
            ),
            // The client spoke out of turn, while an account or verdict is awaited, or after the end.
            State::ExpectAccount(_) | State::ExpectVerdict(_) | State::Ended => {
                Step::Failure(SaslError::new(Condition::MalformedRequest))
            }
        }
    }

    /// The answer to [`Step::Lookup`]. An unknown account (`None`) goes on like any other, and fails like a wrong
    /// password does, with the same messages after the same work.
    pub fn account_found(&mut self, record: Option<AccountRecord>) -> Step {
        match self.take_state() {
            State::ExpectAccount(Lookup::Scram(state)) => {
                let (state, challenge) = state.found(record);
                self.state = State::ExpectProof(state);
                Step::Challenge(challenge)
            }
            State::ExpectAccount(Lookup::Plain(state)) => {
                let (state, check) = state.found(record);
                self.state = State::ExpectVerdict(state);
                Step::Derive(check)
            }
            State::ExpectAccount(Lookup::External(account)) => {
                settle(external::found(account, record).map(|account| (account, None)))
            }
            _ => UNASKED,
        }
    }

    /// The answer to [`Step::Derive`]: what [`PasswordCheck::run`] returned.
    pub fn derived(&mut self, ok: bool) -> Step {
        match self.take_state() {
            State::ExpectVerdict(state) => settle(state.decided(ok).map(|account| (account, None))),
            _ => UNASKED,
        }
    }

    /// The client broke off (RFC 6120 §6.4.4).
    pub fn abort(&mut self) -> Step {
        self.state = State::Ended;
        Step::Failure(SaslError::new(Condition::Aborted))
    }

    /// The shell cannot answer a `Lookup` or `Derive` now: the store failed, or the pool for password work is full.
    pub fn unavailable(&mut self) -> Step {
        self.state = State::Ended;
        let scram = self.mechanism.scram_hash().map(|_| ScramError::NoResources);
        Step::Failure(SaslError {
            condition: Condition::TemporaryAuthFailure,
            scram,
        })
    }

    fn receive_first(&mut self, first: First, data: &[u8]) -> Step {
        let lookup = match first {
            First::Scram(start) => start.receive(data, &self.names).map(Lookup::Scram),
            First::Plain { decoy_secret } => {
                plain::AwaitAccount::receive(data, &self.names, &decoy_secret).map(Lookup::Plain)
            }
            First::External { accounts } => {
                external::receive(&accounts, data, &self.names).map(Lookup::External)
            }
        };
        match lookup {
            Ok(lookup) => {
                let account = match &lookup {
                    Lookup::Scram(state) => state.account.clone(),
                    Lookup::Plain(state) => state.account.clone(),
                    Lookup::External(account) => account.clone(),
                };
                self.state = State::ExpectAccount(lookup);
                Step::Lookup { account }
            }
            Err(error) => Step::Failure(error),
        }
    }

    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Ended)
    }
}

/// An answer that nobody asked for, late after an abort for instance. There is nothing left to decide.
const UNASKED: Step = Step::Failure(SaslError::new(Condition::TemporaryAuthFailure));

fn settle(result: Result<(String, Option<Vec<u8>>), SaslError>) -> Step {
    match result {
        Ok((account, data)) => Step::Success { account, data },
        Err(error) => Step::Failure(error),
    }
}

/// Why a mechanism that was not offered cannot be used.
fn refusal(mechanism: Mechanism, ctx: &Context<'_>) -> SaslError {
    let condition = match mechanism {
        // RFC 6120 §6.5.4: it might do after TLS.
        _ if !ctx.channel.encrypted && (ctx.channel.require_tls || mechanism.binds_channel()) => {
            Condition::EncryptionRequired
        }
        // RFC 6120 §6.5.9: known, but the carrier took it from the list.
        Mechanism::Plain | Mechanism::ScramSha1 | Mechanism::ScramSha256 => {
            Condition::MechanismTooWeak
        }
        // RFC 6120 §6.5.7: nothing here to bind to, no certificate that names an account.
        Mechanism::External | Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus => {
            Condition::InvalidMechanism
        }
    };
    SaslError::new(condition)
}
