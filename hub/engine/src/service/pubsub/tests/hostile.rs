//! What somebody tries who wants more than is theirs: rights by a detour, and memory without bound.

use super::{
    s6_options::{set, subscribe, subscribed},
    s7_publisher::with_options,
    world::*,
};
use crate::{
    access::{AccessRules, Action, Rule, Who},
    address::{BareJid, Jid},
    command::{ArchiveRequest, Field, PubsubAction, PubsubReply, PubsubRequest},
    item::{Affiliation, SubscriptionState},
    limits::Limits,
    node::NodeAddress,
    refusal::{Detail, Reason},
    service::pubsub::Wanted,
};

/// The rules of every world, these before them.
fn world_with(rules: Vec<Rule>) -> World {
    let mut world = World::new();
    let create = Rule::new(
        Who::All,
        [Action::Create].into_iter().collect(),
        "free/#",
        true,
    );
    let all = rules.into_iter().chain([create.unwrap()]).collect();
    world.pubsub.rules = AccessRules::new(all).into();
    world
}

fn rule(who: &str, action: Action, on: &str, allow: bool) -> Rule {
    let who = Who::Account(who.into());
    Rule::new(who, [action].into_iter().collect(), on, allow).unwrap()
}

fn set_subscription(name: &str, jid: &str) -> PubsubAction {
    PubsubAction::SetSubscriptions {
        node: node(name),
        changes: vec![(
            Jid::parse(jid).unwrap(),
            SubscriptionState::Subscribed,
            None,
        )],
    }
}

fn set_affiliation(name: &str, jid: &str, affiliation: Affiliation) -> PubsubAction {
    PubsubAction::SetAffiliations {
        node: node(name),
        changes: vec![(BareJid::parse(jid).unwrap(), affiliation)],
    }
}

fn items(name: &str) -> PubsubAction {
    PubsubAction::Items {
        node: node(name),
        ids: Vec::new(),
        max: None,
        subid: None,
        page: None,
        order: crate::item::Order::default(),
    }
}

mod rights {
    use super::*;

    #[test]
    fn s6_3_5_a_subscription_that_moves_to_another_place_is_admitted_there_and_no_sooner() {
        let mut world = world_with(vec![rule("dev7", Action::Subscribe, "free/a/+", true)]);
        let dev7 = device("dev7");
        world.create(&device("owner"), "free/a", &[("access_model", "authorize")]);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        // The children it may hear of; not the node itself.
        let (subid, _) = subscribed(world.ask(
            &dev7,
            subscribe("free/a", &[("subscription_type", "nodes")]),
        ));
        world.heard();
        let to_items = set("free/a", Some(&subid), &[("subscription_type", "items")]);
        world.ask(&dev7, to_items).unwrap();
        assert_eq!(world.heard(), ["owner@localhost: dev7@localhost asks"]);
        refused(
            world.ask(&dev7, items("free/a")),
            Reason::NotAuthorized,
            Detail::NotSubscribed,
        );
        world.publish(&device("owner"), "free/a", "2").unwrap();
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn s13_an_owner_who_may_not_hear_does_not_by_its_own_word() {
        let mut world = world_with(vec![rule("owner", Action::Subscribe, "free/a", false)]);
        world.create(&device("owner"), "free/a", &[]);
        let word = set_subscription("free/a", "owner@localhost");
        let PubsubReply::SubscriptionsRefused { .. } = pubsub(world.ask(&device("owner"), word))
        else {
            panic!("it was done")
        };
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn s4_1_who_may_only_publish_hears_nothing_by_a_filter_either() {
        let mut world = World::new();
        // `panel` may hear all below `free/`.
        world
            .subscribe(&device("panel"), "free/#", "panel@localhost")
            .unwrap();
        world.create(&device("owner"), "free/a", &[]);
        let word = set_affiliation("free/a", "panel@localhost", Affiliation::PublishOnly);
        world.ask(&device("owner"), word).unwrap();
        world.heard();
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn s12_nobody_raises_alarms_at_a_node_of_their_own() {
        let mut world = World::new();
        world
            .subscribe(&device("panel"), "free/#", "panel@localhost")
            .unwrap();
        let PubsubAction::Publish { node, items, .. } = with_options("free/a", &[]) else {
            panic!()
        };
        let alarm = Field {
            var: "leveret#class".into(),
            values: vec!["alarm".into()],
        };
        let raise = PubsubAction::Publish {
            node,
            items,
            options: Some(vec![alarm]),
        };
        refused(
            world.ask_at(&device("dev7"), Some("dev7"), raise),
            Reason::NotAcceptable,
            None,
        );
        assert!(world.store.owed.is_empty());
    }

    #[test]
    fn s4_5_what_goes_by_rosters_is_not_decided_without_them() {
        let mut world = World::new();
        world.create(&device("owner"), "free/a", &[("access_model", "presence")]);
        world.publish(&device("owner"), "free/a", "1").unwrap();
        for action in [
            items("free/a"),
            PubsubAction::ArchiveEnds {
                node: node("free/a"),
            },
            PubsubAction::Archive {
                node: node("free/a"),
                request: Box::new(ArchiveRequest::default()),
            },
            set("free/a", None, &[]),
        ] {
            let request = PubsubRequest { host: None, action };
            let owner = BareJid::parse("owner@localhost").unwrap();
            let wanted = world.pubsub.wants(&request);
            assert!(wanted.contains(&Wanted::Roster(owner)), "{request:?}");
        }
    }

    #[test]
    fn s8_6_who_waits_at_a_personal_node_waits_on_when_it_leaves_memory() {
        let mut world = World::new();
        let owner = device("owner");
        let options = [("access_model", "authorize")];
        let make = with_options("urn:mood", &options);
        world.ask_at(&owner, Some("owner"), make).unwrap();
        let wish = PubsubAction::Subscribe {
            node: node("urn:mood"),
            jid: Jid::parse("dev7@localhost").unwrap(),
            options: None,
        };
        world.ask_at(&device("dev7"), Some("owner"), wish).unwrap();
        let at = NodeAddress {
            host: Some(owner.subject.jid.clone()),
            node: node("urn:mood"),
        };
        let ended = world.pubsub.recheck_personal(&at, &mut world.directory);
        assert!(ended.is_none());
    }
}

mod growth {
    use super::*;

    fn limited() -> World {
        World::with(Limits {
            subscriptions_per_account: 3,
            ..Limits::default()
        })
    }

    #[test]
    fn s18_an_owner_makes_no_subscriptions_of_sessions_that_are_not_there() {
        let mut world = World::new();
        world.create(&device("owner"), "free/a", &[]);
        let ghost = set_subscription("free/a", "owner@localhost/ghost");
        world.ask(&device("owner"), ghost).unwrap();
        assert!(world.pubsub.sessions.is_empty());
        let own = set_subscription("free/a", "owner@localhost/x");
        world.ask(&device("owner"), own).unwrap();
        assert_eq!(world.pubsub.sessions.len(), 1);
    }

    #[test]
    fn s6_1_3_9_subscriptions_of_a_session_are_counted_whoever_asks_for_them() {
        let mut world = limited();
        let (one, mut other) = (device("dev7"), device("dev7"));
        other.jid = other.subject.jid.with_resource("other").unwrap();
        world.directory.online.push(one.jid.clone());
        for number in 0..3 {
            world.create(&device("owner"), &format!("free/{number}"), &[]);
            world
                .subscribe(&other, &format!("free/{number}"), "dev7@localhost/x")
                .unwrap();
        }
        world.create(&device("owner"), "free/9", &[]);
        refused(
            world.subscribe(&other, "free/9", "dev7@localhost/x"),
            Reason::PolicyViolation,
            Detail::TooManySubscriptions,
        );
    }

    #[test]
    fn nodes_that_are_made_and_deleted_all_day_leave_nothing_with_who_publishes() {
        let mut world = World::new();
        for number in 0..3_000 {
            let name = format!("free/{number}");
            world.create(&device("dev7"), &name, &[("purge_offline", "1")]);
            world.publish(&device("dev7"), &name, "1").unwrap();
            let delete = PubsubAction::Delete {
                node: node(&name),
                redirect: None,
            };
            world.ask(&device("dev7"), delete).unwrap();
        }
        let noted = world.pubsub.leavers.len();
        assert!(noted <= 1_100, "{noted}");
    }
}

mod options_of_alarms {
    use super::*;

    #[test]
    fn s12_an_alarm_comes_once_at_once_and_whatever_is_shown() {
        let mut world = World::new();
        let panel = device("panel");
        let as_panel = |options: &[(&str, &str)]| PubsubAction::Subscribe {
            node: node("free/fall/a"),
            jid: Jid::parse("panel@localhost").unwrap(),
            options: Some(fields(options)),
        };
        let admin = asker("boss", crate::account::Role::Admin);
        world.create(&admin, "free/fall/a", &[]);
        for options in [
            &[("show-values", "online")][..],
            &[("digest", "1"), ("show-values", "dnd")],
        ] {
            world.ask(&panel, as_panel(options)).unwrap();
        }
        world.publish(&admin, "free/fall/a", "1").unwrap();
        let heard: Vec<_> = world
            .heard
            .drain(..)
            .filter(|one| one.to == "panel@localhost")
            .collect();
        let [alarm] = heard.as_slice() else {
            panic!("{heard:?}")
        };
        let tag = alarm.tag.as_deref().unwrap();
        assert_eq!((tag.subids.len(), tag.digest_millis), (2, None));
        assert_eq!(alarm.shows, crate::item::Shows::ANY);
    }

    #[test]
    fn s6_1_6_what_no_digest_holds_is_told_an_address_once() {
        let mut world = World::new();
        world.create(&device("owner"), "free/a", &[]);
        for options in [&[("digest", "1")][..], &[("include_body", "1")]] {
            world
                .ask(&device("dev7"), subscribe("free/a", options))
                .unwrap();
        }
        world.publish(&device("owner"), "free/a", "1").unwrap();
        assert_eq!(world.heard().len(), 2, "one of them waits");
        let purge = PubsubAction::Purge {
            node: node("free/a"),
        };
        world.ask(&device("owner"), purge).unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: purge"]);
        let delete = PubsubAction::Delete {
            node: node("free/a"),
            redirect: None,
        };
        world.ask(&device("owner"), delete).unwrap();
        assert_eq!(world.heard(), ["dev7@localhost: delete"]);
    }
}
