//! Publish-subscribe on the wire: requests in, answers and notifications out.
//!
//! Implements: XEP-0060 1.30, its syntax as far as `service::pubsub` has the use cases; XEP-0131 1.2 for the headers
//! `SubID` and `Collection` (XEP-0060 §12.16, XEP-0248 §6).

mod approval;
mod body;
mod event;
mod features;
mod form;
mod options;
mod reply;
mod request;

#[cfg(test)]
mod tests;

use crate::xmpp::namespace as ns;

pub use self::{
    approval::{GET_PENDING, is_approval, read_approval, write_pending_nodes},
    body::render_body,
    event::{render_event, render_headers, render_publisher, write_reply_to},
    features::{FEATURES, Feature, Level, Offer, Place, features_at},
    form::{About, write_config, write_meta_data},
    reply::{affiliation_name, render_detail, render_reply, subscription_name},
    request::{parse_pubsub, wants_owner_reply},
};

/// What the service's disco says of archives (XEP-0313 §7).
pub const ARCHIVE_FEATURES: [&str; 2] = [ns::MAM, ns::MAM_EXTENDED];

/// What disco says of the order of items, the service's and an account's (XEP-0413 §6).
pub const ORDER_FEATURES: [&str; 3] = [
    ns::ORDER_BY,
    "urn:xmpp:order-by:1@http://jabber.org/protocol/pubsub",
    "urn:xmpp:order-by:1@urn:xmpp:mam:2",
];

/// The service's identity in disco (XEP-0060 §5.1).
pub const IDENTITY: (&str, &str) = ("pubsub", "service");
