//! Reading and writing the XML of streams.
//!
//! Implements: XML 1.0 (fifth edition) and Namespaces in XML 1.0 (third edition) as far as RFC 6120 §11 lets
//! them into streams: no DTD, no processing instructions, no comments, only the five predefined entities.
//!
//! Everything here works on complete elements, which [`Framer`](crate::xmpp::framing::Framer) cuts from the
//! stream. [`Tree::parse`] is the one place where XML is judged: whoever holds an [`Element`] holds XML that is
//! well-formed, namespace-well-formed, legal UTF-8 and free of what streams ban.

mod chars;
mod closed;
mod element;
mod scope;
mod tag;
mod tree;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use chars::{is_space, legal_text};
pub use element::{Attribute, Children, Element};
pub use scope::Scope;
pub(crate) use tag::Attributes;
pub(crate) use tree::ATTRIBUTES_MAX;
pub use tree::Tree;
pub use write::{Writer, escape_attr_into, escape_text_into};
