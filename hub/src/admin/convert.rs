//! Between what people type and what the tree keeps.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use leveret_engine::{
    item::NodeConfig,
    payload::Payload,
    xmpp::{
        data_form::Purpose,
        framing::{Frame, FrameLimits, Framer},
        namespace as ns,
        pubsub::write_config,
        xml::{Scope, Tree, Writer},
    },
};

/// The namespace of payloads that XML has no form for (DESIGN §5).
const PAYLOAD: &str = "urn:leveret:payload:0";
/// XEP-0335 §3.
const JSON: &str = "urn:xmpp:json:0";

/// The payload that bytes make (DESIGN §5): one namespaced element as itself, JSON in XEP-0335's container, other text and
/// data in ours.
pub(super) fn payload(bytes: &[u8]) -> Payload {
    if let Some(element) = element(bytes) {
        return Payload::xml(element);
    }
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut writer = Writer::new(&mut out);
    match std::str::from_utf8(bytes) {
        Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            writer
                .open("json")
                .attr("xmlns", JSON)
                .text(text)
                .close("json");
        }
        Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => {
            writer
                .open("text")
                .attr("xmlns", PAYLOAD)
                .attr("content-type", "text/plain")
                .text(text)
                .close("text");
        }
        _ => {
            let kind = "application/octet-stream";
            let data = BASE64.encode(bytes);
            writer
                .open("data")
                .attr("xmlns", PAYLOAD)
                .attr("content-type", kind)
                .text(&data)
                .close("data");
        }
    }
    Payload::xml(out.into())
}

/// The bytes as one element that stands alone, if they are one. Framing bounds its depth as it does a stanza's.
fn element(bytes: &[u8]) -> Option<Bytes> {
    let mut framer = Framer::new(FrameLimits::with_stanza_bytes(
        bytes.len().max(10_000) + 1_024,
    ));
    let mut header: &[u8] = b"<stream:stream xmlns='jabber:client' version='1.0' \
        xmlns:stream='http://etherx.jabber.org/streams'>";
    framer.next(&mut header).ok()?;
    let mut rest = bytes.trim_ascii();
    let Ok(Some(Frame::Element(whole))) = framer.next(&mut rest) else {
        return None;
    };
    let whole = whole.to_vec();
    if !rest.is_empty() {
        return None;
    }
    let (mut tree, scope) = (Tree::new(), Scope::empty());
    let element = tree.parse(&whole, &scope).ok()?;
    (!element.namespace().is_empty()).then(|| Bytes::from(element.closed().into_owned()))
}

/// A node's configuration as names and values: those of its form, so that the two cannot differ.
pub(super) fn config(config: &NodeConfig) -> Vec<(String, String)> {
    let mut form = Vec::new();
    write_config(config, Purpose::Result, &mut Writer::new(&mut form));
    let (mut tree, scope) = (Tree::new(), Scope::empty());
    let Ok(form) = tree.parse(&form, &scope) else {
        return Vec::new();
    };
    form.children()
        .filter(|field| field.attr("type") != Some("hidden"))
        .filter_map(|field| {
            let var = field.attr("var")?;
            let values = field
                .children()
                .filter(|child| child.is("value", ns::DATA_FORM));
            let values: Vec<_> = values.map(|value| value.text().into_owned()).collect();
            Some((
                var.trim_start_matches("pubsub#").to_owned(),
                values.join(", "),
            ))
        })
        .filter(|(var, _)| var != "FORM_TYPE")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(payload(bytes).bytes.to_vec()).unwrap()
    }

    #[test]
    fn an_element_with_a_namespace_travels_as_itself() {
        assert_eq!(
            text(b" <t xmlns='urn:t'><u/></t>\n"),
            "<t xmlns='urn:t'><u/></t>"
        );
        assert!(text(b"<t/>").starts_with("<text "));
        assert!(text(b"<t xmlns='urn:t'/><u/>").starts_with("<text "));
        assert!(text(b"<t xmlns='urn:t'>").starts_with("<text "));
    }

    #[test]
    fn json_text_and_data_have_their_containers() {
        assert_eq!(
            text(b"{\"a\": \"<\"}"),
            "<json xmlns='urn:xmpp:json:0'>{\"a\": \"&lt;\"}</json>"
        );
        assert!(text("grüß".as_bytes()).contains(">grüß</text>"));
        assert!(text(&[0xff, 0x00]).contains(">/wA=</data>"));
    }

    #[test]
    fn a_configuration_is_shown_by_the_names_of_its_form() {
        let shown = config(&NodeConfig::default());
        assert!(
            shown.contains(&("access_model".to_owned(), "open".to_owned())),
            "{shown:?}"
        );
        assert!(!shown.iter().any(|(name, _)| name == "FORM_TYPE"));
    }
}
