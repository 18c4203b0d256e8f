//! XEP-0060 §8: creating, configuring, deleting, purging; managing subscriptions and affiliations.

use super::world::*;
use crate::{
    address::Jid,
    command::{PubsubAction, PubsubReply, Reply},
    item::{Affiliation, SubscriptionState},
    limits::Limits,
    refusal::{Detail, Reason, Refusal},
};

pub(super) fn create(name: Option<&str>, config: &[(&str, &str)]) -> PubsubAction {
    PubsubAction::Create {
        node: name.map(node),
        config: fields(config),
    }
}

fn configure(world: &mut World, who: &str, config: &[(&str, &str)]) -> Result<Reply, Refusal> {
    let action = PubsubAction::Configure {
        node: node("free/a"),
        config: fields(config),
    };
    world.ask(&device(who), action)
}

fn affiliate(world: &mut World, who: &str, whom: &str, is: Affiliation) -> Result<Reply, Refusal> {
    let action = PubsubAction::SetAffiliations {
        node: node("free/a"),
        changes: vec![(device(whom).subject.jid, is)],
    };
    world.ask(&device(who), action)
}

fn with_node(config: &[(&str, &str)]) -> World {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", config);
    world
        .subscribe(&device("sub"), "free/a", "sub@localhost")
        .unwrap();
    world.heard();
    world
}

mod s8_1_create {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_a_conflict() {
        let mut world = with_node(&[]);
        let reply = world.ask(&device("dev7"), create(Some("free/a"), &[]));
        refused(reply, Reason::Conflict, None);
    }

    #[test]
    fn whoever_may_not_create_is_forbidden_and_learns_nothing_of_the_name() {
        let mut world = World::new();
        world.create(&device("dev8"), "devices/dev8/t", &[]);
        for name in ["devices/dev8/t", "devices/dev8/u", "weather"] {
            let reply = world.ask(&device("dev7"), create(Some(name), &[]));
            refused(reply, Reason::Forbidden, None);
        }
    }

    #[test]
    fn s8_1_2_without_a_name_the_hub_makes_one_that_cannot_be_guessed() {
        let mut world = World::new();
        let admin = asker("admin", crate::account::Role::Admin);
        let mut made = || match pubsub(world.ask(&admin, create(None, &[]))) {
            PubsubReply::Created { node } => node,
            other => panic!("{other:?}"),
        };
        let (first, second) = (made(), made());
        assert_eq!(first.as_str().len(), 32);
        assert_ne!(first, second);
    }

    #[test]
    fn s8_1_3_a_node_is_made_as_the_form_says() {
        let mut world = with_node(&[("title", "T"), ("max_items", "1")]);
        let get = PubsubAction::GetConfig {
            node: node("free/a"),
        };
        let reply = pubsub(world.ask(&device("owner"), get));
        let PubsubReply::Config { config, .. } = reply else {
            panic!()
        };
        assert_eq!((&*config.title, config.max_items), ("T", 1));
    }

    #[test]
    fn s16_filters_and_names_of_the_hub_are_no_names() {
        let mut world = World::new();
        for name in ["free/+/a", "free/#", "$SYS/x"] {
            let reply = world.ask(&device("dev7"), create(Some(name), &[]));
            refused(reply, Reason::NotAcceptable, None);
        }
        world.create(&device("dev7"), "free/urn:x#y", &[]);
    }

    #[test]
    fn s17_there_are_no_collections() {
        let mut world = World::new();
        let reply = world.ask(
            &device("dev7"),
            create(Some("free/a"), &[("node_type", "collection")]),
        );
        refused(
            reply,
            Reason::FeatureNotImplemented,
            Detail::Unsupported("collections"),
        );
        world.create(&device("dev7"), "free/a", &[("node_type", "leaf")]);
    }

    #[test]
    fn access_models_that_are_not_offered_are_unsupported() {
        let reply = World::new().ask(
            &device("dev7"),
            create(Some("free/a"), &[("access_model", "everybody")]),
        );
        refused(reply, Reason::NotAcceptable, Detail::UnsupportedAccessModel);
    }
}

mod s8_2_configure {
    use super::*;

    #[test]
    fn what_is_not_in_the_form_stays() {
        let mut world = with_node(&[("title", "T")]);
        configure(&mut world, "owner", &[("description", "D")]).unwrap();
        world.restart();
        let get = PubsubAction::GetConfig {
            node: node("free/a"),
        };
        let PubsubReply::Config { config, .. } = pubsub(world.ask(&device("owner"), get)) else {
            panic!()
        };
        assert_eq!((&*config.title, &*config.description), ("T", "D"));
    }

    #[test]
    fn only_owners_may_look_and_change() {
        let mut world = with_node(&[]);
        refused(
            configure(&mut world, "dev7", &[("title", "x")]),
            Reason::Forbidden,
            None,
        );
        let get = PubsubAction::GetConfig {
            node: node("free/a"),
        };
        refused(world.ask(&device("dev7"), get), Reason::Forbidden, None);
    }

    #[test]
    fn a_wrong_value_is_not_acceptable_and_changes_nothing() {
        for wrong in [
            ("max_items", "0"),
            ("max_items", "many"),
            ("max_items", "10001"),
            ("persist_items", "maybe"),
            ("publish_model", "closed"),
            ("notification_type", "groupchat"),
            ("send_last_published_item", "always"),
            ("max_payload_size", "262144"),
            ("presence_based_delivery", ""),
            ("collection", "x"),
            ("item_expire", "0"),
            ("item_expire", "-1"),
            ("publish_node_full", "explode"),
            ("itemreply", "everybody"),
            ("language", "not a tag"),
            ("contact", "@"),
            ("body_xslt", "two words"),
            ("subscribe", "perhaps"),
            ("title", "new again"),
        ] {
            let mut world = with_node(&[]);
            let reply = configure(&mut world, "owner", &[("title", "new"), wrong]);
            refused(reply, Reason::NotAcceptable, None);
            let get = PubsubAction::GetConfig {
                node: node("free/a"),
            };
            let PubsubReply::Config { config, .. } = pubsub(world.ask(&device("owner"), get))
            else {
                panic!()
            };
            assert_eq!(&*config.title, "", "{wrong:?}");
        }
    }

    #[test]
    fn fields_of_other_documents_are_ignored() {
        let mut world = with_node(&[]);
        configure(&mut world, "owner", &[("weather", "fine"), ("title", "T")]).unwrap();
    }

    #[test]
    fn fewer_max_items_drop_the_oldest_and_no_persistence_drops_all() {
        let mut world = with_node(&[]);
        for id in ["1", "2", "3"] {
            world.publish(&device("owner"), "free/a", id).unwrap();
        }
        configure(&mut world, "owner", &[("max_items", "2")]).unwrap();
        assert_eq!(world.ids("free/a"), ["2", "3"]);
        configure(&mut world, "owner", &[("persist_items", "0")]).unwrap();
        assert!(world.ids("free/a").is_empty());
    }

    #[test]
    fn subscribers_hear_of_it_where_the_node_says_so() {
        let mut world = with_node(&[]);
        configure(&mut world, "owner", &[("title", "1")]).unwrap();
        assert!(world.heard().is_empty());
        configure(&mut world, "owner", &[("notify_config", "1")]).unwrap();
        assert_eq!(world.heard(), ["sub@localhost: configuration"]);
    }

    #[test]
    fn a_node_that_closes_ends_the_subscriptions_of_strangers() {
        let mut world = with_node(&[]);
        world
            .subscribe(&device("owner"), "free/a", "owner@localhost")
            .unwrap();
        configure(&mut world, "owner", &[("access_model", "whitelist")]).unwrap();
        assert_eq!(world.heard(), ["sub@localhost: sub@localhost None"]);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard(), ["owner@localhost: item 1"]);
    }

    #[test]
    fn s8_3_the_default_is_within_this_hubs_limits() {
        let mut world = World::with(Limits {
            items_per_node: 5,
            stanza_bytes: 20_000,
            ..Limits::default()
        });
        let reply = pubsub(world.ask(&device("dev7"), PubsubAction::DefaultConfig));
        let PubsubReply::Config { config, .. } = reply else {
            panic!()
        };
        assert_eq!((config.max_items, config.max_payload_size), (5, 15_904));
    }
}

mod s8_4_delete {
    use super::*;

    fn delete() -> PubsubAction {
        PubsubAction::Delete {
            node: node("free/a"),
            redirect: Some("xmpp:pubsub.localhost?;node=free/b".into()),
        }
    }

    #[test]
    fn the_node_goes_with_all_it_holds_and_subscribers_are_told() {
        let mut world = with_node(&[]);
        world.ask(&device("owner"), delete()).unwrap();
        assert_eq!(world.heard(), ["sub@localhost: delete"]);
        assert!(world.store.nodes.is_empty());
        refused(
            world.ask(&device("owner"), delete()),
            Reason::ItemNotFound,
            None,
        );
    }

    #[test]
    fn a_new_node_of_the_name_starts_empty() {
        let mut world = with_node(&[]);
        world.ask(&device("owner"), delete()).unwrap();
        world.heard();
        world.publish(&device("dev7"), "free/a", "1").unwrap();
        assert!(world.heard().is_empty());
    }

    #[test]
    fn only_owners_may() {
        let mut world = with_node(&[]);
        refused(
            world.ask(&device("dev7"), delete()),
            Reason::Forbidden,
            None,
        );
    }
}

mod s8_5_purge {
    use super::*;

    fn purge() -> PubsubAction {
        PubsubAction::Purge {
            node: node("free/a"),
        }
    }

    #[test]
    fn all_items_go_with_one_word() {
        let mut world = with_node(&[]);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        world.heard();
        world.ask(&device("owner"), purge()).unwrap();
        assert!(world.ids("free/a").is_empty());
        assert_eq!(world.heard(), ["sub@localhost: purge"]);
        world
            .subscribe(&device("dev7"), "free/a", "dev7@localhost")
            .unwrap();
        assert!(world.heard().is_empty(), "no last item is left");
    }

    #[test]
    fn s8_5_3_only_owners_of_nodes_that_keep_items_may() {
        let mut world = with_node(&[]);
        refused(world.ask(&device("dev7"), purge()), Reason::Forbidden, None);
        let mut world = with_node(&[("persist_items", "0")]);
        refused(
            world.ask(&device("owner"), purge()),
            Reason::FeatureNotImplemented,
            Detail::Unsupported("persistent-items"),
        );
    }
}

mod s8_8_subscriptions {
    use super::*;
    use crate::command::PageRequest;

    fn set(whom: &str, state: SubscriptionState) -> PubsubAction {
        PubsubAction::SetSubscriptions {
            node: node("free/a"),
            changes: vec![(Jid::parse(whom).unwrap(), state, None)],
        }
    }

    #[test]
    fn the_owner_sees_them_and_others_do_not() {
        let mut world = with_node(&[]);
        let list = || PubsubAction::NodeSubscriptions {
            node: node("free/a"),
            page: None,
        };
        let reply = pubsub(world.ask(&device("owner"), list()));
        assert!(
            matches!(reply, PubsubReply::Subscriptions { list, page: None, .. } if list.len() == 1)
        );
        refused(world.ask(&device("sub"), list()), Reason::Forbidden, None);
    }

    #[test]
    fn xep_0059_a_long_list_comes_in_pages_in_both_directions() {
        let mut world = World::new();
        world.create(&device("owner"), "free/a", &[]);
        for number in 0..1_203 {
            let name = format!("s{number:04}");
            let jid = format!("{name}@localhost");
            world.subscribe(&device(&name), "free/a", &jid).unwrap();
        }
        let mut ask = |page: Option<PageRequest>| {
            let list = PubsubAction::NodeSubscriptions {
                node: node("free/a"),
                page,
            };
            world.ask(&device("owner"), list)
        };
        let mut list = |page| match pubsub(ask(page)) {
            PubsubReply::Subscriptions { list, page, .. } => {
                let names = list.iter().map(|(_, one)| one.jid.to_string()).collect();
                (names, page.expect("a part of the list"))
            }
            other => panic!("{other:?}"),
        };
        // Who did not ask for a page learns that this is one.
        let (first, at): (Vec<String>, _) = list(None);
        assert_eq!((first.len(), at.index, at.count), (1_000, Some(0), 1_203));
        let after = PageRequest {
            after: at.last,
            ..PageRequest::default()
        };
        let (rest, at) = list(Some(after));
        assert_eq!((rest.len(), at.index, at.count), (203, Some(1_000), 1_203));
        let all: std::collections::BTreeSet<_> = first.iter().chain(&rest).collect();
        assert_eq!(all.len(), 1_203, "each is in one page");
        let back = PageRequest {
            max: Some(3),
            before: at.first,
            ..PageRequest::default()
        };
        assert_eq!(list(Some(back)).0, first[997..]);
        let last = PageRequest {
            max: Some(2),
            before: Some("".into()),
            ..PageRequest::default()
        };
        assert_eq!(list(Some(last)).0, rest[201..]);
        let from = PageRequest {
            max: Some(1),
            index: Some(7),
            ..PageRequest::default()
        };
        assert_eq!(list(Some(from)).0, ["s0007@localhost"]);
        let count = PageRequest {
            max: Some(0),
            ..PageRequest::default()
        };
        let (none, at) = list(Some(count));
        assert_eq!(
            (none.len(), at.first, at.index, at.count),
            (0, None, None, 1_203)
        );
        for (after, index) in [(Some("nobody"), None), (None, Some(1_204))] {
            let page = PageRequest {
                after: after.map(Into::into),
                index,
                ..PageRequest::default()
            };
            refused(ask(Some(page)), Reason::ItemNotFound, None);
        }
    }

    #[test]
    fn the_owner_ends_one_and_its_subscriber_is_told() {
        let mut world = with_node(&[]);
        world
            .ask(
                &device("owner"),
                set("sub@localhost", SubscriptionState::None),
            )
            .unwrap();
        assert_eq!(world.heard(), ["sub@localhost: sub@localhost None"]);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert!(world.heard().is_empty());
    }

    #[test]
    fn nobody_is_subscribed_by_another() {
        let mut world = with_node(&[]);
        let reply = world.ask(
            &device("owner"),
            set("dev7@localhost", SubscriptionState::Subscribed),
        );
        let PubsubReply::SubscriptionsRefused { refused, .. } = pubsub(reply) else {
            panic!()
        };
        assert_eq!(refused[0].state, SubscriptionState::None);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert!(world.heard.iter().all(|heard| heard.to != "dev7@localhost"));
    }

    #[test]
    fn owners_hear_who_comes_and_goes_where_the_node_says_so() {
        let mut world = with_node(&[("notify_sub", "1")]);
        world
            .subscribe(&device("dev7"), "free/a", "dev7@localhost")
            .unwrap();
        assert_eq!(
            world.heard(),
            ["owner@localhost: dev7@localhost Subscribed"]
        );
    }
}

mod s8_9_affiliations {
    use super::*;

    #[test]
    fn an_owner_cannot_fill_the_memory_with_names() {
        let mut world = with_node(&[]);
        let grant = |from: usize, to: usize| PubsubAction::SetAffiliations {
            node: node("free/a"),
            changes: (from..to)
                .map(|n| (device(&format!("n{n}")).subject.jid, Affiliation::Member))
                .collect(),
        };
        // The owner is one of the thousand.
        world.ask(&device("owner"), grant(0, 999)).unwrap();
        let more = world.ask(&device("owner"), grant(999, 1_000));
        refused(more, Reason::ResourceConstraint, None);
        // Who is there already may still become something else.
        affiliate(&mut world, "owner", "n7", Affiliation::Outcast).unwrap();
    }

    #[test]
    fn the_whitelist_is_made_of_members() {
        let mut world = with_node(&[("access_model", "open")]);
        configure(&mut world, "owner", &[("access_model", "whitelist")]).unwrap();
        affiliate(&mut world, "owner", "dev7", Affiliation::Member).unwrap();
        world
            .subscribe(&device("dev7"), "free/a", "dev7@localhost")
            .unwrap();
        affiliate(&mut world, "owner", "dev7", Affiliation::None).unwrap();
        world.heard();
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert!(world.heard().is_empty());
    }

    #[test]
    fn an_outcast_loses_its_subscription_and_gets_no_other() {
        let mut world = with_node(&[]);
        affiliate(&mut world, "owner", "sub", Affiliation::Outcast).unwrap();
        assert_eq!(
            world.heard(),
            [
                "sub@localhost: sub@localhost is Outcast",
                "sub@localhost: sub@localhost None"
            ]
        );
        let reply = world.subscribe(&device("sub"), "free/a", "sub@localhost");
        refused(reply, Reason::Forbidden, None);
    }

    #[test]
    fn the_last_owner_stays() {
        let mut world = with_node(&[]);
        let reply = affiliate(&mut world, "owner", "owner", Affiliation::None);
        refused(reply, Reason::NotAcceptable, None);
        affiliate(&mut world, "owner", "dev7", Affiliation::Owner).unwrap();
        affiliate(&mut world, "owner", "owner", Affiliation::None).unwrap();
        let reply = configure(&mut world, "owner", &[("title", "x")]);
        refused(reply, Reason::Forbidden, None);
    }

    #[test]
    fn s8_9_4_who_is_concerned_hears_of_a_change_and_only_of_a_change() {
        let mut world = with_node(&[]);
        affiliate(&mut world, "owner", "dev7", Affiliation::Publisher).unwrap();
        assert_eq!(
            world.heard(),
            ["dev7@localhost: dev7@localhost is Publisher"]
        );
        affiliate(&mut world, "owner", "dev7", Affiliation::Publisher).unwrap();
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn s8_9_2_4_two_words_about_one_entity_are_refused() {
        let mut world = with_node(&[]);
        let dev7 = device("dev7").subject.jid;
        let action = PubsubAction::SetAffiliations {
            node: node("free/a"),
            changes: vec![
                (dev7.clone(), Affiliation::Member),
                (dev7, Affiliation::Outcast),
            ],
        };
        refused(
            world.ask(&device("owner"), action),
            Reason::NotAcceptable,
            None,
        );
    }

    #[test]
    fn only_owners_see_and_change_them() {
        let mut world = with_node(&[]);
        let reply = affiliate(&mut world, "dev7", "dev7", Affiliation::Owner);
        refused(reply, Reason::Forbidden, None);
        let list = PubsubAction::NodeAffiliations {
            node: node("free/a"),
        };
        refused(world.ask(&device("dev7"), list), Reason::Forbidden, None);
    }
}
