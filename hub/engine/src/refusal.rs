//! Why the hub says no, in words that belong to no protocol: each protocol renders them as its own error.

use std::borrow::Cow;

/// The reason of a refusal. The names are those of RFC 6120 §8.3.3, the richest of our vocabularies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum Reason {
    BadRequest,
    Conflict,
    FeatureNotImplemented,
    Forbidden,
    Gone,
    InternalServerError,
    ItemNotFound,
    JidMalformed,
    NotAcceptable,
    NotAllowed,
    NotAuthorized,
    PolicyViolation,
    RecipientUnavailable,
    RegistrationRequired,
    RemoteServerNotFound,
    RemoteServerTimeout,
    ResourceConstraint,
    ServiceUnavailable,
    SubscriptionRequired,
    UndefinedCondition,
    UnexpectedRequest,
}

impl Reason {
    /// The specification's own word for it (RFC 6120 §8.3.3).
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::Conflict => "conflict",
            Self::FeatureNotImplemented => "feature-not-implemented",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::InternalServerError => "internal-server-error",
            Self::ItemNotFound => "item-not-found",
            Self::JidMalformed => "jid-malformed",
            Self::NotAcceptable => "not-acceptable",
            Self::NotAllowed => "not-allowed",
            Self::NotAuthorized => "not-authorized",
            Self::PolicyViolation => "policy-violation",
            Self::RecipientUnavailable => "recipient-unavailable",
            Self::RegistrationRequired => "registration-required",
            Self::RemoteServerNotFound => "remote-server-not-found",
            Self::RemoteServerTimeout => "remote-server-timeout",
            Self::ResourceConstraint => "resource-constraint",
            Self::ServiceUnavailable => "service-unavailable",
            Self::SubscriptionRequired => "subscription-required",
            Self::UndefinedCondition => "undefined-condition",
            Self::UnexpectedRequest => "unexpected-request",
        }
    }

    /// What whoever asked had best do, as recommended at each reason there: `auth`, `modify`, `wait` or `cancel`.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Forbidden
            | Self::NotAuthorized
            | Self::RegistrationRequired
            | Self::SubscriptionRequired => "auth",
            Self::BadRequest | Self::JidMalformed | Self::NotAcceptable | Self::PolicyViolation => {
                "modify"
            }
            Self::RecipientUnavailable
            | Self::RemoteServerTimeout
            | Self::ResourceConstraint
            | Self::UnexpectedRequest => "wait",
            Self::Conflict
            | Self::FeatureNotImplemented
            | Self::Gone
            | Self::InternalServerError
            | Self::ItemNotFound
            | Self::NotAllowed
            | Self::RemoteServerNotFound
            | Self::ServiceUnavailable
            | Self::UndefinedCondition => "cancel",
        }
    }
}

/// What exactly was wrong: the conditions of `http://jabber.org/protocol/pubsub#errors`, and [`Blocked`](Self::Blocked).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum Detail {
    ClosedNode,
    ConfigurationRequired,
    InvalidJid,
    InvalidOptions,
    InvalidPayload,
    InvalidSubid,
    ItemForbidden,
    ItemRequired,
    JidRequired,
    MaxItemsExceeded,
    MaxNodesExceeded,
    NodeFull,
    NodeidRequired,
    NotInRosterGroup,
    NotSubscribed,
    PayloadTooBig,
    PayloadRequired,
    PendingSubscription,
    PreconditionNotMet,
    PresenceSubscriptionRequired,
    SubidRequired,
    TooManySubscriptions,
    UnsupportedAccessModel,
    /// The condition of an ad-hoc command.
    Command(CommandFault),
    /// The asker has blocked whom it speaks to (XEP-0191 §3.3).
    Blocked,
    /// The feature by its name in XEP-0060's table of features, without `pubsub#`.
    Unsupported(&'static str),
}

/// What was wrong with a step of an ad-hoc command (XEP-0050 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name is the specification's own word")]
pub enum CommandFault {
    BadAction,
    BadPayload,
    BadSessionid,
    MalformedAction,
    SessionExpired,
}

/// A command that was not carried out, and nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The general reason.
    pub reason: Reason,
    /// The application's own condition, where there is one.
    pub detail: Option<Detail>,
    /// Words for the person who reads the log of the device, in English.
    pub text: Option<Cow<'static, str>>,
}

impl Refusal {
    /// A refusal for `reason`.
    pub const fn new(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
            text: None,
        }
    }

    /// With the application's own condition.
    #[must_use]
    pub const fn because(mut self, detail: Detail) -> Self {
        self.detail = Some(detail);
        self
    }

    /// XEP-0191 §3.3: a stanza to somebody whom the sender has blocked.
    pub const fn blocked() -> Self {
        Self::new(Reason::NotAcceptable).because(Detail::Blocked)
    }

    /// What whoever asked had best do: that of the reason, but where a specification's own condition says otherwise.
    pub const fn advice(&self) -> &'static str {
        match (self.reason, self.detail) {
            // XEP-0060 §6.2.3: waiting does not make somebody a subscriber.
            (Reason::UnexpectedRequest, Some(_)) => "cancel",
            // XEP-0191 §3.3, example 7.
            (_, Some(Detail::Blocked)) => "cancel",
            (reason, _) => reason.advice(),
        }
    }

    /// With words that help.
    #[must_use]
    pub fn say(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(text.into());
        self
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}
