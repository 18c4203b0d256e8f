//! Answers of the service, and what exactly was wrong with a request.
//!
//! Implements: XEP-0060 1.30 §5 to §8 (results), §16.2.4 (error conditions); XEP-0030 2.5 §3, §4 for its nodes.

use crate::{
    command::{PageInfo, PubsubReply},
    item::{Affiliation, Item, NodeSubscription, SubscriptionOptions, SubscriptionState},
    node::{ItemId, NodeId},
    refusal::Detail,
    xmpp::{data_form::Purpose, mam, namespace as ns, rsm::write_page, xml::Writer},
};

use super::{
    form::{About, write_config, write_meta_data},
    options::write_options,
};

/// Writes the child of the IQ result. `as_owner`: the request was in the owner's namespace
/// ([`wants_owner_reply`](super::wants_owner_reply)). `service` is the address that was asked.
pub fn render_reply(reply: &PubsubReply, as_owner: bool, service: &str, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    if write_disco(reply, service, &mut w) {
        return;
    }
    let namespace = if as_owner {
        ns::PUBSUB_OWNER
    } else {
        ns::PUBSUB
    };
    w.open("pubsub").attr("xmlns", namespace);
    match reply {
        PubsubReply::Created { node } => {
            w.open("create").attr("node", node.as_str()).close("create");
        }
        PubsubReply::Config { node, config } => {
            let name = if node.is_some() {
                "configure"
            } else {
                "default"
            };
            w.open(name);
            w.attr_opt("node", node.as_ref().map(NodeId::as_str));
            write_config(config, Purpose::Form, &mut w);
            w.close(name);
        }
        PubsubReply::Published { node, items } => {
            w.open("publish").attr("node", node.as_str());
            for id in items {
                w.open("item").attr("id", id.as_str()).close("item");
            }
            w.close("publish");
        }
        PubsubReply::Subscribed {
            node,
            jid,
            subid,
            state,
            options,
        } => {
            w.open("subscription").attr("node", node.as_str());
            w.attr("jid", jid.as_str()).attr("subid", subid);
            w.attr("subscription", subscription_name(*state));
            w.close("subscription");
            if let Some(options) = options {
                // §6.3.7
                w.open("options");
                write_options(options, Purpose::Result, &mut w);
                w.close("options");
            }
        }
        PubsubReply::Options {
            node,
            jid,
            subid,
            options,
        } => {
            w.open("options").attr("node", node.as_str());
            w.attr("jid", jid.as_str());
            w.attr_opt("subid", subid.as_deref());
            write_options(options, Purpose::Form, &mut w);
            w.close("options");
        }
        PubsubReply::DefaultOptions { node } => {
            w.open("default");
            w.attr_opt("node", node.as_ref().map(NodeId::as_str));
            write_options(&SubscriptionOptions::default(), Purpose::Result, &mut w);
            w.close("default");
        }
        PubsubReply::SubscriptionsRefused { node, refused } => {
            w.open("subscriptions").attr("node", node.as_str());
            for subscription in refused {
                write_subscription(None, subscription, &mut w);
            }
            w.close("subscriptions");
        }
        PubsubReply::Items {
            node,
            items,
            page,
            publisher,
        } => {
            w.open("items").attr("node", node.as_str());
            for item in items {
                write_item(item, *publisher, &mut w);
            }
            w.close("items");
            write_page_of(page, &mut w);
        }
        PubsubReply::Subscriptions { node, list, page } => {
            w.open("subscriptions");
            w.attr_opt("node", node.as_ref().map(NodeId::as_str));
            for (of, subscription) in list {
                write_subscription((!as_owner).then_some(of), subscription, &mut w);
            }
            w.close("subscriptions");
            write_page_of(page, &mut w);
        }
        PubsubReply::Affiliations { node, list } => {
            w.open("affiliations");
            w.attr_opt("node", node.as_ref().map(NodeId::as_str));
            for (of, jid, affiliation) in list {
                w.open("affiliation");
                if as_owner {
                    w.attr("jid", jid.as_str());
                } else {
                    w.attr("node", of.as_str());
                }
                w.attr("affiliation", affiliation_name(*affiliation));
                w.close("affiliation");
            }
            w.close("affiliations");
        }
        PubsubReply::NodeInfo { .. }
        | PubsubReply::Nodes { .. }
        | PubsubReply::Branch { .. }
        | PubsubReply::Level { .. }
        | PubsubReply::Pending { .. }
        | PubsubReply::Archive { .. }
        | PubsubReply::ArchiveEnds(_) => {}
    }
    w.close("pubsub");
}

/// §5.2 to §5.5: these answers are disco's; and those of archives.
fn write_disco(reply: &PubsubReply, service: &str, w: &mut Writer<'_>) -> bool {
    match reply {
        PubsubReply::NodeInfo {
            node,
            config,
            creator,
            created,
            owners,
            publishers,
            subscribers,
            ..
        } => {
            w.open("query").attr("xmlns", ns::DISCO_INFO);
            w.attr("node", node.as_str());
            // S17: every named node is a leaf.
            w.open("identity").attr("category", "pubsub");
            w.attr("type", "leaf").close("identity");
            let archive: &[_] = match config.persist_items {
                true => &[ns::MAM, ns::MAM_EXTENDED],
                false => &[],
            };
            for feature in [&[ns::PUBSUB], archive].concat() {
                w.open("feature").attr("var", feature).close("feature");
            }
            let about = About {
                config,
                creator,
                created: *created,
                owners,
                publishers,
                subscribers: *subscribers,
            };
            write_meta_data(&about, w);
            w.close("query");
        }
        PubsubReply::Archive { page, .. } => mam::write_fin(page, w),
        PubsubReply::ArchiveEnds(ends) => mam::write_meta_data(ends.as_ref(), w),
        PubsubReply::Level { node } => {
            w.open("query").attr("xmlns", ns::DISCO_INFO);
            w.attr("node", node.as_str());
            w.open("identity").attr("category", "pubsub");
            w.attr("type", "collection").close("identity");
            w.close("query");
        }
        PubsubReply::Nodes { list, page } => write_branch(None, list, &[], page, service, w),
        PubsubReply::Branch {
            node,
            nodes,
            items,
            page,
        } => write_branch(node.as_ref(), nodes, items, page, service, w),
        _ => return false,
    }
    true
}

/// §5.2, §5.5: what is below something, and what is in it.
fn write_branch(
    of: Option<&NodeId>,
    nodes: &[(NodeId, Box<str>)],
    items: &[ItemId],
    page: &Option<PageInfo>,
    service: &str,
    w: &mut Writer<'_>,
) {
    w.open("query").attr("xmlns", ns::DISCO_ITEMS);
    w.attr_opt("node", of.map(NodeId::as_str));
    for (node, title) in nodes {
        w.open("item").attr("jid", service);
        w.attr("node", node.as_str());
        w.attr_opt("name", Some(&**title).filter(|title| !title.is_empty()));
        w.close("item");
    }
    for id in items {
        // §5.5: the item's id is the name.
        w.open("item").attr("jid", service);
        w.attr("name", id.as_str()).close("item");
    }
    write_page_of(page, w);
    w.close("query");
}

/// `publisher`: the node shows who published its items (§7.1.2.3).
fn write_item(item: &Item, publisher: bool, w: &mut Writer<'_>) {
    w.open("item").attr("id", item.id.as_str());
    if publisher {
        w.attr("publisher", item.publisher.bare().as_str());
    }
    if let Some(payload) = &item.payload {
        w.raw(&payload.bytes);
    }
    w.close("item");
}

fn write_subscription(node: Option<&NodeId>, subscription: &NodeSubscription, w: &mut Writer<'_>) {
    w.open("subscription");
    w.attr_opt("node", node.map(NodeId::as_str));
    w.attr("jid", subscription.jid.as_str());
    // One that there is not has none (§8.8.2.4).
    w.attr_opt(
        "subid",
        Some(&*subscription.subid).filter(|subid| !subid.is_empty()),
    );
    w.attr("subscription", subscription_name(subscription.state));
    w.close("subscription");
}

fn write_page_of(page: &Option<PageInfo>, w: &mut Writer<'_>) {
    if let Some(page) = page {
        write_page(page, w);
    }
}

/// Writes the pubsub condition that stands beside the general one in an error (§16.2.4).
pub fn render_detail(detail: Detail, w: &mut Writer<'_>) {
    let (name, feature) = match detail {
        // Not one of pubsub's: `stanza_error` writes it.
        Detail::Blocked => return,
        Detail::ClosedNode => ("closed-node", None),
        Detail::ConfigurationRequired => ("configuration-required", None),
        Detail::InvalidJid => ("invalid-jid", None),
        Detail::InvalidOptions => ("invalid-options", None),
        Detail::InvalidPayload => ("invalid-payload", None),
        Detail::InvalidSubid => ("invalid-subid", None),
        Detail::ItemForbidden => ("item-forbidden", None),
        Detail::ItemRequired => ("item-required", None),
        Detail::JidRequired => ("jid-required", None),
        Detail::MaxItemsExceeded => ("max-items-exceeded", None),
        Detail::MaxNodesExceeded => ("max-nodes-exceeded", None),
        Detail::NodeFull => ("node-full", None),
        Detail::NodeidRequired => ("nodeid-required", None),
        Detail::NotInRosterGroup => ("not-in-roster-group", None),
        Detail::NotSubscribed => ("not-subscribed", None),
        Detail::PayloadTooBig => ("payload-too-big", None),
        Detail::PayloadRequired => ("payload-required", None),
        Detail::PendingSubscription => ("pending-subscription", None),
        Detail::PreconditionNotMet => ("precondition-not-met", None),
        Detail::PresenceSubscriptionRequired => ("presence-subscription-required", None),
        Detail::SubidRequired => ("subid-required", None),
        Detail::TooManySubscriptions => ("too-many-subscriptions", None),
        Detail::UnsupportedAccessModel => ("unsupported-access-model", None),
        // Of another specification, and written there.
        Detail::Command(_) => return,
        Detail::Unsupported(feature) => ("unsupported", Some(feature)),
    };
    w.open(name).attr("xmlns", ns::PUBSUB_ERRORS);
    w.attr_opt("feature", feature).close(name);
}

/// The word of the specification (§4.1).
pub const fn affiliation_name(affiliation: Affiliation) -> &'static str {
    match affiliation {
        Affiliation::Owner => "owner",
        Affiliation::Publisher => "publisher",
        Affiliation::PublishOnly => "publish-only",
        Affiliation::Member => "member",
        Affiliation::None => "none",
        Affiliation::Outcast => "outcast",
    }
}

/// The word of the specification (§4.2).
pub const fn subscription_name(state: SubscriptionState) -> &'static str {
    match state {
        SubscriptionState::None => "none",
        SubscriptionState::Pending => "pending",
        SubscriptionState::Unconfigured => "unconfigured",
        SubscriptionState::Subscribed => "subscribed",
    }
}
