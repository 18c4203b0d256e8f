//! PLAIN: the client sends the password, the hub compares it with the keys it keeps.
//!
//! Implements: RFC 4616, S32.

use super::{AccountRecord, Condition, SaslError, names::Names};
use crate::credentials::{Credentials, KnownPasswords};
use zeroize::Zeroizing;

/// A password to check against keys. It costs one PBKDF2, so the shell runs it off the shard, in a bounded pool (S32).
#[derive(Debug)]
pub struct PasswordCheck {
    password: Secret,
    credentials: Box<Credentials>,
}

impl PasswordCheck {
    /// A check for a carrier that brings a user name and a password by itself.
    pub fn new(password: String, credentials: Credentials) -> Self {
        Self {
            password: Secret(Zeroizing::new(password)),
            credentials: Box::new(credentials),
        }
    }

    /// Does the password fit? Takes milliseconds unless it is known to; wipes the password.
    pub fn run(self, known: &KnownPasswords) -> bool {
        known.verify(&self.credentials, &self.password.0)
    }
}

/// The client has spoken; the shell owes the account.
pub(super) struct AwaitAccount {
    pub(super) account: String,
    password: Secret,
    decoy: Credentials,
}

impl AwaitAccount {
    /// Reads `[authzid] NUL authcid NUL passwd` (RFC 4616 §2).
    pub(super) fn receive(
        data: &[u8],
        names: &Names,
        decoy_secret: &[u8; 32],
    ) -> Result<Self, SaslError> {
        const MALFORMED: SaslError = SaslError::new(Condition::MalformedRequest);
        let message = std::str::from_utf8(data).map_err(|_| MALFORMED)?;
        let mut fields = message.split('\0');
        let (Some(authzid), Some(authcid), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(MALFORMED);
        };
        // RFC 4616 §2: authcid = 1*SAFE, passwd = 1*SAFE; an absent authzid is an empty one.
        if authcid.is_empty() || password.is_empty() {
            return Err(MALFORMED);
        }
        let account = names
            .account(authcid)
            .ok_or(SaslError::new(Condition::NotAuthorized))?;
        names.authorize(
            Some(authzid).filter(|authzid| !authzid.is_empty()),
            &account,
        )?;
        Ok(Self {
            // Made for every name, found or not, so that both take the same time.
            decoy: Credentials::decoy(decoy_secret, &account),
            account,
            password: Secret(Zeroizing::new(password.to_owned())),
        })
    }

    /// An account that does not exist, or has no password, is checked against its decoy: same work, never right.
    pub(super) fn found(self, record: Option<AccountRecord>) -> (AwaitVerdict, PasswordCheck) {
        let enabled = record.as_ref().is_none_or(|record| record.enabled);
        let credentials = record
            .and_then(|record| record.credentials)
            .unwrap_or(self.decoy);
        (
            AwaitVerdict {
                account: self.account,
                enabled,
            },
            PasswordCheck {
                password: self.password,
                credentials: Box::new(credentials),
            },
        )
    }
}

/// The shell owes the result of the [`PasswordCheck`].
pub(super) struct AwaitVerdict {
    account: String,
    enabled: bool,
}

impl AwaitVerdict {
    pub(super) fn decided(self, ok: bool) -> Result<String, SaslError> {
        match (ok, self.enabled) {
            (true, true) => Ok(self.account),
            // Only who knows the password learns this.
            (true, false) => Err(SaslError::new(Condition::AccountDisabled)),
            (false, _) => Err(SaslError::new(Condition::NotAuthorized)),
        }
    }
}

/// Wiped when dropped, and absent from logs.
struct Secret(Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
