//! Publish-subscribe on the wire: requests in, answers and notifications out.
//!
//! Implements: XEP-0060 1.30, its syntax as far as `service::pubsub` has the use cases; XEP-0131 1.2 for the headers
//! `SubID` and `Collection` (XEP-0060 §13.16, XEP-0248 §6).

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

pub use self::{
    approval::{GET_PENDING, is_approval, read_approval, write_pending_nodes},
    body::render_body,
    event::{render_event, render_headers, render_publisher, write_reply_to},
    features::{FEATURES, Feature, Level, Offer, Place, features_at},
    form::{About, write_config, write_meta_data},
    reply::{affiliation_name, render_detail, render_reply, subscription_name},
    request::{parse_pubsub, wants_owner_reply},
};

/// The service's identity in disco (XEP-0060 §5.1).
pub const IDENTITY: (&str, &str) = ("pubsub", "service");
