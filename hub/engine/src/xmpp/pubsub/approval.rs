//! Requests to be subscribed that owners approve: the form that they get, and the form that they send back.
//!
//! Implements: XEP-0060 1.30 §8.6, §8.7.2, §16.4.1.

use crate::{
    address::Jid,
    command::PubsubAction,
    node::NodeId,
    refusal::{Reason, Refusal},
    xmpp::{
        data_form::{FormWriter, Purpose, Submitted},
        namespace as ns,
        xml::{Element, Writer},
    },
};

/// The name of the command (§8.7).
pub const GET_PENDING: &str = "http://jabber.org/protocol/pubsub#get-pending";

/// The form by which an owner is asked (§8.6, example 182).
pub(super) fn write_request(node: &NodeId, jid: &Jid, subid: &str, w: &mut Writer<'_>) {
    let mut form = FormWriter::begin(w, Purpose::Form, ns::PUBSUB_SUBSCRIBE_AUTHORIZATION);
    form.field("pubsub#subid", "hidden", None, [subid]);
    form.field(
        "pubsub#node",
        "text-single",
        Some("The node"),
        [node.as_str()],
    );
    form.field(
        "pubsub#subscriber_jid",
        "jid-single",
        Some("Who asks to be subscribed"),
        [jid.as_str()],
    );
    form.boolean("pubsub#allow", "Allow this subscription?", false);
    form.end();
}

/// Whether a message is an owner's answer.
pub fn is_approval(message: Element<'_>) -> bool {
    let form = message.child("x", ns::DATA_FORM);
    let form = form.filter(|form| matches!(form.attr("type"), Some("submit" | "cancel")));
    let fields = form.into_iter().flat_map(|form| form.children());
    let types = fields.filter(|field| field.attr("var") == Some("FORM_TYPE"));
    let mut values = types.filter_map(|field| field.child("value", ns::DATA_FORM));
    values.any(|value| value.text() == ns::PUBSUB_SUBSCRIBE_AUTHORIZATION)
}

/// What an owner answers in a message to the service. `None`: it thought better of it, and the request stays (§8.6).
pub fn read_approval(message: Element<'_>) -> Result<Option<PubsubAction>, Refusal> {
    let bad = |text| Refusal::new(Reason::BadRequest).say(text);
    let Some(form) = message.child("x", ns::DATA_FORM) else {
        // Nobody here reads messages.
        return Err(Reason::ServiceUnavailable.into());
    };
    let form = Submitted::read(form)?;
    if form.cancelled {
        return Ok(None);
    }
    // Such a form has to say what it is: it comes in a message, in which there may be any.
    if form.form_type.as_deref() != Some(ns::PUBSUB_SUBSCRIBE_AUTHORIZATION) {
        return Err(Refusal::new(Reason::ServiceUnavailable).say("this is no form of the service"));
    }
    let value = |var: &str| {
        let field = form.fields.iter().find(|field| &*field.var == var)?;
        field.values.first().map(|value| &**value)
    };
    let node = value("pubsub#node").ok_or_else(|| bad("the form names no node"))?;
    let jid = value("pubsub#subscriber_jid").ok_or_else(|| bad("the form names no subscriber"))?;
    let allow = match value("pubsub#allow") {
        Some("1" | "true") => true,
        Some("0" | "false") => false,
        _ => return Err(bad("pubsub#allow is neither true nor false")),
    };
    Ok(Some(PubsubAction::Authorize {
        node: NodeId::parse(node).map_err(|_| Refusal::new(Reason::ItemNotFound))?,
        jid: Jid::parse(jid).map_err(|_| bad("the subscriber is no address"))?,
        subid: value("pubsub#subid").map(Into::into),
        allow,
    }))
}

/// The form of the command's first stage: at which nodes requests wait (§8.7.2).
pub fn write_pending_nodes(nodes: &[NodeId], w: &mut Writer<'_>) {
    let mut form = FormWriter::begin(w, Purpose::Form, ns::PUBSUB_SUBSCRIBE_AUTHORIZATION);
    let names: Vec<_> = nodes.iter().map(NodeId::as_str).collect();
    let options: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    form.select("pubsub#node", "list-single", "The node", &[], &options);
    form.end();
}
