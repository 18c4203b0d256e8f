//! XMPP: bytes to stanzas to commands, and back.

pub mod data_form;
pub mod framing;
pub mod namespace;
pub mod payload;
pub mod pubsub;
pub mod rsm;
pub mod sasl;
pub mod stream_error;
pub mod xml;
