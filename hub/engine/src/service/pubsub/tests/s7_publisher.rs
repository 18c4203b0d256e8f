//! XEP-0060 §7: publishing and retracting.

use super::world::*;
use crate::{
    command::{NewItem, PubsubAction, PubsubReply},
    event::NodeChange,
    item::Affiliation,
    limits::Limits,
    node::ItemId,
    refusal::{Detail, Reason},
};

fn with_node(config: &[(&str, &str)]) -> World {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", config);
    world
        .subscribe(&device("sub"), "free/a", "sub@localhost")
        .unwrap();
    world
}

pub(super) fn with_options(name: &str, options: &[(&str, &str)]) -> PubsubAction {
    PubsubAction::Publish {
        node: node(name),
        items: vec![NewItem {
            id: Some(ItemId::parse("1").unwrap()),
            payload: payload("<t xmlns='urn:t'/>"),
        }],
        options: Some(fields(options)),
    }
}

mod s7_1_publish {
    use super::*;

    #[test]
    fn the_item_is_kept_and_the_subscriber_hears_its_payload() {
        let (mut world, owner) = (with_node(&[]), device("owner"));
        world.publish(&owner, "free/a", "1").unwrap();
        assert_eq!(world.ids("free/a"), ["1"]);
        assert!(matches!(
            world.heard[0].change,
            NodeChange::Published { payload: true, .. }
        ));
        assert_eq!(world.heard(), ["sub@localhost: item 1"]);
    }

    #[test]
    fn without_an_id_the_hub_makes_one_and_says_it() {
        let (mut world, owner) = (with_node(&[]), device("owner"));
        let reply = pubsub(world.publish(&owner, "free/a", ""));
        let PubsubReply::Published { items, .. } = reply else {
            panic!()
        };
        assert_eq!(world.ids("free/a"), [items[0].to_string()]);
    }

    #[test]
    fn the_same_id_replaces_the_item_and_is_told_again() {
        let (mut world, owner) = (with_node(&[]), device("owner"));
        world.publish(&owner, "free/a", "1").unwrap();
        world.publish(&owner, "free/a", "1").unwrap();
        assert_eq!(world.ids("free/a"), ["1"]);
        assert_eq!(world.heard().len(), 2);
    }

    #[test]
    fn the_oldest_items_go_beyond_max_items() {
        let (mut world, owner) = (with_node(&[("max_items", "2")]), device("owner"));
        for id in ["1", "2", "3"] {
            world.publish(&owner, "free/a", id).unwrap();
        }
        assert_eq!(world.ids("free/a"), ["2", "3"]);
    }

    #[test]
    fn max_keeps_what_the_service_keeps() {
        let mut world = World::with(Limits {
            items_per_node: 2,
            ..Limits::default()
        });
        let owner = device("owner");
        world.create(&owner, "free/a", &[("max_items", "max")]);
        for id in ["1", "2", "3"] {
            world.publish(&owner, "free/a", id).unwrap();
        }
        assert_eq!(world.ids("free/a"), ["2", "3"]);
    }

    #[test]
    fn a_transient_item_is_told_and_not_kept() {
        let (mut world, owner) = (with_node(&[("persist_items", "0")]), device("owner"));
        world.publish(&owner, "free/a", "1").unwrap();
        assert!(world.ops.is_empty());
        assert_eq!(world.heard(), ["sub@localhost: item 1"]);
    }

    #[test]
    fn without_deliver_payloads_only_the_id_is_told() {
        let (mut world, owner) = (with_node(&[("deliver_payloads", "0")]), device("owner"));
        world.publish(&owner, "free/a", "1").unwrap();
        assert!(matches!(
            world.heard[0].change,
            NodeChange::Published { payload: false, .. }
        ));
    }

    #[test]
    fn without_deliver_notifications_nobody_hears() {
        let mut world = with_node(&[("deliver_notifications", "0")]);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert!(world.heard().is_empty());
        assert_eq!(world.ids("free/a"), ["1"]);
    }

    #[test]
    fn the_publish_model_says_who_besides_publishers_may() {
        for (model, stranger, subscriber) in [
            ("publishers", false, false),
            ("subscribers", false, true),
            ("open", true, true),
        ] {
            let mut world = with_node(&[("publish_model", model)]);
            let by = |world: &mut World, name| world.publish(&device(name), "free/a", "1").is_ok();
            assert_eq!(by(&mut world, "stranger"), stranger, "{model}");
            assert_eq!(by(&mut world, "sub"), subscriber, "{model}");
            assert!(!by(&mut world, "banned"), "{model}: a deny wins (S13)");
        }
    }

    #[test]
    fn affiliations_say_who_may_publish() {
        for (affiliation, may) in [
            (Affiliation::Publisher, true),
            (Affiliation::PublishOnly, true),
            (Affiliation::Member, false),
            (Affiliation::Outcast, false),
        ] {
            let mut world = with_node(&[]);
            let action = PubsubAction::SetAffiliations {
                node: node("free/a"),
                changes: vec![(device("dev7").subject.jid, affiliation)],
            };
            world.ask(&device("owner"), action).unwrap();
            let published = world.publish(&device("dev7"), "free/a", "1");
            assert_eq!(published.is_ok(), may, "{affiliation:?}");
        }
    }
}

mod s7_1_3_errors {
    use super::*;

    #[test]
    fn s7_1_3_1_whoever_may_not_publish_is_forbidden() {
        let mut world = with_node(&[]);
        let reply = world.publish(&device("dev7"), "free/a", "1");
        refused(reply, Reason::Forbidden, None);
    }

    #[test]
    fn s7_1_3_3_a_node_that_the_publisher_may_not_make_is_not_found() {
        let mut world = World::new();
        let reply = world.publish(&device("dev7"), "weather", "1");
        refused(reply, Reason::ItemNotFound, None);
    }

    #[test]
    fn s7_1_3_5_a_payload_beyond_the_nodes_size_is_too_big() {
        let mut world = with_node(&[("max_payload_size", "10")]);
        let reply = world.publish(&device("owner"), "free/a", "1");
        refused(reply, Reason::NotAcceptable, Detail::PayloadTooBig);
    }

    #[test]
    fn s7_1_3_6_a_payload_of_another_type_is_invalid() {
        let mut world = with_node(&[("type", "urn:other")]);
        let reply = world.publish(&device("owner"), "free/a", "1");
        refused(reply, Reason::BadRequest, Detail::InvalidPayload);
    }

    #[test]
    fn s7_1_3_7_an_item_is_required_where_it_is_kept_or_carries_something() {
        let nothing = || PubsubAction::Publish {
            node: node("free/a"),
            items: Vec::new(),
            options: None,
        };
        for config in [("deliver_payloads", "0"), ("persist_items", "0")] {
            let reply = with_node(&[config]).ask(&device("owner"), nothing());
            refused(reply, Reason::BadRequest, Detail::ItemRequired);
        }
    }

    #[test]
    fn s7_1_3_7_a_payload_is_required_where_it_is_delivered() {
        let reply = with_node(&[]).ask(&device("owner"), publish_with("free/a", "1", None));
        refused(reply, Reason::BadRequest, Detail::PayloadRequired);
    }

    #[test]
    fn s7_1_3_7_an_item_is_forbidden_where_the_event_is_all() {
        let bare = [("persist_items", "0"), ("deliver_payloads", "0")];
        let mut world = with_node(&bare);
        let reply = world.publish(&device("owner"), "free/a", "1");
        refused(reply, Reason::BadRequest, Detail::ItemForbidden);
        let nothing = PubsubAction::Publish {
            node: node("free/a"),
            items: Vec::new(),
            options: None,
        };
        world.ask(&device("owner"), nothing).unwrap();
        assert_eq!(world.heard().len(), 1);
    }
}

mod s7_1_4_auto_create {
    use super::*;

    #[test]
    fn the_first_publish_makes_the_node_and_its_publisher_the_owner() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.publish(&dev7, "devices/dev7/temp", "1").unwrap();
        assert_eq!(world.ids("devices/dev7/temp"), ["1"]);
        let configure = PubsubAction::GetConfig {
            node: node("devices/dev7/temp"),
        };
        assert!(world.ask(&dev7, configure).is_ok());
    }

    #[test]
    fn a_refused_first_publish_makes_nothing() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        let reply = world.ask(&dev7, publish_with("devices/dev7/temp", "1", None));
        refused(reply, Reason::BadRequest, Detail::PayloadRequired);
        assert!(world.store.nodes.is_empty());
        assert_eq!(world.pubsub.status().nodes_resident, 0);
    }

    #[test]
    fn an_account_makes_no_more_nodes_than_it_may() {
        let (mut world, mut dev7) = (World::new(), device("dev7"));
        dev7.counts.nodes = 1_000;
        let reply = world.publish(&dev7, "devices/dev7/temp", "1");
        refused(reply, Reason::ResourceConstraint, Detail::MaxNodesExceeded);
    }
}

mod s7_1_5_options {
    use super::*;

    #[test]
    fn a_condition_that_the_node_meets_lets_the_item_in() {
        let mut world = with_node(&[]);
        let met = [("persist_items", "true"), ("access_model", "open")];
        let reply = world.ask(&device("owner"), with_options("free/a", &met));
        assert!(reply.is_ok());
    }

    #[test]
    fn a_condition_that_it_does_not_meet_or_that_nobody_knows_keeps_it_out() {
        for unmet in [
            ("persist_items", "false"),
            ("access_model", "whitelist"),
            ("max_items", "7"),
            ("weather", "fine"),
        ] {
            let mut world = with_node(&[]);
            let reply = world.ask(&device("owner"), with_options("free/a", &[unmet]));
            refused(reply, Reason::Conflict, Detail::PreconditionNotMet);
            assert!(world.heard().is_empty());
        }
    }

    #[test]
    fn a_node_made_by_the_publish_is_made_so() {
        let mut world = World::new();
        let options = with_options("free/b", &[("persist_items", "0")]);
        world.ask(&device("dev7"), options).unwrap();
        assert!(world.ids("free/b").is_empty());
    }
}

mod s7_2_retract {
    use super::*;

    #[test]
    fn the_item_goes_and_subscribers_are_told() {
        let (mut world, owner) = (with_node(&[]), device("owner"));
        world.publish(&owner, "free/a", "1").unwrap();
        world.heard();
        world.ask(&owner, retract("free/a", "1")).unwrap();
        assert!(world.ids("free/a").is_empty());
        assert_eq!(world.heard(), ["sub@localhost: retract [\"1\"]"]);
    }

    #[test]
    fn the_node_can_keep_silent_unless_the_asker_wants_it_told() {
        let (mut world, owner) = (with_node(&[("notify_retract", "0")]), device("owner"));
        for notify in [false, true] {
            world.publish(&owner, "free/a", "1").unwrap();
            world.heard();
            let action = PubsubAction::Retract {
                node: node("free/a"),
                items: vec![ItemId::parse("1").unwrap()],
                notify,
            };
            world.ask(&owner, action).unwrap();
            assert_eq!(world.heard().len(), usize::from(notify));
        }
    }

    #[test]
    fn s7_2_3_1_only_publishers_and_owners_and_whose_it_is() {
        let (mut world, owner) = (with_node(&[("publish_model", "open")]), device("owner"));
        world.publish(&owner, "free/a", "1").unwrap();
        let reply = world.ask(&device("dev7"), retract("free/a", "1"));
        refused(reply, Reason::Forbidden, None);
        for id in ["2", "3"] {
            world.publish(&device("dev7"), "free/a", id).unwrap();
        }
        // Older ones too, and after a restart.
        world.restart();
        world.ask(&device("dev7"), retract("free/a", "2")).unwrap();
        assert_eq!(world.ids("free/a"), ["1", "3"]);
    }

    #[test]
    fn s7_2_3_2_an_item_that_is_not_there_is_not_found_and_nothing_is_told() {
        let mut world = with_node(&[]);
        let reply = world.ask(&device("owner"), retract("free/a", "x"));
        refused(reply, Reason::ItemNotFound, None);
        assert!(world.heard().is_empty());
    }

    #[test]
    fn s7_2_3_4_an_item_must_be_named() {
        let none = PubsubAction::Retract {
            node: node("free/a"),
            items: Vec::new(),
            notify: false,
        };
        let reply = with_node(&[]).ask(&device("owner"), none);
        refused(reply, Reason::BadRequest, Detail::ItemRequired);
    }

    #[test]
    fn s7_2_3_5_a_transient_node_has_nothing_to_retract() {
        let mut world = with_node(&[("persist_items", "0")]);
        let reply = world.ask(&device("owner"), retract("free/a", "1"));
        refused(
            reply,
            Reason::FeatureNotImplemented,
            Detail::Unsupported("persistent-items"),
        );
    }
}
