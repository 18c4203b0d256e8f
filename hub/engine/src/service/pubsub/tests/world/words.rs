//! Short words for who asks, what is asked, and what is answered.

use crate::{
    access::{AccessRules, Actions, Rule, Subject, Who},
    account::Role,
    address::BareJid,
    command::{Field, NewItem, PubsubAction, PubsubReply, Reply},
    effect::AccountCounts,
    node::{ItemId, NodeId},
    payload::Payload,
    refusal::{Detail, Reason, Refusal},
    service::pubsub::Asker,
};

/// The rules of every world: the defaults, and a place where everybody may create.
pub(in crate::service::pubsub::tests) fn rules() -> AccessRules {
    let create = [crate::access::Action::Create].into_iter().collect();
    let hear = [crate::access::Action::Subscribe].into_iter().collect();
    AccessRules::new(vec![
        Rule::new(Who::Account("banned".into()), Actions::ALL, "free/#", false).unwrap(),
        Rule::new(Who::All, create, "free/#", true).unwrap(),
        Rule::new(Who::Account("panel".into()), hear, "free/#", true).unwrap(),
    ])
}

/// A session of an account: `device("dev7")` is `dev7@localhost/x`.
pub(in crate::service::pubsub::tests) fn device(name: &str) -> Asker {
    asker(name, Role::Device)
}

pub(in crate::service::pubsub::tests) fn asker(name: &str, role: Role) -> Asker {
    let jid = BareJid::new(name, "localhost").unwrap();
    Asker {
        jid: jid.with_resource("x").unwrap(),
        subject: Subject {
            component: false,
            jid,
            role,
            groups: Vec::new(),
        },
        superuser: false,
        counts: AccountCounts::default(),
        host: None,
    }
}

pub(in crate::service::pubsub::tests) fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

pub(in crate::service::pubsub::tests) fn fields(pairs: &[(&str, &str)]) -> Vec<Field> {
    let field = |&(var, value): &(&str, &str)| Field {
        var: format!("pubsub#{var}").into(),
        values: vec![value.into()],
    };
    pairs.iter().map(field).collect()
}

pub(in crate::service::pubsub::tests) fn payload(xml: &'static str) -> Option<Payload> {
    Some(Payload::xml(xml.as_bytes().into()))
}

pub(in crate::service::pubsub::tests) fn publish(name: &str, id: &str) -> PubsubAction {
    publish_with(name, id, payload("<t xmlns='urn:t'>21</t>"))
}

pub(in crate::service::pubsub::tests) fn publish_with(
    name: &str,
    id: &str,
    payload: Option<Payload>,
) -> PubsubAction {
    let item = NewItem {
        id: (!id.is_empty()).then(|| ItemId::parse(id).unwrap()),
        payload,
    };
    PubsubAction::Publish {
        node: node(name),
        items: vec![item],
        options: None,
    }
}

pub(in crate::service::pubsub::tests) fn retract(name: &str, id: &str) -> PubsubAction {
    PubsubAction::Retract {
        node: node(name),
        items: vec![ItemId::parse(id).unwrap()],
        notify: false,
    }
}

/// The pubsub answer in a reply.
pub(in crate::service::pubsub::tests) fn pubsub(reply: Result<Reply, Refusal>) -> PubsubReply {
    match reply {
        Ok(Reply::Pubsub(reply)) => *reply,
        other => panic!("no answer of the service: {other:?}"),
    }
}

#[track_caller]
pub(in crate::service::pubsub::tests) fn refused(
    reply: Result<Reply, Refusal>,
    reason: Reason,
    detail: impl Into<Option<Detail>>,
) {
    let refusal = reply.unwrap_err();
    assert_eq!((refusal.reason, refusal.detail), (reason, detail.into()));
}
