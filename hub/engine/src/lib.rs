//! Every rule of the Leveret hub. No async, clock, socket, file or thread.

pub mod address;
pub mod xmpp;
