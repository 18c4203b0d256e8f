//! What a node keeps, and who reads its archive (XEP-0442, XEP-0313).

use super::world::*;
use crate::{
    archive::ArchiveFilter,
    command::{ArchiveRequest, PubsubAction, PubsubReply},
    effect::{Keep, StoreOp},
    event::NodeChange,
    item::{History, NodeConfig},
    message::MessageKind,
    node::NodeAddress,
    refusal::{Detail, Reason},
    time::{Now, Timestamp},
};

fn archive_of(name: &str, filter: ArchiveFilter) -> PubsubAction {
    PubsubAction::Archive {
        node: node(name),
        request: Box::new(ArchiveRequest {
            reference: Some("f28".into()),
            filter,
            ..ArchiveRequest::default()
        }),
    }
}

fn all_of(name: &str) -> PubsubAction {
    archive_of(name, ArchiveFilter::default())
}

/// How much the last publish kept.
fn kept(world: &World) -> Keep {
    let keep = world.ops.iter().find_map(|op| match op {
        StoreOp::PutItem { keep, .. } => Some(*keep),
        _ => None,
    });
    keep.expect("nothing was published")
}

#[test]
fn a_rule_says_what_is_kept_behind_the_window_and_elsewhere_nothing_is() {
    let mut world = World::new();
    let owner = device("dev7");
    world.create(&owner, "free/log/a", &[("max_items", "1")]);
    world.publish(&owner, "free/log/a", "1").unwrap();
    let keep = kept(&world);
    assert_eq!((keep.shown, keep.history, keep.bytes), (1, 5, Some(1_000)));
    let now = world.now().wall.micros();
    assert_eq!(keep.since, Some(Timestamp::from_micros(now - 60_000_000)));
    assert_eq!(keep.unexpired, None);
    world.create(&owner, "free/other", &[("max_items", "3")]);
    world.publish(&owner, "free/other", "1").unwrap();
    assert_eq!(kept(&world), Keep::window(3));
}

#[test]
fn a_node_s_own_history_stands_before_the_rule_and_items_per_node_bounds_it() {
    let mut world = World::new();
    let config = NodeConfig {
        history: Some(History {
            items: u32::MAX,
            ..History::default()
        }),
        ..NodeConfig::default()
    };
    let at = NodeAddress::of_service(node("free/log/a"));
    let now = world.now();
    let mut of = |config| {
        world
            .pubsub
            .sweep(vec![(at.clone(), Box::new(config))], now)
    };
    // Without a bound of age there is nothing to sweep, though the rule has one.
    assert!(of(config.clone()).is_none());
    let aged = NodeConfig {
        item_expire: Some(10),
        ..config
    };
    let swept = of(aged).expect("items expire");
    let [StoreOp::TrimItems { keep, .. }] = swept.ops.as_slice() else {
        panic!("{swept:?}");
    };
    assert_eq!((keep.history, keep.since), (10_000, None));
    let now = world.now().wall.micros();
    assert_eq!(
        keep.unexpired,
        Some(Timestamp::from_micros(now - 10_000_000))
    );
}

#[test]
fn s28_by_a_clock_that_cannot_be_believed_nothing_is_old() {
    let mut world = World::new();
    let at = NodeAddress::of_service(node("free/log/a"));
    let now = Now {
        wall_trusted: false,
        ..world.now()
    };
    let nodes = vec![(at, Box::new(NodeConfig::default()))];
    assert!(world.pubsub.sweep(nodes.clone(), now).is_none());
    let now = world.now();
    assert!(world.pubsub.sweep(nodes, now).is_some());
}

#[test]
fn xep_0442_s3_an_entry_is_the_notification_of_one_item() {
    let mut world = World::new();
    let owner = device("dev7");
    world.create(&owner, "free/a", &[("notification_type", "normal")]);
    world.publish(&owner, "free/a", "1").unwrap();
    world.publish(&owner, "free/a", "2").unwrap();
    let PubsubReply::Archive {
        reference, entries, ..
    } = pubsub(world.ask(&device("other"), all_of("free/a")))
    else {
        panic!("no archive");
    };
    assert_eq!(reference.as_deref(), Some("f28"));
    let [first, second] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert_eq!((&*first.id, &*second.id), ("archived 1", "archived 2"));
    let event = second.event.as_ref().expect("it was not retracted");
    assert_eq!(event.kind, MessageKind::Normal);
    let NodeChange::Published { item, payload, .. } = &event.change else {
        panic!("{event:?}");
    };
    assert!(*payload && item.id.as_str() == "2" && item.published == second.published);
}

#[test]
fn xep_0313_s4_3_4_a_flipped_page_is_sent_newest_first() {
    let mut world = World::new();
    let owner = device("dev7");
    for id in ["1", "2"] {
        world.publish(&owner, "free/a", id).unwrap();
    }
    let flipped = PubsubAction::Archive {
        node: node("free/a"),
        request: Box::new(ArchiveRequest {
            flipped: true,
            ..ArchiveRequest::default()
        }),
    };
    let PubsubReply::Archive { entries, .. } = pubsub(world.ask(&owner, flipped)) else {
        panic!("no archive");
    };
    let ids: Vec<_> = entries.iter().map(|entry| &*entry.id).collect();
    assert_eq!(ids, ["archived 2", "archived 1"]);
}

#[test]
fn xep_0313_s8_1_an_archive_is_read_by_whoever_may_read_the_items() {
    let mut world = World::new();
    let (owner, other) = (device("dev7"), device("other"));
    world.create(&owner, "free/secret", &[("access_model", "whitelist")]);
    let ends = PubsubAction::ArchiveEnds {
        node: node("free/secret"),
    };
    for action in [all_of("free/secret"), ends] {
        refused(
            world.ask(&other, action.clone()),
            Reason::NotAllowed,
            Detail::ClosedNode,
        );
        assert!(world.ask(&owner, action).is_ok());
    }
    refused(
        world.ask(&owner, all_of("free/none")),
        Reason::ItemNotFound,
        None,
    );
    // A deny is said first, and tells nothing of whether there is such a node.
    refused(
        world.ask(&device("banned"), all_of("free/none")),
        Reason::Forbidden,
        None,
    );
}

#[test]
fn what_a_node_does_not_keep_has_no_archive() {
    let mut world = World::new();
    let owner = device("dev7");
    world.create(&owner, "free/gone", &[("persist_items", "0")]);
    let unsupported = Detail::Unsupported("persistent-items");
    let refusal = world.ask(&owner, all_of("free/gone"));
    refused(refusal, Reason::FeatureNotImplemented, unsupported);
}

#[test]
fn xep_0313_s4_1_1_with_a_publisher_is_for_owners_and_for_one_s_own() {
    let mut world = World::new();
    let (owner, other) = (device("dev7"), device("other"));
    world.publish(&owner, "free/a", "1").unwrap();
    let with = |jid: &str| {
        let publisher = Some(crate::address::Jid::parse(jid).unwrap());
        archive_of(
            "free/a",
            ArchiveFilter {
                publisher,
                ..ArchiveFilter::default()
            },
        )
    };
    assert!(world.ask(&owner, with("other@localhost")).is_ok());
    assert!(world.ask(&other, with("other@localhost/x")).is_ok());
    // Notifications are from the service.
    assert!(world.ask(&other, with("pubsub.localhost")).is_ok());
    refused(
        world.ask(&other, with("dev7@localhost")),
        Reason::Forbidden,
        None,
    );
}

#[test]
fn an_expired_item_is_not_in_the_archive_and_not_the_last_item() {
    let mut world = World::new();
    let (owner, other) = (device("dev7"), device("other"));
    world.create(&owner, "free/short", &[("item_expire", "30")]);
    world.publish(&owner, "free/short", "1").unwrap();
    let archived = |world: &mut World| match pubsub(world.ask(&other, all_of("free/short"))) {
        PubsubReply::Archive { entries, .. } => entries.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(archived(&mut world), 1);
    world.pass(60);
    assert_eq!(archived(&mut world), 0);
    world.heard();
    world
        .subscribe(&other, "free/short", "other@localhost")
        .unwrap();
    assert_eq!(world.heard(), [""; 0], "the last item is expired");
}

#[test]
fn s16_4_4_an_expired_item_is_not_counted_before_the_store_has_removed_it() {
    let mut world = World::new();
    let owner = device("dev7");
    world.create(&owner, "free/short", &[("item_expire", "30")]);
    world.publish(&owner, "free/short", "1").unwrap();
    world.pass(20);
    world.publish(&owner, "free/short", "2").unwrap();
    let counted = |world: &mut World| {
        let describe = PubsubAction::Describe {
            node: node("free/short"),
        };
        match pubsub(world.ask(&owner, describe)) {
            PubsubReply::NodeInfo { items, .. } => items,
            other => panic!("{other:?}"),
        }
    };
    let before = counted(&mut world);
    world.pass(20);
    assert_eq!(counted(&mut world), 1);
    world.pass(20);
    assert_eq!((before.min(1), counted(&mut world)), (1, 0));
}

#[test]
fn s16_4_4_memory_forgets_what_the_sweeper_removes_and_nothing_by_a_clock_that_is_not_believed() {
    let config = [
        ("publish_node_full", "retract-oldest"),
        ("max_items", "2"),
        ("item_expire", "30"),
    ];
    for swept in [true, false] {
        let mut world = World::new();
        let owner = device("dev7");
        world.create(&owner, "free/short", &config);
        for id in ["1", "2"] {
            world.publish(&owner, "free/short", id).unwrap();
        }
        world
            .subscribe(&device("other"), "free/short", "other@localhost")
            .unwrap();
        world.pass(60);
        let at = NodeAddress::of_service(node("free/short"));
        if swept {
            let stored = NodeConfig::default();
            let now = world.now();
            assert!(
                world
                    .pubsub
                    .sweep(vec![(at.clone(), Box::new(stored))], now)
                    .is_some()
            );
        }
        world.heard();
        world.publish(&owner, "free/short", "3").unwrap();
        // An item that nobody was shown for long is not retracted: there is one word, the new item.
        assert_eq!(world.heard().len(), 1, "swept: {swept}");
    }
}
