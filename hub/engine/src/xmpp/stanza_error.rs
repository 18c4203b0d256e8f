//! Stanza errors: a refusal in XMPP's words.
//!
//! Implements: RFC 6120 §8.3 (conditions, types, text), XEP-0060 (the conditions of `pubsub#errors`), XEP-0191 1.3 §3.3
//! (`<blocked/>`). Not: `by` (§8.3.1,
//! optional: the refusing entity is the error's `from`), `redirect` (§8.3.3.14: the hub sends nobody elsewhere).

use crate::{
    refusal::{Detail, Refusal},
    xmpp::{command, namespace as ns, pubsub::render_detail, xml::Writer},
};

/// Writes `<error/>` into a stanza that is open.
pub fn write(refusal: &Refusal, w: &mut Writer<'_>) {
    w.open("error").attr("type", refusal.advice());
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
        Some(Detail::Blocked) => {
            w.open("blocked")
                .attr("xmlns", ns::BLOCKING_ERRORS)
                .close("blocked");
        }
        Some(detail) => render_detail(detail, w),
        None => {}
    }
    w.close("error");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

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
    fn xep_0191_s3_3_who_is_blocked_is_said_so_by_its_own_condition() {
        assert_eq!(
            written(Refusal::blocked()),
            "<error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <blocked xmlns='urn:xmpp:blocking:errors'/></error>"
        );
    }

    #[test]
    fn s8_3_3_a_full_store_asks_to_wait() {
        assert!(written(Reason::ResourceConstraint.into()).starts_with("<error type='wait'>"));
    }
}
