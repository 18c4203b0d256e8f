//! The arena into which one element is read.
//!
//! Implements: XML 1.0 §2.1 well-formed documents, §3 elements; Namespaces in XML 1.0 §2.2, §3 to §6.

use memchr::memchr;
use memchr::memmem;
use quick_xml::parser::{ElementParser, Parser};

use super::chars::{check_text, is_plain_value, is_space, legal_text, qname, read_value_into};
use super::element::Element;
use super::scope::Scope;
use super::tag::Attributes;
use crate::xmpp::namespace as ns;
use crate::xmpp::stream_error::{Limit, StreamError};

/// The most attributes an element may have whatever a framer allows: they are compared pairwise.
pub(crate) const ATTRIBUTES_MAX: u16 = 256;

/// Holds one element at a time, as spans of the bytes it was read from; its vectors keep their room.
///
/// A thread needs one: an idle session needs none.
#[derive(Debug, Default)]
pub struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) attributes: Vec<Attr>,
    pub(super) bindings: Vec<Binding>,
    /// Numbers of the bindings in scope at the place being read, innermost last.
    visible: Vec<u32>,
    /// Values whose meaning differs from their bytes.
    pub(super) scratch: String,
}

/// Above this many bytes the scratch text is given back: one strange stanza must not cost for ever.
const SCRATCH_BYTES_KEPT: usize = 16 * 1024;
/// Above this many nodes or attributes their vectors are given back.
const NODES_KEPT: usize = 1024;

/// One element. Numbers are byte positions in the input, or indices into the tree's vectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) start: u32,
    pub(super) local: u32,
    pub(super) name_end: u32,
    pub(super) inner_start: u32,
    pub(super) inner_end: u32,
    pub(super) end: u32,
    pub(super) namespace: Str,
    pub(super) attributes: (u32, u32),
    pub(super) bindings: (u32, u32),
    pub(super) parent: Option<u32>,
    /// The node after this one's last descendant: nodes are in document order.
    pub(super) next: u32,
    /// The outermost place whose declarations this subtree uses; see [`Tree::OUTSIDE`].
    pub(super) reaches: u32,
    /// The same, not counting uses of a default namespace that is `jabber:client`.
    pub(super) reaches_beside_client: u32,
    visible: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Attr {
    pub(super) start: u32,
    pub(super) local: u32,
    pub(super) name_end: u32,
    pub(super) namespace: Str,
    pub(super) value: Str,
}

/// One namespace declaration; an empty prefix is the default namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    pub(super) prefix: (u32, u32),
    pub(super) uri: Str,
    owner: u32,
}

/// Where a text is kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Str {
    Empty,
    Input(u32, u32),
    Scratch(u32, u32),
    Xml,
    OuterDefault,
    OuterPrefix(u32),
}

impl Tree {
    /// A declaration made outside the element; node `n`'s own declarations are place `n + 1`.
    const OUTSIDE: u32 = 0;
    /// Nothing is used.
    const NOWHERE: u32 = u32::MAX;

    /// An empty tree, which owns nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads and judges one whole element that stands within `outer`.
    pub fn parse<'t>(
        &'t mut self,
        bytes: &'t [u8],
        outer: &'t Scope,
    ) -> Result<Element<'t>, StreamError> {
        let input = self.begin(bytes)?;
        self.build(input, outer)?;
        Ok(Element::new(self, input, outer))
    }

    /// Reads a start tag alone, as a stream header is one.
    pub(crate) fn parse_start<'t>(
        &'t mut self,
        bytes: &'t [u8],
        outer: &'t Scope,
    ) -> Result<Element<'t>, StreamError> {
        let input = self.begin(bytes)?;
        self.start_tag(input, outer, 0, bytes.len().saturating_sub(1), None)?;
        Ok(Element::new(self, input, outer))
    }

    fn begin<'t>(&mut self, bytes: &'t [u8]) -> Result<&'t str, StreamError> {
        // All positions fit 32 bits from here on.
        if u32::try_from(bytes.len()).is_err() {
            return Err(StreamError::Limit(Limit::StanzaBytes(u32::MAX)));
        }
        if self.scratch.capacity() > SCRATCH_BYTES_KEPT
            || self.nodes.capacity() > NODES_KEPT
            || self.attributes.capacity() > NODES_KEPT
        {
            *self = Self::default();
        }
        self.nodes.clear();
        self.attributes.clear();
        self.bindings.clear();
        self.visible.clear();
        self.scratch.clear();
        legal_text(bytes)
    }

    fn build(&mut self, input: &str, outer: &Scope) -> Result<(), StreamError> {
        const UNENDED: StreamError = StreamError::not_well_formed("an element that does not end");
        let bytes = input.as_bytes();
        if bytes.first() != Some(&b'<') {
            return Err(StreamError::not_well_formed(
                "text where an element should begin",
            ));
        }
        let mut at = 0;
        let mut open: Option<u32> = None;
        // Invariant of the loop: `bytes[at]` is `<`, and `open` is the innermost open element.
        loop {
            match bytes.get(at + 1) {
                Some(b'/') => {
                    let end = at + memchr(b'>', &bytes[at..]).ok_or(UNENDED)?;
                    open = self.end_tag(input, open, at, end)?;
                    at = end + 1;
                }
                Some(b'!') => {
                    // What is no section is banned, wherever it stands: that is said first.
                    let end = cdata_end(&input[at..]).map(|len| at + len)?;
                    // A section is text, and there is none outside an element.
                    if open.is_none() {
                        return Err(StreamError::not_well_formed(
                            "a CDATA section where an element should begin",
                        ));
                    }
                    at = end;
                }
                // RFC 6120 §11.1: no processing instructions.
                Some(b'?') => return Err(StreamError::restricted("a processing instruction")),
                _ => {
                    let end = at
                        + 1
                        + ElementParser::default()
                            .feed(&bytes[at + 1..])
                            .ok_or(UNENDED)?;
                    let node = self.start_tag(input, outer, at, end, open)?;
                    at = end + 1;
                    if bytes[end - 1] == b'/' {
                        self.close(node, end, end + 1);
                    } else {
                        open = Some(node);
                    }
                }
            }
            if open.is_none() {
                break;
            }
            let text_len = memchr(b'<', &bytes[at..]).ok_or(UNENDED)?;
            check_text(&input[at..at + text_len])?;
            at += text_len;
        }
        if at == bytes.len() {
            Ok(())
        } else {
            Err(StreamError::not_well_formed("more than one element"))
        }
    }

    /// Reads `<name a='b'>` or `<name/>`, of which `end` is the position of `>`.
    fn start_tag(
        &mut self,
        input: &str,
        outer: &Scope,
        start: usize,
        end: usize,
        parent: Option<u32>,
    ) -> Result<u32, StreamError> {
        let inside_end = if input.as_bytes()[end - 1] == b'/' {
            end - 1
        } else {
            end
        };
        let name = qname(&input[start + 1..inside_end.max(start + 1)])?;
        let name_end = start + 1 + name.len;
        let number = index(self.nodes.len());
        let first_attribute = self.attributes.len();
        let first_binding = self.bindings.len();
        let visible = index(self.visible.len());
        let mut attributes = Attributes::new(input, name_end, inside_end);
        while let Some(raw) = attributes.next()? {
            let count =
                self.attributes.len() - first_attribute + self.bindings.len() - first_binding;
            if count >= usize::from(ATTRIBUTES_MAX) {
                return Err(StreamError::Limit(Limit::Attributes(ATTRIBUTES_MAX)));
            }
            let value = self.value(raw.value, raw.value_start)?;
            let text = &input[raw.start..raw.start + raw.qname.len];
            let prefix = if text == "xmlns" {
                Some((0, 0))
            } else if raw.qname.local == "xmlns:".len() && text.starts_with("xmlns:") {
                Some((
                    index(raw.start + raw.qname.local),
                    index(raw.start + raw.qname.len),
                ))
            } else {
                None
            };
            if let Some(prefix) = prefix {
                self.bind(
                    input,
                    outer,
                    first_binding,
                    Binding {
                        prefix,
                        uri: value,
                        owner: number + 1,
                    },
                )?;
            } else {
                self.attributes.push(Attr {
                    start: index(raw.start),
                    local: index(raw.start + raw.qname.local),
                    name_end: index(raw.start + raw.qname.len),
                    namespace: Str::Empty,
                    value,
                });
            }
        }
        let mut node = Node {
            start: index(start),
            local: index(start + 1 + name.local),
            name_end: index(name_end),
            inner_start: index(end + 1),
            inner_end: index(end + 1),
            end: index(end + 1),
            namespace: Str::Empty,
            attributes: (index(first_attribute), index(self.attributes.len())),
            bindings: (index(first_binding), index(self.bindings.len())),
            parent,
            next: number + 1,
            reaches: Self::NOWHERE,
            reaches_beside_client: Self::NOWHERE,
            visible,
        };
        let prefix = &input[start + 1..(start + name.local).max(start + 1)];
        let (namespace, place) = self.resolve(input, outer, prefix)?;
        node.namespace = namespace;
        node.use_of(
            place,
            prefix.is_empty() && self.str(namespace, input, outer) == ns::CLIENT,
        );
        self.name_attributes(input, outer, &mut node)?;
        self.nodes.push(node);
        Ok(number)
    }

    /// Finds the namespaces of a node's attributes, and refuses two of one name.
    fn name_attributes(
        &mut self,
        input: &str,
        outer: &Scope,
        node: &mut Node,
    ) -> Result<(), StreamError> {
        let (first, end) = (node.attributes.0 as usize, node.attributes.1 as usize);
        for i in first..end {
            let attr = self.attributes[i];
            let local = &input[attr.local as usize..attr.name_end as usize];
            let mut namespace = Str::Empty;
            if attr.local > attr.start {
                let prefix = &input[attr.start as usize..attr.local as usize - 1];
                let place;
                (namespace, place) = self.resolve(input, outer, prefix)?;
                node.use_of(place, false);
                self.attributes[i].namespace = namespace;
            }
            // XML 1.0 §3.1 and Namespaces §6.3: unique as written and as expanded.
            let uri = self.str(namespace, input, outer);
            let twice = self.attributes[first..i].iter().any(|earlier| {
                input[earlier.local as usize..earlier.name_end as usize] == *local
                    && self.str(earlier.namespace, input, outer) == uri
            });
            if twice {
                return Err(StreamError::not_well_formed("an attribute given twice"));
            }
        }
        Ok(())
    }

    /// Takes up a declaration of the node being read.
    fn bind(
        &mut self,
        input: &str,
        outer: &Scope,
        first: usize,
        binding: Binding,
    ) -> Result<(), StreamError> {
        let prefix = &input[binding.prefix.0 as usize..binding.prefix.1 as usize];
        let uri = self.str(binding.uri, input, outer);
        // Namespaces §3: `xml` and `xmlns` mean what they mean, under those names only; §5: a prefix is never unbound.
        let misused = match prefix {
            "xmlns" => true,
            "xml" => uri != ns::XML,
            "" => uri == ns::XML || uri == ns::XMLNS,
            _ => uri.is_empty() || uri == ns::XML || uri == ns::XMLNS,
        };
        if misused {
            return Err(StreamError::not_well_formed(
                "a namespace declaration that is not allowed",
            ));
        }
        let twice = self.bindings[first..]
            .iter()
            .any(|earlier| input[earlier.prefix.0 as usize..earlier.prefix.1 as usize] == *prefix);
        if twice {
            return Err(StreamError::not_well_formed("a namespace declared twice"));
        }
        self.visible.push(index(self.bindings.len()));
        self.bindings.push(binding);
        Ok(())
    }

    /// What a prefix means here, and the place of its declaration.
    fn resolve(&self, input: &str, outer: &Scope, prefix: &str) -> Result<(Str, u32), StreamError> {
        if prefix == "xml" {
            return Ok((Str::Xml, Self::NOWHERE));
        }
        for &number in self.visible.iter().rev() {
            let binding = &self.bindings[number as usize];
            if input[binding.prefix.0 as usize..binding.prefix.1 as usize] == *prefix {
                return Ok((binding.uri, binding.owner));
            }
        }
        if prefix.is_empty() {
            return Ok((
                if outer.default_namespace().is_some() {
                    Str::OuterDefault
                } else {
                    Str::Empty
                },
                Self::OUTSIDE,
            ));
        }
        match outer.find_prefix(prefix) {
            Some(number) => Ok((Str::OuterPrefix(number), Self::OUTSIDE)),
            // RFC 6120 §4.9.3.13 counts violations of XML namespaces as not well-formed; `bad-namespace-prefix`
            // (§4.9.3.2) is about the stream's own prefix.
            None => Err(StreamError::not_well_formed(
                "a prefix that is not declared",
            )),
        }
    }

    /// Keeps what an attribute value means.
    fn value(&mut self, raw: &str, start: usize) -> Result<Str, StreamError> {
        if is_plain_value(raw) {
            return Ok(Str::Input(index(start), index(start + raw.len())));
        }
        let from = self.scratch.len();
        read_value_into(raw, &mut self.scratch)?;
        Ok(Str::Scratch(index(from), index(self.scratch.len())))
    }

    /// Reads `</name>`; gives the element that is then the innermost open one.
    fn end_tag(
        &mut self,
        input: &str,
        open: Option<u32>,
        start: usize,
        end: usize,
    ) -> Result<Option<u32>, StreamError> {
        const MISMATCH: StreamError =
            StreamError::not_well_formed("an end tag without its start tag");
        let number = open.ok_or(MISMATCH)?;
        let node = &self.nodes[number as usize];
        let name =
            input[start + 2..end].trim_end_matches(|c: char| c.is_ascii() && is_space(c as u8));
        if *name != input[node.start as usize + 1..node.name_end as usize] {
            return Err(MISMATCH);
        }
        let parent = node.parent;
        self.close(number, start, end + 1);
        Ok(parent)
    }

    fn close(&mut self, number: u32, inner_end: usize, end: usize) {
        let next = index(self.nodes.len());
        let node = &mut self.nodes[number as usize];
        node.inner_end = if inner_end + 1 == end {
            index(end)
        } else {
            index(inner_end)
        };
        node.end = index(end);
        node.next = next;
        let Node {
            parent,
            reaches,
            reaches_beside_client,
            visible,
            ..
        } = *node;
        self.visible.truncate(visible as usize);
        if let Some(parent) = parent {
            let parent = &mut self.nodes[parent as usize];
            parent.reaches = parent.reaches.min(reaches);
            parent.reaches_beside_client = parent.reaches_beside_client.min(reaches_beside_client);
        }
    }

    pub(super) fn str<'a>(&'a self, text: Str, input: &'a str, outer: &'a Scope) -> &'a str {
        match text {
            Str::Empty => "",
            Str::Input(from, to) => &input[from as usize..to as usize],
            Str::Scratch(from, to) => &self.scratch[from as usize..to as usize],
            Str::Xml => ns::XML,
            Str::OuterDefault => outer.default_namespace().unwrap_or_default(),
            Str::OuterPrefix(number) => outer.uri_of(number),
        }
    }
}

impl Node {
    /// Notes that a declaration made at `place` is used in this subtree.
    fn use_of(&mut self, place: u32, as_client_default: bool) {
        self.reaches = self.reaches.min(place);
        if !as_client_default {
            self.reaches_beside_client = self.reaches_beside_client.min(place);
        }
    }
}

/// The length of the CDATA section that `text` begins with.
fn cdata_end(text: &str) -> Result<usize, StreamError> {
    if !text.starts_with("<![CDATA[") {
        // RFC 6120 §11.1: no comments, no document type declarations.
        return Err(StreamError::restricted("a comment or a declaration"));
    }
    match memmem::find(text.as_bytes(), b"]]>") {
        Some(at) => Ok(at + "]]>".len()),
        None => Err(StreamError::not_well_formed(
            "a CDATA section that does not end",
        )),
    }
}

/// Positions and counts fit: `begin` has bounded the input, and nothing outnumbers its bytes.
fn index(n: usize) -> u32 {
    debug_assert!(
        u32::try_from(n).is_ok(),
        "bounded by the length of the input"
    );
    n as u32
}
