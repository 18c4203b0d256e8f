//! The end of a session in the words of its stream.
//!
//! Implements: RFC 6120 §4.9.3 as the reasons of [`EndReason`] map to it.

use crate::{
    command::EndReason,
    xmpp::stream_error::{Condition, StreamError},
};

/// The stream error that tells the peer why; `None` where there is nothing to tell, or nobody to hear it.
pub(in crate::xmpp) const fn stream_error(reason: EndReason) -> Option<StreamError> {
    let (condition, text) = match reason {
        EndReason::Farewell | EndReason::LinkLost => return None,
        // §4.9.3.4.
        EndReason::Unresponsive => (
            Condition::ConnectionTimeout,
            "nothing was heard, not even an answer to a ping",
        ),
        // §4.9.3.3; §7.7.2.2: the newer session has the resource.
        EndReason::Replaced => (Condition::Conflict, "a newer session took this resource"),
        // §4.9.3.14: the operator's decision is the local policy.
        EndReason::Kicked => (Condition::PolicyViolation, "an operator ended this session"),
        // §4.9.3.12; XEP-0077 §3.2 asks for this condition when an account is removed, and a changed password ends the
        // right to the stream in the same way.
        EndReason::AccountChanged => (
            Condition::NotAuthorized,
            "the account was removed, disabled or given another password",
        ),
        // §4.9.3.17: what this peer did not read is more than the hub can keep for it (S9).
        EndReason::Overflow => (
            Condition::ResourceConstraint,
            "too much waits to be read by this client",
        ),
        // §4.9.3.14 stands for a fault that was not told apart where it happened.
        EndReason::ProtocolError => (
            Condition::PolicyViolation,
            "a rule of the protocol was broken",
        ),
        // §4.9.3.20.
        EndReason::Shutdown => (Condition::SystemShutdown, "the hub is going down"),
    };
    Some(StreamError::Policy(condition, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_own_condition() {
        for (reason, condition) in [
            (EndReason::Replaced, Condition::Conflict),
            (EndReason::Kicked, Condition::PolicyViolation),
            (EndReason::AccountChanged, Condition::NotAuthorized),
            (EndReason::Overflow, Condition::ResourceConstraint),
            (EndReason::Shutdown, Condition::SystemShutdown),
            (EndReason::Unresponsive, Condition::ConnectionTimeout),
        ] {
            assert_eq!(stream_error(reason).unwrap().condition(), condition);
        }
        assert_eq!(stream_error(EndReason::Farewell), None);
    }
}
