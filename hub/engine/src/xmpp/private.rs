//! Private XML storage: what a client keeps for itself, by the name of its root element.
//!
//! Implements: XEP-0049 1.2 §2 (get and set, by namespace and name), §3 (errors), §4. Namespaces that are reserved are refused
//! as §2.3 allows. Of §2.3 and §3, which name three conditions for a request without child, the MUST is taken: `not-acceptable`.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    address::BareJid,
    command::Command,
    document::DocumentKey,
    message::IqKind,
    refusal::{Reason, Refusal},
    xmpp::{
        namespace as ns,
        xml::{Element, Writer},
    },
};

/// What a request to the own account asks.
pub fn read(query: Element<'_>, kind: IqKind, own: BareJid) -> Result<Command, Refusal> {
    let mut children = query.children();
    let first = children.next().ok_or_else(|| {
        Refusal::new(Reason::NotAcceptable).say("which element? The query has no child")
    })?;
    if kind == IqKind::Get {
        // §2.3: a client must not ask for more than one.
        if children.next().is_some() {
            return Err(Refusal::new(Reason::BadRequest).say("one element at a time"));
        }
        let key = key(first)?;
        return Ok(Command::GetDocument { of: own, key });
    }
    // Several elements of one name are kept together (§2.3: a set may hold them, and a result).
    let mut kept: BTreeMap<DocumentKey, Vec<u8>> = BTreeMap::new();
    for child in query.children() {
        let content = kept.entry(key(child)?).or_default();
        if !is_blank(child) {
            content.extend_from_slice(&child.closed());
        }
    }
    let changes = kept
        .into_iter()
        .map(|(key, content)| (key, (!content.is_empty()).then(|| Bytes::from(content))));
    Ok(Command::SetDocuments(changes.collect()))
}

fn key(child: Element<'_>) -> Result<DocumentKey, Refusal> {
    let namespace = child.namespace();
    let reserved = namespace.is_empty()
        || namespace.starts_with("jabber:")
        || namespace.starts_with("http://jabber.org/")
        || namespace == ns::VCARD;
    if reserved {
        return Err(Refusal::new(Reason::NotAcceptable)
            .say("this namespace is reserved: private data has one of its own"));
    }
    Ok(DocumentKey::new(namespace, child.name()))
}

/// Whether the element says nothing: to keep it is to forget what was kept, since that is how what is not there is answered.
pub fn is_blank(element: Element<'_>) -> bool {
    element.is_empty() && element.attributes().next().is_none()
}

/// Writes what was kept, or the element as it was asked for.
pub fn write(key: &DocumentKey, content: Option<&Bytes>, w: &mut Writer<'_>) {
    w.open("query").attr("xmlns", ns::PRIVATE);
    match content {
        Some(content) => w.raw(content),
        None => w
            .open(&key.name)
            .attr("xmlns", &key.namespace)
            .close(&key.name),
    };
    w.close("query");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn asked(children: &str, kind: IqKind) -> Result<Command, Reason> {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let xml = format!("<query xmlns='jabber:iq:private'>{children}</query>");
        let own = BareJid::new("hamlet", "shakespeare.lit").unwrap();
        read(tree.parse(xml.as_bytes(), &scope).unwrap(), kind, own)
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn s2_3_and_s3_what_is_refused() {
        use Reason::{BadRequest, NotAcceptable};
        for (children, kind, reason) in [
            ("", IqKind::Get, NotAcceptable),
            ("", IqKind::Set, NotAcceptable),
            ("<a xmlns='x'/><b xmlns='y'/>", IqKind::Get, BadRequest),
            ("<vCard xmlns='vcard-temp'/>", IqKind::Get, NotAcceptable),
            ("<a/>", IqKind::Set, NotAcceptable),
            ("<a xmlns=''/>", IqKind::Set, NotAcceptable),
            (
                "<a xmlns='x'/><b xmlns='http://jabber.org/b'/>",
                IqKind::Set,
                NotAcceptable,
            ),
        ] {
            assert_eq!(asked(children, kind).unwrap_err(), reason, "{children}");
        }
    }

    #[test]
    fn s2_3_elements_are_kept_by_name_and_those_of_one_name_together() {
        let set = "<a xmlns='x'>1</a><b xmlns='x'>2</b><a xmlns='x'>3</a><c xmlns='x'/>";
        let Ok(Command::SetDocuments(changes)) = asked(set, IqKind::Set) else {
            panic!()
        };
        let found: Vec<_> = changes
            .iter()
            .map(|(key, content)| (&*key.name, content.as_deref().map(String::from_utf8_lossy)))
            .collect();
        assert_eq!(
            found,
            [
                ("a", Some("<a xmlns='x'>1</a><a xmlns='x'>3</a>".into())),
                ("b", Some("<b xmlns='x'>2</b>".into())),
                ("c", None),
            ]
        );
    }

    #[test]
    fn s2_3_a_prefix_declared_outside_is_kept_with_the_element() {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let xml = "<query xmlns='jabber:iq:private' xmlns:p='urn:p'><p:a>1</p:a></query>";
        let own = BareJid::new("hamlet", "shakespeare.lit").unwrap();
        let command = read(
            tree.parse(xml.as_bytes(), &scope).unwrap(),
            IqKind::Set,
            own,
        );
        let Ok(Command::SetDocuments(changes)) = command else {
            panic!()
        };
        let content = String::from_utf8_lossy(changes[0].1.as_deref().unwrap()).into_owned();
        assert!(content.contains("urn:p"), "{content}");
    }

    #[test]
    fn what_is_not_there_is_the_element_as_it_was_asked_for() {
        let mut out = Vec::new();
        let key = DocumentKey::new("exodus:prefs", "exodus");
        write(&key, None, &mut Writer::new(&mut out));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>"
        );
    }
}
