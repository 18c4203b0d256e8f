//! Passing XML on: bytes that mean the same wherever they are put (S24).
//!
//! Implements: Namespaces in XML 1.0 §6 and XML 1.0 §2.12 as they bear on moving an element.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::element::Element;
use super::write::escape_attr_into;
use crate::xmpp::namespace as ns;

/// What the place an element is moved to may be relied on to declare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing at all.
    Anywhere,
    /// `jabber:client` as default namespace, and the same language: the same stanza, on another stream.
    SameStanza,
}

impl<'t> Element<'t> {
    /// The element as bytes that stand alone: every namespace used is declared inside, and the language in
    /// force is said. The bytes received, if they are so already.
    pub fn closed(&self) -> Cow<'t, [u8]> {
        if self.is_closed(Place::Anywhere) {
            return Cow::Borrowed(self.raw());
        }
        let mut out = Vec::with_capacity(self.raw().len() + 96);
        self.write_closed(Place::Anywhere, &mut out);
        Cow::Owned(out)
    }

    /// All child elements of a stanza, to be put into the same stanza on another stream: they may rely on
    /// `jabber:client` being the default namespace there, and on nothing else. The stanza's own language is left
    /// to its start tag. Text between the children means nothing in a stanza and is dropped.
    pub fn children_closed(&self) -> Cow<'t, [u8]> {
        let mut children = self.children();
        let Some(first) = children.next() else {
            return Cow::Borrowed(&[]);
        };
        let (start, mut end) = (first.node().start, first.node().end);
        let mut as_received = first.is_closed(Place::SameStanza);
        for child in children {
            as_received &= child.node().start == end && child.is_closed(Place::SameStanza);
            end = child.node().end;
        }
        if as_received {
            return Cow::Borrowed(self.span(start, end).as_bytes());
        }
        let mut out = Vec::with_capacity((end - start) as usize + 96);
        for child in self.children() {
            child.write_closed(Place::SameStanza, &mut out);
        }
        Cow::Owned(out)
    }

    fn is_closed(&self, place: Place) -> bool {
        let own = self.number + 1;
        match place {
            Place::Anywhere => self.node().reaches >= own && self.missing_lang().is_none(),
            Place::SameStanza => self.node().reaches_beside_client >= own,
        }
    }

    /// The language in force here that the element itself does not say.
    fn missing_lang(&self) -> Option<&'t str> {
        if self.attr_ns("lang", ns::XML).is_some() {
            None
        } else {
            self.lang()
        }
    }

    /// Writes the element as received but for its start tag, which gets what it lacks.
    fn write_closed(&self, place: Place, out: &mut Vec<u8>) {
        let node = self.node();
        if self.is_closed(place) {
            out.extend_from_slice(self.raw());
            return;
        }
        out.extend_from_slice(self.span(node.start, node.name_end).as_bytes());
        for (prefix, uri) in self.missing_declarations(place) {
            out.extend_from_slice(b" xmlns");
            if !prefix.is_empty() {
                out.push(b':');
                out.extend_from_slice(prefix.as_bytes());
            }
            out.extend_from_slice(b"='");
            escape_attr_into(uri, out);
            out.push(b'\'');
        }
        if place == Place::Anywhere
            && let Some(lang) = self.missing_lang()
        {
            out.extend_from_slice(b" xml:lang='");
            escape_attr_into(lang, out);
            out.push(b'\'');
        }
        out.extend_from_slice(self.span(node.name_end, node.end).as_bytes());
    }

    /// Prefixes used in this subtree and declared outside it, with their namespaces.
    fn missing_declarations(&self, place: Place) -> SmallVec<[(&'t str, &'t str); 4]> {
        let mut missing: SmallVec<[(&str, &str); 4]> = SmallVec::new();
        for number in self.number..self.node().next {
            let user = Self { number, ..*self };
            let node = user.node();
            let own = (
                self.span(node.start + 1, node.local.max(node.start + 2) - 1),
                user.namespace(),
            );
            let (first, end) = node.attributes;
            let attributes = self.tree.attributes[first as usize..end as usize]
                .iter()
                .filter(|a| a.local > a.start)
                .map(|a| {
                    (
                        self.span(a.start, a.local - 1),
                        self.tree.str(a.namespace, self.input, self.outer),
                    )
                });
            for (prefix, uri) in std::iter::once(own).chain(attributes) {
                let given = prefix == "xml"
                    || (place == Place::SameStanza && prefix.is_empty() && uri == ns::CLIENT)
                    || missing.iter().any(|(p, _)| *p == prefix)
                    || user.declared_up_to(self.number, prefix);
                if !given {
                    missing.push((prefix, uri));
                }
            }
        }
        missing
    }

    /// Whether this element, or one around it up to the node `top`, declares a prefix.
    fn declared_up_to(&self, top: u32, prefix: &str) -> bool {
        let mut place = Some(*self);
        while let Some(element) = place {
            let (first, end) = element.node().bindings;
            let here = &self.tree.bindings[first as usize..end as usize];
            if here
                .iter()
                .any(|b| self.span(b.prefix.0, b.prefix.1) == prefix)
            {
                return true;
            }
            if element.number == top {
                return false;
            }
            place = element.parent();
        }
        false
    }
}
