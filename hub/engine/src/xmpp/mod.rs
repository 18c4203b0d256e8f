//! XMPP: bytes to stanzas to commands, and back.

pub mod bind;
pub mod component;
pub mod data_form;
pub mod disco;
pub mod features;
pub mod framing;
pub mod last;
pub mod message;
pub mod namespace;
pub mod output;
pub mod payload;
pub mod ping;
pub mod presence;
pub mod pubsub;
pub mod register;
pub mod roster;
pub mod rsm;
pub mod sasl;
pub mod session;
pub mod stanza;
pub mod stanza_error;
pub mod starttls;
pub mod stream_error;
pub mod time;
pub mod version;
pub mod xml;
