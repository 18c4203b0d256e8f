//! Publishes through the router: pipelined into one group, told after the commit, in order (S2, S5, S6).

use super::*;
use crate::{
    access::{Action, Rule, Who},
    class::Class,
    command::{Field, NewItem, PageRequest, PubsubAction, PubsubReply, PubsubRequest},
    event::{NodeChange, NodeEvent},
    item::Item,
    limits::{FANOUT_SLICE, FANOUTS_PER_SESSION_MAX},
    node::{ItemId, NodeId},
    payload::Payload,
    router::fanout::{Job, Reach, Source},
    service::{Delivery, Recipient},
};

fn ask_pubsub(action: PubsubAction) -> Command {
    Command::Pubsub(Box::new(PubsubRequest { host: None, action }))
}

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

pub(super) fn publish(name: &str, id: u32) -> Command {
    let payload = Payload::xml(bytes::Bytes::from_static(b"<t xmlns='urn:t'/>"));
    let item = NewItem {
        id: Some(ItemId::parse(&id.to_string()).unwrap()),
        payload: Some(payload),
    };
    ask_pubsub(PubsubAction::Publish {
        node: node(name),
        items: vec![item],
        options: None,
    })
}

fn subscribe(name: &str, who: &str) -> Command {
    ask_pubsub(PubsubAction::Subscribe {
        node: node(name),
        jid: jid(who),
        options: None,
    })
}

/// A device with a node, and an operator who is subscribed to it.
pub(super) fn fleet() -> (World, SessionId, SessionId) {
    let mut world = World::new();
    world.store.add_account(&bare("op"), Role::Operator);
    let device = world.online("dev7", "x", 0);
    let operator = world.online("op", "console", 0);
    world
        .request(device, publish("devices/dev7/log", 0))
        .unwrap();
    world
        .request(operator, subscribe("devices/dev7/log", "op@localhost"))
        .unwrap();
    world.hush(&[device, operator]);
    (world, device, operator)
}

#[test]
fn names_that_no_node_has_and_new_configurations_leave_nothing_behind() {
    let (mut world, device, _) = fleet();
    let mut before = None;
    for n in 0..500 {
        let items = PubsubAction::Items {
            node: node(&format!("devices/dev7/none-{n}")),
            ids: Vec::new(),
            max: None,
            subid: None,
            page: None,
            order: crate::item::Order::default(),
        };
        world.request(device, ask_pubsub(items)).unwrap_err();
        let title = Field {
            var: "pubsub#title".into(),
            values: vec![n.to_string().into()],
        };
        let configure = PubsubAction::Configure {
            node: node("devices/dev7/log"),
            config: vec![title],
        };
        world.request(device, ask_pubsub(configure)).unwrap();
        let status = world.router.status();
        let now = (status.nodes_resident, status.node_cache_bytes);
        assert_eq!(*before.get_or_insert(now), now);
    }
}

#[test]
fn s6_several_publishes_are_under_way_at_once_and_answered_in_order_after_their_commits() {
    let (mut world, device, operator) = fleet();
    // What the account owns has just changed: its facts come back with this one.
    world.ask(device, publish("devices/dev7/log", 0));
    world.hush(&[device, operator]);
    world.store.held = true;
    for id in 1..=5 {
        world.ask(device, publish("devices/dev7/log", id));
    }
    assert_eq!(
        world.store.waiting(),
        5,
        "all of them may join one group commit"
    );
    assert_eq!(world.hear(device), [""; 0]);
    assert_eq!(
        world.hear(operator),
        [""; 0],
        "nobody hears what is not stored"
    );
    world.store.held = false;
    world.settle();
    assert_eq!(world.hear(device), ["answer"; 5]);
    assert_eq!(world.hear(operator), ["node devices/dev7/log"; 5]);
}

#[test]
fn s5_a_publish_whose_commit_fails_is_refused_and_told_to_nobody() {
    let (mut world, device, operator) = fleet();
    world.store.failing = true;
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(device), ["ResourceConstraint"]);
    assert_eq!(world.hear(operator), [""; 0]);
}

#[test]
fn s18_only_reachable_resources_hear_a_node() {
    let (mut world, device, operator) = fleet();
    let hidden = world.online("op", "hidden", -1);
    world.hush(&[operator, hidden]);
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(operator), ["node devices/dev7/log"]);
    assert_eq!(world.hear(hidden), [""; 0]);
}

#[test]
fn s18_a_full_addresss_subscription_ends_with_its_session() {
    let (mut world, device, _) = fleet();
    world.store.add_account(&bare("op2"), Role::Operator);
    let second = world.online("op2", "a", 0);
    world
        .request(second, subscribe("devices/dev7/log", "op2@localhost/a"))
        .unwrap();
    world.ask(second, Command::Detach(EndReason::LinkLost));
    let second = world.online("op2", "a", 0);
    world.hear(second);
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(second), [""; 0]);
}

#[test]
fn a_node_goes_with_the_account_that_alone_owned_it() {
    let (mut world, device, operator) = fleet();
    world.ask(device, Command::Unregister);
    assert!(
        world
            .hear(operator)
            .contains(&"node devices/dev7/log".to_owned()),
        "its subscribers hear of it"
    );
    let admin = world.operator();
    let gone = world.request(
        admin,
        ask_pubsub(PubsubAction::GetConfig {
            node: node("devices/dev7/log"),
        }),
    );
    assert_eq!(gone.unwrap_err().reason, Reason::ItemNotFound);
}

#[test]
fn the_operators_socket_may_do_everything() {
    let (mut world, _, _) = fleet();
    let admin = world.operator();
    world
        .request(
            admin,
            ask_pubsub(PubsubAction::GetConfig {
                node: node("devices/dev7/log"),
            }),
        )
        .unwrap();
}

fn retract(name: &str, id: u32) -> Command {
    ask_pubsub(PubsubAction::Retract {
        node: node(name),
        items: vec![ItemId::parse(&id.to_string()).unwrap()],
        notify: true,
    })
}

#[test]
fn xep0060_s7_2_3_2_what_is_not_there_cannot_be_retracted_and_nobody_hears_of_it() {
    let (mut world, device, operator) = fleet();
    world.ask(device, retract("devices/dev7/log", 9));
    assert_eq!(world.hear(device), ["ItemNotFound"]);
    assert_eq!(world.hear(operator), [""; 0]);
    world.ask(device, retract("devices/dev7/log", 0));
    assert_eq!(world.hear(device), ["done"]);
    assert_eq!(world.hear(operator), ["node devices/dev7/log"]);
}

#[test]
fn xep0059_s2_4_a_page_from_nowhere_is_not_found_and_one_that_cannot_be_read_is_to_be_asked_again()
{
    let (mut world, _, operator) = fleet();
    let items = || {
        ask_pubsub(PubsubAction::Items {
            order: crate::item::Order::default(),
            node: node("devices/dev7/log"),
            ids: Vec::new(),
            max: None,
            subid: None,
            page: Some(PageRequest {
                max: Some(5),
                after: Some("gone".into()),
                ..PageRequest::default()
            }),
        })
    };
    // What it subscribes to has just changed: its facts come back with this one.
    let own = PubsubAction::DefaultConfig;
    world.request(operator, ask_pubsub(own)).unwrap();
    for (lost, reason) in [
        (true, Reason::ItemNotFound),
        (false, Reason::ResourceConstraint),
    ] {
        (world.store.lost, world.store.blind) = (lost, true);
        assert_eq!(world.request(operator, items()).unwrap_err().reason, reason);
    }
}

#[test]
fn s2_a_transient_item_does_not_overtake_what_its_node_has_under_way() {
    let (mut world, device, operator) = fleet();
    let transient = Field {
        var: "pubsub#persist_items".into(),
        values: vec!["0".into()],
    };
    world
        .request(
            device,
            ask_pubsub(PubsubAction::Configure {
                node: node("devices/dev7/log"),
                config: vec![transient],
            }),
        )
        .unwrap();
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(device), ["answer"]);
    assert_eq!(world.hear(operator), ["node devices/dev7/log"], "at once");
    world.store.add_account(&bare("op2"), Role::Operator);
    let third = world.online("op2", "c", 0);
    world.hush(&[device, operator, third]);
    world.store.held = true;
    world.ask(third, subscribe("devices/dev7/log", "op2@localhost"));
    world.ask(device, publish("devices/dev7/log", 2));
    assert_eq!(world.store.waiting(), 1, "the subscription alone");
    for id in [device, operator, third] {
        assert_eq!(world.hear(id), [""; 0]);
    }
    world.store.held = false;
    world.settle();
    assert_eq!(world.hear(device), ["answer"]);
    assert_eq!(world.hear(third), ["answer", "node devices/dev7/log"]);
}

/// What an operator may not hear any more.
fn closed() -> AccessRules {
    let subscribe = [Action::Subscribe].into_iter().collect();
    AccessRules::new(vec![
        Rule::new(
            Who::Role(Role::Operator),
            subscribe,
            "devices/dev7/#",
            false,
        )
        .unwrap(),
    ])
}

#[test]
fn s13_new_rules_end_the_subscriptions_that_they_forbid() {
    let (mut world, device, operator) = fleet();
    world
        .request(operator, subscribe("devices/+/log", "op@localhost"))
        .unwrap();
    let settings = settings();
    world.reload(RouterSettings {
        access: closed(),
        ..settings
    });
    let told = world.hear(operator);
    assert!(
        told.contains(&"node devices/dev7/log".to_owned()),
        "{told:?}"
    );
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(operator), [""; 0]);
    assert_eq!(
        world
            .request(operator, subscribe("devices/dev7/log", "op@localhost"))
            .unwrap_err()
            .reason,
        Reason::Forbidden
    );
}

#[test]
fn s13_new_rules_hold_for_nodes_that_were_not_in_memory_too() {
    let (mut world, device, operator) = fleet();
    let at = NodeAddress::of_service(node("devices/dev7/log"));
    world.evict(&at);
    let settings = settings();
    world.reload(RouterSettings {
        access: closed(),
        ..settings
    });
    assert_eq!(world.hear(operator), [""; 0]);
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(
        world.hear(operator),
        ["node devices/dev7/log"],
        "that the subscription has ended, and no item"
    );
    world.ask(device, publish("devices/dev7/log", 2));
    assert_eq!(world.hear(operator), [""; 0]);
}

#[test]
fn s13_another_role_ends_the_subscriptions_that_the_rules_forbid_it() {
    for resident in [true, false] {
        let (mut world, device, operator) = fleet();
        let admin = world.operator();
        // A filter that operators may have; what devices may hear is their own.
        world
            .request(operator, subscribe("devices/+/log", "op@localhost"))
            .unwrap();
        world.hush(&[operator]);
        if !resident {
            world.evict(&NodeAddress::of_service(node("devices/dev7/log")));
        }
        world.set_role(admin, "op", Role::Operator);
        world.ask(device, publish("devices/dev7/log", 1));
        assert_eq!(
            world.hear(operator),
            ["node devices/dev7/log"],
            "the same role again ends nothing"
        );
        if !resident {
            world.evict(&NodeAddress::of_service(node("devices/dev7/log")));
        }
        world.set_role(admin, "op", Role::Device);
        world.ask(device, publish("devices/dev7/log", 2));
        let mut told = world.hear(operator);
        told.sort();
        assert_eq!(
            told,
            ["node devices/+/log", "node devices/dev7/log"],
            "that the subscriptions have ended, and no item"
        );
        let at = NodeAddress::of_service(node("devices/dev7/log"));
        assert!(world.store.node(&at).unwrap().subscriptions.is_empty());
        // Nothing is left that would come back with the role.
        world.set_role(admin, "op", Role::Operator);
        world.ask(device, publish("devices/dev7/log", 3));
        assert_eq!(world.hear(operator), [""; 0]);
    }
}

#[test]
fn s13_rules_hold_for_subscriptions_of_an_earlier_life_of_the_hub() {
    for node_comes_first in [true, false] {
        let (mut world, ..) = fleet();
        world.restart(RouterSettings {
            access: closed(),
            ..settings()
        });
        let mut device = world.online("dev7", "x", 0);
        if node_comes_first {
            world.ask(device, publish("devices/dev7/log", 1));
        }
        let operator = world.online("op", "console", 0);
        world.hush(&[device, operator]);
        world.ask(device, publish("devices/dev7/log", 2));
        let heard = world.hear(operator);
        assert!(heard.len() <= 1, "no item: {heard:?}");
        world.restart(settings());
        device = world.online("dev7", "x", 0);
        let operator = world.online("op", "console", 0);
        world.hush(&[device, operator]);
        world.ask(device, publish("devices/dev7/log", 3));
        assert_eq!(
            world.hear(operator),
            [""; 0],
            "it has ended in the store too"
        );
    }
}

#[test]
fn nodes_beyond_the_bound_wait_on_the_disk_and_come_back_when_they_are_needed() {
    let (mut world, device, operator) = fleet();
    let one = world.router.status().node_cache_bytes;
    world.limit(|limits| limits.node_cache = 3 * one);
    for n in 0..10 {
        world
            .request(device, publish(&format!("devices/dev7/n{n}"), 0))
            .unwrap();
    }
    assert!(world.router.status().node_cache_bytes <= 3 * one);
    world.hear(operator);
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(operator), ["node devices/dev7/log"]);
    assert!(world.router.status().node_cache_bytes <= 3 * one);
}

#[test]
fn s18_a_node_that_sessions_are_subscribed_to_leaves_memory_and_they_hear_of_it_still() {
    let (mut world, device, operator) = fleet();
    world
        .request(
            operator,
            subscribe("devices/dev7/log", "op@localhost/console"),
        )
        .unwrap();
    let at = NodeAddress::of_service(node("devices/dev7/log"));
    world.evict(&at);
    let own = ask_pubsub(PubsubAction::Subscriptions { node: None });
    let Ok(Reply::Pubsub(reply)) = world.request(operator, own) else {
        panic!("subscriptions are told");
    };
    let PubsubReply::Subscriptions { list, .. } = *reply else {
        panic!("{reply:?}");
    };
    assert_eq!(list.len(), 2, "the session's and the account's");
    world.hush(&[device, operator]);
    world.ask(device, publish("devices/dev7/log", 1));
    assert_eq!(world.hear(operator).len(), 2);
    world.evict(&at);
    world.ask(operator, Command::Detach(EndReason::LinkLost));
    let operator = world.online("op", "console", 0);
    world.hush(&[device, operator]);
    world.ask(device, publish("devices/dev7/log", 2));
    assert_eq!(
        world.hear(operator).len(),
        1,
        "the session's has ended with it"
    );
}

#[test]
fn an_account_with_more_nodes_than_memory_holds_is_removed_with_all_of_them() {
    let (mut world, device, operator) = fleet();
    for n in 0..30 {
        world
            .request(device, publish(&format!("devices/dev7/n{n}"), 0))
            .unwrap();
    }
    world.limit(|limits| limits.node_cache = 1);
    world.ask(operator, Command::Detach(EndReason::Farewell));
    world.request(device, Command::Unregister).unwrap();
    assert_eq!(world.router.status().nodes_resident, 0);
    assert!(!world.store.has_node("devices/dev7/n7"));
}

#[test]
fn s7_a_node_with_an_alarm_goes_first() {
    let mut world = World::new();
    let listener = world.online("op", "x", 0);
    world.hear(listener);
    let over = world.open();
    world.ask(over, Command::Detach(EndReason::LinkLost));
    // The one that listens comes last, after two slices of others.
    let one = |to| Delivery::plain(Recipient::Session(to));
    let mut to = vec![one(over); FANOUT_SLICE * 2];
    to.push(one(listener));
    for (name, class) in [("weather", Class::Event), ("fire", Class::Alarm)] {
        let at = NodeAddress::of_service(node(name));
        let item = Item {
            id: ItemId::parse("1").unwrap(),
            publisher: FullJid::parse("d1@localhost/x").unwrap(),
            published: Timestamp::default(),
            payload: None,
            class,
        };
        let event = Event::new(What::Node(NodeEvent {
            at: at.clone(),
            kind: MessageKind::Headline,
            change: NodeChange::Published {
                item: Arc::new(item),
                payload: true,
                reply: None,
            },
        }));
        let job = Job {
            event: Arc::new(event),
            to: to.clone().into(),
            reach: Reach::Reachable,
            delay: None,
            by: None,
        };
        let router = &mut world.router;
        router
            .fanout
            .send(Source::Node(at), job, &router.directory, &mut router.post);
    }
    assert_eq!(world.hear(listener), [""; 0]);
    // A slice was made of each; the alarm's other two come before the second of the weather.
    assert!(world.router.work() && world.router.work());
    let mut heard = Vec::new();
    for entry in world.entries(listener) {
        if let Entry::Event { event, .. } = entry {
            heard.push(words(&event));
        }
    }
    assert_eq!(heard, ["node fire"]);
    world.settle();
    assert_eq!(world.hear(listener), ["node weather"]);
}

#[test]
fn s6_who_publishes_faster_than_it_is_delivered_is_congested_until_half_is_through() {
    let (mut world, device, operator) = fleet();
    let over = world.open();
    world.ask(over, Command::Detach(EndReason::LinkLost));
    // Something long of the same node is on its way, so all that is published waits.
    let long = Job {
        event: Arc::new(Event::new(What::Node(NodeEvent {
            at: NodeAddress::of_service(node("devices/dev7/log")),
            kind: MessageKind::Headline,
            change: NodeChange::Purged,
        }))),
        to: vec![Delivery::plain(Recipient::Session(over)); FANOUT_SLICE + 1].into(),
        reach: Reach::Reachable,
        delay: None,
        by: None,
    };
    let source = Source::Node(NodeAddress::of_service(node("devices/dev7/log")));
    let router = &mut world.router;
    router
        .fanout
        .send(source, long, &router.directory, &mut router.post);
    for n in 1..=FANOUTS_PER_SESSION_MAX as u32 {
        assert!(!world.router.is_congested(device), "{n}");
        let (router, mut requests) = (&mut world.router, Vec::new());
        router.handle(
            device,
            Token::default(),
            publish("devices/dev7/log", n),
            world.now,
        );
        router.take_store_requests(&mut requests);
        for request in requests {
            world.store.take(request);
        }
        for response in world.store.answer() {
            world.router.handle_stored(response, world.now);
        }
    }
    assert!(world.router.is_congested(device));
    assert!(!world.router.is_congested(operator), "it did not publish");
    let nudges = |heard: Vec<String>| heard.iter().filter(|one| *one == "continue").count();
    // The long one and all but one of the first half.
    for _ in 0..FANOUTS_PER_SESSION_MAX / 2 {
        world.router.work();
    }
    assert!(world.router.is_congested(device));
    assert_eq!(nudges(world.hear(device)), 0);
    world.router.work();
    assert!(!world.router.is_congested(device));
    assert_eq!(nudges(world.hear(device)), 1, "the connection is woken");
    world.settle();
    assert_eq!(nudges(world.hear(device)), 0, "once");
    assert_eq!(world.hear(operator).len(), FANOUTS_PER_SESSION_MAX);
}
