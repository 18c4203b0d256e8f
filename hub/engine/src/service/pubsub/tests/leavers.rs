//! What ends with somebody's presence: temporary subscriptions (XEP-0060 §12.5), and what a publisher left behind
//! (`pubsub#purge_offline`).

use super::world::*;
use crate::{address::BareJid, command::PubsubAction, item::Affiliation};

fn with_node(config: &[(&str, &str)]) -> World {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", config);
    world
        .subscribe(&device("sub"), "free/a", "sub@localhost")
        .unwrap();
    world.heard();
    world
}

mod purge_offline {
    use super::*;

    const OPEN: &[(&str, &str)] = &[("purge_offline", "1"), ("publish_model", "open")];

    #[test]
    fn a_publisher_that_goes_offline_takes_its_items_along_and_nobody_elses() {
        let mut world = with_node(OPEN);
        for (who, id) in [("dev7", "1"), ("dev8", "2"), ("dev7", "3")] {
            world.publish(&device(who), "free/a", id).unwrap();
        }
        world.heard();
        world.leave(&device("dev7"));
        assert_eq!(world.ids("free/a"), ["2"]);
        assert_eq!(world.heard(), ["sub@localhost: retract [\"1\", \"3\"]"]);
        // The newest is now another.
        world
            .subscribe(&device("late"), "free/a", "late@localhost")
            .unwrap();
        assert_eq!(world.heard(), ["late@localhost: item 2"]);
        // §8.5.2: where that is all, it is one word.
        world.leave(&device("dev8"));
        assert!(world.ids("free/a").is_empty());
        let mut heard = world.heard();
        heard.sort();
        assert_eq!(heard, ["late@localhost: purge", "sub@localhost: purge"]);
    }

    #[test]
    fn a_session_that_is_not_the_last_takes_nothing_along() {
        let mut world = with_node(OPEN);
        let dev7 = device("dev7");
        world.publish(&dev7, "free/a", "1").unwrap();
        let changes = world
            .pubsub
            .went_offline(&dev7.jid, false, &mut world.directory);
        assert!(changes.is_empty());
    }

    #[test]
    fn what_was_left_before_a_restart_goes_when_the_node_is_used() {
        let mut world = with_node(OPEN);
        for who in ["dev7", "dev8"] {
            world.publish(&device(who), "free/a", who).unwrap();
        }
        world.restart();
        world.heard();
        let dev8 = device("dev8");
        let affiliations = PubsubAction::Affiliations { node: None };
        world.ask(&dev8, affiliations).unwrap();
        let describe = PubsubAction::Describe {
            node: node("free/a"),
        };
        world.ask(&dev8, describe).unwrap();
        assert_eq!(world.ids("free/a"), ["dev8"]);
        assert_eq!(world.heard(), ["sub@localhost: retract [\"dev7\"]"]);
        world.leave(&dev8);
        assert!(world.ids("free/a").is_empty());
    }

    #[test]
    fn s12_alarms_stay() {
        let mut world = World::new();
        world.create(
            &device("owner"),
            "free/fall/a",
            &[("purge_offline", "1"), ("publish_model", "open")],
        );
        world.publish(&device("dev7"), "free/fall/a", "1").unwrap();
        world.leave(&device("dev7"));
        assert_eq!(world.ids("free/fall/a"), ["1"]);
    }

    #[test]
    fn a_node_that_is_told_to_forgets_those_who_are_gone_already() {
        let mut world = with_node(&[("publish_model", "open")]);
        world.publish(&device("dev7"), "free/a", "1").unwrap();
        world.leave(&device("dev7"));
        assert_eq!(world.ids("free/a"), ["1"]);
        let action = PubsubAction::Configure {
            node: node("free/a"),
            config: fields(&[("purge_offline", "1")]),
        };
        world.ask(&device("owner"), action).unwrap();
        world.publish(&device("owner"), "free/a", "2").unwrap();
        assert_eq!(world.ids("free/a"), ["2"]);
    }
}

mod tempsub {
    use super::*;

    #[test]
    fn s12_5_a_temporary_subscription_ends_when_its_subscriber_goes_offline() {
        let mut world = with_node(&[("tempsub", "1")]);
        world
            .subscribe(&device("dev7"), "free/a", "dev7@localhost")
            .unwrap();
        world.heard();
        world.leave(&device("sub"));
        assert_eq!(world.heard(), ["sub@localhost: sub@localhost None"]);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: item 1"]);
        let at = crate::node::NodeAddress::of_service(node("free/a"));
        assert_eq!(world.store.nodes[&at].0.subscriptions.len(), 1);
    }

    #[test]
    fn s12_5_a_restart_ends_those_of_who_is_not_back_when_the_node_is_used() {
        let mut world = with_node(&[("tempsub", "1")]);
        world.restart();
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard(), ["sub@localhost: sub@localhost None"]);
    }

    #[test]
    fn subscriptions_of_other_nodes_stay() {
        let mut world = with_node(&[]);
        world.leave(&device("sub"));
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard(), ["sub@localhost: item 1"]);
    }
}

#[test]
fn s4_1_a_mere_publisher_takes_back_its_own_items_even_if_they_are_old() {
    let mut world = with_node(&[]);
    let grant = PubsubAction::SetAffiliations {
        node: node("free/a"),
        changes: vec![(
            BareJid::parse("dev7@localhost").unwrap(),
            Affiliation::PublishOnly,
        )],
    };
    world.ask(&device("owner"), grant).unwrap();
    for (who, id) in [("dev7", "1"), ("owner", "2"), ("dev7", "3")] {
        world.publish(&device(who), "free/a", id).unwrap();
    }
    let dev7 = device("dev7");
    refused(
        world.ask(&dev7, retract("free/a", "2")),
        crate::refusal::Reason::Forbidden,
        None,
    );
    world.ask(&dev7, retract("free/a", "1")).unwrap();
    assert_eq!(world.ids("free/a"), ["2", "3"]);
}
