//! XEP-0060 §8.6 to §8.8, §6.1.4: who asks to subscribe, and owners who say yes or no.

use super::world::*;
use crate::{
    address::Jid,
    command::{PubsubAction, PubsubReply, Reply, SessionId},
    item::{Affiliation, SubscriptionState},
    node::NodeAddress,
    refusal::{Detail, Reason, Refusal},
};

fn with_node() -> World {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", &[("access_model", "authorize")]);
    world.publish(&device("owner"), "free/a", "1").unwrap();
    world.heard();
    world
}

/// dev7 asks; returns what it was answered.
fn ask(world: &mut World) -> PubsubReply {
    pubsub(world.subscribe(&device("dev7"), "free/a", "dev7@localhost"))
}

fn authorize(subid: Option<&str>, allow: bool) -> PubsubAction {
    PubsubAction::Authorize {
        node: node("free/a"),
        jid: Jid::parse("dev7@localhost").unwrap(),
        subid: subid.map(Into::into),
        allow,
    }
}

fn get_pending(node: Option<&str>) -> PubsubAction {
    PubsubAction::GetPending {
        node: node.map(super::world::node),
        execution: "1-x".into(),
    }
}

fn states(world: &mut World, action: PubsubAction, who: &str) -> Vec<SubscriptionState> {
    match pubsub(world.ask(&device(who), action)) {
        PubsubReply::Subscriptions { list, .. } => list.iter().map(|(_, one)| one.state).collect(),
        other => panic!("{other:?}"),
    }
}

fn items() -> PubsubAction {
    PubsubAction::Items {
        node: node("free/a"),
        ids: Vec::new(),
        max: None,
        subid: None,
        page: None,
        order: crate::item::Order::default(),
    }
}

#[test]
fn s6_1_4_who_asks_is_answered_pending_and_the_owners_are_asked() {
    let mut world = with_node();
    let affiliate = PubsubAction::SetAffiliations {
        node: node("free/a"),
        changes: vec![(device("boss").subject.jid, Affiliation::Owner)],
    };
    world.ask(&device("owner"), affiliate).unwrap();
    world.heard();
    let reply = ask(&mut world);
    assert!(matches!(
        reply,
        PubsubReply::Subscribed {
            state: SubscriptionState::Pending,
            ..
        }
    ));
    assert_eq!(
        world.heard(),
        [
            "boss@localhost: dev7@localhost asks",
            "owner@localhost: dev7@localhost asks"
        ]
    );
    // §4.2: nothing is sent meanwhile, and nothing may be read.
    world.publish(&device("owner"), "free/a", "2").unwrap();
    assert!(world.heard().is_empty());
    refused(
        world.ask(&device("dev7"), items()),
        Reason::NotAuthorized,
        Detail::NotSubscribed,
    );
}

#[test]
fn s6_1_3_7_who_waits_is_told_so_when_it_asks_again() {
    let mut world = with_node();
    ask(&mut world);
    refused(
        world.subscribe(&device("dev7"), "free/a", "dev7@localhost"),
        Reason::NotAuthorized,
        Detail::PendingSubscription,
    );
}

#[test]
fn s8_6_an_owner_approves_and_the_subscriber_is_told_and_gets_the_last_item() {
    let mut world = with_node();
    ask(&mut world);
    world.heard();
    world.ask(&device("owner"), authorize(None, true)).unwrap();
    assert_eq!(
        world.heard(),
        [
            "dev7@localhost: dev7@localhost Subscribed",
            "dev7@localhost: item 1"
        ]
    );
    world.ask(&device("dev7"), items()).unwrap();
    world.restart();
    world.publish(&device("owner"), "free/a", "2").unwrap();
    assert_eq!(world.heard(), ["dev7@localhost: item 2"]);
}

#[test]
fn s8_6_an_owner_denies_and_the_subscriber_is_told() {
    let mut world = with_node();
    ask(&mut world);
    world.heard();
    world.ask(&device("owner"), authorize(None, false)).unwrap();
    assert_eq!(world.heard(), ["dev7@localhost: dev7@localhost None"]);
    // It may ask again.
    ask(&mut world);
    assert_eq!(world.heard(), ["owner@localhost: dev7@localhost asks"]);
}

#[test]
fn s12_13_the_first_answer_counts_and_a_second_is_told_so() {
    let mut world = with_node();
    ask(&mut world);
    world.ask(&device("owner"), authorize(None, true)).unwrap();
    for allow in [true, false] {
        let reply = world.ask(&device("owner"), authorize(None, allow));
        refused(reply, Reason::ItemNotFound, None);
    }
    world.heard();
    world.publish(&device("owner"), "free/a", "2").unwrap();
    assert_eq!(world.heard(), ["dev7@localhost: item 2"]);
}

#[test]
fn s8_6_only_owners_approve_and_only_what_was_asked() {
    let mut world = with_node();
    ask(&mut world);
    refused(
        world.ask(&device("dev7"), authorize(None, true)),
        Reason::Forbidden,
        None,
    );
    refused(
        world.ask(&device("owner"), authorize(Some("other"), true)),
        Reason::ItemNotFound,
        None,
    );
    let elsewhere = PubsubAction::Authorize {
        node: node("free/none"),
        jid: Jid::parse("dev7@localhost").unwrap(),
        subid: None,
        allow: true,
    };
    refused(
        world.ask(&device("owner"), elsewhere),
        Reason::ItemNotFound,
        None,
    );
}

#[test]
fn s4_5_who_is_affiliated_needs_no_approval() {
    let mut world = with_node();
    let affiliate = PubsubAction::SetAffiliations {
        node: node("free/a"),
        changes: vec![(device("dev7").subject.jid, Affiliation::Member)],
    };
    world.ask(&device("owner"), affiliate).unwrap();
    let reply = ask(&mut world);
    assert!(matches!(
        reply,
        PubsubReply::Subscribed {
            state: SubscriptionState::Subscribed,
            ..
        }
    ));
}

#[test]
fn s8_7_4_an_affiliation_answers_for_the_owner() {
    for (affiliation, expected) in [
        (
            Affiliation::Publisher,
            "dev7@localhost: dev7@localhost Subscribed",
        ),
        (
            Affiliation::Owner,
            "dev7@localhost: dev7@localhost Subscribed",
        ),
        (Affiliation::Outcast, "dev7@localhost: dev7@localhost None"),
    ] {
        let mut world = with_node();
        ask(&mut world);
        world.heard();
        let affiliate = PubsubAction::SetAffiliations {
            node: node("free/a"),
            changes: vec![(device("dev7").subject.jid, affiliation)],
        };
        world.ask(&device("owner"), affiliate).unwrap();
        let heard = world.heard();
        assert!(heard.iter().any(|line| line == expected), "{heard:?}");
    }
}

#[test]
fn a_new_access_model_answers_for_the_owner() {
    for (model, expected) in [
        ("open", "dev7@localhost: dev7@localhost Subscribed"),
        ("whitelist", "dev7@localhost: dev7@localhost None"),
    ] {
        let mut world = with_node();
        ask(&mut world);
        world.heard();
        let configure = PubsubAction::Configure {
            node: node("free/a"),
            config: fields(&[("access_model", model)]),
        };
        world.ask(&device("owner"), configure).unwrap();
        let heard = world.heard();
        assert!(heard.iter().any(|line| line == expected), "{heard:?}");
    }
}

#[test]
fn those_who_are_subscribed_stay_where_approval_is_needed_from_now_on() {
    let mut world = World::new();
    world.create(&device("owner"), "free/a", &[]);
    for jid in ["dev7@localhost", "dev7@localhost/x"] {
        world.subscribe(&device("dev7"), "free/a", jid).unwrap();
    }
    let configure = PubsubAction::Configure {
        node: node("free/a"),
        config: fields(&[("access_model", "authorize")]),
    };
    world.ask(&device("owner"), configure).unwrap();
    world.heard();
    world.publish(&device("owner"), "free/a", "1").unwrap();
    assert_eq!(world.heard().len(), 2);
}

#[test]
fn s5_6_the_subscriber_sees_that_it_waits_and_s8_8_1_the_list_of_subscribers_does_not() {
    let mut world = with_node();
    ask(&mut world);
    let own = PubsubAction::Subscriptions { node: None };
    assert_eq!(
        states(&mut world, own, "dev7"),
        [SubscriptionState::Pending]
    );
    let all = PubsubAction::NodeSubscriptions {
        node: node("free/a"),
        page: None,
    };
    assert!(states(&mut world, all, "owner").is_empty());
}

#[test]
fn s8_7_the_nodes_where_somebody_waits_and_then_the_requests() {
    let mut world = with_node();
    world.create(&device("owner"), "free/b", &[("access_model", "authorize")]);
    ask(&mut world);
    // By a full address, which memory alone knows.
    world
        .subscribe(&device("dev8"), "free/b", "dev8@localhost/x")
        .unwrap();
    world.heard();
    let reply = pubsub(world.ask(&device("owner"), get_pending(None)));
    assert_eq!(
        reply,
        PubsubReply::Pending {
            execution: "1-x".into(),
            nodes: Some(vec![node("free/a"), node("free/b")])
        }
    );
    let reply = pubsub(world.ask(&device("owner"), get_pending(Some("free/a"))));
    assert!(matches!(reply, PubsubReply::Pending { nodes: None, .. }));
    assert_eq!(world.heard(), ["owner@localhost/x: dev7@localhost asks"]);
}

#[test]
fn s8_7_3_who_owns_nothing_may_not_ask_and_nobody_of_what_is_not_theirs() {
    let mut world = with_node();
    for (who, of, reason) in [
        ("dev7", None, Reason::Forbidden),
        ("dev7", Some("free/a"), Reason::Forbidden),
        ("owner", Some("free/none"), Reason::ItemNotFound),
    ] {
        refused(world.ask(&device(who), get_pending(of)), reason, None);
    }
}

#[test]
fn an_owner_who_comes_later_is_sent_what_waits() {
    let mut world = with_node();
    ask(&mut world);
    let owner = device("owner").subject.jid;
    assert!(world.pubsub.is_asked(&owner));
    let at = NodeAddress::of_service(node("free/a"));
    let stored = |world: &World| -> Vec<_> {
        let all = world.store.nodes[&at].0.subscriptions.iter();
        all.map(|one| (at.clone(), one.clone())).collect()
    };
    let to = SessionId {
        index: 0,
        generation: 0,
    };
    let waiting = stored(&world);
    assert_eq!(world.pubsub.requests(&owner, waiting.clone(), to).len(), 1);
    // The answer of the store may be older than an owner's answer.
    world.ask(&device("owner"), authorize(None, true)).unwrap();
    assert!(world.pubsub.requests(&owner, waiting, to).is_empty());
    assert!(!world.pubsub.is_asked(&owner));
}

mod s8_8_manage {
    use super::*;

    fn set(changes: &[(&str, SubscriptionState, Option<&str>)]) -> PubsubAction {
        let change = |(jid, state, subid): &(&str, SubscriptionState, Option<&str>)| {
            (Jid::parse(jid).unwrap(), *state, subid.map(Into::into))
        };
        PubsubAction::SetSubscriptions {
            node: node("free/a"),
            changes: changes.iter().map(change).collect(),
        }
    }

    fn returned(reply: Result<Reply, Refusal>) -> Vec<(String, SubscriptionState)> {
        match pubsub(reply) {
            PubsubReply::SubscriptionsRefused { refused, .. } => refused
                .into_iter()
                .map(|one| (one.jid.to_string(), one.state))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_owner_approves_and_denies_here_too() {
        use SubscriptionState as S;
        for (state, expected) in [(S::Subscribed, "Subscribed"), (S::None, "None")] {
            let mut world = with_node();
            ask(&mut world);
            world.heard();
            let set = set(&[("dev7@localhost", state, None)]);
            world.ask(&device("owner"), set).unwrap();
            let told = format!("dev7@localhost: dev7@localhost {expected}");
            assert_eq!(world.heard()[0], told);
        }
    }

    #[test]
    fn s8_8_2_4_what_cannot_be_done_is_returned_as_it_is_and_the_rest_is_done() {
        use SubscriptionState as S;
        let mut world = with_node();
        ask(&mut world);
        world
            .subscribe(&device("owner"), "free/a", "owner@localhost")
            .unwrap();
        world.heard();
        let reply = world.ask(
            &device("owner"),
            set(&[
                ("owner@localhost", S::None, None),
                ("dev8@localhost", S::Subscribed, None),
                ("dev7@localhost", S::Unconfigured, None),
                ("dev7@localhost", S::Subscribed, Some("other")),
            ]),
        );
        assert_eq!(
            returned(reply),
            [
                ("dev8@localhost".to_owned(), S::None),
                ("dev7@localhost".to_owned(), S::Pending),
                ("dev7@localhost".to_owned(), S::None),
            ]
        );
        assert_eq!(world.heard(), ["owner@localhost: owner@localhost None"]);
    }

    #[test]
    fn s8_8_2_4_several_of_one_address_are_told_apart_by_their_identifiers() {
        use SubscriptionState as S;
        let mut world = World::new();
        world.create(&device("owner"), "free/a", &[]);
        let mut subids = Vec::new();
        for deliver in ["0", "1"] {
            let action = PubsubAction::Subscribe {
                node: node("free/a"),
                jid: Jid::parse("dev7@localhost").unwrap(),
                options: Some(fields(&[("deliver", deliver)])),
            };
            match pubsub(world.ask(&device("dev7"), action)) {
                PubsubReply::Subscribed { subid, .. } => subids.push(subid),
                other => panic!("{other:?}"),
            }
        }
        let reply = world.ask(&device("owner"), set(&[("dev7@localhost", S::None, None)]));
        assert_eq!(returned(reply).len(), 1);
        let both: Vec<_> = subids
            .iter()
            .map(|subid| ("dev7@localhost", S::None, Some(&**subid)))
            .collect();
        world.ask(&device("owner"), set(&both)).unwrap();
        let all = PubsubAction::NodeSubscriptions {
            node: node("free/a"),
            page: None,
        };
        assert!(states(&mut world, all, "owner").is_empty());
    }

    #[test]
    fn s8_8_2_4_two_words_about_the_same_are_one_too_many() {
        use SubscriptionState as S;
        let mut world = with_node();
        ask(&mut world);
        let reply = world.ask(
            &device("owner"),
            set(&[
                ("dev7@localhost", S::Subscribed, None),
                ("dev7@localhost", S::None, None),
            ]),
        );
        assert_eq!(
            returned(reply),
            [("dev7@localhost".to_owned(), S::Subscribed)]
        );
    }
}
