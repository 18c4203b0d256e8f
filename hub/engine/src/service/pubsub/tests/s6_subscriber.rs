//! XEP-0060 §6: subscribing, unsubscribing, reading items.

use super::world::*;
use crate::{
    address::Jid,
    command::{NewItem, PubsubAction, PubsubReply},
    item::SubscriptionState,
    limits::Limits,
    node::{ItemId, NodeAddress},
    payload::Payload,
    refusal::{Detail, Reason},
};

fn unsubscribe(name: &str, jid: &str, subid: Option<&str>) -> PubsubAction {
    PubsubAction::Unsubscribe {
        node: node(name),
        jid: Jid::parse(jid).unwrap(),
        subid: subid.map(Into::into),
    }
}

fn items(name: &str, ids: &[&str], max: Option<u32>) -> PubsubAction {
    PubsubAction::Items {
        node: node(name),
        ids: ids.iter().map(|id| ItemId::parse(id).unwrap()).collect(),
        max,
        subid: None,
        page: None,
        order: crate::item::Order::default(),
    }
}

fn with_node(config: &[(&str, &str)]) -> World {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", config);
    world
}

mod s6_1_subscribe {
    use super::*;

    #[test]
    fn a_subscriber_hears_what_is_published_from_then_on() {
        let (mut world, owner, dev7) = (with_node(&[]), device("owner"), device("dev7"));
        let reply = pubsub(world.subscribe(&dev7, "free/a", "dev7@localhost"));
        let PubsubReply::Subscribed { state, jid, .. } = reply else {
            panic!()
        };
        assert_eq!(state, SubscriptionState::Subscribed);
        assert_eq!(jid.as_str(), "dev7@localhost");
        world.publish(&owner, "free/a", "1").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: item 1"]);
    }

    #[test]
    fn s6_1_6_subscribing_again_is_answered_with_the_same_subscription() {
        let (mut world, dev7) = (with_node(&[]), device("dev7"));
        let first = pubsub(world.subscribe(&dev7, "free/a", "dev7@localhost"));
        let second = pubsub(world.subscribe(&dev7, "free/a", "dev7@localhost"));
        assert_eq!(first, second);
    }

    #[test]
    fn s6_1_7_the_last_item_is_sent_late_and_to_the_new_subscriber_alone() {
        let (mut world, owner, dev7) = (with_node(&[]), device("owner"), device("dev7"));
        world
            .subscribe(&owner, "free/a", "owner@localhost")
            .unwrap();
        world.publish(&owner, "free/a", "1").unwrap();
        world.publish(&owner, "free/a", "2").unwrap();
        world.heard();
        world
            .subscribe(&dev7, "free/a", "dev7@localhost/x")
            .unwrap();
        assert!(world.heard[0].delay.is_some());
        assert_eq!(world.heard(), ["dev7@localhost/x: item 2"]);
    }

    #[test]
    fn s6_1_7_the_last_item_after_a_retraction_is_the_one_before() {
        let (mut world, owner, dev7) = (with_node(&[]), device("owner"), device("dev7"));
        world.publish(&owner, "free/a", "1").unwrap();
        world.publish(&owner, "free/a", "2").unwrap();
        world.ask(&owner, retract("free/a", "2")).unwrap();
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: item 1"]);
    }

    #[test]
    fn a_large_last_item_is_not_kept_in_memory_and_comes_all_the_same() {
        let (mut world, owner) = (with_node(&[]), device("owner"));
        let xml = format!("<t xmlns='urn:t'>{}</t>", "x".repeat(20_000));
        let at = NodeAddress::of_service(node("free/a"));
        for id in ["1", "2"] {
            let large = PubsubAction::Publish {
                node: node("free/a"),
                items: vec![NewItem {
                    id: Some(ItemId::parse(id).unwrap()),
                    payload: Some(Payload::xml(xml.clone().into())),
                }],
                options: None,
            };
            world.ask(&owner, large).unwrap();
        }
        for name in ["dev7", "dev8"] {
            let whole = format!("{name}@localhost");
            world.subscribe(&device(name), "free/a", &whole).unwrap();
            assert_eq!(world.heard(), [format!("{whole}: item 2")]);
            assert!(world.pubsub.nodes.get(&at).unwrap().last.item().is_none());
        }
        world.ask(&owner, retract("free/a", "2")).unwrap();
        let dev9 = device("dev9");
        world.subscribe(&dev9, "free/a", "dev9@localhost").unwrap();
        world.heard.retain(|heard| heard.to == "dev9@localhost");
        assert_eq!(world.heard(), ["dev9@localhost: item 1"]);
    }

    #[test]
    fn no_last_item_where_the_node_never_sends_it() {
        let mut world = with_node(&[("send_last_published_item", "never")]);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        let dev7 = device("dev7");
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        assert!(world.heard().is_empty());
    }

    #[test]
    fn s6_1_3_1_anothers_address_is_an_invalid_jid() {
        let (mut world, dev7) = (with_node(&[]), device("dev7"));
        for jid in ["dev8@localhost", "dev8@localhost/x", "dev7@localhost/gone"] {
            let reply = world.subscribe(&dev7, "free/a", jid);
            refused(reply, Reason::BadRequest, Detail::InvalidJid);
        }
    }

    #[test]
    fn s6_1_3_4_off_the_whitelist_the_node_is_closed() {
        let (mut world, dev7) = (with_node(&[("access_model", "whitelist")]), device("dev7"));
        let reply = world.subscribe(&dev7, "free/a", "dev7@localhost");
        refused(reply, Reason::NotAllowed, Detail::ClosedNode);
    }

    #[test]
    fn s6_1_3_9_too_many_subscriptions_are_refused() {
        let mut world = World::with(Limits {
            subscriptions_per_account: 1,
            ..Limits::default()
        });
        let dev7 = device("dev7");
        world.create(&dev7, "free/a", &[]);
        world.create(&dev7, "free/b", &[]);
        world
            .subscribe(&dev7, "free/a", "dev7@localhost/x")
            .unwrap();
        let reply = world.subscribe(&dev7, "free/b", "dev7@localhost/x");
        refused(reply, Reason::PolicyViolation, Detail::TooManySubscriptions);
    }

    #[test]
    fn s6_1_3_12_a_node_that_does_not_exist_is_not_found() {
        let mut world = World::new();
        let reply = world.subscribe(&device("dev7"), "free/none", "dev7@localhost");
        refused(reply, Reason::ItemNotFound, None);
    }
}

mod s6_2_unsubscribe {
    use super::*;

    #[test]
    fn whoever_left_hears_nothing_more() {
        let (mut world, owner, dev7) = (with_node(&[]), device("owner"), device("dev7"));
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        world
            .ask(&dev7, unsubscribe("free/a", "dev7@localhost", None))
            .unwrap();
        world.publish(&owner, "free/a", "1").unwrap();
        assert!(world.heard().is_empty());
        world.restart();
        world.publish(&owner, "free/a", "2").unwrap();
        assert!(world.heard().is_empty());
    }

    #[test]
    fn s6_2_3_1_with_two_subscriptions_the_subid_is_required() {
        let (mut world, panel) = (with_node(&[]), device("panel"));
        world
            .subscribe(&panel, "free/a", "panel@localhost")
            .unwrap();
        world
            .subscribe(&panel, "free/a/#", "panel@localhost")
            .unwrap();
        let reply = world.ask(&panel, unsubscribe("free/a", "panel@localhost", None));
        refused(reply, Reason::BadRequest, Detail::SubidRequired);
    }

    #[test]
    fn s6_2_3_2_without_a_subscription_it_is_unexpected() {
        let (mut world, dev7) = (with_node(&[]), device("dev7"));
        let reply = world.ask(&dev7, unsubscribe("free/a", "dev7@localhost", None));
        refused(reply, Reason::UnexpectedRequest, Detail::NotSubscribed);
    }

    #[test]
    fn s6_2_3_3_nobody_unsubscribes_another() {
        let (mut world, dev7, dev8) = (with_node(&[]), device("dev7"), device("dev8"));
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        let reply = world.ask(&dev8, unsubscribe("free/a", "dev7@localhost", None));
        refused(reply, Reason::Forbidden, None);
    }

    #[test]
    fn s6_2_3_4_a_node_that_does_not_exist_is_not_found() {
        let mut world = World::new();
        let reply = world.ask(
            &device("dev7"),
            unsubscribe("free/none", "dev7@localhost", None),
        );
        refused(reply, Reason::ItemNotFound, None);
    }

    #[test]
    fn s6_2_3_5_another_subid_is_invalid() {
        let (mut world, dev7) = (with_node(&[]), device("dev7"));
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        let reply = world.ask(&dev7, unsubscribe("free/a", "dev7@localhost", Some("no")));
        refused(reply, Reason::NotAcceptable, Detail::InvalidSubid);
    }
}

mod s6_5_items {
    use super::*;

    fn ids(reply: PubsubReply) -> Vec<String> {
        let PubsubReply::Items { items, .. } = reply else {
            panic!()
        };
        items.iter().map(|item| item.id.to_string()).collect()
    }

    #[test]
    fn all_the_newest_and_those_named() {
        let (mut world, owner) = (with_node(&[]), device("owner"));
        for id in ["1", "2", "3"] {
            world.publish(&owner, "free/a", id).unwrap();
        }
        let all = pubsub(world.ask(&owner, items("free/a", &[], None)));
        assert_eq!(ids(all), ["1", "2", "3"]);
        let newest = pubsub(world.ask(&owner, items("free/a", &[], Some(2))));
        assert_eq!(ids(newest), ["2", "3"]);
        let named = pubsub(world.ask(&owner, items("free/a", &["3", "1", "x"], None)));
        assert_eq!(ids(named), ["3", "1"]);
    }

    #[test]
    fn s6_5_8_an_item_that_is_not_there_is_left_out() {
        let (mut world, owner) = (with_node(&[]), device("owner"));
        let named = pubsub(world.ask(&owner, items("free/a", &["x"], None)));
        assert_eq!(ids(named), [] as [&str; 0]);
    }

    #[test]
    fn whoever_may_not_subscribe_may_not_read() {
        let mut world = with_node(&[("access_model", "whitelist")]);
        let reply = world.ask(&device("dev7"), items("free/a", &[], None));
        refused(reply, Reason::NotAllowed, Detail::ClosedNode);
        let reply = world.ask(&device("banned"), items("free/a", &[], None));
        refused(reply, Reason::Forbidden, None);
    }

    #[test]
    fn s6_5_9_4_a_transient_node_has_no_items() {
        let mut world = with_node(&[("persist_items", "0")]);
        let reply = world.ask(&device("owner"), items("free/a", &[], None));
        refused(
            reply,
            Reason::FeatureNotImplemented,
            Detail::Unsupported("persistent-items"),
        );
    }

    #[test]
    fn a_subid_that_is_not_the_askers_is_invalid() {
        let (mut world, owner) = (with_node(&[]), device("owner"));
        let PubsubAction::Items { node, ids, .. } = items("free/a", &[], None) else {
            panic!()
        };
        let action = PubsubAction::Items {
            node,
            ids,
            max: None,
            subid: Some("no".into()),
            page: None,
            order: crate::item::Order::default(),
        };
        refused(
            world.ask(&owner, action),
            Reason::NotAcceptable,
            Detail::InvalidSubid,
        );
    }
}
