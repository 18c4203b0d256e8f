//! The text for people beside a payload that their client may not understand.
//!
//! Implements: XEP-0060 1.30 §12.8 by one transformation for every payload: an Atom entry's summary or title, of anything else
//! the character data. Not: `pubsub#body_xslt`, which is kept for receivers and never run here.

use bytes::Bytes;

use crate::{
    event::NodeChange,
    xmpp::{
        namespace as ns,
        xml::{Element, Scope, Tree, Writer},
    },
};

const ATOM: &str = "http://www.w3.org/2005/Atom";

/// Longest text, in bytes: a body is a summary, and the payload beside it says the rest.
const BODY_BYTES_MAX: usize = 1_024;

/// The `<body/>` of an item's notification; nothing where the notification carries no payload, or that has no text.
pub fn render_body(change: &NodeChange) -> Bytes {
    let NodeChange::Published {
        item,
        payload: true,
        reply: None,
    } = change
    else {
        return Bytes::new();
    };
    let Some(payload) = &item.payload else {
        return Bytes::new();
    };
    let (mut tree, scope) = (Tree::new(), Scope::client());
    let text = match tree.parse(&payload.bytes, &scope) {
        Ok(element) => summary(element),
        // Checked when it was published; what a store damaged has no text.
        Err(_) => String::new(),
    };
    if text.is_empty() {
        return Bytes::new();
    }
    let mut out = Vec::with_capacity(text.len() + 40);
    let mut w = Writer::new(&mut out);
    w.open("body").attr("xmlns", ns::CLIENT);
    w.text(&text).close("body");
    out.into()
}

fn summary(payload: Element<'_>) -> String {
    let mut text = String::new();
    let told = if payload.is("entry", ATOM) {
        let part = |name| payload.child(name, ATOM);
        part("summary").or_else(|| part("title")).unwrap_or(payload)
    } else {
        payload
    };
    gather(told, &mut text);
    text
}

/// All character data below, pieces parted by one space.
fn gather(element: Element<'_>, text: &mut String) {
    let own = element.text();
    for word in own.split_ascii_whitespace() {
        let room = BODY_BYTES_MAX.saturating_sub(text.len() + 1);
        if room == 0 {
            return;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        let end = (0..=word.len().min(room)).rev();
        let end = end.into_iter().find(|&end| word.is_char_boundary(end));
        text.push_str(&word[..end.unwrap_or(0)]);
    }
    for child in element.children() {
        gather(child, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::FullJid, class::Class, item::Item, node::ItemId, payload::Payload, time::Timestamp,
    };

    fn body(xml: &str, payload: bool) -> String {
        let item = Item {
            id: ItemId::parse("1").unwrap(),
            publisher: FullJid::parse("a@b/c").unwrap(),
            published: Timestamp::default(),
            payload: Some(Payload::xml(xml.to_owned().into())),
            class: Class::Event,
        };
        let change = NodeChange::Published {
            item: item.into(),
            payload,
            reply: None,
        };
        String::from_utf8(render_body(&change).to_vec()).unwrap()
    }

    #[test]
    fn s12_8_an_atom_entry_is_summed_up_by_its_summary_or_else_its_title() {
        let entry = "<entry xmlns='http://www.w3.org/2005/Atom'><title>Soliloquy</title>";
        let summed = format!("{entry}<summary>To be,\n or not &amp; so on</summary></entry>");
        assert_eq!(
            body(&summed, true),
            "<body xmlns='jabber:client'>To be, or not &amp; so on</body>"
        );
        let titled = format!("{entry}</entry>");
        assert_eq!(
            body(&titled, true),
            "<body xmlns='jabber:client'>Soliloquy</body>"
        );
    }

    #[test]
    fn s12_8_anything_else_is_its_text_cut_at_a_character() {
        let reading = "<r xmlns='urn:r'><t>21</t>  <h>40 %</h></r>";
        assert_eq!(
            body(reading, true),
            "<body xmlns='jabber:client'>21 40 %</body>"
        );
        let long = format!("<r xmlns='urn:r'>{}</r>", "é".repeat(BODY_BYTES_MAX));
        let whole = body(&long, true);
        assert!(whole.len() <= BODY_BYTES_MAX + 40 && whole.ends_with("é</body>"));
    }

    #[test]
    fn s12_8_no_body_without_payload_or_text() {
        assert_eq!(body("<r xmlns='urn:r'>21</r>", false), "");
        assert_eq!(body("<r xmlns='urn:r'><empty/></r>", true), "");
    }
}
