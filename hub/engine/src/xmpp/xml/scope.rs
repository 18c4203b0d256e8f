//! What the stream header declares for everything inside the stream.
//!
//! Implements: RFC 6120 §4.7.4 (xml:lang), §4.8 (namespaces), as seen from the elements within.

use std::sync::Arc;

use crate::xmpp::namespace as ns;

/// The namespace declarations and language around a top-level element.
///
/// Nearly every client declares `jabber:client` and `stream`; that scope is [`Scope::client`] and owns nothing.
#[derive(Clone, Debug, Default)]
pub struct Scope(Option<Arc<Declared>>);

#[derive(Debug, Default)]
struct Declared {
    default: Option<Box<str>>,
    prefixes: Vec<(Box<str>, Box<str>)>,
    lang: Option<Box<str>>,
}

impl Scope {
    /// Default namespace `jabber:client`, prefix `stream`, no language.
    pub const fn client() -> Self {
        Self(None)
    }

    /// Nothing declared: for elements that stand alone, in a store or a WebSocket frame.
    pub fn empty() -> Self {
        Self(Some(Arc::default()))
    }

    /// A scope with these declarations; the usual one is recognised and costs nothing.
    pub(crate) fn new(
        default: Option<&str>,
        prefixes: Vec<(Box<str>, Box<str>)>,
        lang: Option<&str>,
    ) -> Self {
        let usual = default == Some(ns::CLIENT)
            && lang.is_none()
            && matches!(prefixes.as_slice(), [(prefix, uri)] if &**prefix == "stream" && &**uri == ns::STREAMS);
        if usual {
            return Self::client();
        }
        Self(Some(Arc::new(Declared {
            default: default.map(Into::into),
            prefixes,
            lang: lang.map(Into::into),
        })))
    }

    /// The namespace of elements without prefix.
    pub fn default_namespace(&self) -> Option<&str> {
        match &self.0 {
            None => Some(ns::CLIENT),
            Some(declared) => declared.default.as_deref(),
        }
    }

    /// The stream's `xml:lang`.
    pub fn lang(&self) -> Option<&str> {
        self.0.as_ref()?.lang.as_deref()
    }

    /// The number of a declared prefix, for [`Self::uri_of`].
    pub(super) fn find_prefix(&self, prefix: &str) -> Option<u32> {
        match &self.0 {
            None => (prefix == "stream").then_some(0),
            Some(declared) => declared
                .prefixes
                .iter()
                .position(|(p, _)| &**p == prefix)
                .and_then(|i| u32::try_from(i).ok()),
        }
    }

    /// The namespace that a prefix found by [`Self::find_prefix`] stands for.
    pub(super) fn uri_of(&self, number: u32) -> &str {
        match &self.0 {
            None => ns::STREAMS,
            Some(declared) => declared
                .prefixes
                .get(number as usize)
                .map_or("", |(_, uri)| uri),
        }
    }
}
