//! From an element to a payload: what may be kept and passed on (S24).
//!
//! Implements: XEP-0060 1.30 §7.1.3.6 as far as it looks at the payload alone.

use bytes::Bytes;

use crate::{
    payload::Payload,
    refusal::{Detail, Reason, Refusal},
    xmpp::{namespace as ns, xml::Element},
};

/// The payload that `holder`, an `<item/>`, carries: one namespaced element, or none.
///
/// An element without a namespace of its own inherits the one of `<pubsub/>`, and would change it on its way into an
/// `<event/>`: the bytes would mean something else there, so it is refused and not mended.
pub fn read_payload(holder: Element<'_>) -> Result<Option<Payload>, Refusal> {
    let invalid = || Refusal::new(Reason::BadRequest).because(Detail::InvalidPayload);
    let mut children = holder.children();
    let text = holder.text();
    let bare_text = !text.trim_ascii().is_empty();
    match (children.next(), children.next()) {
        (None, _) if bare_text => Err(invalid()),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(invalid()),
        (Some(_), None) if bare_text => Err(invalid()),
        (Some(element), None) => {
            let inherited = matches!(
                element.namespace(),
                "" | ns::PUBSUB | ns::PUBSUB_OWNER | ns::PUBSUB_EVENT
            );
            if inherited {
                return Err(invalid().say("the payload needs a namespace of its own"));
            }
            Ok(Some(Payload::xml(Bytes::from(
                element.closed().into_owned(),
            ))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn read(item: &str) -> Result<Option<Payload>, Refusal> {
        let whole = format!(
            "<pubsub xmlns='{}' xmlns:p='urn:p'>{item}</pubsub>",
            ns::PUBSUB
        );
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let pubsub = tree.parse(whole.as_bytes(), &scope).unwrap();
        read_payload(pubsub.children().next().unwrap())
    }

    #[test]
    fn s24_a_payload_stands_alone_whatever_it_relied_on() {
        let bytes = |item| read(item).unwrap().map(|payload| payload.bytes);
        assert_eq!(bytes("<item/>"), None);
        assert_eq!(
            bytes("<item> <t xmlns='urn:t'>1 &lt; 2</t>\n</item>").unwrap(),
            "<t xmlns='urn:t'>1 &lt; 2</t>"
        );
        assert_eq!(
            bytes("<item><p:t><p:u/></p:t></item>").unwrap(),
            "<p:t xmlns:p='urn:p'><p:u/></p:t>"
        );
    }

    #[test]
    fn s24_what_is_not_one_namespaced_element_is_an_invalid_payload() {
        for item in [
            "<item><t/></item>",
            "<item><t xmlns=''/></item>",
            "<item>text</item>",
            "<item><t xmlns='urn:t'/>text</item>",
            "<item><t xmlns='urn:t'/><t xmlns='urn:t'/></item>",
        ] {
            let refusal = read(item).unwrap_err();
            assert_eq!(refusal.reason, Reason::BadRequest, "{item}");
            assert_eq!(refusal.detail, Some(Detail::InvalidPayload), "{item}");
        }
    }
}
