//! Entity time.
//!
//! Implements: XEP-0202 2.0 §2. The hub's offset is always UTC: where it stands is nobody's business.

use crate::{
    time::Timestamp,
    xmpp::{namespace as ns, xml::Writer},
};

/// Writes the answer.
pub fn write(now: Timestamp, w: &mut Writer<'_>) {
    w.open("time").attr("xmlns", ns::TIME);
    w.element("tzo", "+00:00").element("utc", &now.to_string());
    w.close("time");
}
