//! Software version.
//!
//! Implements: XEP-0092 1.1 §2. Not: `<os/>`, which §4 warns of and §2 leaves out.

use crate::xmpp::{namespace as ns, xml::Writer};

/// Writes the answer.
pub fn write(software: &str, version: &str, w: &mut Writer<'_>) {
    w.open("query").attr("xmlns", ns::VERSION);
    w.element("name", software).element("version", version);
    w.close("query");
}
