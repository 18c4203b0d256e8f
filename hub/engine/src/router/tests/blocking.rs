//! XEP-0191 through the router.

use super::{
    groups::{ward, world_with},
    pubsub::{fleet, publish},
    *,
};

fn block(jids: &[&str]) -> Command {
    Command::Block(jids.iter().map(|text| jid(text)).collect())
}

fn unblock(jids: &[&str]) -> Command {
    Command::Unblock(Some(jids.iter().map(|text| jid(text)).collect()))
}

fn list(world: &mut World, id: SessionId) -> Vec<String> {
    match world.request(id, Command::GetBlockList) {
        Ok(Reply::BlockList(jids)) => jids.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

/// Two who see each other and are here, with nothing unheard.
fn friends(world: &mut World) -> (SessionId, SessionId) {
    world.befriend("romeo", "juliet");
    let (romeo, juliet) = (
        world.online("romeo", "garden", 0),
        world.online("juliet", "balcony", 0),
    );
    world.hush(&[romeo, juliet]);
    (romeo, juliet)
}

#[test]
fn s3_2_to_s3_5_the_list_and_its_pushes() {
    let mut world = World::new();
    let (one, two) = (
        world.connected("juliet", "a"),
        world.connected("juliet", "b"),
    );
    assert!(list(&mut world, one).is_empty());
    world.ask(two, block(&["romeo@localhost", "iago@localhost"]));
    // Only who has asked for the list hears of it.
    assert_eq!(world.hear(one), ["blocked romeo@localhost iago@localhost"]);
    assert_eq!(world.hear(two), ["done"]);
    assert_eq!(list(&mut world, two), ["iago@localhost", "romeo@localhost"]);
    world.ask(one, unblock(&["iago@localhost"]));
    assert_eq!(world.hear(one), ["done", "unblocked iago@localhost"]);
    assert_eq!(world.hear(two), ["unblocked iago@localhost"]);
    world.ask(one, Command::Unblock(None));
    assert_eq!(world.hear(one), ["done", "unblocked"]);
    assert!(list(&mut world, one).is_empty() && world.store.blocked.is_empty());
    assert!(world.router.directory.block_lists.is_empty());
}

#[test]
fn s3_3_messages_from_who_is_blocked_come_back_as_if_nobody_were_there() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    world.request(juliet, block(&["romeo@localhost"])).unwrap();
    world.hush(&[romeo]);
    for to in [
        "juliet@localhost",
        "juliet@localhost/balcony",
        "juliet@localhost/gone",
    ] {
        world.ask(romeo, message(to, MessageKind::Chat, "hi"));
        assert_eq!(
            world.hear(romeo),
            [format!("error from {to}: service-unavailable")]
        );
    }
    world.ask(
        romeo,
        message("juliet@localhost/balcony", MessageKind::Error, "hi"),
    );
    assert!(world.hear(romeo).is_empty() && world.hear(juliet).is_empty());
    assert_eq!(world.store.offline_count(&bare("juliet")), 0);
}

#[test]
fn s3_3_queries_are_refused_and_answers_dropped() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    world.request(juliet, block(&["romeo@localhost"])).unwrap();
    world.hush(&[romeo]);
    for kind in [IqKind::Get, IqKind::Set] {
        world.ask(romeo, iq("juliet@localhost/balcony", kind));
        assert_eq!(
            world.hear(romeo),
            ["iq error from juliet@localhost/balcony"]
        );
    }
    for kind in [IqKind::Result, IqKind::Error] {
        world.ask(romeo, iq("juliet@localhost/balcony", kind));
        world.ask(juliet, iq("romeo@localhost/garden", kind));
    }
    assert!(world.hear(romeo).is_empty() && world.hear(juliet).is_empty());
}

#[test]
fn s3_3_what_goes_out_to_who_is_blocked_is_not_acceptable() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    world.request(juliet, block(&["romeo@localhost"])).unwrap();
    world.hush(&[romeo]);
    world.ask(
        juliet,
        message("romeo@localhost/garden", MessageKind::Chat, "hi"),
    );
    world.ask(juliet, iq("romeo@localhost/garden", IqKind::Get));
    let to = jid("romeo@localhost");
    let presence = available(0);
    world.ask(
        juliet,
        Command::Direct {
            to: to.clone(),
            presence,
        },
    );
    world.ask(juliet, Command::Probe { to, id: None });
    world.handshake(juliet, "romeo@localhost", Handshake::Unsubscribe);
    let mut heard = Vec::new();
    for entry in world.entries(juliet) {
        let Entry::Event { event, .. } = entry else {
            panic!("{entry:?}")
        };
        let content = match &event.what {
            What::Message(message) => &message.content,
            What::Iq(iq) => &iq.content,
            What::Presence(presence) => &presence.content,
            other => panic!("{other:?}"),
        };
        heard.push(String::from_utf8(content.to_vec()).unwrap());
    }
    assert_eq!(heard.len(), 5);
    for error in heard {
        assert_eq!(
            error,
            "<error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <blocked xmlns='urn:xmpp:blocking:errors'/></error>"
        );
    }
    assert!(world.hear(romeo).is_empty());
    // §4: blocking is polite. Nothing of the subscription has changed.
    let contact = world
        .store
        .contact(&bare("romeo"), &bare("juliet"))
        .unwrap();
    assert!(contact.subscription.from());
}

#[test]
fn s3_3_who_is_blocked_sees_the_account_go_and_come_again() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    world.ask(juliet, block(&["romeo@localhost"]));
    assert_eq!(world.hear(romeo), ["juliet@localhost/balcony unavailable"]);
    assert_eq!(world.hear(juliet), ["done"]);
    // Neither hears what the other shows.
    world.announce(juliet, 1);
    world.announce(romeo, 1);
    assert_eq!(world.hear(romeo), ["romeo@localhost/garden available"]);
    assert_eq!(world.hear(juliet), ["juliet@localhost/balcony available"]);
    // §3.3: a probe has no answer.
    world.ask(
        romeo,
        Command::Probe {
            to: jid("juliet@localhost"),
            id: None,
        },
    );
    assert!(world.hear(romeo).is_empty());
    world.ask(juliet, unblock(&["romeo@localhost"]));
    assert_eq!(world.hear(romeo), ["juliet@localhost/balcony available"]);
    assert_eq!(
        world.hear(juliet),
        ["done", "romeo@localhost/garden available (delayed)"]
    );
    world.announce(juliet, 2);
    assert_eq!(world.hear(romeo), ["juliet@localhost/balcony available"]);
}

#[test]
fn s3_3_who_does_not_see_the_account_is_told_nothing() {
    let mut world = World::new();
    let (romeo, juliet) = (
        world.online("romeo", "a", 0),
        world.online("juliet", "b", 0),
    );
    world.hush(&[romeo, juliet]);
    world.ask(juliet, block(&["romeo@localhost"]));
    world.ask(juliet, unblock(&["romeo@localhost"]));
    assert!(world.hear(romeo).is_empty());
}

#[test]
fn s3_3_directed_presence_is_taken_back_once() {
    let mut world = World::new();
    let (romeo, juliet) = (
        world.online("romeo", "a", 0),
        world.online("juliet", "b", 0),
    );
    world.ask(
        juliet,
        Command::Direct {
            to: jid("romeo@localhost"),
            presence: available(0),
        },
    );
    world.hush(&[romeo, juliet]);
    world.ask(juliet, block(&["romeo@localhost"]));
    assert_eq!(world.hear(romeo), ["juliet@localhost/b unavailable"]);
    world.ask(juliet, unblock(&["romeo@localhost"]));
    world.ask(juliet, Command::Detach(EndReason::Farewell));
    assert!(world.hear(romeo).is_empty());
}

#[test]
fn s5_a_resource_is_blocked_alone() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    let tomb = world.online("romeo", "tomb", 0);
    world.hush(&[romeo, juliet, tomb]);
    world.ask(juliet, block(&["romeo@localhost/tomb"]));
    assert_eq!(world.hear(tomb), ["juliet@localhost/balcony unavailable"]);
    assert!(world.hear(romeo).is_empty());
    world.announce(juliet, 1);
    assert_eq!(world.hear(romeo), ["juliet@localhost/balcony available"]);
    assert!(world.hear(tomb).is_empty());
    world.hush(&[juliet]);
    world.ask(tomb, message("juliet@localhost", MessageKind::Chat, "1"));
    world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "2"));
    assert_eq!(world.hear(juliet), ["message 2"]);
}

#[test]
fn s5_a_domain_blocks_its_accounts_and_never_the_own_resources() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    let other = world.online("juliet", "tomb", 0);
    world.hush(&[romeo, juliet, other]);
    world.ask(juliet, block(&["localhost"]));
    assert_eq!(
        world.hear(romeo),
        [
            "juliet@localhost/balcony unavailable",
            "juliet@localhost/tomb unavailable"
        ]
    );
    world.hush(&[juliet]);
    world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "hi"));
    assert_eq!(
        world.hear(romeo),
        ["error from juliet@localhost: service-unavailable"]
    );
    world.ask(
        other,
        message("juliet@localhost/balcony", MessageKind::Chat, "me"),
    );
    assert_eq!(world.hear(juliet), ["message me"]);
}

#[test]
fn s3_3_a_request_from_who_is_blocked_is_as_one_to_nobody() {
    let mut world = World::new();
    let (romeo, juliet) = (
        world.online("romeo", "a", 0),
        world.online("juliet", "b", 0),
    );
    world.request(juliet, block(&["romeo@localhost"])).unwrap();
    world.hush(&[romeo, juliet]);
    world.handshake(romeo, "juliet@localhost", Handshake::Subscribe);
    assert_eq!(world.hear(romeo), ["push juliet@localhost none"]);
    assert!(world.hear(juliet).is_empty());
    assert!(
        world
            .store
            .contact(&bare("juliet"), &bare("romeo"))
            .is_none()
    );
}

#[test]
fn s3_3_the_end_of_a_subscription_is_not_heard_and_both_rosters_agree() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    world.request(juliet, block(&["romeo@localhost"])).unwrap();
    world.hush(&[romeo, juliet]);
    world.handshake(romeo, "juliet@localhost", Handshake::Unsubscribed);
    assert_eq!(world.hear(juliet), ["push romeo@localhost from"]);
    let theirs = world
        .store
        .contact(&bare("juliet"), &bare("romeo"))
        .unwrap();
    assert!(!theirs.subscription.to() && theirs.subscription.from());
}

#[test]
fn s3_3_what_was_kept_of_who_is_blocked_now_is_not_delivered() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    let iago = world.online("iago", "a", 0);
    world.account("juliet");
    world.ask(
        romeo,
        message("juliet@localhost", MessageKind::Chat, "from romeo"),
    );
    world.ask(
        iago,
        message("juliet@localhost", MessageKind::Chat, "from iago"),
    );
    let juliet = world.connected("juliet", "b");
    world.request(juliet, block(&["iago@localhost"])).unwrap();
    world.announce(juliet, 0);
    let heard = world.hear(juliet);
    assert!(
        heard.contains(&"message from romeo (delayed)".into()),
        "{heard:?}"
    );
    assert!(
        !heard.iter().any(|heard| heard.contains("iago")),
        "{heard:?}"
    );
}

#[test]
fn s3_3_what_the_hub_answers_for_an_account_is_refused_too() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    world.request(juliet, block(&["romeo@localhost"])).unwrap();
    let of = |name| Command::Activity { of: jid(name) };
    let describe = |name| Command::Describe {
        account: bare(name),
    };
    let vcard = |name| Command::GetDocument {
        of: bare(name),
        key: crate::document::DocumentKey::vcard(),
    };
    for command in [of("juliet@localhost"), describe("juliet"), vcard("juliet")] {
        let refusal = world.request(romeo, command).unwrap_err();
        assert_eq!(refusal.reason, Reason::ServiceUnavailable);
    }
    for command in [of("romeo@localhost"), describe("romeo"), vcard("romeo")] {
        assert_eq!(
            world.request(juliet, command).unwrap_err(),
            Refusal::blocked()
        );
    }
}

#[test]
fn a_list_is_bounded_and_what_is_on_its_way_counts() {
    let mut world = World::with(RouterSettings {
        limits: Limits {
            blocked_per_account: 2,
            ..settings().limits
        },
        ..settings()
    });
    let juliet = world.connected("juliet", "a");
    world.store.held = true;
    world.ask(juliet, block(&["a@localhost", "b@localhost"]));
    world.ask(juliet, block(&["c@localhost"]));
    world.store.held = false;
    world.settle();
    assert_eq!(world.hear(juliet), ["done", "ResourceConstraint"]);
    // What is there already needs no room.
    world.request(juliet, block(&["a@localhost"])).unwrap();
    world.request(juliet, unblock(&["a@localhost"])).unwrap();
    world.request(juliet, block(&["c@localhost"])).unwrap();
    assert_eq!(list(&mut world, juliet), ["b@localhost", "c@localhost"]);
}

#[test]
fn s5_a_change_that_is_not_stored_never_was() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    list(&mut world, juliet);
    world.store.failing = true;
    world.ask(juliet, block(&["romeo@localhost"]));
    assert_eq!(world.hear(juliet), ["ResourceConstraint"]);
    assert!(world.hear(romeo).is_empty());
    assert!(world.router.directory.block_lists.is_empty());
    world.store.failing = false;
    world.request(juliet, block(&["romeo@localhost"])).unwrap();
    world.store.failing = true;
    world.ask(juliet, Command::Unblock(None));
    world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "hi"));
    assert_eq!(
        world.hear(romeo).last().unwrap(),
        "error from juliet@localhost: service-unavailable"
    );
    assert_eq!(list(&mut world, juliet), ["romeo@localhost"]);
}

#[test]
fn a_block_is_in_force_before_anybody_of_the_account_is_here() {
    let mut world = World::new();
    let (_, juliet) = friends(&mut world);
    world.request(juliet, block(&["romeo@localhost"])).unwrap();
    world.restart(settings());
    let romeo = world.online("romeo", "garden", 0);
    world.hear(romeo);
    world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "hi"));
    assert_eq!(
        world.hear(romeo),
        ["error from juliet@localhost: service-unavailable"]
    );
    assert_eq!(world.store.offline_count(&bare("juliet")), 0);
}

#[test]
fn s3_3_who_blocks_the_service_hears_no_node_and_may_not_ask_it() {
    let (mut world, device, operator) = fleet();
    world.hush(&[device, operator]);
    world
        .request(operator, block(&["pubsub.localhost"]))
        .unwrap();
    world.ask(device, publish("devices/dev7/log", 1));
    assert!(world.hear(operator).is_empty());
    let refused = world.request(operator, publish("devices/dev7/log", 2));
    assert_eq!(refused.unwrap_err(), Refusal::blocked());
    world.request(operator, Command::Unblock(None)).unwrap();
    world.ask(device, publish("devices/dev7/log", 3));
    assert_eq!(world.hear(operator), ["node devices/dev7/log"]);
}

#[test]
fn s3_3_who_sees_by_shared_groups_sees_the_account_go_and_come_again() {
    let mut world = world_with(ward());
    let (device, olga) = (world.online("dev7", "a", 0), world.online("olga", "b", 0));
    world.hush(&[device, olga]);
    for named in ["olga@localhost", "localhost"] {
        world.ask(device, block(&[named]));
        assert_eq!(
            world.hear(olga),
            ["dev7@localhost/a unavailable"],
            "{named}"
        );
        world.ask(device, Command::Unblock(None));
        assert_eq!(world.hear(olga), ["dev7@localhost/a available"], "{named}");
    }
    world.hush(&[device]);
    // Whom olga unblocks she sees again.
    for named in ["dev7@localhost", "localhost"] {
        world.request(olga, block(&[named])).unwrap();
        world.announce(device, 3);
        assert!(world.hear(olga).is_empty());
        world.ask(olga, unblock(&[named]));
        let shown = "dev7@localhost/a available (delayed)";
        assert_eq!(world.hear(olga), ["done", shown], "{named}");
    }
}

#[test]
fn a_list_goes_with_its_account() {
    let mut world = World::new();
    let (romeo, juliet) = friends(&mut world);
    world.request(juliet, block(&["romeo@localhost"])).unwrap();
    world.ask(juliet, Command::Unregister);
    assert!(world.store.blocked.is_empty() && world.router.directory.block_lists.is_empty());
    world.hush(&[romeo]);
    world.online("juliet", "again", 0);
    world.ask(
        romeo,
        message("juliet@localhost", MessageKind::Headline, "hi"),
    );
    assert!(world.hear(romeo).is_empty());
}
