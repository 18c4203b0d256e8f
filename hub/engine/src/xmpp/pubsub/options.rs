//! Subscription options as a form.
//!
//! Implements: XEP-0060 1.30 §6.3.2, §6.3.7, §6.4.2, §16.4.2.

use crate::{
    item::{SubscriptionDepth, SubscriptionOptions, SubscriptionType},
    message::Show,
    xmpp::{
        data_form::{FormWriter, Purpose},
        namespace as ns,
        xml::Writer,
    },
};

const SHOWS: [(Show, (&str, &str)); 5] = [
    (Show::Online, ("online", "Here")),
    (Show::Away, ("away", "Away")),
    (Show::Chat, ("chat", "Eager to talk")),
    (Show::Dnd, ("dnd", "Not to be disturbed")),
    (Show::Xa, ("xa", "Away for long")),
];

/// Writes the options: to be filled in, or to be read.
pub(super) fn write_options(options: &SubscriptionOptions, purpose: Purpose, w: &mut Writer<'_>) {
    let mut form = FormWriter::begin(w, purpose, ns::PUBSUB_SUBSCRIBE_OPTIONS);
    form.boolean("pubsub#deliver", "Deliver notifications", options.deliver);
    form.boolean(
        "pubsub#digest",
        "Deliver several at a time",
        options.digest_millis.is_some(),
    );
    let frequency = options.digest_millis.map(|millis| millis.to_string());
    form.field(
        "pubsub#digest_frequency",
        "text-single",
        Some("Milliseconds between two digests"),
        frequency.as_deref(),
    );
    let expire = options.expire.map(|at| at.to_string());
    form.field(
        "pubsub#expire",
        "text-single",
        Some("When the subscription ends"),
        expire.as_deref(),
    );
    form.boolean(
        "pubsub#include_body",
        "Add a text for people",
        options.include_body,
    );
    let chosen = SHOWS.iter().filter(|(show, _)| {
        let shows = options.shows;
        shows.is_some_and(|shows| shows.contains(*show))
    });
    let chosen: Vec<&str> = chosen.map(|(_, (name, _))| *name).collect();
    form.select(
        "pubsub#show-values",
        "list-multi",
        "Deliver only to those who show one of these; none: whatever they show",
        &chosen,
        &SHOWS.map(|(_, show)| show),
    );
    form.choice(
        "pubsub#subscription_type",
        "What to hear of",
        match options.kind {
            SubscriptionType::Items => "items",
            SubscriptionType::Nodes => "nodes",
        },
        &[("items", "Items"), ("nodes", "New and changed nodes")],
    );
    form.choice(
        "pubsub#subscription_depth",
        "How far down the tree",
        match options.depth {
            SubscriptionDepth::One => "1",
            SubscriptionDepth::All => "all",
        },
        &[("1", "One level"), ("all", "All levels")],
    );
    form.end();
}
