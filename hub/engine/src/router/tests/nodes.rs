//! Nodes whose subscribers and items depend on who is acquainted with whom, and on who is here.

use super::*;
use crate::{
    access::{AccessRules, Action, Rule, Who},
    command::{Field, NewItem, PubsubAction, PubsubRequest},
    node::{ItemId, NodeId},
    payload::Payload,
    refusal::Detail,
};

const LOG: &str = "home/log";

fn ask_pubsub(action: PubsubAction) -> Command {
    Command::Pubsub(Box::new(PubsubRequest { host: None, action }))
}

/// Everybody may create below `home/`; what is done there goes by the nodes themselves.
fn open_home() -> RouterSettings {
    let create = [Action::Create].into_iter().collect();
    let rule = Rule::new(Who::All, create, "home/#", true).unwrap();
    RouterSettings {
        access: AccessRules::new(vec![rule]),
        ..settings()
    }
}

fn node() -> NodeId {
    NodeId::parse(LOG).unwrap()
}

fn publish(id: &str) -> Command {
    let payload = Payload::xml(bytes::Bytes::from_static(b"<t xmlns='urn:t'/>"));
    ask_pubsub(PubsubAction::Publish {
        node: node(),
        items: vec![NewItem {
            id: Some(ItemId::parse(id).unwrap()),
            payload: Some(payload),
        }],
        options: None,
    })
}

fn subscribe(who: &str) -> Command {
    ask_pubsub(PubsubAction::Subscribe {
        node: node(),
        jid: jid(who),
        options: None,
    })
}

fn create(config: &[(&str, &str)]) -> Command {
    let config = config.iter().map(|&(var, value)| Field {
        var: format!("pubsub#{var}").into(),
        values: vec![value.into()],
    });
    ask_pubsub(PubsubAction::Create {
        node: Some(node()),
        config: config.collect(),
    })
}

#[test]
fn s6_1_3_2_a_presence_node_knows_the_owners_roster_and_s13_14_follows_it() {
    let mut world = World::with(open_home());
    let owner = world.online("dev7", "x", 0);
    let friend = world.online("friend", "y", 0);
    world
        .request(owner, create(&[("access_model", "presence")]))
        .unwrap();
    let refusal = world
        .request(friend, subscribe("friend@localhost"))
        .unwrap_err();
    assert_eq!(refusal.detail, Some(Detail::PresenceSubscriptionRequired));
    world.befriend("dev7", "friend");
    world
        .request(friend, subscribe("friend@localhost"))
        .unwrap();
    world.hush(&[owner, friend]);
    world.request(owner, publish("1")).unwrap();
    assert_eq!(world.hear(friend), [format!("node {LOG}")]);
    // The owner takes the permission back: RFC 6121 §3.2.
    world.handshake(owner, "friend@localhost", Handshake::Unsubscribed);
    let heard = world.hear(friend);
    assert!(heard.contains(&format!("node {LOG}")), "{heard:?}");
    world.hush(&[owner, friend]);
    world.request(owner, publish("2")).unwrap();
    assert_eq!(world.hear(friend), [""; 0]);
}

#[test]
fn s13_14_what_the_roster_lost_before_a_restart_counts_afterwards() {
    let mut world = World::with(open_home());
    let owner = world.online("dev7", "x", 0);
    let friend = world.online("friend", "y", 0);
    world.befriend("dev7", "friend");
    world
        .request(owner, create(&[("access_model", "presence")]))
        .unwrap();
    world
        .request(friend, subscribe("friend@localhost"))
        .unwrap();
    world.restart(open_home());
    // The node is on the disk while this happens.
    let owner = world.online("dev7", "x", 0);
    world.handshake(owner, "friend@localhost", Handshake::Unsubscribed);
    let friend = world.online("friend", "y", 0);
    world.hush(&[owner, friend]);
    world.request(owner, publish("1")).unwrap();
    // What is heard is that the subscription ended, and not the item.
    assert_eq!(world.hear(friend), [format!("node {LOG}")]);
    world.request(owner, publish("2")).unwrap();
    assert_eq!(world.hear(friend), [""; 0]);
}
