//! Service discovery of the hub and of accounts.
//!
//! Implements: XEP-0030 2.5.0 §3 info, §4 items; XEP-0128 1.0.1 (the hub's software as a form, XEP-0232; whom to write to, `contact`).
//! Not: nodes of the hub itself; those of the pubsub service are in `pubsub`.

use crate::{
    address::BareJid,
    command::PubsubReply,
    message::Resource,
    xmpp::{contact::Contacts, namespace as ns, pubsub, rsm, xml::Writer},
};

/// What the hub does for its own domain. Each is answered somewhere in `session`, or kept by the router.
const HUB_FEATURES: &[&str] = &[
    ns::BLOCKING,
    ns::CARBONS,
    ns::CAPS,
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::LAST,
    ns::MSG_OFFLINE,
    ns::PING,
    ns::PRIVATE,
    ns::REGISTER,
    ns::ROSTER,
    ns::TIME,
    ns::VCARD,
    ns::VERSION,
];

/// What may be asked of an account. Not `urn:xmpp:mam:2`: by that a client takes its messages to be archived (XEP-0313 §7); that
/// a node of the account has an archive, the node says.
const ACCOUNT_FEATURES: &[&str] = &[
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::LAST,
    ns::MSG_OFFLINE,
    ns::VCARD,
];

/// FORM_TYPE of XEP-0232.
const SOFTWARE_INFO: &str = "urn:xmpp:dataforms:softwareinfo";

/// What the hub says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Hub<'a> {
    /// The software's name.
    pub software: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Whom to turn to.
    pub contacts: &'a Contacts,
}

/// Writes what the hub is; `node` is what it was asked for (XEP-0115 §6.3).
pub fn write_hub_info(hub: Hub<'_>, node: Option<&str>, w: &mut Writer<'_>) {
    let Hub {
        software,
        version,
        contacts,
    } = hub;
    w.open("query").attr("xmlns", ns::DISCO_INFO);
    w.attr_opt("node", node);
    write_identity("server", "im", Some(software), w);
    for feature in HUB_FEATURES {
        write_feature(feature, w);
    }
    w.open("x")
        .attr("xmlns", ns::DATA_FORM)
        .attr("type", "result");
    for (var, kind, value) in [
        ("FORM_TYPE", Some("hidden"), SOFTWARE_INFO),
        ("software", None, software),
        ("software_version", None, version),
    ] {
        w.open("field").attr("var", var).attr_opt("type", kind);
        w.element("value", value).close("field");
    }
    w.close("x");
    contacts.write(w);
    w.close("query");
}

/// Writes what belongs to the hub: its pubsub service, and the components that are connected.
pub fn write_hub_items(service: &BareJid, components: &[BareJid], w: &mut Writer<'_>) {
    w.open("query").attr("xmlns", ns::DISCO_ITEMS);
    w.open("item")
        .attr("jid", service.as_str())
        .attr("name", "Publish-subscribe")
        .close("item");
    for component in components {
        w.open("item").attr("jid", component.as_str()).close("item");
    }
    w.close("query");
}

/// Writes what an account is: a pubsub service of its own too (XEP-0163 §6.1).
pub fn write_account_info(w: &mut Writer<'_>) {
    w.open("query").attr("xmlns", ns::DISCO_INFO);
    write_identity("account", "registered", None, w);
    write_identity("pubsub", "pep", None, w);
    for feature in ACCOUNT_FEATURES {
        write_feature(feature, w);
    }
    for feature in pubsub::ORDER_FEATURES {
        write_feature(feature, w);
    }
    for feature in pubsub::features_at(pubsub::Place::Personal) {
        write_feature(feature, w);
    }
    w.close("query");
}

/// Writes what belongs to an account: its resources and personal nodes, to those who may know.
pub fn write_account_items(
    resources: &[Resource],
    nodes: &PubsubReply,
    account: &str,
    w: &mut Writer<'_>,
) {
    w.open("query").attr("xmlns", ns::DISCO_ITEMS);
    for resource in resources {
        w.open("item")
            .attr("jid", resource.jid.as_str())
            .close("item");
    }
    if let PubsubReply::Nodes { list, page } = nodes {
        for (node, title) in list {
            w.open("item").attr("jid", account);
            w.attr("node", node.as_str());
            w.attr_opt("name", Some(&**title).filter(|title| !title.is_empty()));
            w.close("item");
        }
        if let Some(page) = page {
            rsm::write_page(page, w);
        }
    }
    w.close("query");
}

/// Writes one identity.
pub fn write_identity(category: &str, kind: &str, name: Option<&str>, w: &mut Writer<'_>) {
    w.open("identity")
        .attr("category", category)
        .attr("type", kind)
        .attr_opt("name", name)
        .close("identity");
}

/// Writes one feature.
pub fn write_feature(var: &str, w: &mut Writer<'_>) {
    w.open("feature").attr("var", var).close("feature");
}
