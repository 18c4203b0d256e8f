//! XMPP: bytes to stanzas to commands, and back.

pub mod sasl;
