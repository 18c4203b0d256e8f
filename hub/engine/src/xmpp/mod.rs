//! XMPP: bytes to stanzas to commands, and back.

pub mod framing;
pub mod namespace;
pub mod sasl;
pub mod stream_error;
pub mod xml;
