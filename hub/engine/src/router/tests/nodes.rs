//! Nodes whose subscribers and items depend on who is acquainted with whom, and on who is here.

use super::*;
use crate::{
    access::{AccessRules, Action, Rule, Who},
    command::{Field, NewItem, PubsubAction, PubsubReply, PubsubRequest},
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
fn s6_1_3_2_a_presence_node_knows_the_owners_roster_and_s12_14_follows_it() {
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
fn s12_14_what_the_roster_lost_before_a_restart_counts_afterwards() {
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

#[test]
fn s16_4_4_purge_offline_follows_presence_and_a_lost_session() {
    let mut world = World::with(open_home());
    let owner = world.online("owner", "x", 0);
    let hearer = world.online("hearer", "y", 0);
    let config = [("purge_offline", "1"), ("publish_model", "open")];
    world.request(owner, create(&config)).unwrap();
    world
        .request(hearer, subscribe("hearer@localhost"))
        .unwrap();
    let device = world.online("dev7", "x", 0);
    let second = world.online("dev7", "z", 0);
    world.request(device, publish("1")).unwrap();
    world.hush(&[owner, hearer, device, second]);
    world.ask(device, Command::Announce(unavailable(None)));
    assert_eq!(world.hear(hearer), [""; 0], "another resource is here");
    world.ask(second, Command::Detach(EndReason::LinkLost));
    assert_eq!(world.hear(hearer), [format!("node {LOG}")]);
}

#[test]
fn s12_5_a_temporary_subscription_of_a_resource_ends_when_it_is_unavailable() {
    let mut world = World::with(open_home());
    let owner = world.online("owner", "x", 0);
    let hearer = world.online("hearer", "y", 0);
    let other = world.online("hearer", "z", 0);
    world.request(owner, create(&[("tempsub", "1")])).unwrap();
    world
        .request(hearer, subscribe("hearer@localhost/y"))
        .unwrap();
    world.request(other, subscribe("hearer@localhost")).unwrap();
    world.ask(hearer, Command::Announce(unavailable(None)));
    world.hush(&[owner, hearer, other]);
    world.request(owner, publish("1")).unwrap();
    assert_eq!(world.hear(hearer), [""; 0]);
    assert_eq!(world.hear(other), [format!("node {LOG}")]);
}

#[test]
fn s8_1_1_of_two_creators_one_makes_the_node_and_the_other_hears_that_it_is_there() {
    let mut world = World::with(open_home());
    let (one, two) = (world.online("one", "x", 0), world.online("two", "y", 0));
    world.hush(&[one, two]);
    world.store.held = true;
    world.ask(one, create(&[]));
    world.ask(two, create(&[]));
    world.store.held = false;
    world.settle();
    let mut heard = [world.hear(one), world.hear(two)].concat();
    heard.sort();
    assert_eq!(heard, ["Conflict", "answer"]);
}

#[test]
fn s8_4_a_publish_behind_a_deletion_finds_no_node_or_makes_a_new_one() {
    let mut world = World::with(open_home());
    let owner = world.online("owner", "x", 0);
    let device = world.online("dev7", "y", 0);
    world
        .request(owner, create(&[("publish_model", "open")]))
        .unwrap();
    world.hush(&[owner, device]);
    world.store.held = true;
    world.ask(device, publish("1"));
    let delete = PubsubAction::Delete {
        node: node(),
        redirect: None,
    };
    world.ask(owner, ask_pubsub(delete));
    // What was decided before the deletion is answered well; what comes after meets a node of its own.
    world.ask(device, publish("2"));
    world.store.held = false;
    world.settle();
    assert_eq!(world.hear(device), ["answer", "answer"]);
    let mine = PubsubAction::Affiliations { node: Some(node()) };
    let reply = world.request(device, ask_pubsub(mine)).unwrap();
    let Reply::Pubsub(reply) = reply else {
        panic!("{reply:?}")
    };
    let PubsubReply::Affiliations { list, .. } = *reply else {
        panic!()
    };
    assert_eq!(list.len(), 1, "the first publish after it made it anew");
}

#[test]
fn s8_2_what_is_published_while_the_node_is_reconfigured_goes_by_the_order_of_the_requests() {
    let mut world = World::with(open_home());
    let owner = world.online("owner", "x", 0);
    let device = world.online("dev7", "y", 0);
    world
        .request(owner, create(&[("publish_model", "open")]))
        .unwrap();
    world.hush(&[owner, device]);
    world.store.held = true;
    world.ask(device, publish("1"));
    let closed = Field {
        var: "pubsub#publish_model".into(),
        values: vec!["publishers".into()],
    };
    let configure = PubsubAction::Configure {
        node: node(),
        config: vec![closed],
    };
    world.ask(owner, ask_pubsub(configure));
    world.ask(device, publish("2"));
    world.store.held = false;
    world.settle();
    assert_eq!(world.hear(device), ["answer", "Forbidden"]);
}

#[test]
fn s12_6_a_presence_based_node_is_heard_by_who_is_available() {
    for (only, heard) in [("0", 1), ("1", 0)] {
        let mut world = World::with(open_home());
        let owner = world.online("owner", "x", 0);
        let hearer = world.online("hearer", "y", 0);
        world
            .request(owner, create(&[("presence_based_delivery", only)]))
            .unwrap();
        world
            .request(hearer, subscribe("hearer@localhost/y"))
            .unwrap();
        world.request(owner, publish("1")).unwrap();
        world.hush(&[owner, hearer]);
        world.ask(hearer, Command::Announce(unavailable(None)));
        world.hush(&[hearer]);
        // The session is there, and says that it is not.
        world.request(owner, publish("2")).unwrap();
        assert_eq!(world.hear(hearer).len(), heard, "{only}");
        world.announce(hearer, 0);
        world.hush(&[hearer]);
        world.request(owner, publish("3")).unwrap();
        assert_eq!(world.hear(hearer).len(), 1);
    }
}
