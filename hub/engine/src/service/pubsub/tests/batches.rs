//! Several items in one request (XEP-0060 §12.11), and nodes that are full (§7.1.2.5, §7.1.3.4).

use super::world::*;
use crate::{
    class::Class,
    command::{NewItem, PubsubAction, PubsubReply, Reply},
    node::{ItemId, NodeAddress},
    refusal::{Detail, Reason, Refusal},
};

fn with_node(config: &[(&str, &str)]) -> World {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", config);
    world
        .subscribe(&device("sub"), "free/a", "sub@localhost")
        .unwrap();
    world.heard();
    world
}

fn batch(world: &mut World, name: &str, ids: &[&str]) -> Result<Reply, Refusal> {
    let item = |id: &&str| NewItem {
        id: (!id.is_empty()).then(|| ItemId::parse(id).unwrap()),
        payload: payload("<t xmlns='urn:t'/>"),
    };
    let action = PubsubAction::Publish {
        node: node(name),
        items: ids.iter().map(item).collect(),
        options: None,
    };
    world.ask(&device("owner"), action)
}

fn retract_all(world: &mut World, ids: &[&str]) -> Result<Reply, Refusal> {
    let action = PubsubAction::Retract {
        node: node("free/a"),
        items: ids.iter().map(|id| ItemId::parse(id).unwrap()).collect(),
        notify: false,
    };
    world.ask(&device("owner"), action)
}

mod s12_11_batch {
    use super::*;

    #[test]
    fn all_items_are_kept_told_and_named_in_their_order() {
        let mut world = with_node(&[]);
        let reply = pubsub(batch(&mut world, "free/a", &["1", "2", ""]));
        let PubsubReply::Published { items, .. } = reply else {
            panic!("{reply:?}")
        };
        let named: Vec<_> = items.iter().map(ToString::to_string).collect();
        assert_eq!(world.ids("free/a"), named);
        let told: Vec<_> = named
            .iter()
            .map(|id| format!("sub@localhost: item {id}"))
            .collect();
        assert_eq!(world.heard(), told);
    }

    #[test]
    fn more_than_the_node_holds_is_max_items_exceeded_and_nothing_is_published() {
        let mut world = with_node(&[("max_items", "2")]);
        refused(
            batch(&mut world, "free/a", &["1", "2", "3"]),
            Reason::NotAllowed,
            Detail::MaxItemsExceeded,
        );
        assert!(world.ids("free/a").is_empty() && world.heard().is_empty());
        let many: Vec<String> = (0..257).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut world = with_node(&[("max_items", "max")]);
        refused(
            batch(&mut world, "free/a", &many),
            Reason::NotAllowed,
            Detail::MaxItemsExceeded,
        );
    }

    #[test]
    fn one_wrong_item_spoils_them_all() {
        let mut world = with_node(&[("max_payload_size", "20")]);
        let items = ["<t xmlns='urn:t'/>", "<t xmlns='urn:t'>too long</t>"];
        let action = PubsubAction::Publish {
            node: node("free/a"),
            items: items
                .map(|xml| NewItem {
                    id: None,
                    payload: payload(xml),
                })
                .into(),
            options: None,
        };
        refused(
            world.ask(&device("owner"), action),
            Reason::NotAcceptable,
            Detail::PayloadTooBig,
        );
        refused(
            batch(&mut world, "free/a", &["1", "1"]),
            Reason::BadRequest,
            None,
        );
        assert!(world.ids("free/a").is_empty() && world.heard().is_empty());
    }

    #[test]
    fn alarms_are_raised_one_by_one() {
        let mut world = World::new();
        world.create(&device("owner"), "free/fall/a", &[]);
        refused(
            batch(&mut world, "free/fall/a", &["1", "2"]),
            Reason::NotAllowed,
            Detail::MaxItemsExceeded,
        );
        batch(&mut world, "free/fall/a", &["1"]).unwrap();
        let at = NodeAddress::of_service(node("free/fall/a"));
        assert_eq!(world.store.nodes[&at].1[0].class, Class::Alarm);
    }

    #[test]
    fn of_several_retractions_all_are_made_or_none() {
        let mut world = with_node(&[]);
        batch(&mut world, "free/a", &["1", "2", "3"]).unwrap();
        world.heard();
        refused(
            retract_all(&mut world, &["1", "x"]),
            Reason::ItemNotFound,
            None,
        );
        assert_eq!(world.ids("free/a"), ["1", "2", "3"]);
        retract_all(&mut world, &["1", "3"]).unwrap();
        assert_eq!(world.ids("free/a"), ["2"]);
        assert_eq!(world.heard(), ["sub@localhost: retract [\"1\", \"3\"]"]);
    }
}

mod publish_node_full {
    use super::*;

    #[test]
    fn s7_1_2_5_retract_oldest_tells_which_item_made_room() {
        let full = [("publish_node_full", "retract-oldest"), ("max_items", "2")];
        let mut world = with_node(&full);
        batch(&mut world, "free/a", &["1", "2"]).unwrap();
        world.restart();
        world.heard();
        world.publish(&device("owner"), "free/a", "3").unwrap();
        assert_eq!(
            world.heard(),
            ["sub@localhost: item 3", "sub@localhost: retract [\"1\"]"]
        );
        // An item that comes again makes its own room.
        world.publish(&device("owner"), "free/a", "2").unwrap();
        assert_eq!(world.heard(), ["sub@localhost: item 2"]);
        assert_eq!(world.ids("free/a"), ["3", "2"]);
    }

    #[test]
    fn s7_1_2_5_discard_oldest_and_a_silent_node_tell_nothing_of_it() {
        for config in [
            &[("publish_node_full", "discard-oldest"), ("max_items", "1")][..],
            &[
                ("publish_node_full", "retract-oldest"),
                ("max_items", "1"),
                ("notify_retract", "0"),
            ],
        ] {
            let mut world = with_node(config);
            for id in ["1", "2"] {
                world.publish(&device("owner"), "free/a", id).unwrap();
            }
            assert_eq!(
                world.heard(),
                ["sub@localhost: item 1", "sub@localhost: item 2"]
            );
            assert_eq!(world.ids("free/a"), ["2"]);
        }
    }

    #[test]
    fn s7_1_3_4_reject_refuses_what_is_new_and_takes_what_is_there() {
        let mut world = with_node(&[("publish_node_full", "reject"), ("max_items", "2")]);
        batch(&mut world, "free/a", &["1", "2"]).unwrap();
        world.restart();
        for _ in 0..2 {
            refused(
                world.publish(&device("owner"), "free/a", "3"),
                Reason::Conflict,
                Detail::NodeFull,
            );
        }
        world.publish(&device("owner"), "free/a", "1").unwrap();
        refused(
            batch(&mut world, "free/a", &["1", "3"]),
            Reason::Conflict,
            Detail::NodeFull,
        );
        retract_all(&mut world, &["2"]).unwrap();
        world.publish(&device("owner"), "free/a", "3").unwrap();
        assert_eq!(world.ids("free/a"), ["1", "3"]);
        let purge = PubsubAction::Purge {
            node: node("free/a"),
        };
        world.ask(&device("owner"), purge).unwrap();
        batch(&mut world, "free/a", &["4", "5"]).unwrap();
    }

    #[test]
    fn s7_1_3_4_a_node_that_becomes_one_that_rejects_counts_what_it_has() {
        let mut world = with_node(&[("max_items", "2")]);
        batch(&mut world, "free/a", &["1", "2"]).unwrap();
        let action = PubsubAction::Configure {
            node: node("free/a"),
            config: fields(&[("publish_node_full", "reject")]),
        };
        world.ask(&device("owner"), action).unwrap();
        refused(
            world.publish(&device("owner"), "free/a", "3"),
            Reason::Conflict,
            Detail::NodeFull,
        );
    }

    #[test]
    fn s7_1_3_4_what_is_worth_nothing_any_more_makes_room() {
        let config = [
            ("publish_node_full", "reject"),
            ("max_items", "1"),
            ("item_expire", "2"),
        ];
        let mut world = with_node(&config);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        refused(
            world.publish(&device("owner"), "free/a", "2"),
            Reason::Conflict,
            Detail::NodeFull,
        );
        world.pass(3);
        world.publish(&device("owner"), "free/a", "2").unwrap();
    }
}

#[test]
fn s7_1_5_what_is_no_configuration_is_an_unknown_precondition() {
    let mut world = with_node(&[]);
    for unknown in ["owner", "creation_date", "weather"] {
        let mut action = publish("free/a", "1");
        if let PubsubAction::Publish { options, .. } = &mut action {
            *options = Some(fields(&[(unknown, "x")]));
        }
        refused(
            world.ask(&device("owner"), action),
            Reason::Conflict,
            Detail::PreconditionNotMet,
        );
    }
}
