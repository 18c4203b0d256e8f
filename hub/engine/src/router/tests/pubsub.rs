//! Publishes through the router: pipelined into one group, told after the commit, in order (S2, S5, S6).

use super::*;
use crate::{
    command::{Field, NewItem, PubsubAction, PubsubRequest},
    node::{ItemId, NodeId},
    payload::Payload,
};

fn ask_pubsub(action: PubsubAction) -> Command {
    Command::Pubsub(Box::new(PubsubRequest { host: None, action }))
}

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

fn publish(name: &str, id: u32) -> Command {
    let payload = Payload::xml(bytes::Bytes::from_static(b"<t xmlns='urn:t'/>"));
    let item = NewItem {
        id: Some(ItemId::parse(&id.to_string()).unwrap()),
        payload: Some(payload),
    };
    ask_pubsub(PubsubAction::Publish {
        node: node(name),
        items: vec![item],
        options: None,
    })
}

fn subscribe(name: &str, who: &str) -> Command {
    ask_pubsub(PubsubAction::Subscribe {
        node: node(name),
        jid: jid(who),
        options: None,
    })
}

/// A device with a node, and an operator who is subscribed to it.
fn fleet() -> (World, SessionId, SessionId) {
    let mut world = World::new();
    world.store.add_account(&bare("op"), Role::Operator);
    let device = world.online("dev7", "x", 0);
    let operator = world.online("op", "console", 0);
    world
        .request(device, publish("devices/dev7/log", 0))
        .unwrap();
    world
        .request(operator, subscribe("devices/dev7/log", "op@localhost"))
        .unwrap();
    world.hush(&[device, operator]);
    (world, device, operator)
}

#[test]
fn names_that_no_node_has_and_new_configurations_leave_nothing_behind() {
    let (mut world, device, _) = fleet();
    let before = world.router.nodes.len();
    for n in 0..500 {
        let items = PubsubAction::Items {
            node: node(&format!("devices/dev7/none-{n}")),
            ids: Vec::new(),
            max: None,
            subid: None,
            page: None,
        };
        world.request(device, ask_pubsub(items)).unwrap_err();
        let title = Field {
            var: "pubsub#title".into(),
            values: vec![n.to_string().into()],
        };
        let configure = PubsubAction::Configure {
            node: node("devices/dev7/log"),
            config: vec![title],
        };
        world.request(device, ask_pubsub(configure)).unwrap();
    }
    assert_eq!(world.router.nodes.len(), before);
}

#[test]
fn s6_several_publishes_are_under_way_at_once_and_answered_in_order_after_their_commits() {
    let (mut world, device, operator) = fleet();
    // What the account owns has just changed: its facts come back with this one.
    world.ask(device, publish("devices/dev7/log", 0));
    world.hush(&[device, operator]);
    world.store.held = true;
    for id in 1..=5 {
        world.ask(device, publish("devices/dev7/log", id));
    }
    assert_eq!(
        world.store.waiting(),
        5,
        "all of them may join one group commit"
    );
    assert_eq!(world.hear(device), [""; 0]);
    assert_eq!(
        world.hear(operator),
        [""; 0],
        "nobody hears what is not stored"
    );
    world.store.held = false;
    world.settle();
    assert_eq!(world.hear(device), ["answer"; 5]);
    assert_eq!(world.hear(operator), ["node devices/dev7/log"; 5]);
}

#[test]
fn s5_a_publish_whose_commit_fails_is_refused_and_told_to_nobody() {
    let (mut world, device, operator) = fleet();
    world.store.failing = true;
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(device), ["ResourceConstraint"]);
    assert_eq!(world.hear(operator), [""; 0]);
}

#[test]
fn s18_only_reachable_resources_hear_a_node() {
    let (mut world, device, operator) = fleet();
    let hidden = world.online("op", "hidden", -1);
    world.hush(&[operator, hidden]);
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(operator), ["node devices/dev7/log"]);
    assert_eq!(world.hear(hidden), [""; 0]);
}

#[test]
fn s18_a_full_addresss_subscription_ends_with_its_session() {
    let (mut world, device, _) = fleet();
    world.store.add_account(&bare("op2"), Role::Operator);
    let second = world.online("op2", "a", 0);
    world
        .request(second, subscribe("devices/dev7/log", "op2@localhost/a"))
        .unwrap();
    world.ask(second, Command::Detach(EndReason::LinkLost));
    let second = world.online("op2", "a", 0);
    world.hear(second);
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(second), [""; 0]);
}

#[test]
fn a_node_goes_with_the_account_that_alone_owned_it() {
    let (mut world, device, operator) = fleet();
    world.ask(device, Command::Unregister);
    assert!(
        world
            .hear(operator)
            .contains(&"node devices/dev7/log".to_owned()),
        "its subscribers hear of it"
    );
    let admin = world.operator();
    let gone = world.request(
        admin,
        ask_pubsub(PubsubAction::GetConfig {
            node: node("devices/dev7/log"),
        }),
    );
    assert_eq!(gone.unwrap_err().reason, Reason::ItemNotFound);
}

#[test]
fn the_operators_socket_may_do_everything() {
    let (mut world, _, _) = fleet();
    let admin = world.operator();
    world
        .request(
            admin,
            ask_pubsub(PubsubAction::GetConfig {
                node: node("devices/dev7/log"),
            }),
        )
        .unwrap();
}
