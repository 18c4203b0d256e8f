//! Last activity.
//!
//! Implements: XEP-0012 2.0 §3 (an account's last seen, an entity's idle time), §5 (the hub's uptime).

use crate::xmpp::{namespace as ns, xml::Writer};

/// Writes the answer.
pub fn write(seconds: u64, status: Option<&str>, w: &mut Writer<'_>) {
    w.open("query")
        .attr("xmlns", ns::LAST)
        .attr("seconds", &seconds.to_string())
        .text(status.unwrap_or_default())
        .close("query");
}
