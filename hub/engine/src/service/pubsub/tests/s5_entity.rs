//! XEP-0060 §5: discovery, one's own subscriptions and affiliations.

use super::world::*;
use crate::{
    command::{PubsubAction, PubsubReply},
    item::Affiliation,
    node::ItemId,
    refusal::Reason,
};

mod s5_2_nodes {
    use super::*;

    #[test]
    fn a_listing_leaves_out_what_the_asker_is_denied() {
        let (mut world, dev7, dev8) = (World::new(), device("dev7"), device("dev8"));
        world.create(&dev7, "devices/dev7/t", &[]);
        world.create(&dev8, "devices/dev8/t", &[]);
        world.create(&dev8, "free/a", &[]);
        let mut look = |name: Option<&str>| -> Vec<String> {
            let browse = PubsubAction::Browse {
                node: name.map(node),
                page: None,
            };
            let PubsubReply::Branch { nodes, .. } = pubsub(world.ask(&dev7, browse)) else {
                panic!()
            };
            nodes.iter().map(|(node, _)| node.to_string()).collect()
        };
        assert_eq!(look(None), ["devices", "free"]);
        assert_eq!(look(Some("devices")), ["devices/dev7"]);
        assert_eq!(look(Some("devices/dev7")), ["devices/dev7/t"]);
        let list = PubsubAction::List {
            node: None,
            page: None,
        };
        let PubsubReply::Nodes { list, .. } = pubsub(world.ask(&dev7, list)) else {
            panic!()
        };
        let names: Vec<_> = list.iter().map(|(node, _)| node.as_str()).collect();
        assert_eq!(names, ["devices/dev7/t", "free/a"]);
        // What lies beyond a deny is as what is not there, and said with the deny.
        for name in ["devices/dev8", "devices/dev8/t", "devices/dev9"] {
            for action in [
                PubsubAction::Browse {
                    node: Some(node(name)),
                    page: None,
                },
                PubsubAction::Describe { node: node(name) },
            ] {
                refused(world.ask(&dev7, action), Reason::Forbidden, None);
            }
        }
    }

    #[test]
    fn s17_a_level_that_is_no_node_is_described_as_a_collection() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.create(&dev7, "free/a/b", &[]);
        let describe = |name| PubsubAction::Describe { node: node(name) };
        for name in ["free", "free/a"] {
            let told = pubsub(world.ask(&dev7, describe(name)));
            assert_eq!(told, PubsubReply::Level { node: node(name) });
        }
        refused(
            world.ask(&dev7, describe("free/x")),
            Reason::ItemNotFound,
            None,
        );
    }

    #[test]
    fn s17_a_name_with_nodes_below_it_lists_them_and_an_unknown_one_is_item_not_found() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.create(&dev7, "free/a/b", &[]);
        let browse = |name| PubsubAction::Browse {
            node: Some(node(name)),
            page: None,
        };
        let PubsubReply::Branch { nodes: below, .. } = pubsub(world.ask(&dev7, browse("free/a")))
        else {
            panic!()
        };
        assert_eq!(below[0].0.as_str(), "free/a/b");
        refused(
            world.ask(&dev7, browse("free/x")),
            Reason::ItemNotFound,
            None,
        );
    }
}

mod s5_4_metadata {
    use super::*;

    #[test]
    fn a_node_is_described_with_owner_items_and_subscribers() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.create(&dev7, "free/a", &[("title", "A")]);
        world.publish(&dev7, "free/a", "1").unwrap();
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        world
            .subscribe(&dev7, "free/a", "dev7@localhost/x")
            .unwrap();
        let describe = PubsubAction::Describe {
            node: node("free/a"),
        };
        let PubsubReply::NodeInfo {
            config,
            owners,
            items,
            subscribers,
            ..
        } = pubsub(world.ask(&dev7, describe))
        else {
            panic!()
        };
        assert_eq!(&*config.title, "A");
        assert_eq!(owners[0].as_str(), "dev7@localhost");
        assert_eq!((items, subscribers), (1, 2));
    }
}

mod s5_5_items {
    use super::*;

    #[test]
    fn a_node_lists_the_ids_of_its_items() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.publish(&dev7, "free/a", "1").unwrap();
        world.publish(&dev7, "free/a/b", "2").unwrap();
        let browse = PubsubAction::Browse {
            node: Some(node("free/a")),
            page: None,
        };
        let PubsubReply::Branch { nodes, items, .. } = pubsub(world.ask(&dev7, browse)) else {
            panic!()
        };
        assert_eq!(items, [ItemId::parse("1").unwrap()]);
        assert_eq!(nodes[0].0.as_str(), "free/a/b");
    }
}

mod s5_6_subscriptions {
    use super::*;

    #[test]
    fn all_of_the_account_and_this_session_come_nobody_elses_do() {
        let (mut world, dev7, dev8) = (World::new(), device("dev7"), device("dev8"));
        world.create(&dev7, "free/a", &[]);
        world.create(&dev7, "free/b", &[]);
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        world
            .subscribe(&dev7, "free/b", "dev7@localhost/x")
            .unwrap();
        world.subscribe(&dev8, "free/a", "dev8@localhost").unwrap();
        let of = |node| PubsubAction::Subscriptions { node };
        let PubsubReply::Subscriptions { list, .. } = pubsub(world.ask(&dev7, of(None))) else {
            panic!()
        };
        let jids: Vec<_> = list.iter().map(|(_, one)| one.jid.as_str()).collect();
        assert_eq!(jids, ["dev7@localhost", "dev7@localhost/x"]);
        let one = pubsub(world.ask(&dev7, of(Some(node("free/b")))));
        assert!(matches!(one, PubsubReply::Subscriptions { list, .. } if list.len() == 1));
    }
}

mod s5_7_affiliations {
    use super::*;

    #[test]
    fn the_makers_nodes_are_owned_and_none_is_not_listed() {
        let (mut world, dev7, dev8) = (World::new(), device("dev7"), device("dev8"));
        world.create(&dev7, "free/a", &[]);
        let of = |node| PubsubAction::Affiliations { node };
        let PubsubReply::Affiliations { list, .. } = pubsub(world.ask(&dev7, of(None))) else {
            panic!()
        };
        assert_eq!(list[0].2, Affiliation::Owner);
        let reply = pubsub(world.ask(&dev8, of(Some(node("free/a")))));
        assert!(matches!(reply, PubsubReply::Affiliations { list, .. } if list.is_empty()));
    }
}
