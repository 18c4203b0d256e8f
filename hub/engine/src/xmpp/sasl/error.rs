//! Why a sign-in failed: the condition for the carrier and, for SCRAM, the mechanism's own word.
//!
//! Implements: RFC 6120 §6.5 SASL errors; RFC 5802 §7 server-error-value.

use std::fmt;

/// A failed sign-in. The carrier sends `condition` in its own form, and may add `scram` as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaslError {
    /// The defined condition.
    pub condition: Condition,
    /// What SCRAM calls it, where the exchange is SCRAM's and has a word for it.
    pub scram: Option<ScramError>,
}

impl SaslError {
    pub(super) const fn new(condition: Condition) -> Self {
        Self {
            condition,
            scram: None,
        }
    }

    pub(super) const fn scram(condition: Condition, scram: ScramError) -> Self {
        Self {
            condition,
            scram: Some(scram),
        }
    }

    /// The client named a mechanism nobody knows: no exchange starts.
    pub const INVALID_MECHANISM: Self = Self::new(Condition::InvalidMechanism);
    /// The carrier could not undo its own encoding (base64 in XML): no exchange saw the data.
    pub const INCORRECT_ENCODING: Self = Self::new(Condition::IncorrectEncoding);

    /// SCRAM's final message with `e=`, for carriers that can bring data with a failure (RFC 5802 §5.1, "e").
    pub fn server_final(&self) -> Option<String> {
        self.scram.map(|error| format!("e={}", error.as_str()))
    }

    /// Was this an attempt on a password or identity that failed, and so one that the login limits count? A peer that
    /// breaks off, or cannot speak the protocol, has not guessed anything.
    pub fn counts_as_failed_login(&self) -> bool {
        matches!(
            self.condition,
            Condition::NotAuthorized | Condition::InvalidAuthzid
        )
    }
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())?;
        self.scram
            .map_or(Ok(()), |scram| write!(f, " ({})", scram.as_str()))
    }
}

impl std::error::Error for SaslError {}

/// The defined conditions of RFC 6120 §6.5, in its order. SASL2 uses the same (XEP-0388 §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// §6.5.1: the client broke off.
    Aborted,
    /// §6.5.2: the account is disabled; said only to who has proven the password or identity.
    AccountDisabled,
    /// §6.5.3: the credentials are right but too old.
    CredentialsExpired,
    /// §6.5.4: this mechanism is not for a plain stream.
    EncryptionRequired,
    /// §6.5.5: the carrier's encoding of the data is wrong.
    IncorrectEncoding,
    /// §6.5.6: the client may not act as the identity it asked for.
    InvalidAuthzid,
    /// §6.5.7: the mechanism was not offered.
    InvalidMechanism,
    /// §6.5.8: the message breaks the mechanism's grammar or order.
    MalformedRequest,
    /// §6.5.9: the mechanism is known, and weaker than policy allows.
    MechanismTooWeak,
    /// §6.5.10: wrong password, unknown account, wrong binding: deliberately one answer.
    NotAuthorized,
    /// §6.5.11: the hub cannot decide now; the client may try again.
    TemporaryAuthFailure,
}

impl Condition {
    /// The element's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}

/// RFC 5802 §7 server-error-value. `unknown-user` is missing on purpose: an unknown account is `invalid-proof`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramError {
    /// Not UTF-8, or base64 that is none.
    InvalidEncoding,
    /// A mandatory extension (`m=`), of which the hub knows none.
    ExtensionsNotSupported,
    /// The proof does not fit: wrong password or unknown account.
    InvalidProof,
    /// The client saw another channel than the hub did.
    ChannelBindingsDontMatch,
    /// The client says that no -PLUS mechanism was offered, but one was: somebody took it out.
    ServerDoesSupportChannelBinding,
    /// A binding in a mechanism without -PLUS.
    ChannelBindingNotSupported,
    /// A binding type that this channel does not have.
    UnsupportedChannelBindingType,
    /// The user name cannot be prepared, or breaks the escape rule.
    InvalidUsernameEncoding,
    /// The hub is too busy.
    NoResources,
    /// Anything else.
    OtherError,
}

impl ScramError {
    /// The value as it stands after `e=`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidEncoding => "invalid-encoding",
            Self::ExtensionsNotSupported => "extensions-not-supported",
            Self::InvalidProof => "invalid-proof",
            Self::ChannelBindingsDontMatch => "channel-bindings-dont-match",
            Self::ServerDoesSupportChannelBinding => "server-does-support-channel-binding",
            Self::ChannelBindingNotSupported => "channel-binding-not-supported",
            Self::UnsupportedChannelBindingType => "unsupported-channel-binding-type",
            Self::InvalidUsernameEncoding => "invalid-username-encoding",
            Self::NoResources => "no-resources",
            Self::OtherError => "other-error",
        }
    }
}
