//! Stream errors: why a stream ends, whose fault that is, and the words sent to the peer.
//!
//! Implements: RFC 6120 §4.9 (every condition of §4.9.3, optional text, application-specific condition).

use std::fmt;

use crate::xmpp::namespace as ns;
use crate::xmpp::xml::Writer;

/// Why a stream is closed. A stanza error answers and lives on; one of these ends the stream.
///
/// The variants say who has to change something: the peer's software, the peer's appetite,
/// nobody (a decision of this hub), or the hub's own engineers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer broke a rule of the protocol.
    Peer(Condition, &'static str),
    /// The peer went past a bound that this hub announces in its documentation.
    Limit(Limit),
    /// The hub refuses or ends the stream on purpose: conflict, shutdown, no such host.
    Policy(Condition, &'static str),
    /// The peer is asked to connect somewhere else (RFC 6120 §4.9.3.19).
    SeeOtherHost(String),
    /// The hub cannot go on, through no fault of the peer. The words go to the log, not to the peer.
    Internal(&'static str),
}

/// A bound of one stream, with its value, so that the peer can be told what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// One stanza, or the stream header, has more bytes than this.
    StanzaBytes(u32),
    /// Elements are nested deeper than this.
    Depth(u16),
    /// One element has more attributes (declarations included) than this.
    Attributes(u16),
}

impl StreamError {
    /// XML that is broken, or whose namespaces are (RFC 6120 §4.9.3.13).
    pub(crate) const fn not_well_formed(why: &'static str) -> Self {
        Self::Peer(Condition::NotWellFormed, why)
    }

    /// XML that is correct but banned from streams (RFC 6120 §4.9.3.18, §11.1).
    pub(crate) const fn restricted(why: &'static str) -> Self {
        Self::Peer(Condition::RestrictedXml, why)
    }

    /// The defined condition sent to the peer.
    pub fn condition(&self) -> Condition {
        match self {
            Self::Peer(condition, _) | Self::Policy(condition, _) => *condition,
            // RFC 6120 §13.12 names policy-violation for whatever goes past a limit.
            Self::Limit(_) => Condition::PolicyViolation,
            Self::SeeOtherHost(_) => Condition::SeeOtherHost,
            Self::Internal(_) => Condition::InternalServerError,
        }
    }

    /// Words for a person reading the peer's log; empty when the condition says it all.
    pub fn text(&self) -> String {
        match self {
            Self::Peer(_, why) | Self::Policy(_, why) => (*why).to_owned(),
            Self::Limit(limit) => limit.to_string(),
            Self::SeeOtherHost(_) | Self::Internal(_) => String::new(),
        }
    }

    /// The application-specific condition in `urn:xmpp:errors`, where there is one.
    pub fn application_condition(&self) -> Option<&'static str> {
        match self {
            Self::Limit(Limit::StanzaBytes(_)) => Some("stanza-too-big"), // RFC 6120 §4.9.3.14
            Self::Limit(Limit::Depth(_)) => Some("too-many-levels"),
            Self::Limit(Limit::Attributes(_)) => Some("too-many-attributes"),
            _ => None,
        }
    }

    /// Appends `<stream:error>`. The prefix `stream` must have been declared by our stream header.
    pub fn render_into(&self, out: &mut Vec<u8>) {
        let condition = self.condition();
        let mut w = Writer::new(out);
        w.open("stream:error");
        w.open(condition.name()).attr("xmlns", ns::STREAM_ERRORS);
        if let Self::SeeOtherHost(host) = self {
            w.text(host);
        }
        w.close(condition.name());
        let text = self.text();
        if !text.is_empty() {
            w.open("text")
                .attr("xmlns", ns::STREAM_ERRORS)
                .attr("xml:lang", "en");
            w.text(&text).close("text");
        }
        if let Some(name) = self.application_condition() {
            w.open(name)
                .attr("xmlns", ns::APPLICATION_ERRORS)
                .close(name);
        }
        w.close("stream:error");
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition().name())?;
        match self {
            Self::SeeOtherHost(host) => write!(f, ": {host}"),
            Self::Internal(why) => write!(f, ": {why}"),
            _ => {
                let text = self.text();
                if text.is_empty() {
                    Ok(())
                } else {
                    write!(f, ": {text}")
                }
            }
        }
    }
}

impl std::error::Error for StreamError {}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StanzaBytes(max) => write!(f, "a stanza may have at most {max} bytes"),
            Self::Depth(max) => write!(f, "elements may be nested at most {max} deep"),
            Self::Attributes(max) => write!(f, "an element may have at most {max} attributes"),
        }
    }
}

/// Declares [`Condition`] and its element names together, in the order of RFC 6120 §4.9.3.
macro_rules! conditions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The defined conditions of RFC 6120 §4.9.3.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Condition { $($(#[doc = $doc])+ $variant,)+ }

        impl Condition {
            /// Every condition, in the order of the document.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name of the condition's element.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

conditions! {
    /// §4.9.3.1: XML that cannot be processed.
    BadFormat = "bad-format",
    /// §4.9.3.2: a stream prefix that is unsupported, or missing where one is needed.
    BadNamespacePrefix = "bad-namespace-prefix",
    /// §4.9.3.3: another stream has taken this one's place.
    Conflict = "conflict",
    /// §4.9.3.4: the peer was silent for too long.
    ConnectionTimeout = "connection-timeout",
    /// §4.9.3.5: the host is no longer served here.
    HostGone = "host-gone",
    /// §4.9.3.6: the host is not served here.
    HostUnknown = "host-unknown",
    /// §4.9.3.7: `to` or `from` is missing or wrong.
    ImproperAddressing = "improper-addressing",
    /// §4.9.3.8: the hub failed.
    InternalServerError = "internal-server-error",
    /// §4.9.3.9: `from` is not an address of this stream.
    InvalidFrom = "invalid-from",
    /// §4.9.3.10: the stream or content namespace is not supported.
    InvalidNamespace = "invalid-namespace",
    /// §4.9.3.11: XML that violates a schema the hub checks.
    InvalidXml = "invalid-xml",
    /// §4.9.3.12: data before sign-in, or without the right to send it.
    NotAuthorized = "not-authorized",
    /// §4.9.3.13: XML that is not (namespace-)well-formed.
    NotWellFormed = "not-well-formed",
    /// §4.9.3.14: a local rule or limit was broken.
    PolicyViolation = "policy-violation",
    /// §4.9.3.15: another server needed for sign-in cannot be reached.
    RemoteConnectionFailed = "remote-connection-failed",
    /// §4.9.3.16: the stream must be negotiated anew.
    Reset = "reset",
    /// §4.9.3.17: the hub lacks what it takes to serve the stream.
    ResourceConstraint = "resource-constraint",
    /// §4.9.3.18: XML features banned from streams.
    RestrictedXml = "restricted-xml",
    /// §4.9.3.19: connect to another host.
    SeeOtherHost = "see-other-host",
    /// §4.9.3.20: the hub is going down.
    SystemShutdown = "system-shutdown",
    /// §4.9.3.21: a condition that has no name in this list.
    UndefinedCondition = "undefined-condition",
    /// §4.9.3.22: anything but UTF-8.
    UnsupportedEncoding = "unsupported-encoding",
    /// §4.9.3.23: a mandatory feature is not supported by the peer.
    UnsupportedFeature = "unsupported-feature",
    /// §4.9.3.24: a first-level element that is not understood.
    UnsupportedStanzaType = "unsupported-stanza-type",
    /// §4.9.3.25: a stream version that is not supported.
    UnsupportedVersion = "unsupported-version",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(error: &StreamError) -> String {
        let mut out = Vec::new();
        error.render_into(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_condition_of_the_document_has_its_name() {
        assert_eq!(Condition::ALL.len(), 25);
        let mut names: Vec<_> = Condition::ALL.iter().map(|c| c.name()).collect();
        assert!(
            names.is_sorted(),
            "the document lists them in alphabetical order"
        );
        names.dedup();
        assert_eq!(names.len(), 25);
    }

    #[test]
    fn an_oversized_stanza_is_a_policy_violation_with_its_own_condition() {
        assert_eq!(
            rendered(&StreamError::Limit(Limit::StanzaBytes(65536))),
            "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>a stanza may have at most 65536 bytes</text>\
             <stanza-too-big xmlns='urn:xmpp:errors'/></stream:error>"
        );
    }

    #[test]
    fn see_other_host_carries_the_host() {
        assert_eq!(
            rendered(&StreamError::SeeOtherHost("[::1]:5222".into())),
            "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>[::1]:5222</see-other-host></stream:error>"
        );
    }

    #[test]
    fn what_went_wrong_inside_is_not_told_to_the_peer() {
        let error = StreamError::Internal("the store is gone");
        assert!(!rendered(&error).contains("store"));
        assert_eq!(
            error.to_string(),
            "internal-server-error: the store is gone"
        );
    }
}
