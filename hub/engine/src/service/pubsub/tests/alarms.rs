//! Alarms: synced, owed until acknowledged, and how many of them may be (S2, S9, S11, S12).

use super::world::*;
use crate::{
    command::PubsubAction,
    effect::Urgency,
    limits::{OWED_ALARMS_PER_ACCOUNT_MAX, OWED_ALARMS_PER_PUBLISHER_MAX},
    message::MessageKind,
    refusal::Reason,
};

fn with_alarm() -> World {
    let mut world = World::new();
    let panel = device("panel");
    world.create(&device("dev7"), "free/fall/dev7", &[]);
    world
        .subscribe(&panel, "free/fall/#", "panel@localhost")
        .unwrap();
    world
        .subscribe(&panel, "free/fall/dev7", "panel@localhost/x")
        .unwrap();
    world
}

#[test]
fn an_alarm_is_synced_owed_to_accounts_and_told_as_normal() {
    let mut world = with_alarm();
    world
        .publish(&device("dev7"), "free/fall/dev7", "1")
        .unwrap();
    assert_eq!(world.urgency, Some(Urgency::Synced));
    assert_eq!(world.store.owed.len(), 1, "a session is owed nothing");
    assert!(
        world
            .heard
            .iter()
            .all(|one| one.kind == MessageKind::Normal)
    );
    assert_eq!(world.heard().len(), 2);
    assert_eq!(world.pubsub.status().alarms_owed, 1);
}

#[test]
fn s9_beyond_the_bound_the_publisher_is_refused() {
    let mut world = with_alarm();
    let panel = device("panel").subject.jid;
    let filters = world.store.filters.clone();
    let others = (0..OWED_ALARMS_PER_ACCOUNT_MAX).map(|n| device(&format!("other{n}")));
    let owed = others.map(|other| (panel.clone(), other.subject.jid, 1));
    world.pubsub.boot(
        filters,
        owed.collect(),
        Vec::new(),
        &mut world.directory,
        crate::time::Now::default(),
    );
    let reply = world.publish(&device("dev7"), "free/fall/dev7", "1");
    refused(reply, Reason::ResourceConstraint, None);
    let other = device("other0").subject.jid;
    world.pubsub.owed_removed(&panel, &other, 1);
    world
        .publish(&device("dev7"), "free/fall/dev7", "1")
        .unwrap();
}

#[test]
fn s9_who_raises_without_end_is_refused_and_others_are_not() {
    let mut world = with_alarm();
    let (noisy, calm) = (device("dev7"), device("dev8"));
    world.create(&calm, "free/fall/dev8", &[]);
    for n in 0..OWED_ALARMS_PER_PUBLISHER_MAX {
        let id = n.to_string();
        world.publish(&noisy, "free/fall/dev7", &id).unwrap();
    }
    let raise = |world: &mut World| {
        let reply = world.publish(&noisy, "free/fall/dev7", "more");
        refused(reply, Reason::ResourceConstraint, None);
        // Not elsewhere either: the share is the account's, not a node's.
        world.create(&noisy, "free/fall/elsewhere", &[]);
        let reply = world.publish(&noisy, "free/fall/elsewhere", "more");
        refused(reply, Reason::ResourceConstraint, None);
        let delete = PubsubAction::Delete {
            node: node("free/fall/elsewhere"),
            redirect: None,
        };
        world.ask(&noisy, delete).unwrap();
    };
    raise(&mut world);
    world.restart();
    raise(&mut world);
    world.publish(&calm, "free/fall/dev8", "1").unwrap();
    let panel = device("panel").subject.jid;
    // What the panel acknowledges of others makes no room for the noisy one.
    world.pubsub.owed_removed(&panel, &calm.subject.jid, 1);
    raise(&mut world);
    world.pubsub.owed_removed(&panel, &noisy.subject.jid, 1);
    world.publish(&noisy, "free/fall/dev7", "more").unwrap();
}

#[test]
fn s5_an_alarm_that_was_not_stored_takes_nothing_of_the_share() {
    let mut world = with_alarm();
    let dev7 = device("dev7");
    for n in 1..OWED_ALARMS_PER_PUBLISHER_MAX {
        let id = n.to_string();
        world.publish(&dev7, "free/fall/dev7", &id).unwrap();
    }
    world.disk_full = true;
    refused(
        world.publish(&dev7, "free/fall/dev7", "last"),
        Reason::ResourceConstraint,
        None,
    );
    world.publish(&dev7, "free/fall/dev7", "last").unwrap();
    assert_eq!(
        world.pubsub.status().alarms_owed,
        OWED_ALARMS_PER_PUBLISHER_MAX as u64
    );
}

#[test]
fn what_is_retracted_or_deleted_is_owed_no_more() {
    let mut world = with_alarm();
    let dev7 = device("dev7");
    for id in ["1", "2"] {
        world.publish(&dev7, "free/fall/dev7", id).unwrap();
    }
    world.ask(&dev7, retract("free/fall/dev7", "1")).unwrap();
    assert_eq!(world.pubsub.status().alarms_owed, 1);
    let delete = PubsubAction::Delete {
        node: node("free/fall/dev7"),
        redirect: None,
    };
    world.ask(&dev7, delete).unwrap();
    assert_eq!(world.pubsub.status().alarms_owed, 0);
}

#[test]
fn an_alarm_whose_item_was_purged_can_be_taken_back_still() {
    let mut world = with_alarm();
    let dev7 = device("dev7");
    world.publish(&dev7, "free/fall/dev7", "1").unwrap();
    let purge = PubsubAction::Purge {
        node: node("free/fall/dev7"),
    };
    world.ask(&dev7, purge).unwrap();
    assert_eq!(world.store.owed.len(), 1, "a purge ends no alarm");
    world.ask(&dev7, retract("free/fall/dev7", "1")).unwrap();
    assert!(world.store.owed.is_empty());
    let again = world.ask(&dev7, retract("free/fall/dev7", "1"));
    refused(again, Reason::ItemNotFound, None);
}

#[test]
fn s11_the_same_raise_is_answered_and_not_told_twice() {
    let mut world = with_alarm();
    world
        .publish(&device("dev7"), "free/fall/dev7", "1")
        .unwrap();
    world
        .publish(&device("dev7"), "free/fall/dev7", "2")
        .unwrap();
    world.heard();
    world
        .publish(&device("dev7"), "free/fall/dev7", "1")
        .unwrap();
    assert!(world.heard().is_empty());
    assert_eq!(world.urgency, Some(Urgency::Synced));
    assert_eq!(world.pubsub.status().alarms_owed, 2);
    world.restart();
    world
        .publish(&device("dev7"), "free/fall/dev7", "1")
        .unwrap();
    assert!(world.heard().is_empty(), "nor after a restart");
}
