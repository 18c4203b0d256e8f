//! The rules of semantics.md that the service carries.

use super::world::*;
use crate::{
    access::{AccessRules, Actions, Rule, Who},
    account::Role,
    address::{BareJid, Jid},
    class::{Class, ClassRules},
    command::{PubsubAction, PubsubReply},
    effect::StoreOp,
    event::NodeChange,
    item::Affiliation,
    limits::Limits,
    refusal::Reason,
};

fn class_of(world: &World) -> Class {
    match &world.heard[0].change {
        NodeChange::Published { item, .. } => item.class,
        other => panic!("{other:?}"),
    }
}

mod s1_classes {
    use super::*;

    #[test]
    fn a_rule_decides_first_then_one_item_is_state_and_more_are_events() {
        for (name, max_items, class) in [
            ("free/a", "1", Class::State),
            ("free/a", "2", Class::Event),
            ("free/fall/a", "1", Class::Alarm),
        ] {
            let (mut world, dev7) = (World::new(), device("dev7"));
            world.create(&dev7, name, &[("max_items", max_items)]);
            world.subscribe(&dev7, name, "dev7@localhost").unwrap();
            world.publish(&dev7, name, "1").unwrap();
            assert_eq!(class_of(&world), class, "{name} {max_items}");
        }
    }
}

mod s5_one_ordered_log {
    use super::*;

    #[test]
    fn after_a_failed_commit_memory_is_what_the_store_is() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.create(&dev7, "free/a", &[]);
        world.publish(&dev7, "free/a", "1").unwrap();
        world.disk_full = true;
        refused(
            world.publish(&dev7, "free/a", "2"),
            Reason::ResourceConstraint,
            None,
        );
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: item 1"]);
    }

    #[test]
    fn sessions_stay_subscribed_through_a_failed_commit() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.create(&dev7, "free/a", &[]);
        world
            .subscribe(&dev7, "free/a", "dev7@localhost/x")
            .unwrap();
        world.disk_full = true;
        refused(
            world.publish(&dev7, "free/a", "1"),
            Reason::ResourceConstraint,
            None,
        );
        world.publish(&dev7, "free/a", "2").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost/x: item 2"]);
    }

    #[test]
    fn a_filter_comes_back_when_its_end_was_not_committed_and_goes_when_its_start_was_not() {
        let (mut world, panel) = (World::new(), device("panel"));
        world.create(&panel, "free/a", &[]);
        world.disk_full = true;
        let reply = world.subscribe(&panel, "free/#", "panel@localhost");
        refused(reply, Reason::ResourceConstraint, None);
        assert_eq!(world.pubsub.status().filters, 0);
        world
            .subscribe(&panel, "free/#", "panel@localhost")
            .unwrap();
        world.disk_full = true;
        let leave = PubsubAction::Unsubscribe {
            node: node("free/#"),
            jid: Jid::parse("panel@localhost").unwrap(),
            subid: None,
        };
        refused(world.ask(&panel, leave), Reason::ResourceConstraint, None);
        world.publish(&panel, "free/a", "1").unwrap();
        assert_eq!(world.heard(), ["panel@localhost: item 1"]);
    }

    #[test]
    fn a_node_whose_creation_failed_does_not_exist() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.disk_full = true;
        refused(
            world.publish(&dev7, "free/a", "1"),
            Reason::ResourceConstraint,
            None,
        );
        let reply = world.subscribe(&dev7, "free/a", "dev7@localhost");
        refused(reply, Reason::ItemNotFound, None);
    }
}

mod the_stores_answers_come_late {
    use super::*;
    use crate::node::NodeAddress;

    #[test]
    fn a_node_deleted_meanwhile_stays_deleted() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.publish(&dev7, "free/a", "1").unwrap();
        let at = NodeAddress::of_service(node("free/a"));
        let record = world.store.nodes[&at].0.clone();
        let delete = PubsubAction::Delete {
            node: node("free/a"),
            redirect: None,
        };
        world.ask(&dev7, delete).unwrap();
        world.pubsub.loaded(at, Some(record));
        assert_eq!(world.pubsub.status().nodes_resident, 0);
    }

    #[test]
    fn an_item_retracted_meanwhile_is_not_the_last() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        for id in ["1", "2", "3"] {
            world.publish(&dev7, "free/a", id).unwrap();
        }
        let at = NodeAddress::of_service(node("free/a"));
        world.ask(&dev7, retract("free/a", "3")).unwrap();
        let mut overtaken = world.store.nodes[&at].0.clone();
        overtaken.last = world.store.nodes[&at].1.last().cloned();
        world.ask(&dev7, retract("free/a", "2")).unwrap();
        world.pubsub.loaded(at, Some(overtaken));
        world.heard();
        world.subscribe(&dev7, "free/a", "dev7@localhost").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: item 1"]);
    }
}

mod s13_rights {
    use super::*;

    #[test]
    fn a_deny_wins_over_an_affiliation() {
        let (mut world, owner) = (World::new(), device("owner"));
        world.create(&owner, "free/a", &[]);
        let grant = PubsubAction::SetAffiliations {
            node: node("free/a"),
            changes: vec![(device("banned").subject.jid, Affiliation::Owner)],
        };
        world.ask(&owner, grant).unwrap();
        let banned = device("banned");
        refused(
            world.publish(&banned, "free/a", "1"),
            Reason::Forbidden,
            None,
        );
        let reply = world.subscribe(&banned, "free/a", "banned@localhost");
        refused(reply, Reason::Forbidden, None);
        let reply = world.ask(
            &banned,
            PubsubAction::Purge {
                node: node("free/a"),
            },
        );
        refused(reply, Reason::Forbidden, None);
    }

    #[test]
    fn a_rule_opens_what_the_nodes_model_closes_and_an_outcast_stays_out() {
        let (mut world, owner, panel) = (World::new(), device("owner"), device("panel"));
        world.create(&owner, "free/a", &[("access_model", "whitelist")]);
        world
            .subscribe(&panel, "free/a", "panel@localhost")
            .unwrap();
        let outcast = PubsubAction::SetAffiliations {
            node: node("free/a"),
            changes: vec![(panel.subject.jid.clone(), Affiliation::Outcast)],
        };
        world.ask(&owner, outcast).unwrap();
        let reply = world.subscribe(&panel, "free/a", "panel@localhost");
        refused(reply, Reason::Forbidden, None);
    }

    #[test]
    fn new_rules_end_live_subscriptions_that_they_forbid() {
        let (mut world, panel) = (World::new(), device("panel"));
        world.create(&device("dev7"), "free/a", &[]);
        world
            .subscribe(&panel, "free/a", "panel@localhost")
            .unwrap();
        world
            .subscribe(&panel, "free/#", "panel@localhost")
            .unwrap();
        let deny = Rule::new(Who::Account("panel".into()), Actions::ALL, "free/#", false);
        let changes = world.pubsub.set_rules(
            AccessRules::new(vec![deny.unwrap()]),
            ClassRules::default(),
            crate::history::HistoryRules::default(),
            Limits::default(),
            &|jid: &BareJid| Some(device(jid.local().unwrap()).subject),
            &mut world.directory,
        );
        let removed = changes.iter().flat_map(|change| &change.ops);
        assert_eq!(
            removed
                .filter(|op| matches!(op, StoreOp::RemoveSubscription { .. }))
                .count(),
            2
        );
        assert!(changes.iter().all(|change| change.notices.len() == 1));
        assert_eq!(world.pubsub.status().filters, 0);
    }

    #[test]
    fn the_operators_socket_may_everything() {
        let mut world = World::new();
        let mut socket = asker("pubsub", Role::Device);
        socket.superuser = true;
        world.create(
            &device("dev7"),
            "devices/dev7/t",
            &[("access_model", "whitelist")],
        );
        world.publish(&socket, "devices/dev7/t", "1").unwrap();
        world.publish(&socket, "weather", "1").unwrap();
    }
}

mod s15_filters {
    use super::*;

    #[test]
    fn a_filter_is_granted_only_where_rules_cover_it() {
        let mut world = World::new();
        let dev7 = device("dev7");
        for filter in ["#", "free/#", "devices/+/t", "devices/dev8/#"] {
            let reply = world.subscribe(&dev7, filter, "dev7@localhost");
            refused(reply, Reason::Forbidden, None);
        }
        world
            .subscribe(&dev7, "devices/dev7/#", "dev7@localhost")
            .unwrap();
    }

    #[test]
    fn it_reaches_nodes_made_later_and_says_through_which_filter() {
        let (mut world, panel, dev7) = (World::new(), device("panel"), device("dev7"));
        world
            .subscribe(&panel, "free/+/temp", "panel@localhost")
            .unwrap();
        world.publish(&dev7, "free/a/temp", "1").unwrap();
        let tag = world.heard[0].tag.clone().unwrap();
        assert_eq!(tag.collection.as_ref().unwrap().as_str(), "free/+/temp");
        assert!(tag.subids.is_empty());
        assert_eq!(world.heard(), ["panel@localhost: item 1"]);
        world.restart();
        world.publish(&dev7, "free/b/temp", "2").unwrap();
        assert_eq!(world.heard(), ["panel@localhost: item 2"]);
    }

    #[test]
    fn it_never_reaches_closed_nodes_unless_the_account_is_affiliated() {
        let (mut world, panel, dev7) = (World::new(), device("panel"), device("dev7"));
        world
            .subscribe(&panel, "free/#", "panel@localhost")
            .unwrap();
        world.create(&dev7, "free/a", &[("access_model", "whitelist")]);
        world.publish(&dev7, "free/a", "1").unwrap();
        assert!(world.heard().is_empty());
        let member = PubsubAction::SetAffiliations {
            node: node("free/a"),
            changes: vec![(panel.subject.jid.clone(), Affiliation::Member)],
        };
        world.ask(&dev7, member).unwrap();
        world.heard();
        world.publish(&dev7, "free/a", "2").unwrap();
        assert_eq!(world.heard(), ["panel@localhost: item 2"]);
    }

    #[test]
    fn who_hears_is_resolved_when_something_changed_and_not_at_each_publish() {
        let (mut world, panel, dev7) = (World::new(), device("panel"), device("dev7"));
        world.create(&dev7, "free/a", &[]);
        world
            .subscribe(&panel, "free/a", "panel@localhost")
            .unwrap();
        for id in ["1", "2", "3"] {
            world.publish(&dev7, "free/a", id).unwrap();
        }
        assert_eq!(world.pubsub.status().audiences_built, 1);
        world
            .subscribe(&panel, "free/#", "panel@localhost")
            .unwrap();
        world.publish(&dev7, "free/a", "4").unwrap();
        assert_eq!(world.pubsub.status().audiences_built, 2);
    }
}

mod s17_the_tree {
    use super::*;

    #[test]
    fn a_subtree_is_the_node_and_all_below_it_under_the_name_that_was_asked() {
        let (mut world, panel, dev7) = (World::new(), device("panel"), device("dev7"));
        let subtree = PubsubAction::Subscribe {
            node: node("free/a"),
            jid: Jid::parse("panel@localhost").unwrap(),
            options: Some(fields(&[
                ("subscription_type", "items"),
                ("subscription_depth", "all"),
            ])),
        };
        let reply = pubsub(world.ask(&panel, subtree));
        assert!(matches!(reply, PubsubReply::Subscribed { node, .. } if node.as_str() == "free/a"));
        for name in ["free/a", "free/a/b", "free/ab"] {
            world.publish(&dev7, name, name).unwrap();
        }
        assert_eq!(
            world.heard(),
            [
                "panel@localhost: item free/a",
                "panel@localhost: item free/a/b"
            ]
        );
        let leave = PubsubAction::Unsubscribe {
            node: node("free/a"),
            jid: Jid::parse("panel@localhost").unwrap(),
            subid: None,
        };
        world.ask(&panel, leave).unwrap();
        assert_eq!(world.pubsub.status().filters, 0);
    }
}

mod s18_subscribers {
    use super::*;

    #[test]
    fn several_subscriptions_of_one_address_make_one_message_with_all_subids() {
        let (mut world, panel, dev7) = (World::new(), device("panel"), device("dev7"));
        world.create(&dev7, "free/a", &[]);
        world
            .subscribe(&panel, "free/a", "panel@localhost")
            .unwrap();
        world
            .subscribe(&panel, "free/#", "panel@localhost")
            .unwrap();
        world.publish(&dev7, "free/a", "1").unwrap();
        assert_eq!(world.heard[0].tag.as_ref().unwrap().subids.len(), 2);
        assert_eq!(world.heard(), ["panel@localhost: item 1"]);
    }

    #[test]
    fn a_full_address_ends_with_its_session_and_is_never_stored() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.create(&dev7, "free/a", &[]);
        world.create(&dev7, "devices/dev7/t", &[]);
        world
            .subscribe(&dev7, "free/a", "dev7@localhost/x")
            .unwrap();
        assert!(world.ops.is_empty());
        world
            .subscribe(&dev7, "devices/dev7/#", "dev7@localhost/x")
            .unwrap();
        assert!(world.ops.is_empty());
        world.pubsub.session_ended(&dev7.jid);
        world.publish(&dev7, "free/a", "1").unwrap();
        world.publish(&dev7, "devices/dev7/t", "1").unwrap();
        assert!(world.heard().is_empty());
    }

    #[test]
    fn an_account_that_is_removed_is_nowhere_any_more() {
        let (mut world, dev7, panel) = (World::new(), device("dev7"), device("panel"));
        world.create(&dev7, "free/a", &[("access_model", "whitelist")]);
        world
            .subscribe(&panel, "free/a", "panel@localhost")
            .unwrap();
        world
            .subscribe(&panel, "free/#", "panel@localhost")
            .unwrap();
        world.pubsub.account_removed(&panel.subject.jid);
        world.publish(&dev7, "free/a", "1").unwrap();
        assert!(world.heard().is_empty());
    }

    #[test]
    fn a_session_stays_subscribed_while_its_node_is_not_in_memory() {
        let (mut world, dev7) = (World::new(), device("dev7"));
        world.create(&dev7, "free/a", &[]);
        let at = crate::node::NodeAddress::of_service(node("free/a"));
        world
            .subscribe(&dev7, "free/a", "dev7@localhost/x")
            .unwrap();
        world.pubsub.unload(&at);
        world.publish(&dev7, "free/a", "1").unwrap();
        assert_eq!(world.heard(), ["dev7@localhost/x: item 1"]);
        world.pubsub.unload(&at);
        world.pubsub.session_ended(&dev7.jid);
        world.publish(&dev7, "free/a", "2").unwrap();
        assert!(world.heard().is_empty());
    }
}

mod s13_silence {
    use super::*;

    #[test]
    fn who_is_denied_a_node_cannot_tell_it_from_one_that_does_not_exist() {
        let mut world = World::new();
        world.create(&device("dev8"), "devices/dev8/t", &[]);
        let dev7 = device("dev7");
        for name in ["devices/dev8/t", "devices/dev8/none"] {
            let questions = [
                PubsubAction::Subscriptions {
                    node: Some(node(name)),
                },
                PubsubAction::Affiliations {
                    node: Some(node(name)),
                },
                PubsubAction::Unsubscribe {
                    node: node(name),
                    jid: Jid::parse("dev7@localhost").unwrap(),
                    subid: None,
                },
                PubsubAction::Describe { node: node(name) },
                publish(name, "1"),
                retract(name, "1"),
            ];
            for question in questions {
                refused(world.ask(&dev7, question), Reason::Forbidden, None);
            }
        }
    }
}
