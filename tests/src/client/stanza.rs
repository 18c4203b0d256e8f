//! The stanzas that scripted clients send, as text.

use super::xml::escaped;

/// The namespace of payloads in tests; the payload is a number.
pub const READING: &str = "urn:leveret:test:reading";

/// A query to the pubsub service.
fn pubsub(kind: &str, id: &str, to: &str, owner: bool, body: &str) -> String {
    let owner = if owner { "#owner" } else { "" };
    format!(
        "<iq type='{kind}' id='{id}' to='{to}'><pubsub xmlns='http://jabber.org/protocol/pubsub{owner}'>{body}</pubsub></iq>",
        to = escaped(to),
    )
}

/// Makes a node (XEP-0060 §8.1) with these options.
pub fn create(id: &str, service: &str, node: &str, options: &[(&str, &str)]) -> String {
    let form = node_config(options);
    let body = format!(
        "<create node='{}'/><configure>{form}</configure>",
        escaped(node)
    );
    pubsub("set", id, service, false, &body)
}

fn node_config(options: &[(&str, &str)]) -> String {
    let fields: String = options
        .iter()
        .map(|(name, value)| format!("<field var='{name}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#node_config</value></field>{fields}</x>"
    )
}

/// Sets a node otherwise (XEP-0060 §8.2).
pub fn configure(id: &str, service: &str, node: &str, options: &[(&str, &str)]) -> String {
    let form = node_config(options);
    let body = format!("<configure node='{}'>{form}</configure>", escaped(node));
    pubsub("set", id, service, true, &body)
}

/// Removes all items of a node (XEP-0060 §8.5).
pub fn purge(id: &str, service: &str, node: &str) -> String {
    let body = format!("<purge node='{}'/>", escaped(node));
    pubsub("set", id, service, true, &body)
}

/// Takes an item back (XEP-0060 §7.2).
pub fn retract(id: &str, service: &str, node: &str, item: &str) -> String {
    let body = format!(
        "<retract node='{}'><item id='{}'/></retract>",
        escaped(node),
        escaped(item)
    );
    pubsub("set", id, service, false, &body)
}

/// Removes a node (XEP-0060 §8.4).
pub fn delete(id: &str, service: &str, node: &str) -> String {
    let body = format!("<delete node='{}'/>", escaped(node));
    pubsub("set", id, service, true, &body)
}

/// Publishes a reading (XEP-0060 §7.1).
pub fn publish(id: &str, service: &str, node: &str, item: &str, reading: u64) -> String {
    let body = format!(
        "<publish node='{}'><item id='{}'><reading xmlns='{READING}'>{reading}</reading></item></publish>",
        escaped(node),
        escaped(item)
    );
    pubsub("set", id, service, false, &body)
}

/// Subscribes an address (XEP-0060 §6.1).
pub fn subscribe(id: &str, service: &str, node: &str, jid: &str) -> String {
    let body = format!(
        "<subscribe node='{}' jid='{}'/>",
        escaped(node),
        escaped(jid)
    );
    pubsub("set", id, service, false, &body)
}

/// Ends a subscription (XEP-0060 §6.2).
pub fn unsubscribe(id: &str, service: &str, node: &str, jid: &str) -> String {
    let body = format!(
        "<unsubscribe node='{}' jid='{}'/>",
        escaped(node),
        escaped(jid)
    );
    pubsub("set", id, service, false, &body)
}

/// Asks for the items of a node (XEP-0060 §6.5), in pages of `max` (XEP-0059), after one.
pub fn items(id: &str, service: &str, node: &str, max: u32, after: Option<&str>) -> String {
    let after = after.map_or_else(String::new, |it| format!("<after>{}</after>", escaped(it)));
    let body = format!(
        "<items node='{}'/><set xmlns='http://jabber.org/protocol/rsm'><max>{max}</max>{after}</set>",
        escaped(node)
    );
    pubsub("get", id, service, false, &body)
}

/// A chat message.
pub fn chat(id: &str, to: &str, body: &str) -> String {
    format!(
        "<message type='chat' id='{id}' to='{}'><body>{}</body></message>",
        escaped(to),
        escaped(body)
    )
}

/// Presence with a `<show/>`; an empty one is plain availability.
pub fn presence(show: &str) -> String {
    match show {
        "" => "<presence/>".into(),
        show => format!("<presence><show>{show}</show></presence>"),
    }
}

/// Unavailable presence.
pub fn unavailable() -> String {
    "<presence type='unavailable'/>".into()
}

/// A word of the subscription handshake (RFC 6121 §3).
pub fn handshake(kind: &str, to: &str) -> String {
    format!("<presence type='{kind}' to='{}'/>", escaped(to))
}

/// Asks for the roster (RFC 6121 §2.2).
pub fn roster(id: &str) -> String {
    format!("<iq type='get' id='{id}'><query xmlns='jabber:iq:roster'/></iq>")
}

/// Asks the account's own server whether it is there (XEP-0199).
pub fn ping(id: &str, to: &str) -> String {
    format!(
        "<iq type='get' id='{id}' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>",
        escaped(to)
    )
}
