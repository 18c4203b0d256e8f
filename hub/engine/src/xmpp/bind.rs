//! Resource binding, and the session request that older clients send after it.
//!
//! Implements: RFC 6120 §7 (both ways to a resource); RFC 3921 §3 as far as saying yes.

use crate::{
    address::{FullJid, prepare_resource},
    refusal::{Reason, Refusal},
    xmpp::{
        namespace as ns,
        xml::{Element, Writer},
    },
};

/// The resource that the client asks for, prepared; `None` leaves it to the hub (§7.6).
pub fn read_resource(bind: Element<'_>) -> Result<Option<Box<str>>, Refusal> {
    let Some(resource) = bind.child("resource", ns::BIND) else {
        return Ok(None);
    };
    let text = resource.text();
    if text.is_empty() {
        // Clients with an empty setting mean "any".
        return Ok(None);
    }
    // RFC 6120 §7.7.2.1: what cannot be a resourcepart is a bad request.
    match prepare_resource(&text) {
        Ok(prepared) => Ok(Some(prepared.into())),
        Err(_) => Err(Refusal::new(Reason::BadRequest).say("this cannot be a resource")),
    }
}

/// Writes what the client is called from now on (§7.6.1).
pub fn write_bound(jid: &FullJid, w: &mut Writer<'_>) {
    w.open("bind").attr("xmlns", ns::BIND);
    w.element("jid", jid.as_str());
    w.close("bind");
}

/// Writes the two stream features; `<optional/>` tells newer clients to leave the second out.
pub fn write_features(w: &mut Writer<'_>) {
    w.open("bind").attr("xmlns", ns::BIND).close("bind");
    w.open("session").attr("xmlns", ns::SESSION);
    w.open("optional").close("optional").close("session");
}
