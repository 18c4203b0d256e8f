//! XEP-0060 §6.3, §6.4, §6.1.6: options of subscriptions, and several of an address.

use super::world::*;
use crate::{
    address::Jid,
    class::Class,
    command::{PubsubAction, PubsubReply, Reply},
    item::{Shows, SubscriptionDepth, SubscriptionOptions, SubscriptionType},
    message::Show,
    node::NodeAddress,
    refusal::{Detail, Reason, Refusal},
    service::pubsub::Asker,
};

pub(super) fn with_node() -> World {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", &[]);
    world
}

pub(super) fn subscribe(name: &str, options: &[(&str, &str)]) -> PubsubAction {
    PubsubAction::Subscribe {
        node: node(name),
        jid: Jid::parse("dev7@localhost").unwrap(),
        options: Some(fields(options)),
    }
}

pub(super) fn set(name: &str, subid: Option<&str>, options: &[(&str, &str)]) -> PubsubAction {
    PubsubAction::SetOptions {
        node: node(name),
        jid: Jid::parse("dev7@localhost").unwrap(),
        subid: subid.map(Into::into),
        options: fields(options),
    }
}

fn get(name: &str, subid: Option<&str>) -> PubsubAction {
    PubsubAction::GetOptions {
        node: node(name),
        jid: Jid::parse("dev7@localhost").unwrap(),
        subid: subid.map(Into::into),
    }
}

/// The subid, and the options if they were told.
pub(super) fn subscribed(reply: Result<Reply, Refusal>) -> (Box<str>, Option<SubscriptionOptions>) {
    match pubsub(reply) {
        PubsubReply::Subscribed { subid, options, .. } => (subid, options.map(|one| *one)),
        other => panic!("{other:?}"),
    }
}

fn options(reply: Result<Reply, Refusal>) -> SubscriptionOptions {
    match pubsub(reply) {
        PubsubReply::Options { options, .. } => *options,
        other => panic!("{other:?}"),
    }
}

/// What dev7 gets of an item: for which shows, with how many identifiers, whether with a body.
pub(super) fn deliveries(world: &mut World, name: &str) -> Vec<(Shows, usize, bool, Option<u32>)> {
    let at = NodeAddress::of_service(node(name));
    let of = world.pubsub.nodes.get_mut(&at).unwrap();
    let list = of.audience(
        &at,
        Class::Event,
        &world.pubsub.interest,
        &mut world.directory,
        &mut 0,
    );
    let told = |one: &crate::service::Delivery| {
        let tag = one.tag.as_deref().cloned().unwrap_or_default();
        (one.shows, tag.subids.len(), tag.body, tag.digest_millis)
    };
    list.iter().map(told).collect()
}

mod s6_3_configure {
    use super::*;

    #[test]
    fn s6_3_7_a_subscription_is_configured_as_it_is_made_and_the_answer_says_what_holds() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        let action = subscribe("free/a", &[("include_body", "true"), ("deliver", "1")]);
        let (_, told) = subscribed(world.ask(&dev7, action));
        let expected = SubscriptionOptions {
            include_body: true,
            ..SubscriptionOptions::default()
        };
        assert_eq!(told, Some(expected.clone()));
        assert_eq!(options(world.ask(&dev7, get("free/a", None))), expected);
        assert_eq!(
            deliveries(&mut world, "free/a"),
            [(Shows::ANY, 0, true, None)]
        );
    }

    #[test]
    fn s6_3_5_fields_that_are_absent_keep_their_value() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        let two = set("free/a", None, &[("show-values", "dnd"), ("digest", "1")]);
        world.ask(&dev7, two).unwrap();
        world
            .ask(&dev7, set("free/a", None, &[("digest_frequency", "5000")]))
            .unwrap();
        let now = options(world.ask(&dev7, get("free/a", None)));
        assert_eq!(now.shows, Some([Show::Dnd].into_iter().collect()));
        assert_eq!(now.digest_millis, Some(5_000));
        assert!(now.deliver);
        // They outlive the hub.
        world.restart();
        assert_eq!(options(world.ask(&dev7, get("free/a", None))), now);
    }

    #[test]
    fn whoever_wants_nothing_delivered_hears_nothing_and_stays_subscribed() {
        let (mut world, dev7, owner) = (with_node(), device("dev7"), device("owner"));
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        let off = set("free/a", None, &[("deliver", "0")]);
        world.ask(&dev7, off).unwrap();
        world.publish(&owner, "free/a", "1").unwrap();
        assert!(world.heard().is_empty());
        let on = set("free/a", None, &[("deliver", "1")]);
        world.ask(&dev7, on).unwrap();
        world.publish(&owner, "free/a", "2").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: item 2"]);
    }

    #[test]
    fn s6_3_6_2_what_cannot_be_is_refused_and_nothing_changes() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        for wrong in [
            ("deliver", "perhaps"),
            ("digest", ""),
            ("digest_frequency", "999"),
            ("digest_frequency", "86400001"),
            ("digest_frequency", "often"),
            ("expire", "tomorrow"),
            ("expire", "1970-01-01T00:00:01Z"),
            ("include_body", "2"),
            ("show-values", "asleep"),
            ("subscription_type", "all"),
            ("subscription_depth", "2"),
            ("colour", "blue"),
        ] {
            let reply = world.ask(&dev7, set("free/a", None, &[("include_body", "1"), wrong]));
            refused(reply, Reason::BadRequest, Detail::InvalidOptions);
            let reply = world.ask(&dev7, subscribe("free/a", &[wrong]));
            refused(reply, Reason::BadRequest, Detail::InvalidOptions);
        }
        let now = options(world.ask(&dev7, get("free/a", None)));
        assert_eq!(now, SubscriptionOptions::default());
    }

    #[test]
    fn s6_3_4_errors_of_whoever_asks_for_options() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        for ask in [
            &get as &dyn Fn(&str, Option<&str>) -> PubsubAction,
            &|name, subid| set(name, subid, &[]),
        ] {
            // §6.3.4.2
            refused(
                world.ask(&dev7, ask("free/a", None)),
                Reason::UnexpectedRequest,
                Detail::NotSubscribed,
            );
            // §6.3.4.7
            refused(
                world.ask(&dev7, ask("free/none", None)),
                Reason::ItemNotFound,
                None,
            );
            // §6.3.4.1
            refused(
                world.ask(&device("dev8"), ask("free/a", None)),
                Reason::Forbidden,
                None,
            );
        }
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        // §6.3.4.5
        refused(
            world.ask(&dev7, get("free/a", Some("x"))),
            Reason::NotAcceptable,
            Detail::InvalidSubid,
        );
        world
            .ask(&dev7, subscribe("free/a", &[("deliver", "0")]))
            .unwrap();
        // §6.3.4.4
        refused(
            world.ask(&dev7, get("free/a", None)),
            Reason::BadRequest,
            Detail::SubidRequired,
        );
    }

    #[test]
    fn another_depth_moves_a_subscription_and_it_keeps_its_identifier() {
        let (mut world, panel, owner) = (with_node(), device("panel"), device("owner"));
        let set = |options: &[(&str, &str)]| PubsubAction::SetOptions {
            node: node("free"),
            jid: Jid::parse("panel@localhost").unwrap(),
            subid: None,
            options: fields(options),
        };
        world.create(&owner, "free", &[]);
        let (subid, _) = subscribed(world.subscribe(&panel, "free", "panel@localhost"));
        world.publish(&owner, "free/a", "1").unwrap();
        assert!(world.heard().is_empty());
        world
            .ask(&panel, set(&[("subscription_depth", "all")]))
            .unwrap();
        world.publish(&owner, "free/a", "2").unwrap();
        assert_eq!(world.heard(), ["panel@localhost: item 2"]);
        let get = PubsubAction::GetOptions {
            node: node("free"),
            jid: Jid::parse("panel@localhost").unwrap(),
            subid: Some(subid),
        };
        let now = options(world.ask(&panel, get));
        assert_eq!(now.depth, SubscriptionDepth::All);
        world
            .ask(&panel, set(&[("subscription_depth", "1")]))
            .unwrap();
        world.publish(&owner, "free/a", "3").unwrap();
        assert!(world.heard().is_empty());
        assert_eq!(world.pubsub.status().filters, 0);
    }

    #[test]
    fn a_depth_that_the_rules_do_not_cover_is_not_reached_by_options() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        let reply = world.ask(&dev7, set("free/a", None, &[("subscription_depth", "all")]));
        refused(reply, Reason::Forbidden, None);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: item 1"]);
    }

    #[test]
    fn a_failed_change_of_a_filters_options_is_taken_back() {
        let (mut world, panel) = (with_node(), device("panel"));
        world
            .subscribe(&panel, "free/#", "panel@localhost")
            .unwrap();
        world.disk_full = true;
        let off = PubsubAction::SetOptions {
            node: node("free/#"),
            jid: Jid::parse("panel@localhost").unwrap(),
            subid: None,
            options: fields(&[("deliver", "0")]),
        };
        world.ask(&panel, off).unwrap_err();
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard(), ["panel@localhost: item 1"]);
    }
}

mod s6_4_defaults {
    use super::*;

    #[test]
    fn the_default_options_are_of_all_nodes_and_of_each() {
        let mut world = with_node();
        for of in [None, Some(node("free/a"))] {
            let asked = PubsubAction::DefaultOptions { node: of.clone() };
            let reply = pubsub(world.ask(&device("dev7"), asked));
            assert_eq!(reply, PubsubReply::DefaultOptions { node: of });
        }
        let asked = PubsubAction::DefaultOptions {
            node: Some(node("free/none")),
        };
        refused(
            world.ask(&device("dev7"), asked),
            Reason::ItemNotFound,
            None,
        );
    }
}

mod s6_1_6_several {
    use super::*;

    fn count(world: &mut World, who: &Asker) -> usize {
        let asked = PubsubAction::Subscriptions {
            node: Some(node("free/a")),
        };
        match pubsub(world.ask(who, asked)) {
            PubsubReply::Subscriptions { list, .. } => list.len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn other_options_are_another_subscription_and_one_message_names_both() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        let (second, _) =
            subscribed(world.ask(&dev7, subscribe("free/a", &[("include_body", "1")])));
        assert_eq!(count(&mut world, &dev7), 2);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard.len(), 1);
        let tag = world.heard[0].tag.clone().unwrap();
        assert_eq!(tag.subids.len(), 2);
        // §12.8: one of the two wants a body.
        assert!(tag.body);
        let leave = |subid| PubsubAction::Unsubscribe {
            node: node("free/a"),
            jid: Jid::parse("dev7@localhost").unwrap(),
            subid,
        };
        // §6.2.3.1
        refused(
            world.ask(&dev7, leave(None)),
            Reason::BadRequest,
            Detail::SubidRequired,
        );
        world.ask(&dev7, leave(Some(second))).unwrap();
        assert_eq!(count(&mut world, &dev7), 1);
    }

    #[test]
    fn the_same_again_is_the_same_and_nothing_piles_up() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        let (first, _) = subscribed(world.ask(&dev7, subscribe("free/a", &[("digest", "1")])));
        for _ in 0..3 {
            let again = world.ask(&dev7, subscribe("free/a", &[("digest", "1")]));
            assert_eq!(subscribed(again).0, first);
            // Without a word of options any will do.
            let plain = world.subscribe(&dev7, "free/a", "dev7@localhost");
            assert_eq!(subscribed(plain).0, first);
        }
        assert_eq!(count(&mut world, &dev7), 1);
    }

    #[test]
    fn an_address_may_not_have_them_without_end() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        for number in 0..16 {
            let millis = (1_000 + number).to_string();
            let digest = [("digest", "1"), ("digest_frequency", &*millis)];
            world.ask(&dev7, subscribe("free/a", &digest)).unwrap();
        }
        let reply = world.ask(&dev7, subscribe("free/a", &[("include_body", "1")]));
        refused(reply, Reason::PolicyViolation, Detail::TooManySubscriptions);
    }

    #[test]
    fn s6_5_9_1_who_has_several_says_by_which_it_asks_for_items() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        let (first, _) = subscribed(world.subscribe(&dev7, "free/a", "dev7@localhost"));
        world
            .ask(&dev7, subscribe("free/a", &[("deliver", "0")]))
            .unwrap();
        let items = |subid| PubsubAction::Items {
            node: node("free/a"),
            ids: Vec::new(),
            max: None,
            subid,
            page: None,
            order: crate::item::Order::default(),
        };
        refused(
            world.ask(&dev7, items(None)),
            Reason::BadRequest,
            Detail::SubidRequired,
        );
        refused(
            world.ask(&dev7, items(Some("x".into()))),
            Reason::NotAcceptable,
            Detail::InvalidSubid,
        );
        world.ask(&dev7, items(Some(first))).unwrap();
    }

    #[test]
    fn several_for_different_shows_are_told_apart_in_each_show() {
        let (mut world, dev7) = (with_node(), device("dev7"));
        world
            .ask(&dev7, subscribe("free/a", &[("show-values", "chat")]))
            .unwrap();
        let busy = [("show-values", "dnd"), ("include_body", "1")];
        world.ask(&dev7, subscribe("free/a", &busy)).unwrap();
        let digest = [("digest", "1"), ("digest_frequency", "5000")];
        world.ask(&dev7, subscribe("free/a", &digest)).unwrap();
        let shows = |show| [show].into_iter().collect::<Shows>();
        let mut all = deliveries(&mut world, "free/a");
        all.sort_by_key(|one| (one.3, one.0.bits()));
        assert_eq!(
            all,
            [
                (shows(Show::Chat), 1, false, None),
                (shows(Show::Dnd), 1, true, None),
                (Shows::ANY, 1, false, Some(5_000)),
            ]
        );
        // They go as they came, from a list that is kept and not made anew.
        let built = world.pubsub.status().audiences_built;
        world
            .ask(&dev7, subscribe("free/a", &[("show-values", "xa")]))
            .unwrap();
        assert_eq!(deliveries(&mut world, "free/a").len(), 4);
        assert_eq!(world.pubsub.status().audiences_built, built);
    }
}

mod s17_nodes {
    use super::*;

    fn of_nodes(name: &str, depth: &str) -> PubsubAction {
        PubsubAction::Subscribe {
            node: node(name),
            jid: Jid::parse("panel@localhost").unwrap(),
            options: Some(fields(&[
                ("subscription_type", "nodes"),
                ("subscription_depth", depth),
            ])),
        }
    }

    #[test]
    fn whoever_is_subscribed_to_nodes_hears_of_new_and_deleted_ones_and_of_no_items() {
        for (depth, expected) in [("1", 1), ("all", 2)] {
            let (mut world, panel, owner) = (World::new(), device("panel"), device("owner"));
            let (_, told) = subscribed(world.ask(&panel, of_nodes("free", depth)));
            assert_eq!(told.unwrap().kind, SubscriptionType::Nodes);
            world.publish(&owner, "free/a", "1").unwrap();
            world.create(&owner, "free/a/b", &[]);
            assert_eq!(world.heard(), vec!["panel@localhost: created"; expected]);
            world.publish(&owner, "free/a", "2").unwrap();
            assert!(world.heard().is_empty());
            let delete = PubsubAction::Delete {
                node: node("free/a"),
                redirect: None,
            };
            world.ask(&owner, delete).unwrap();
            assert_eq!(world.heard(), ["panel@localhost: delete"]);
        }
    }

    #[test]
    fn a_node_that_is_closed_to_them_is_not_told_of() {
        let (mut world, panel, owner) = (World::new(), device("panel"), device("owner"));
        world.ask(&panel, of_nodes("free", "all")).unwrap();
        world.create(&owner, "free/secret", &[("access_model", "whitelist")]);
        assert!(world.heard().is_empty());
    }
}
