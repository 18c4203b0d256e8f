//! The stream header and the XML declaration before it.
//!
//! Implements: RFC 6120 §4.7 stream attributes, §4.8 namespaces of the header, §11.5, §11.6; XML 1.0 [23] XMLDecl.

use super::Content;
use crate::xmpp::namespace as ns;
use crate::xmpp::stream_error::{Condition, StreamError};
use crate::xmpp::xml::{Attributes, Element, Scope, Tree, legal_text};

/// What nearly every client calls its stream.
pub(super) const USUAL_NAME: &str = "stream:stream";

/// The opening tag of a client's stream, as sent: neither addresses nor version have been judged.
#[derive(Clone, Debug, Default)]
pub struct StreamHeader {
    /// The host the client wants (RFC 6120 §4.7.2).
    pub to: Option<String>,
    /// Who the client says it is (§4.7.1).
    pub from: Option<String>,
    /// The identifier, which a client should not send (§4.7.3).
    pub id: Option<String>,
    /// The version of the stream (§4.7.5); none means 0.9.
    pub version: Option<String>,
    /// The language of the stream (§4.7.4).
    pub lang: Option<String>,
    /// What the header declares for the elements of the stream. Its default namespace is `jabber:client`, or
    /// there is none and stanzas carry prefixes (§4.8.2).
    pub scope: Scope,
}

impl StreamHeader {
    /// Reads the tag; besides, its name as written unless that is the usual one.
    pub(super) fn parse(
        tag: &[u8],
        content: Content,
    ) -> Result<(Self, Option<Box<str>>), StreamError> {
        let nothing = Scope::empty();
        let mut tree = Tree::new();
        let element = tree.parse_start(tag, &nothing)?;
        // RFC 6120 §4.8.1.
        if element.namespace() != ns::STREAMS {
            return Err(StreamError::Peer(
                Condition::InvalidNamespace,
                "the stream is not in the streams namespace",
            ));
        }
        if element.name() != "stream" {
            return Err(StreamError::Peer(
                Condition::BadFormat,
                "the stream does not begin with <stream>",
            ));
        }
        if tag.ends_with(b"/>") {
            return Err(StreamError::Peer(
                Condition::BadFormat,
                "the stream ends where it begins",
            ));
        }
        let scope = scope_of(&element, content)?;
        let own = |name| element.attr(name).map(str::to_owned);
        let header = Self {
            to: own("to"),
            from: own("from"),
            id: own("id"),
            version: own("version"),
            lang: element.lang().map(str::to_owned),
            scope,
        };
        let name = element.qualified_name();
        Ok((header, (name != USUAL_NAME).then(|| name.into())))
    }
}

fn scope_of(element: &Element<'_>, content: Content) -> Result<Scope, StreamError> {
    let due = match content {
        Content::Client => ns::CLIENT,
        Content::Component => ns::COMPONENT,
    };
    // Past the header every content is named alike.
    let named = |uri| if uri == due { ns::CLIENT } else { uri };
    let mut default = None;
    let mut prefixes = Vec::new();
    for (prefix, uri) in element.declarations() {
        match prefix {
            // XML Namespaces §6.2: an empty default is none.
            "" => default = Some(uri).filter(|uri| !uri.is_empty()),
            // Declared or not, it means the same.
            "xml" => {}
            _ => prefixes.push((prefix.into(), named(uri).into())),
        }
    }
    // RFC 6120 §4.8.2 and §4.8.3: the content namespace is declared as default or by prefixes.
    // A default that is the stream's own namespace says that stanzas carry prefixes.
    match default {
        Some(uri) if uri != due && uri != ns::STREAMS => Err(StreamError::Peer(
            Condition::InvalidNamespace,
            match content {
                Content::Client => "the content namespace is not jabber:client",
                Content::Component => "the content namespace is not jabber:component:accept",
            },
        )),
        default => Ok(Scope::new(default.map(named), prefixes, element.lang())),
    }
}

/// Checks `<?xml ... ?>`.
pub(super) fn check_declaration(tag: &[u8]) -> Result<(), StreamError> {
    const BROKEN: StreamError = StreamError::not_well_formed("a broken XML declaration");
    let text = legal_text(tag)?;
    let inside = text.strip_suffix("?>").ok_or(BROKEN)?;
    match inside.strip_prefix("<?xml") {
        Some(after) if after.starts_with([' ', '\t', '\r', '\n']) => {}
        _ => return Err(StreamError::restricted("a processing instruction")),
    }
    let mut attributes = Attributes::new(text, "<?xml".len(), inside.len());
    // [23]: version, then perhaps encoding, then perhaps standalone.
    let mut place = 0;
    while let Some(attribute) = attributes.next()? {
        let name = &text[attribute.start..attribute.name_end()];
        match (place, name, attribute.value) {
            (0, "version", "1.0") => place = 1,
            (0, "version", _) => {
                return Err(StreamError::not_well_formed(
                    "XML of another version than 1.0",
                ));
            }
            (1, "encoding", encoding) => {
                // RFC 6120 §11.6, §4.9.3.22. XML 1.0 §4.3.3: names of encodings ignore case.
                if !encoding.eq_ignore_ascii_case("utf-8") {
                    return Err(StreamError::Peer(
                        Condition::UnsupportedEncoding,
                        "the stream must be UTF-8",
                    ));
                }
                place = 2;
            }
            (1 | 2, "standalone", "yes" | "no") => place = 3,
            _ => return Err(BROKEN),
        }
    }
    if place == 0 { Err(BROKEN) } else { Ok(()) }
}
