//! Ping, asked by either side.
//!
//! Implements: XEP-0199 2.0.1 §4.1 server to client (the hub asks those who are silent), §4.2 client to server.

use crate::{
    address::BareJid,
    xmpp::{namespace as ns, xml::Writer},
};

/// Writes the hub's own ping. A ping and not white space, because RFC 6120 §8.2.3 owes it an answer, with or without
/// support for XEP-0199: so silence after it means that nobody is there.
pub fn write_request(id: &str, from: &BareJid, to: &str, out: &mut Vec<u8>) {
    Writer::new(out)
        .open("iq")
        .attr("type", "get")
        .attr("id", id)
        .attr("from", from.as_str())
        .attr("to", to)
        .open("ping")
        .attr("xmlns", ns::PING)
        .close("ping")
        .close("iq");
}
