//! Stream features: what the hub offers, phase by phase.
//!
//! Implements: RFC 6120 §4.3.2; the features of §5 STARTTLS, §6 SASL, §7 binding; XEP-0440 1.0.0 §2; XEP-0077 (its stream feature);
//! RFC 6121 §2.6.1 roster versioning, §3.4 pre-approval; XEP-0115 1.6.0 §6.3.

use crate::xmpp::{
    bind, caps,
    disco::Hub,
    namespace as ns,
    sasl::{ChannelBindings, Mechanism},
    starttls,
    xml::Writer,
};

/// What is offered before sign-in.
#[derive(Debug)]
pub struct BeforeSignIn<'a> {
    /// STARTTLS, and whether it is required.
    pub starttls: Option<bool>,
    /// The mechanisms, best first; empty on a plain stream where TLS is required.
    pub mechanisms: &'a [Mechanism],
    /// What the channel can be bound to.
    pub bindings: &'a ChannelBindings,
    /// Whether strangers may register.
    pub registration: bool,
}

impl BeforeSignIn<'_> {
    /// Writes the features.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        w.open("stream:features");
        if let Some(required) = self.starttls {
            starttls::write_feature(required, &mut w);
        }
        if !self.mechanisms.is_empty() {
            w.open("mechanisms").attr("xmlns", ns::SASL);
            for mechanism in self.mechanisms {
                w.element("mechanism", mechanism.name());
            }
            w.close("mechanisms");
            if !self.bindings.is_empty() {
                w.open("sasl-channel-binding")
                    .attr("xmlns", ns::SASL_CHANNEL_BINDING);
                for kind in self.bindings.types() {
                    w.open("channel-binding")
                        .attr("type", kind.name())
                        .close("channel-binding");
                }
                w.close("sasl-channel-binding");
            }
        }
        if self.registration {
            w.open("register")
                .attr("xmlns", ns::REGISTER_FEATURE)
                .close("register");
        }
        w.close("stream:features");
    }
}

/// Writes what is offered after sign-in, and what the hub can.
pub fn write_after_sign_in(hub: Hub<'_>, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("stream:features");
    bind::write_features(&mut w);
    w.open("ver")
        .attr("xmlns", ns::ROSTER_VERSIONING)
        .close("ver");
    w.open("sub").attr("xmlns", ns::PRE_APPROVAL).close("sub");
    caps::write_own(hub, &mut w);
    w.close("stream:features");
}
