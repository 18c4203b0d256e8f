//! The one place where a session and the XML of pubsub meet: requests to the service, its answers, its notifications.
//!
//! Implements: XEP-0060 §5.1 to §5.5 as far as discovery of the service begins here; all else is in `pubsub`.

use bytes::Bytes;

use crate::{
    address::BareJid,
    command::{PubsubAction, PubsubReply, PubsubRequest},
    event::{Event, NodeChange, NodeEvent},
    mailbox::SubscriptionTag,
    message::IqKind,
    node::NodeId,
    refusal::{CommandFault, Detail, Reason, Refusal},
    time::{Now, Timestamp},
    xmpp::{
        command::{self, Action, Status},
        disco, mam,
        message::{write_delay, write_kind},
        namespace as ns, pubsub, rsm, stanza_error,
        xml::{Element, Writer, escape_attr_into},
    },
};

use super::{asked::Asked, shared::Surroundings};

/// Writes disco#info of the service.
pub(in crate::xmpp) fn write_info(w: &mut Writer<'_>) {
    let (category, kind) = pubsub::IDENTITY;
    w.open("query").attr("xmlns", ns::DISCO_INFO);
    disco::write_identity(category, kind, None, w);
    for feature in [
        ns::COMMANDS,
        ns::DISCO_INFO,
        ns::DISCO_ITEMS,
        ns::PING,
        ns::VERSION,
    ] {
        disco::write_feature(feature, w);
    }
    for feature in [&pubsub::ARCHIVE_FEATURES[..], &pubsub::ORDER_FEATURES].concat() {
        disco::write_feature(feature, w);
    }
    for feature in pubsub::features_at(pubsub::Place::Service) {
        disco::write_feature(feature, w);
    }
    w.close("query");
}

/// What a request to the service asks, or to the personal nodes of `host`, and how its answer is written.
pub(in crate::xmpp) fn read(
    child: Element<'_>,
    kind: IqKind,
    host: Option<BareJid>,
) -> Result<(Asked, PubsubRequest), Refusal> {
    let action = match (child.namespace(), child.name()) {
        (ns::PUBSUB | ns::PUBSUB_OWNER, "pubsub") => pubsub::parse_pubsub(kind, child)?,
        (ns::DISCO_INFO | ns::DISCO_ITEMS, "query") if kind == IqKind::Set => {
            return Err(Reason::NotAllowed.into());
        }
        // §5.3, §5.4.
        (ns::DISCO_INFO, "query") => PubsubAction::Describe {
            node: node(child)?.ok_or(Reason::BadRequest)?,
        },
        // §5.2, §5.5.
        (ns::DISCO_ITEMS, "query") => PubsubAction::Browse {
            node: node(child)?,
            page: rsm::read_page(child)?,
        },
        (ns::MAM, _) => archive(child, kind, host.is_some())?,
        // RFC 6120 §8.4.
        _ => return Err(Reason::ServiceUnavailable.into()),
    };
    let asked = if pubsub::wants_owner_reply(&action) {
        Asked::PubsubOwner
    } else {
        Asked::Pubsub
    };
    Ok((asked, PubsubRequest { host, action }))
}

/// The commands of the service.
const COMMANDS: &[(&str, &str)] = &[(pubsub::GET_PENDING, "Subscription requests")];

/// Whether a query of discovery is about the service's commands: their list, or one of them.
pub(super) fn is_of_commands(query: Element<'_>) -> bool {
    match query.attr("node") {
        Some(ns::COMMANDS) => true,
        Some(node) => {
            query.namespace() == ns::DISCO_INFO && COMMANDS.iter().any(|(name, _)| *name == node)
        }
        None => false,
    }
}

/// Writes what there is to know of them.
pub(super) fn write_commands(query: Element<'_>, service: &str, w: &mut Writer<'_>) {
    let node = query.attr("node").unwrap_or_default();
    match query.namespace() {
        ns::DISCO_ITEMS => command::write_list(service, COMMANDS, w),
        _ => command::write_info(node, COMMANDS, w),
    }
}

/// What a step of a command asks; or that the execution is over, by its own words. `unique` tells a new execution from others.
pub(super) fn read_step(
    child: Element<'_>,
    unique: &str,
    now: Now,
) -> Result<Result<PubsubRequest, Box<str>>, Refusal> {
    let step = command::read(child, now)?;
    if step.node != pubsub::GET_PENDING {
        return Err(Reason::ItemNotFound.into());
    }
    let execution: Box<str> = match step.execution {
        Some(execution) => execution.into(),
        None => command::begin(unique, now),
    };
    let bad_payload = || command::fault(CommandFault::BadPayload);
    let node = match (step.action, step.form) {
        (Action::Cancel, _) => return Ok(Err(execution)),
        (Action::Prev, _) => return Err(command::fault(CommandFault::BadAction)),
        (_, Some(form)) if form.cancelled => return Ok(Err(execution)),
        (_, Some(form)) => {
            let fields = form
                .fields_of(ns::PUBSUB_SUBSCRIBE_AUTHORIZATION)
                .map_err(|_| bad_payload())?;
            let field = fields.iter().find(|field| &*field.var == "pubsub#node");
            let name = field.and_then(|field| field.values.first());
            let name = name.ok_or_else(|| bad_payload().say("choose a node"))?;
            Some(NodeId::parse(name).map_err(|_| Refusal::new(Reason::ItemNotFound))?)
        }
        // §8.7.4: the form of the first stage comes back.
        (_, None) if step.execution.is_some() => return Err(bad_payload().say("choose a node")),
        (_, None) => None,
    };
    let action = PubsubAction::GetPending { node, execution };
    Ok(Ok(PubsubRequest { host: None, action }))
}

/// Writes the answer to a step.
pub(super) fn write_step(reply: &PubsubReply, w: &mut Writer<'_>) {
    let PubsubReply::Pending { execution, nodes } = reply else {
        return;
    };
    let status = match nodes {
        Some(_) => Status::Executing,
        None => Status::Completed,
    };
    command::write(pubsub::GET_PENDING, execution, status, w, |w| {
        if let Some(nodes) = nodes {
            pubsub::write_pending_nodes(nodes, w);
        }
    });
}

/// Writes that an execution was given up.
pub(super) fn write_canceled(execution: &str, w: &mut Writer<'_>) {
    command::write(pubsub::GET_PENDING, execution, Status::Canceled, w, |_| {});
}

/// What a message to the service says, or to the personal nodes of `host`. `None`: nothing.
pub(super) fn read_message(
    message: Element<'_>,
    host: Option<BareJid>,
) -> Result<Option<PubsubRequest>, Refusal> {
    let action = pubsub::read_approval(message)?;
    Ok(action.map(|action| PubsubRequest { host, action }))
}

/// §8.8.2.4: what could not be done comes back beside the error.
pub(super) fn write_partly_refused(
    reply: &PubsubReply,
    asked: Asked,
    id: &str,
    from: Option<&str>,
    to: &str,
    out: &mut Vec<u8>,
) {
    let mut w = Writer::new(out);
    w.open("iq").attr("type", "error").attr("id", id);
    w.attr_opt("from", from).attr("to", to).finish_tag();
    write_reply(reply, asked, from, out);
    let mut w = Writer::new(out);
    stanza_error::write(&Reason::NotAcceptable.into(), &mut w);
    w.close("iq");
}

/// Whether the fields of a query are asked for (XEP-0313 §4.1.5), which are the same for all archives; an account has none but
/// those of its nodes.
pub(in crate::xmpp) fn is_archive_form(child: Element<'_>, kind: IqKind, account: bool) -> bool {
    child.is("query", ns::MAM)
        && kind == IqKind::Get
        && (!account || child.attr("node").is_some_and(|node| !node.is_empty()))
}

/// XEP-0442 §2: the archive of a node, which must be named. Without a node an account is asked for its messages.
fn archive(child: Element<'_>, kind: IqKind, account: bool) -> Result<PubsubAction, Refusal> {
    let node = match node(child)? {
        Some(node) => node,
        None if account => {
            return Err(Refusal::new(Reason::FeatureNotImplemented)
                .say("messages have no archive here; a query with 'node' reads that of a node"));
        }
        None => return Err(Refusal::new(Reason::BadRequest).because(Detail::NodeidRequired)),
    };
    let asked = mam::read(child, kind)?;
    match asked {
        mam::Asked::Query(request) => Ok(PubsubAction::Archive { node, request }),
        mam::Asked::MetaData => Ok(PubsubAction::ArchiveEnds { node }),
        // Answered without the service: it is the same for all.
        mam::Asked::Form => Err(Reason::BadRequest.into()),
    }
}

/// A node that no name can belong to does not exist.
fn node(query: Element<'_>) -> Result<Option<NodeId>, Refusal> {
    query
        .attr("node")
        .filter(|node| !node.is_empty())
        .map(|node| NodeId::parse(node).map_err(|_| Reason::ItemNotFound.into()))
        .transpose()
}

/// Writes what stands in the result.
pub(in crate::xmpp) fn write_reply(
    reply: &PubsubReply,
    asked: Asked,
    from: Option<&str>,
    out: &mut Vec<u8>,
) {
    let as_owner = asked == Asked::PubsubOwner;
    pubsub::render_reply(reply, as_owner, from.unwrap_or_default(), out);
}

/// Writes the entries that come before the answer, each as a message of its own (XEP-0442 §2).
pub(super) fn write_entries(
    reply: &PubsubReply,
    from: Option<&str>,
    to: &str,
    around: &Surroundings,
    out: &mut Vec<u8>,
) {
    let PubsubReply::Archive {
        reference, entries, ..
    } = reply
    else {
        return;
    };
    let envelope = mam::Envelope {
        to,
        from,
        reference: reference.as_deref(),
    };
    for entry in entries {
        let mut w = Writer::new(out);
        mam::write_result(&envelope, &entry.id, entry.published, &mut w, |w| {
            let Some(event) = &entry.event else { return };
            let from = event.at.host.as_ref().unwrap_or(&around.shared.service);
            w.open("message").attr("xmlns", ns::CLIENT);
            w.attr("from", from.as_str());
            write_kind(event.kind, w);
            w.raw(&pubsub::render_event(event));
            pubsub::write_reply_to(event, w);
            w.close("message");
        });
    }
}

/// Writes a notification: what all subscribers share comes from the event, only `to`, headers and delay are theirs (S23).
pub(in crate::xmpp) fn write_event(
    event: &Event,
    node: &NodeEvent,
    to: &str,
    tag: Option<&SubscriptionTag>,
    delay: Option<(&BareJid, Timestamp)>,
    around: &Surroundings,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"<message to='");
    escape_attr_into(to, out);
    out.push(b'\'');
    out.extend_from_slice(event.xmpp(|_| render_shared(node, &around.shared.service)));
    if let Some(tag) = tag {
        if tag.body {
            out.extend_from_slice(event.xmpp_body(|_| pubsub::render_body(&node.change)));
        }
        pubsub::render_headers(tag, &node.change, out);
        pubsub::render_publisher(tag, &node.change, out);
    }
    if let Some((by, at)) = delay {
        write_delay(by, at, &mut Writer::new(out));
    }
    out.extend_from_slice(b"</message>");
}

/// The rest of the message's start tag, and the `<event/>`.
fn render_shared(node: &NodeEvent, service: &BareJid) -> Bytes {
    let event = pubsub::render_event(node);
    let from = node.at.host.as_ref().unwrap_or(service);
    let mut head = Vec::new();
    let mut w = Writer::new(&mut head);
    w.open("message").attr("from", from.as_str());
    write_kind(node.kind, &mut w);
    if let NodeChange::Requested { subid, .. } = &node.change {
        // §8.6: the answer has the same.
        w.attr("id", subid);
    }
    w.raw(&event);
    pubsub::write_reply_to(node, &mut w);
    // `to` comes first, so the name is written by whoever writes that.
    let attributes = &head["<message".len()..];
    Bytes::copy_from_slice(attributes)
}
