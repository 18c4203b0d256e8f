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
}
