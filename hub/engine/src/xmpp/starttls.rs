//! STARTTLS: the words before the handshake.
//!
//! Implements: RFC 6120 §5.4.2 (request, failure, proceed). The rule that nothing sent in the clear may count afterwards
//! (§5.4.3.3) is the session's: it alone sees what else was read.

use crate::xmpp::{namespace as ns, xml::Writer};

/// Writes the stream feature; `required` where nothing else is offered (§5.3.1).
pub fn write_feature(required: bool, w: &mut Writer<'_>) {
    w.open("starttls").attr("xmlns", ns::TLS);
    if required {
        w.open("required").close("required");
    }
    w.close("starttls");
}

/// §5.4.2.3: go ahead.
pub fn write_proceed(out: &mut Vec<u8>) {
    Writer::new(out)
        .open("proceed")
        .attr("xmlns", ns::TLS)
        .close("proceed");
}

/// §5.4.2.2: no; the stream ends.
pub fn write_failure(out: &mut Vec<u8>) {
    Writer::new(out)
        .open("failure")
        .attr("xmlns", ns::TLS)
        .close("failure");
}
