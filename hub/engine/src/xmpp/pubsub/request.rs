//! Requests to the service, read from XML.
//!
//! Implements: XEP-0060 1.30 §5.6, §5.7, §6.1 to §6.5, §7.1, §7.2, §8.1 to §8.5, §8.8, §8.9.

use crate::{
    address::{BareJid, Jid},
    command::{Field, NewItem, PubsubAction},
    item::{Affiliation, SubscriptionState},
    message::IqKind,
    node::{ItemId, NodeId},
    refusal::{Detail, Reason, Refusal},
    xmpp::{
        data_form::Submitted, namespace as ns, order::read_order, payload::read_payload,
        rsm::read_page, xml::Element,
    },
};

/// Reads a `<pubsub/>` of either namespace. What is malformed is refused with the condition that XEP-0060 has for it.
pub fn parse_pubsub(kind: IqKind, pubsub: Element<'_>) -> Result<PubsubAction, Refusal> {
    let namespace = pubsub.namespace();
    // A request may have companions, `<configure/>` or `<options/>`; the first of its own elements says what it is.
    let first = pubsub
        .children()
        .find(|child| child.namespace() == namespace);
    let what = first.ok_or_else(bad)?;
    let set = kind == IqKind::Set;
    if namespace == ns::PUBSUB_OWNER {
        return parse_owner(set, pubsub, what);
    }
    match (set, what.name()) {
        (true, "create") => create(pubsub, what),
        (true, "publish") => publish(pubsub, what),
        (true, "retract") => retract(what),
        (true, "subscribe") => subscribe(pubsub, what),
        // §6.3.7: options come after the subscription.
        (true, "options") if pubsub.child("subscribe", ns::PUBSUB).is_some() => {
            Err(bad().say("the options of a subscription follow it"))
        }
        (true, "options") => {
            let form = what.child("x", ns::DATA_FORM).ok_or_else(bad)?;
            Ok(PubsubAction::SetOptions {
                node: required_node(what)?,
                jid: subscriber(what)?,
                subid: subid(what),
                options: Submitted::read(form)?.fields_of(ns::PUBSUB_SUBSCRIBE_OPTIONS)?,
            })
        }
        (false, "options") => Ok(PubsubAction::GetOptions {
            node: required_node(what)?,
            jid: subscriber(what)?,
            subid: subid(what),
        }),
        (true, "unsubscribe") => Ok(PubsubAction::Unsubscribe {
            node: required_node(what)?,
            jid: subscriber(what)?,
            subid: subid(what),
        }),
        (false, "items") => items(pubsub, what),
        (false, "subscriptions") => Ok(PubsubAction::Subscriptions {
            node: optional_node(what)?,
        }),
        (false, "affiliations") => Ok(PubsubAction::Affiliations {
            node: optional_node(what)?,
        }),
        (false, "default") => Ok(PubsubAction::DefaultOptions {
            node: optional_node(what)?,
        }),
        _ => Err(bad()),
    }
}

/// Whether the answer belongs into the owner's namespace, as the request was.
pub fn wants_owner_reply(action: &PubsubAction) -> bool {
    matches!(
        action,
        PubsubAction::GetConfig { .. }
            | PubsubAction::DefaultConfig
            | PubsubAction::NodeSubscriptions { .. }
            | PubsubAction::SetSubscriptions { .. }
            | PubsubAction::NodeAffiliations { .. }
    )
}

fn parse_owner(set: bool, pubsub: Element<'_>, what: Element<'_>) -> Result<PubsubAction, Refusal> {
    match (set, what.name()) {
        (false, "configure") => Ok(PubsubAction::GetConfig {
            node: required_node(what)?,
        }),
        (true, "configure") => {
            let node = required_node(what)?;
            let form = what.child("x", ns::DATA_FORM).ok_or_else(bad)?;
            Ok(PubsubAction::Configure {
                node,
                config: Submitted::read(form)?.fields_of(ns::PUBSUB_NODE_CONFIG)?,
            })
        }
        (false, "default") => match what.attr("type") {
            // §8.3.2: of a type of nodes; without the word, of leaves.
            None | Some("leaf") => Ok(PubsubAction::DefaultConfig),
            Some("collection") => Err(unsupported("collections")),
            Some(_) => Err(bad().say("there is no such type of nodes")),
        },
        (true, "delete") => Ok(PubsubAction::Delete {
            node: required_node(what)?,
            redirect: match what.child("redirect", ns::PUBSUB_OWNER) {
                Some(to) => Some(redirect(to)?),
                None => None,
            },
        }),
        (true, "purge") => Ok(PubsubAction::Purge {
            node: required_node(what)?,
        }),
        (false, "subscriptions") => Ok(PubsubAction::NodeSubscriptions {
            node: required_node(what)?,
            page: read_page(pubsub)?,
        }),
        (true, "subscriptions") => set_subscriptions(what),
        (false, "affiliations") => Ok(PubsubAction::NodeAffiliations {
            node: required_node(what)?,
        }),
        (true, "affiliations") => set_affiliations(what),
        _ => Err(bad()),
    }
}

/// §8.4.1: the address of what replaces the node, for others to follow.
fn redirect(to: Element<'_>) -> Result<Box<str>, Refusal> {
    match to.attr("uri") {
        Some(uri) if !uri.is_empty() && !uri.contains(char::is_whitespace) => Ok(uri.into()),
        _ => Err(bad().say("a redirect needs a URI")),
    }
}

fn create(pubsub: Element<'_>, what: Element<'_>) -> Result<PubsubAction, Refusal> {
    // §8.1.3: `<configure/>` after `<create/>`, which names the node; empty means the default.
    let configure = pubsub.child("configure", ns::PUBSUB);
    if configure.is_some_and(|configure| configure.attr("node").is_some()) {
        return Err(bad().say("<create/> names the node"));
    }
    let form = configure.and_then(|configure| configure.child("x", ns::DATA_FORM));
    let config = match form {
        Some(form) => submitted(form, ns::PUBSUB_NODE_CONFIG)?,
        None => Vec::new(),
    };
    let node = match what.attr("node").filter(|name| !name.is_empty()) {
        Some(name) => Some(
            NodeId::parse(name)
                .map_err(|error| Refusal::new(Reason::NotAcceptable).say(error.to_string()))?,
        ),
        None => None,
    };
    Ok(PubsubAction::Create { node, config })
}

fn publish(pubsub: Element<'_>, what: Element<'_>) -> Result<PubsubAction, Refusal> {
    let node = required_node(what)?;
    let mut items = Vec::new();
    for item in what.children().filter(|child| child.is("item", ns::PUBSUB)) {
        items.push(NewItem {
            id: match item.attr("id").filter(|id| !id.is_empty()) {
                Some(id) => {
                    Some(ItemId::parse(id).map_err(|error| {
                        Refusal::new(Reason::NotAcceptable).say(error.to_string())
                    })?)
                }
                None => None,
            },
            payload: read_payload(item)?,
        });
    }
    let options = match pubsub.child("publish-options", ns::PUBSUB) {
        // §7.1.5: it holds a form.
        Some(options) => {
            let form = options.child("x", ns::DATA_FORM).ok_or_else(bad)?;
            Some(submitted(form, ns::PUBSUB_PUBLISH_OPTIONS)?)
        }
        None => None,
    };
    Ok(PubsubAction::Publish {
        node,
        items,
        options,
    })
}

fn retract(what: Element<'_>) -> Result<PubsubAction, Refusal> {
    let node = required_node(what)?;
    let mut items = Vec::new();
    for item in what.children().filter(|child| child.is("item", ns::PUBSUB)) {
        items.push(item_id(item)?);
    }
    // §7.2.3.4
    if items.is_empty() {
        return Err(bad().because(Detail::ItemRequired));
    }
    Ok(PubsubAction::Retract {
        node,
        items,
        notify: matches!(what.attr("notify"), Some("1" | "true")),
    })
}

fn subscribe(pubsub: Element<'_>, what: Element<'_>) -> Result<PubsubAction, Refusal> {
    let options = match pubsub.child("options", ns::PUBSUB) {
        // §6.3.7: whose they are is said once.
        Some(options) if options.attr("node").is_some() || options.attr("jid").is_some() => {
            return Err(
                bad().say("the subscription names the node and the address, its options do not")
            );
        }
        Some(options) => form_in(options, ns::PUBSUB_SUBSCRIBE_OPTIONS)?,
        None => None,
    };
    Ok(PubsubAction::Subscribe {
        node: required_node(what)?,
        jid: subscriber(what)?,
        options,
    })
}

fn items(pubsub: Element<'_>, what: Element<'_>) -> Result<PubsubAction, Refusal> {
    let node = required_node(what)?;
    let mut ids = Vec::new();
    for item in what.children().filter(|child| child.is("item", ns::PUBSUB)) {
        ids.push(item_id(item)?);
    }
    let max = what.attr("max_items").map(|max| max.trim_ascii().parse());
    Ok(PubsubAction::Items {
        node,
        ids,
        max: max.transpose().map_err(|_| bad())?,
        subid: subid(what),
        page: read_page(pubsub)?,
        // XEP-0413 §4.1.
        order: read_order(pubsub)?.unwrap_or_default(),
    })
}

fn set_subscriptions(what: Element<'_>) -> Result<PubsubAction, Refusal> {
    let mut changes = Vec::new();
    for entry in what
        .children()
        .filter(|child| child.is("subscription", ns::PUBSUB_OWNER))
    {
        let jid = subscriber(entry)?;
        let state = match entry.attr("subscription") {
            // §8.8.2: without the word nothing changes.
            None => continue,
            Some("none") => SubscriptionState::None,
            Some("pending") => SubscriptionState::Pending,
            Some("unconfigured") => SubscriptionState::Unconfigured,
            Some("subscribed") => SubscriptionState::Subscribed,
            Some(_) => return Err(bad()),
        };
        changes.push((jid, state, subid(entry)));
    }
    Ok(PubsubAction::SetSubscriptions {
        node: required_node(what)?,
        changes,
    })
}

fn set_affiliations(what: Element<'_>) -> Result<PubsubAction, Refusal> {
    let mut changes: Vec<(BareJid, Affiliation)> = Vec::new();
    for entry in what
        .children()
        .filter(|child| child.is("affiliation", ns::PUBSUB_OWNER))
    {
        let jid = subscriber(entry)?.bare();
        let affiliation = match entry.attr("affiliation") {
            // §8.9.2: without the word nothing changes.
            None => continue,
            Some("owner") => Affiliation::Owner,
            Some("publisher") => Affiliation::Publisher,
            Some("publish-only") => Affiliation::PublishOnly,
            Some("member") => Affiliation::Member,
            Some("none") => Affiliation::None,
            Some("outcast") => Affiliation::Outcast,
            Some(_) => return Err(bad()),
        };
        changes.push((jid, affiliation));
    }
    Ok(PubsubAction::SetAffiliations {
        node: required_node(what)?,
        changes,
    })
}

/// A form that goes along with something that is done: it cannot be a cancellation (XEP-0004 §3.1).
fn submitted(form: Element<'_>, form_type: &str) -> Result<Vec<Field>, Refusal> {
    let submitted = Submitted::read(form)?;
    if submitted.cancelled {
        return Err(bad().say("the form is cancelled"));
    }
    submitted.fields_of(form_type)
}

fn form_in(holder: Element<'_>, form_type: &str) -> Result<Option<Vec<Field>>, Refusal> {
    let Some(form) = holder.child("x", ns::DATA_FORM) else {
        return Ok(None);
    };
    Submitted::read(form)?.fields_of(form_type).map(Some)
}

/// §7.2.3.3 and its like: a request about a node must name it.
fn required_node(what: Element<'_>) -> Result<NodeId, Refusal> {
    optional_node(what)?.ok_or_else(|| bad().because(Detail::NodeidRequired))
}

/// A name that no node can have is a node that does not exist.
fn optional_node(what: Element<'_>) -> Result<Option<NodeId>, Refusal> {
    match what.attr("node").filter(|name| !name.is_empty()) {
        Some(name) => NodeId::parse(name)
            .map(Some)
            .map_err(|error| Refusal::new(Reason::ItemNotFound).say(error.to_string())),
        None => Ok(None),
    }
}

/// §7.2.3.4: an item is named by its id; one that no item can have is an item that does not exist.
fn item_id(item: Element<'_>) -> Result<ItemId, Refusal> {
    match item.attr("id").filter(|id| !id.is_empty()) {
        Some(id) => ItemId::parse(id).map_err(|_| Reason::ItemNotFound.into()),
        None => Err(bad().because(Detail::ItemRequired)),
    }
}

/// §6.1.3.1, §6.3.4.3: whom it is about.
fn subscriber(what: Element<'_>) -> Result<Jid, Refusal> {
    let jid = what
        .attr("jid")
        .ok_or_else(|| bad().because(Detail::JidRequired))?;
    Jid::parse(jid).map_err(|_| bad().because(Detail::InvalidJid))
}

fn subid(what: Element<'_>) -> Option<Box<str>> {
    what.attr("subid").map(Into::into)
}

const fn bad() -> Refusal {
    Refusal::new(Reason::BadRequest)
}

const fn unsupported(feature: &'static str) -> Refusal {
    Refusal::new(Reason::FeatureNotImplemented).because(Detail::Unsupported(feature))
}
