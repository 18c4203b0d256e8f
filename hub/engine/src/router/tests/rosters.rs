//! RFC 6121 §2 and §3 through the router; the states themselves are tested with the service.

use super::*;

#[test]
fn rfc6121_s3_1_the_handshake_of_two_who_are_here() {
    let mut world = World::new();
    let (romeo, juliet) = (
        world.online("romeo", "a", 0),
        world.online("juliet", "b", 0),
    );
    world.hush(&[romeo, juliet]);
    world.handshake(romeo, "juliet@localhost", Handshake::Subscribe);
    assert_eq!(world.hear(romeo), ["push juliet@localhost none"]);
    assert_eq!(world.hear(juliet), ["subscribe from romeo@localhost"]);
    world.handshake(juliet, "romeo@localhost", Handshake::Subscribed);
    assert_eq!(
        world.hear(romeo),
        [
            "subscribed from juliet@localhost",
            "push juliet@localhost to",
            "juliet@localhost/b available"
        ]
    );
    assert_eq!(world.hear(juliet), ["push romeo@localhost from"]);
    world.handshake(juliet, "romeo@localhost", Handshake::Unsubscribed);
    assert_eq!(
        world.hear(romeo),
        [
            "juliet@localhost/b unavailable",
            "unsubscribed from juliet@localhost",
            "push juliet@localhost none",
        ]
    );
    assert_eq!(world.hear(juliet), ["push romeo@localhost none"]);
}

#[test]
fn rfc6121_s3_1_3_a_request_is_shown_at_every_initial_presence_until_it_is_answered() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.account("juliet");
    world.handshake(romeo, "juliet@localhost", Handshake::Subscribe);
    for _ in 0..2 {
        let juliet = world.online("juliet", "b", 0);
        assert_eq!(
            world.hear(juliet),
            [
                "juliet@localhost/b available",
                "subscribe from romeo@localhost"
            ]
        );
        world.ask(juliet, Command::Detach(EndReason::Farewell));
    }
    let juliet = world.online("juliet", "b", 0);
    world.handshake(juliet, "romeo@localhost", Handshake::Unsubscribed);
    world.ask(juliet, Command::Detach(EndReason::Farewell));
    let juliet = world.online("juliet", "b", 0);
    assert_eq!(world.hear(juliet), ["juliet@localhost/b available"]);
}

#[test]
fn rfc6121_s2_1_6_pushes_go_to_those_who_asked_for_the_roster() {
    let mut world = World::new();
    let one = world.online("romeo", "a", 0);
    let two = world.online("romeo", "b", 0);
    let bot = world.connected("romeo", "bot");
    world.announce(bot, 0);
    world.hush(&[one, two, bot]);
    world.ask(
        one,
        Command::SetContact {
            jid: bare("juliet"),
            name: Some("J".into()),
            groups: vec!["x".into()],
        },
    );
    assert_eq!(world.hear(one), ["push juliet@localhost none", "done"]);
    assert_eq!(world.hear(two), ["push juliet@localhost none"]);
    assert_eq!(world.hear(bot), [""; 0]);
    world.ask(
        two,
        Command::RemoveContact {
            jid: bare("juliet"),
        },
    );
    assert_eq!(world.hear(two), ["push juliet@localhost removed", "done"]);
    let gone = world.request(
        two,
        Command::RemoveContact {
            jid: bare("juliet"),
        },
    );
    assert_eq!(gone.unwrap_err().reason, Reason::ItemNotFound, "s2.5.3");
}

#[test]
fn rfc6121_s2_6_the_newest_version_is_answered_no_change() {
    let mut world = World::new();
    let romeo = world.connected("romeo", "a");
    let version = |world: &mut World, version: Option<&str>| match world.request(
        romeo,
        Command::GetRoster {
            version: version.map(Into::into),
        },
    ) {
        Ok(Reply::Roster {
            contacts, version, ..
        }) => (contacts.map(|contacts| contacts.len()), version),
        other => panic!("{other:?}"),
    };
    let (_, first) = version(&mut world, None);
    assert_eq!(version(&mut world, Some(&first)).0, None);
    world.ask(
        romeo,
        Command::SetContact {
            jid: bare("juliet"),
            name: None,
            groups: Vec::new(),
        },
    );
    let (contacts, second) = version(&mut world, Some(&first));
    assert_eq!(contacts, Some(1));
    assert_ne!(first, second);
    assert_eq!(version(&mut world, Some("made up")).0, Some(1));
}

#[test]
fn rfc6120_s10_4_a_request_to_another_domain_comes_back_and_leaves_no_trace() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.hear(romeo);
    world.handshake(romeo, "x@example.org", Handshake::Subscribe);
    assert_eq!(world.hear(romeo), ["x@example.org presence error"]);
    assert!(
        world
            .store
            .contact(&bare("romeo"), &BareJid::parse("x@example.org").unwrap())
            .is_none()
    );
    for to in ["localhost", "romeo@localhost", "pubsub.localhost"] {
        world.handshake(romeo, to, Handshake::Subscribe);
        assert_eq!(world.hear(romeo), [""; 0], "{to}");
    }
}

#[test]
fn rfc6121_s8_5_1_a_request_to_nobody_stays_open() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.hear(romeo);
    world.handshake(romeo, "nobody@localhost", Handshake::Subscribe);
    assert_eq!(world.hear(romeo), ["push nobody@localhost none"]);
    assert!(
        world
            .store
            .contact(&bare("nobody"), &bare("romeo"))
            .is_none()
    );
}

#[test]
fn s5_a_handshake_that_cannot_be_stored_changes_neither_side() {
    let mut world = World::new();
    let (romeo, juliet) = (
        world.online("romeo", "a", 0),
        world.online("juliet", "b", 0),
    );
    world.hush(&[romeo, juliet]);
    world.store.failing = true;
    world.handshake(romeo, "juliet@localhost", Handshake::Subscribe);
    assert_eq!(world.hear(romeo), ["juliet@localhost presence error"]);
    assert_eq!(world.hear(juliet), [""; 0]);
    world.store.failing = false;
    // Juliet knows of no request: her word is a pre-approval, and nothing is sent.
    world.handshake(juliet, "romeo@localhost", Handshake::Subscribed);
    assert_eq!(world.hear(romeo), [""; 0]);
    assert!(
        world
            .store
            .contact(&bare("juliet"), &bare("romeo"))
            .unwrap()
            .approved
    );
}

#[test]
fn s5_a_roster_set_that_fails_is_refused_and_its_version_is_not_seen() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.hear(romeo);
    world.store.held = true;
    world.store.failing = true;
    world.ask(
        romeo,
        Command::SetContact {
            jid: bare("juliet"),
            name: None,
            groups: Vec::new(),
        },
    );
    world.ask(romeo, Command::GetRoster { version: None });
    assert_eq!(world.hear(romeo), [""; 0]);
    world.store.held = false;
    world.settle();
    assert_eq!(
        world.hear(romeo),
        ["ResourceConstraint", "ResourceConstraint"]
    );
    world.ask(romeo, Command::GetRoster { version: None });
    assert_eq!(world.hear(romeo), ["roster of 0"]);
}
