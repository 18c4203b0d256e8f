//! What the three kinds of stanza have in common: their attributes, read once, and their start tags, written.
//!
//! Implements: RFC 6120 §8.1 attributes, §8.2.3 the children of an IQ, §8.3.1 the error a stanza comes back as.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{
    address::{Jid, JidError},
    message::IqKind,
    refusal::{Reason, Refusal},
    xmpp::{
        namespace as ns, stanza_error,
        xml::{Element, Writer},
    },
};

/// The three kinds (RFC 6120 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StanzaName {
    /// §8.2.1.
    Message,
    /// §8.2.2.
    Presence,
    /// §8.2.3.
    Iq,
}

impl StanzaName {
    /// The name of the element.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }
}

/// A stanza as it came, with what every reader of it asks first.
#[derive(Debug, Clone, Copy)]
pub struct Stanza<'t> {
    /// Which kind.
    pub name: StanzaName,
    /// The whole.
    pub element: Element<'t>,
    /// Its id (§8.1.3).
    pub id: Option<&'t str>,
    /// Its type (§8.1.4).
    pub kind: Option<&'t str>,
    /// Whom it is for, as written (§8.1.1).
    pub to: Option<&'t str>,
}

impl<'t> Stanza<'t> {
    /// `None`: no stanza.
    pub fn read(element: Element<'t>) -> Option<Self> {
        if element.namespace() != ns::CLIENT {
            return None;
        }
        let name = match element.name() {
            "message" => StanzaName::Message,
            "presence" => StanzaName::Presence,
            "iq" => StanzaName::Iq,
            _ => return None,
        };
        Some(Self {
            name,
            element,
            id: element.attr("id"),
            kind: element.attr("type"),
            to: element.attr("to"),
        })
    }

    /// Whom it is for, prepared.
    pub fn address(&self) -> Result<Option<Jid>, JidError> {
        self.to.map(Jid::parse).transpose()
    }

    /// Its id, to be kept.
    pub fn own_id(&self) -> Option<Box<str>> {
        self.id.map(Into::into)
    }

    /// RFC 6120 §8.1.5: its language, or that of the stream.
    pub fn own_lang(&self) -> Option<Box<str>> {
        self.element.lang().map(Into::into)
    }

    /// Its children as bytes that rely on `jabber:client` alone (S24).
    pub fn content(&self) -> Bytes {
        match self.element.children_closed() {
            Cow::Borrowed([]) => Bytes::new(),
            Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Cow::Owned(bytes) => bytes.into(),
        }
    }

    /// Whether an error must not be answered to it: RFC 6120 §8.3.1 for errors, §8.2.3 for results.
    pub fn is_answer(&self) -> bool {
        self.kind == Some("error") || (self.name == StanzaName::Iq && self.kind == Some("result"))
    }

    /// Writes the stanza's return as an error. `from` is who refused: what the stanza was addressed to.
    ///
    /// The stanza's own children do not come back: RFC 6120 §8.3.1 leaves that to the server, XEP-0077 asks not to repeat
    /// passwords, and the sender knows its stanza by the id.
    pub fn refuse(
        &self,
        refusal: &Refusal,
        from: Option<&str>,
        to: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        if !self.is_answer() {
            write_error(self.name, self.id, from, to, refusal, out);
        }
    }

    /// The kind and the id of an IQ.
    pub fn iq(&self) -> Result<(IqKind, &'t str), Refusal> {
        let kind = match self.kind {
            Some("get") => IqKind::Get,
            Some("set") => IqKind::Set,
            Some("result") => IqKind::Result,
            Some("error") => IqKind::Error,
            // RFC 6120 §8.2.3: one of the four, or it is a bad request.
            _ => {
                return Err(
                    Refusal::new(Reason::BadRequest).say("an iq is get, set, result or error")
                );
            }
        };
        // RFC 6120 §8.1.3.
        match self.id {
            Some(id) => Ok((kind, id)),
            None => Err(Refusal::new(Reason::BadRequest).say("an iq has an id")),
        }
    }

    /// The one child that a request has (RFC 6120 §8.2.3).
    pub fn only_child(&self) -> Result<Element<'t>, Refusal> {
        let mut children = self.element.children();
        match (children.next(), children.next()) {
            (Some(child), None) => Ok(child),
            _ => Err(Refusal::new(Reason::BadRequest).say("a request has exactly one child")),
        }
    }
}

/// Writes a stanza that is an error and nothing else.
pub fn write_error(
    name: StanzaName,
    id: Option<&str>,
    from: Option<&str>,
    to: Option<&str>,
    refusal: &Refusal,
    out: &mut Vec<u8>,
) {
    let mut w = Writer::new(out);
    w.open(name.name())
        .attr("type", "error")
        .attr_opt("id", id)
        .attr_opt("from", from)
        .attr_opt("to", to);
    stanza_error::write(refusal, &mut w);
    w.close(name.name());
}

/// Begins an IQ that answers a request.
pub fn open_result<'w, 'a>(
    w: &'w mut Writer<'a>,
    id: &str,
    from: Option<&str>,
    to: Option<&str>,
) -> &'w mut Writer<'a> {
    w.open("iq")
        .attr("type", "result")
        .attr("id", id)
        .attr_opt("from", from)
        .attr_opt("to", to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::xml::{Scope, Tree};

    fn with<R>(xml: &str, then: impl FnOnce(Stanza<'_>) -> R) -> R {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        then(Stanza::read(tree.parse(xml.as_bytes(), &scope).unwrap()).unwrap())
    }

    #[test]
    fn an_element_of_another_namespace_is_no_stanza() {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let element = tree.parse(b"<iq xmlns='jabber:server'/>", &scope).unwrap();
        assert!(Stanza::read(element).is_none());
    }

    #[test]
    fn s8_3_1_an_error_is_never_answered() {
        for xml in [
            "<iq type='result' id='1'/>",
            "<iq type='error' id='1'/>",
            "<message type='error'/>",
            "<presence type='error'/>",
        ] {
            let mut out = Vec::new();
            with(xml, |stanza| {
                stanza.refuse(&Reason::BadRequest.into(), None, Some("a@b/c"), &mut out);
            });
            assert!(out.is_empty(), "{xml}");
        }
    }

    #[test]
    fn s8_2_3_a_request_has_exactly_one_child() {
        for (xml, ok) in [
            ("<iq><a xmlns='x'/></iq>", true),
            ("<iq/>", false),
            ("<iq>text</iq>", false),
            ("<iq><a xmlns='x'/><a xmlns='x'/></iq>", false),
        ] {
            assert_eq!(with(xml, |stanza| stanza.only_child().is_ok()), ok, "{xml}");
        }
    }
}
