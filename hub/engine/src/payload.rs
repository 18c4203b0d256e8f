//! What an item carries: bytes and their media type, exactly as published (DESIGN §5).

use bytes::Bytes;

/// The media type of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MediaType {
    /// One well-formed, namespace-closed element (S24): `application/xml`.
    #[default]
    Xml,
}

impl MediaType {
    /// The name as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xml => "application/xml",
        }
    }
}

/// Shared, immutable bytes; cloning costs a reference count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// The bytes: for XML an element that binds every namespace it uses.
    pub bytes: Bytes,
    /// What they are.
    pub media: MediaType,
}

impl Payload {
    /// A payload of one namespace-closed element; the caller has proven that it is one.
    pub const fn xml(bytes: Bytes) -> Self {
        Self {
            bytes,
            media: MediaType::Xml,
        }
    }

    /// The namespace of the element that an XML payload is, as its start tag declares it; `None` where references in the
    /// name would have to be resolved to know it.
    pub fn namespace(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        let tag = text.strip_prefix('<')?;
        let end = tag.find([' ', '\t', '\r', '\n', '/', '>'])?;
        let (name, mut rest) = tag.split_at(end);
        let declaration = match name.split_once(':') {
            Some((prefix, _)) => format!("xmlns:{prefix}"),
            None => "xmlns".to_owned(),
        };
        loop {
            let (attribute, after) = rest.split_once('=')?;
            let after = after.trim_start();
            let quote = after
                .chars()
                .next()
                .filter(|quote| matches!(quote, '"' | '\''))?;
            let (value, after) = after[1..].split_once(quote)?;
            if attribute.contains('>') {
                return None;
            }
            if attribute.trim() == declaration {
                return Some(value).filter(|value| !value.contains('&'));
            }
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_of_a_payload_is_the_one_its_start_tag_declares() {
        for (xml, namespace) in [
            ("<t xmlns='urn:x'>1</t>", Some("urn:x")),
            (
                "<p:t a='>' xmlns:q = \"urn:q\" xmlns:p=\"urn:p\"/>",
                Some("urn:p"),
            ),
            ("<t>xmlns='urn:x'</t>", None),
        ] {
            let payload = Payload::xml(Bytes::from_static(xml.as_bytes()));
            assert_eq!(payload.namespace(), namespace, "{xml}");
        }
    }
}
