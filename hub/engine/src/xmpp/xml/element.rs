//! A cursor over one element of a tree.

use std::borrow::Cow;
use std::fmt;

use super::chars::{is_plain_text, read_text_into};
use super::scope::Scope;
use super::tree::{Node, Tree};
use crate::xmpp::namespace as ns;

/// One element, with everything in it. Cheap to copy; borrowed from the tree and the bytes it was read from.
#[derive(Clone, Copy)]
pub struct Element<'t> {
    pub(super) tree: &'t Tree,
    pub(super) input: &'t str,
    pub(super) outer: &'t Scope,
    pub(super) number: u32,
}

/// One attribute. Namespace declarations are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'t> {
    /// The namespace; empty for an attribute without prefix.
    pub namespace: &'t str,
    /// The name without prefix.
    pub name: &'t str,
    /// What the value means, references resolved.
    pub value: &'t str,
}

impl<'t> Element<'t> {
    pub(super) fn new(tree: &'t Tree, input: &'t str, outer: &'t Scope) -> Self {
        Self {
            tree,
            input,
            outer,
            number: 0,
        }
    }

    pub(super) fn node(&self) -> &'t Node {
        &self.tree.nodes[self.number as usize]
    }

    /// The name without prefix.
    pub fn name(&self) -> &'t str {
        let node = self.node();
        self.span(node.local, node.name_end)
    }

    /// The namespace; empty if there is none.
    pub fn namespace(&self) -> &'t str {
        self.tree.str(self.node().namespace, self.input, self.outer)
    }

    /// Whether this is `name` in `namespace`.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }

    /// The value of an attribute without namespace.
    pub fn attr(&self, name: &str) -> Option<&'t str> {
        self.attr_ns(name, "")
    }

    /// The value of an attribute in a namespace.
    pub fn attr_ns(&self, name: &str, namespace: &str) -> Option<&'t str> {
        self.attributes()
            .find(|a| a.name == name && a.namespace == namespace)
            .map(|a| a.value)
    }

    /// All attributes, in the order written.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'t>> + use<'t> {
        let Self {
            tree, input, outer, ..
        } = *self;
        let (first, end) = self.node().attributes;
        tree.attributes[first as usize..end as usize]
            .iter()
            .map(move |a| Attribute {
                namespace: tree.str(a.namespace, input, outer),
                name: &input[a.local as usize..a.name_end as usize],
                value: tree.str(a.value, input, outer),
            })
    }

    /// The `xml:lang` in force here: this element's or the nearest one around it. An empty one means none.
    pub fn lang(&self) -> Option<&'t str> {
        let mut place = Some(*self);
        while let Some(element) = place {
            if let Some(lang) = element.attr_ns("lang", ns::XML) {
                return Some(lang).filter(|l| !l.is_empty());
            }
            place = element.parent();
        }
        self.outer.lang().filter(|l| !l.is_empty())
    }

    /// The child elements, in order.
    pub fn children(&self) -> Children<'t> {
        Children {
            parent: *self,
            at: self.number + 1,
            end: self.node().next,
        }
    }

    /// The first child of this name.
    pub fn child(&self, name: &str, namespace: &str) -> Option<Self> {
        self.children().find(|c| c.is(name, namespace))
    }

    /// The text directly in this element, without that of its children.
    pub fn text(&self) -> Cow<'t, str> {
        let mut text = Cow::Borrowed("");
        let mut at = self.node().inner_start;
        for child in self.children() {
            append(&mut text, self.span(at, child.node().start));
            at = child.node().end;
        }
        append(&mut text, self.span(at, self.node().inner_end));
        text
    }

    /// The name with its prefix, as written.
    pub(crate) fn qualified_name(&self) -> &'t str {
        self.span(self.node().start + 1, self.node().name_end)
    }

    /// The prefixes declared here and their namespaces; an empty prefix is the default.
    pub(crate) fn declarations(&self) -> impl Iterator<Item = (&'t str, &'t str)> + use<'t> {
        let Self {
            tree, input, outer, ..
        } = *self;
        let (first, end) = self.node().bindings;
        tree.bindings[first as usize..end as usize]
            .iter()
            .map(move |b| {
                (
                    &input[b.prefix.0 as usize..b.prefix.1 as usize],
                    tree.str(b.uri, input, outer),
                )
            })
    }

    /// Whether the element holds neither elements nor text.
    pub fn is_empty(&self) -> bool {
        self.inner_raw().is_empty()
    }

    /// The bytes of the element exactly as received.
    pub fn raw(&self) -> &'t [u8] {
        self.span(self.node().start, self.node().end).as_bytes()
    }

    /// The bytes between the tags exactly as received.
    pub fn inner_raw(&self) -> &'t [u8] {
        self.span(self.node().inner_start, self.node().inner_end)
            .as_bytes()
    }

    pub(super) fn parent(&self) -> Option<Self> {
        self.node().parent.map(|number| Self { number, ..*self })
    }

    pub(super) fn span(&self, from: u32, to: u32) -> &'t str {
        &self.input[from as usize..to as usize]
    }
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.span(self.node().start, self.node().end))
    }
}

/// The child elements of an element.
#[derive(Clone, Debug)]
pub struct Children<'t> {
    parent: Element<'t>,
    at: u32,
    end: u32,
}

impl<'t> Iterator for Children<'t> {
    type Item = Element<'t>;

    fn next(&mut self) -> Option<Element<'t>> {
        if self.at >= self.end {
            return None;
        }
        let child = Element {
            number: self.at,
            ..self.parent
        };
        self.at = child.node().next;
        Some(child)
    }
}

/// Adds the meaning of raw text; one plain piece stays borrowed.
fn append<'t>(text: &mut Cow<'t, str>, raw: &'t str) {
    if raw.is_empty() {
    } else if text.is_empty() && is_plain_text(raw) {
        *text = Cow::Borrowed(raw);
    } else {
        read_text_into(raw, text.to_mut());
    }
}
