//! Stanza errors: a refusal in XMPP's words.
//!
//! Implements: RFC 6120 §8.3 (conditions, types, text), XEP-0060 (the conditions of `pubsub#errors`). Not: `by` (§8.3.1,
//! optional: the refusing entity is the error's `from`), `redirect` (§8.3.3.14: the hub sends nobody elsewhere).

use crate::{
    refusal::{Detail, Reason, Refusal},
    xmpp::{command, namespace as ns, pubsub::render_detail, xml::Writer},
};

/// Writes `<error/>` into a stanza that is open.
pub fn write(refusal: &Refusal, w: &mut Writer<'_>) {
    w.open("error").attr("type", kind(refusal));
    let condition = refusal.reason.name();
    w.open(condition)
        .attr("xmlns", ns::STANZA_ERRORS)
        .close(condition);
    // RFC 6120 §8.3.2: the text comes after the condition, the application's own condition last.
    if let Some(text) = &refusal.text {
        w.open("text")
            .attr("xmlns", ns::STANZA_ERRORS)
            .attr("xml:lang", "en")
            .text(text)
            .close("text");
    }
    match refusal.detail {
        Some(Detail::Command(fault)) => command::write_fault(fault, w),
        Some(detail) => render_detail(detail, w),
        None => {}
    }
    w.close("error");
}

/// The error type (§8.3.2).
const fn kind(refusal: &Refusal) -> &'static str {
    match refusal.reason {
        // XEP-0060 §6.2.3: waiting does not make somebody a subscriber.
        Reason::UnexpectedRequest if refusal.detail.is_some() => "cancel",
        reason => reason.advice(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(refusal: Refusal) -> String {
        let mut out = Vec::new();
        write(&refusal, &mut Writer::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_condition_comes_first_then_the_text_then_the_pubsub_condition() {
        assert_eq!(
            written(
                Refusal::new(Reason::BadRequest)
                    .because(Detail::SubidRequired)
                    .say("which one?")
            ),
            "<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>which one?</text>\
             <subid-required xmlns='http://jabber.org/protocol/pubsub#errors'/></error>"
        );
    }

    #[test]
    fn xep_0060_an_unsupported_feature_is_named() {
        assert_eq!(
            written(
                Refusal::new(Reason::FeatureNotImplemented)
                    .because(Detail::Unsupported("collections"))
            ),
            "<error type='cancel'><feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <unsupported xmlns='http://jabber.org/protocol/pubsub#errors' feature='collections'/></error>"
        );
    }

    #[test]
    fn s8_3_3_a_full_store_asks_to_wait() {
        assert!(written(Reason::ResourceConstraint.into()).starts_with("<error type='wait'>"));
    }
}
