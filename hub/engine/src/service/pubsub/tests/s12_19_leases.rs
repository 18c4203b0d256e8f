//! XEP-0060 §12.19: subscriptions that end by themselves.

use super::{
    s6_options::{deliveries, set, subscribe, subscribed, with_node},
    world::*,
};
use crate::{
    address::Jid,
    command::{PubsubAction, PubsubReply},
    node::NodeAddress,
    time::Timestamp,
};

fn at(world: &World, seconds: u64) -> String {
    let now = world.now().wall;
    (now + std::time::Duration::from_secs(seconds)).to_string()
}

fn tick(world: &mut World) {
    let now = world.now();
    for change in world.pubsub.leases_due(now, &mut world.directory) {
        world.carry_out(change);
    }
}

fn leased(world: &mut World, seconds: u64) -> Box<str> {
    let ends = at(world, seconds);
    let action = subscribe("free/a", &[("expire", &ends)]);
    subscribed(world.ask(&device("dev7"), action)).0
}

#[test]
fn a_lease_that_is_over_neither_delivers_nor_counts() {
    let mut world = with_node();
    leased(&mut world, 100);
    world.publish(&device("owner"), "free/a", "1").unwrap();
    assert_eq!(world.heard(), ["dev7@localhost: item 1"]);
    world.pass(100);
    // Nobody has cleared it away yet.
    world.publish(&device("owner"), "free/a", "2").unwrap();
    assert!(world.heard().is_empty());
    let asked = PubsubAction::Subscriptions { node: None };
    let reply = pubsub(world.ask(&device("dev7"), asked));
    assert!(matches!(reply, PubsubReply::Subscriptions { list, .. } if list.is_empty()));
    let info = PubsubAction::Describe {
        node: node("free/a"),
    };
    let reply = pubsub(world.ask(&device("dev7"), info));
    assert!(matches!(
        reply,
        PubsubReply::NodeInfo { subscribers: 0, .. }
    ));
}

#[test]
fn its_subscriber_is_told_before_and_at_the_end_and_the_store_forgets_it() {
    let mut world = with_node();
    leased(&mut world, 400);
    tick(&mut world);
    assert!(world.heard().is_empty());
    world.pass(320);
    tick(&mut world);
    assert_eq!(
        world.heard(),
        ["dev7@localhost: dev7@localhost Subscribed ends soon"]
    );
    tick(&mut world);
    assert!(world.heard().is_empty(), "once");
    world.pass(100);
    tick(&mut world);
    assert_eq!(world.heard(), ["dev7@localhost: dev7@localhost None"]);
    let at = NodeAddress::of_service(node("free/a"));
    assert!(world.store.nodes[&at].0.subscriptions.is_empty());
    assert_eq!(world.pubsub.next_lease(), None);
}

#[test]
fn a_lease_is_renewed_by_subscribing_again_and_by_its_options() {
    let mut world = with_node();
    let first = leased(&mut world, 100);
    world.pass(90);
    assert_eq!(leased(&mut world, 100), first);
    world.pass(90);
    let ends = at(&world, 100);
    let renew = set("free/a", None, &[("expire", &ends)]);
    world.ask(&device("dev7"), renew).unwrap();
    world.pass(90);
    tick(&mut world);
    world.heard();
    world.publish(&device("owner"), "free/a", "1").unwrap();
    assert_eq!(world.heard(), ["dev7@localhost: item 1"]);
    // An empty value makes it last.
    let last = set("free/a", None, &[("expire", "")]);
    world.ask(&device("dev7"), last).unwrap();
    assert_eq!(world.pubsub.next_lease(), None);
}

#[test]
fn a_lease_that_is_too_long_is_cut_to_the_longest() {
    let mut world = with_node();
    let action = subscribe("free/a", &[("expire", "2999-01-01T00:00:00Z")]);
    let (_, told) = subscribed(world.ask(&device("dev7"), action));
    let longest = world.now().wall + std::time::Duration::from_secs(366 * 86_400);
    assert_eq!(told.unwrap().expire, Some(longest));
}

#[test]
fn a_lease_of_a_filter_ends_after_a_restart_too() {
    let (mut world, panel) = (with_node(), device("panel"));
    let ends = at(&world, 100);
    let action = PubsubAction::Subscribe {
        node: node("free/#"),
        jid: Jid::parse("panel@localhost").unwrap(),
        options: Some(fields(&[("expire", &ends)])),
    };
    world.ask(&panel, action).unwrap();
    world.restart();
    world.pass(200);
    tick(&mut world);
    assert_eq!(world.heard(), ["panel@localhost: panel@localhost None"]);
    assert!(world.store.filters.is_empty());
    assert_eq!(world.pubsub.status().filters, 0);
}

#[test]
fn leases_of_nodes_that_are_not_in_memory_end_as_the_store_names_them() {
    let mut world = with_node();
    leased(&mut world, 100);
    let at = NodeAddress::of_service(node("free/a"));
    let stored = world.store.nodes[&at].0.subscriptions.clone();
    world.restart();
    world.pass(200);
    let ended = stored.into_iter().map(|one| (at.clone(), one)).collect();
    let now = world.now();
    for change in world.pubsub.leases_ended(ended, now, &mut world.directory) {
        world.carry_out(change);
    }
    assert_eq!(world.heard(), ["dev7@localhost: dev7@localhost None"]);
    assert!(world.store.nodes[&at].0.subscriptions.is_empty());
}

#[test]
fn s28_without_a_clock_no_lease_ends() {
    let mut world = with_node();
    leased(&mut world, 100);
    world.pass(200);
    let lost = crate::time::Now {
        wall: Timestamp::from_micros(i64::MAX / 2),
        wall_trusted: false,
        ..world.now()
    };
    assert!(
        world
            .pubsub
            .leases_due(lost, &mut world.directory)
            .is_empty()
    );
    assert_eq!(deliveries(&mut world, "free/a").len(), 1);
}
