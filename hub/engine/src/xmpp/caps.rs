//! Entity capabilities: what presence announces, what a client answers when it is asked, and the hub's own.
//!
//! Implements: XEP-0115 1.6.0 §4, §5.1, §5.4, §6.1 to §6.3; XEP-0060 1.30 §9.2 (`+notify`). Not: the legacy format without
//! `hash`, which §11 has ignored; caps optimization (§8.4).

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::{
    address::BareJid,
    capabilities::{Announced, Disclosed, Verification, Wishes},
    node::NodeId,
    xmpp::{
        disco::{self, Hub},
        namespace as ns,
        xml::{Element, Scope, Tree, Writer},
    },
};

/// The hub's name as a piece of software (§4: `node`).
const NODE: &str = "urn:leveret";
/// Longest `node` and `ver` that are asked for, in bytes.
const NODE_BYTES_MAX: usize = 1_024;
/// What follows the name of a node that a client wants to hear of.
const NOTIFY: &str = "+notify";
/// How the hub's questions are told from its pings.
const QUESTION: &str = "caps-";

/// The capabilities that a presence announces, if it does.
pub fn announced(presence: Element<'_>) -> Option<Announced> {
    let c = presence.child("c", ns::CAPS)?;
    let (node, ver, hash) = (c.attr("node")?, c.attr("ver")?, c.attr("hash")?);
    if node.len() + ver.len() > NODE_BYTES_MAX {
        return None;
    }
    let bytes = BASE64.decode(ver).ok();
    let verification = bytes.and_then(|bytes| match hash {
        "sha-1" => bytes.try_into().ok().map(Verification::Sha1),
        "sha-256" => bytes.try_into().ok().map(Verification::Sha256),
        _ => None,
    });
    Some(Announced {
        node: format!("{node}#{ver}").into(),
        verification,
    })
}

/// Writes the question what a client can (§6.2).
pub fn write_question(number: u32, node: &str, hub: &BareJid, to: &str, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("iq").attr("to", to).attr("from", hub.as_str());
    w.attr("type", "get")
        .attr("id", &format!("{QUESTION}{number}"));
    w.open("query").attr("xmlns", ns::DISCO_INFO);
    w.attr("node", node).close("query");
    w.close("iq");
}

/// The number of the question that a stanza of this id answers.
pub fn question_of(id: &str) -> Option<u32> {
    id.strip_prefix(QUESTION)?.parse().ok()
}

/// What the `<query/>` of an answer says.
pub fn disclosed(query: Element<'_>) -> Disclosed {
    let features = query
        .children()
        .filter(|child| child.is("feature", ns::DISCO_INFO));
    let names = features.filter_map(|feature| {
        let name = feature.attr("var")?.strip_suffix(NOTIFY)?;
        NodeId::parse(name).ok()
    });
    Disclosed {
        wishes: Wishes::new(names.collect()),
        hashes: verification_text(query).map(|text| {
            [
                Verification::Sha1(Sha1::digest(&text).into()),
                Verification::Sha256(Sha256::digest(&text).into()),
            ]
        }),
    }
}

/// The text that is hashed (§5.1); `None` if the answer is one that §5.4 calls ill-formed.
fn verification_text(query: Element<'_>) -> Option<String> {
    let mut identities = Vec::new();
    let mut features = Vec::new();
    let mut forms = BTreeMap::new();
    for child in query.children() {
        match (child.namespace(), child.name()) {
            (ns::DISCO_INFO, "identity") => {
                let attr = |name| child.attr(name).unwrap_or_default();
                let lang = child.attr_ns("lang", ns::XML).unwrap_or_default();
                identities.push((attr("category"), attr("type"), lang, attr("name")));
            }
            (ns::DISCO_INFO, "feature") => features.push(child.attr("var").unwrap_or_default()),
            (ns::DATA_FORM, "x") => {
                if let Some((form_type, fields)) = form(child)? {
                    // Two forms of one type.
                    if forms.insert(form_type, fields).is_some() {
                        return None;
                    }
                }
            }
            _ => {}
        }
    }
    // The collation is of octets (§5.1).
    identities.sort_unstable();
    features.sort_unstable();
    if identities.windows(2).any(|pair| pair[0] == pair[1])
        || features.windows(2).any(|pair| pair[0] == pair[1])
    {
        return None;
    }
    let mut text = String::new();
    let mut add = |piece: &str| {
        text.push_str(piece);
        text.push('<');
    };
    for (category, kind, lang, name) in identities {
        add(&format!("{category}/{kind}/{lang}/{name}"));
    }
    features.into_iter().for_each(&mut add);
    for (form_type, fields) in forms {
        add(&form_type);
        for (var, values) in fields {
            add(&var);
            values.iter().for_each(|value| add(value));
        }
    }
    Some(text)
}

/// A form's type, and its other fields with their values, all in order.
type Form = (String, Vec<(String, Vec<String>)>);

/// One extension form (§5.4, 3.6): `Some(None)` if it has no type and so does not count; `None` if it has several.
#[allow(
    clippy::option_option,
    reason = "three cases, as the document tells them apart"
)]
fn form(x: Element<'_>) -> Option<Option<Form>> {
    let (mut form_type, mut fields) = (None, Vec::new());
    for field in x
        .children()
        .filter(|child| child.is("field", ns::DATA_FORM))
    {
        let values = field
            .children()
            .filter(|child| child.is("value", ns::DATA_FORM));
        let mut values: Vec<String> = values.map(|value| value.text().into_owned()).collect();
        values.sort_unstable();
        let var = field.attr("var").unwrap_or_default();
        if var != "FORM_TYPE" {
            fields.push((var.to_owned(), values));
        } else if field.attr("type").is_none_or(|kind| kind == "hidden") {
            values.dedup();
            match (values.pop(), values.is_empty()) {
                (Some(value), true) => form_type = Some(value),
                (Some(_), false) => return None,
                (None, _) => {}
            }
        }
    }
    fields.sort_unstable();
    Some(form_type.map(|form_type| (form_type, fields)))
}

/// The hub's own capabilities as a stream feature (§6.3).
pub fn write_own(hub: Hub<'_>, w: &mut Writer<'_>) {
    w.open("c").attr("xmlns", ns::CAPS).attr("hash", "sha-1");
    w.attr("node", NODE).attr("ver", &own_ver(hub));
    w.close("c");
}

/// Whether this is what the hub's own capabilities are asked for by (§6.3).
pub fn is_own(node: &str, hub: Hub<'_>) -> bool {
    let ver = node
        .strip_prefix(NODE)
        .and_then(|rest| rest.strip_prefix('#'));
    ver.is_some_and(|ver| ver == own_ver(hub))
}

/// Made of what the hub answers, by the same function as that of clients: so the two cannot differ.
fn own_ver(hub: Hub<'_>) -> String {
    let mut info = Vec::new();
    disco::write_hub_info(hub, None, &mut Writer::new(&mut info));
    let (mut tree, scope) = (Tree::new(), Scope::client());
    let text = tree.parse(&info, &scope).ok().and_then(verification_text);
    BASE64.encode(Sha1::digest(text.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<R>(xml: &str, then: impl FnOnce(Element<'_>) -> R) -> R {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        then(tree.parse(xml.as_bytes(), &scope).unwrap())
    }

    fn ver(content: &str) -> Option<String> {
        let xml = format!("<query xmlns='{}'>{content}</query>", ns::DISCO_INFO);
        let Verification::Sha1(hash) = with(&xml, disclosed).hashes?[0] else {
            panic!()
        };
        Some(BASE64.encode(hash))
    }

    const FEATURES: &str = "<feature var='http://jabber.org/protocol/muc'/>\
        <feature var='http://jabber.org/protocol/disco#info'/>\
        <feature var='http://jabber.org/protocol/disco#items'/>\
        <feature var='http://jabber.org/protocol/caps'/>";

    #[test]
    fn s5_2_the_simple_example() {
        let identity = "<identity category='client' type='pc' name='Exodus 0.9.1'/>";
        assert_eq!(
            ver(&format!("{identity}{FEATURES}")).unwrap(),
            "QgayPKawpkPSDYmwT/WM94uAlu0="
        );
    }

    #[test]
    fn s5_3_the_complex_example() {
        let psi = "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
            <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>";
        let form = "<x xmlns='jabber:x:data' type='result'>\
            <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
            <field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field>\
            <field var='os'><value>Mac</value></field><field var='os_version'><value>10.5.1</value></field>\
            <field var='software'><value>Psi</value></field>\
            <field var='software_version'><value>0.11</value></field></x>";
        assert_eq!(
            ver(&format!("{psi}{FEATURES}{form}")).unwrap(),
            "q07IKJEyjvHSyhy//CH0CxmKi8w="
        );
    }

    #[test]
    fn s5_4_what_is_ill_formed_has_no_hash() {
        let identity = "<identity category='client' type='pc' name='x'/>";
        let form = "<x xmlns='jabber:x:data' type='result'>\
            <field var='FORM_TYPE' type='hidden'><value>urn:f</value></field></x>";
        let two_types = "<x xmlns='jabber:x:data' type='result'>\
            <field var='FORM_TYPE' type='hidden'><value>urn:f</value><value>urn:g</value></field></x>";
        for wrong in [
            format!("{identity}{identity}"),
            format!("{FEATURES}{FEATURES}"),
            format!("{form}{form}"),
            two_types.to_owned(),
        ] {
            assert_eq!(ver(&wrong), None, "{wrong}");
        }
        // Without a type, or with one that is not hidden, a form does not count (3.6).
        let untyped =
            "<x xmlns='jabber:x:data' type='result'><field var='a'><value>1</value></field></x>";
        let shown = form.replace("hidden", "text-single");
        for ignored in [untyped, &shown] {
            assert_eq!(ver(&format!("{identity}{ignored}")), ver(identity));
        }
    }

    #[test]
    fn s4_what_presence_announces_and_s11_the_legacy_format_is_ignored() {
        let read = |c: &str| with(&format!("<presence>{c}</presence>"), announced);
        let c = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>";
        let known = read(c).unwrap();
        assert_eq!(&*known.node, "urn:n#QgayPKawpkPSDYmwT/WM94uAlu0=");
        assert!(matches!(known.verification, Some(Verification::Sha1(_))));
        // A hash that is not known, or is not of its length, cannot be checked.
        for hash in ["md5", "sha-256"] {
            let other = read(&c.replace("sha-1", hash)).unwrap();
            assert_eq!(other.verification, None);
        }
        assert_eq!(read(&c.replace("hash='sha-1' ", "")), None);
        assert_eq!(
            read("<c xmlns='urn:other' hash='sha-1' node='n' ver='v'/>"),
            None
        );
        assert_eq!(read(&c.replace("urn:n", &"n".repeat(2_000))), None);
    }

    #[test]
    fn xep_0060_s9_2_wishes_are_the_features_that_end_with_notify() {
        let wishes = with(
            "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:b+notify'/>\
             <feature var='urn:a+notify'/><feature var='urn:c'/><feature var='+notify'/></query>",
            disclosed,
        )
        .wishes;
        let names: Vec<_> = wishes.names().iter().map(NodeId::as_str).collect();
        assert_eq!(names, ["urn:a", "urn:b"]);
    }

    #[test]
    fn s6_3_the_hubs_own_is_the_hash_of_what_it_answers() {
        let contacts = crate::xmpp::contact::Contacts::default();
        let hub = |version| Hub {
            software: "Leveret",
            version,
            contacts: &contacts,
        };
        let mut own = Vec::new();
        write_own(hub("1"), &mut Writer::new(&mut own));
        let own = String::from_utf8(own).unwrap();
        let (_, ver) = own.split_once("ver='").unwrap();
        let ver = ver.trim_end_matches("'/>");
        assert!(is_own(&format!("{NODE}#{ver}"), hub("1")));
        assert!(!is_own(&format!("{NODE}#{ver}"), hub("2")));
        let mut info = Vec::new();
        disco::write_hub_info(hub("1"), None, &mut Writer::new(&mut info));
        let disclosed = with(std::str::from_utf8(&info).unwrap(), disclosed);
        let Verification::Sha1(hash) = disclosed.hashes.unwrap()[0] else {
            panic!()
        };
        assert_eq!(BASE64.encode(hash), ver);
    }
}
