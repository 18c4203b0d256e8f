//! RFC 6121 §8.5 through the router, XEP-0160, RFC 6120 §8.3 and §10.

use super::*;

/// Juliet's resources with their priorities, whom the message is for, and what becomes of it by type.
type Row = (
    &'static [(&'static str, i8)],
    &'static str,
    [&'static str; 5],
);

/// What becomes of a message: who of the addressee's two resources hears it, and what the sender does.
fn outcome(
    resources: &[(&str, i8)],
    to: &str,
    kind: MessageKind,
) -> (Vec<String>, Vec<String>, usize) {
    let mut world = World::new();
    let romeo = world.online("romeo", "garden", 0);
    if to.starts_with("juliet") {
        world.account("juliet");
    }
    let sessions: Vec<_> = resources
        .iter()
        .map(|(resource, priority)| world.online("juliet", resource, *priority))
        .collect();
    world.hush(&sessions);
    world.hear(romeo);
    world.ask(romeo, message(to, kind, "hi"));
    let mut got = Vec::new();
    for ((resource, _), &id) in resources.iter().zip(&sessions) {
        got.extend(
            world
                .hear(id)
                .iter()
                .map(|heard| format!("{resource}: {heard}")),
        );
    }
    (
        got,
        world.hear(romeo),
        world.store.offline_count(&bare("juliet")),
    )
}

#[test]
fn rfc6121_s8_5_the_whole_table() {
    use MessageKind::{Chat, Error, Groupchat, Headline, Normal};
    const NOBODY: &[(&str, i8)] = &[];
    const NEGATIVE: &[(&str, i8)] = &[("a", -1)];
    const ONE: &[(&str, i8)] = &[("a", 0), ("b", -1)];
    const TWO: &[(&str, i8)] = &[("a", 0), ("b", 5)];
    // D a: delivered to a; O: kept; E: service-unavailable; S: silence.
    #[rustfmt::skip]
    let table: [Row; 13] = [
        //                              normal   chat     groupchat headline error
        (NOBODY,   "nobody@localhost",   ["E",    "E",     "E",      "S",     "S"]),
        (NOBODY,   "nobody@localhost/a", ["E",    "E",     "E",      "S",     "S"]),
        (NOBODY,   "juliet@localhost",   ["O",    "O",     "E",      "S",     "S"]),
        (NOBODY,   "juliet@localhost/a", ["E",    "O",     "E",      "S",     "S"]),
        (NEGATIVE, "juliet@localhost",   ["O",    "O",     "E",      "S",     "S"]),
        (NEGATIVE, "juliet@localhost/a", ["D a",  "D a",   "D a",    "D a",   "D a"]),
        (NEGATIVE, "juliet@localhost/x", ["E",    "O",     "E",      "S",     "S"]),
        (ONE,      "juliet@localhost",   ["D a",  "D a",   "E",      "D a",   "S"]),
        (ONE,      "juliet@localhost/b", ["D b",  "D b",   "D b",    "D b",   "D b"]),
        (ONE,      "juliet@localhost/x", ["E",    "D a",   "E",      "S",     "S"]),
        (TWO,      "juliet@localhost",   ["D ab", "D ab",  "E",      "D ab",  "S"]),
        (TWO,      "juliet@localhost/a", ["D a",  "D a",   "D a",    "D a",   "D a"]),
        (TWO,      "juliet@localhost/x", ["E",    "D ab",  "E",      "S",     "S"]),
    ];
    for (resources, to, row) in table {
        for (kind, expected) in [Normal, Chat, Groupchat, Headline, Error]
            .into_iter()
            .zip(row)
        {
            let (got, back, kept) = outcome(resources, to, kind);
            let heard: String = got.iter().map(|heard| &heard[..1]).collect();
            let is = match (heard.is_empty(), back.is_empty(), kept) {
                (false, true, 0) => format!("D {heard}"),
                (true, true, 1) => "O".into(),
                (true, true, 0) => "S".into(),
                (true, false, 0) => {
                    assert_eq!(back, [format!("error from {to}: service-unavailable")]);
                    "E".into()
                }
                other => format!("{other:?}"),
            };
            assert_eq!(is, expected, "{kind:?} to {to} with {resources:?}");
        }
    }
}

#[test]
fn rfc6120_s8_1_2_from_is_the_sessions_own() {
    let mut world = World::new();
    let (romeo, juliet) = (
        world.online("romeo", "a", 0),
        world.online("juliet", "b", 0),
    );
    world.hush(&[romeo, juliet]);
    world.ask(
        romeo,
        message("juliet@localhost/b", MessageKind::Chat, "hi"),
    );
    let entries = world.entries(juliet);
    let Entry::Event { event, .. } = &entries[0] else {
        panic!("{entries:?}")
    };
    let What::Message(message) = &event.what else {
        panic!("{event:?}")
    };
    assert_eq!(message.from, jid("romeo@localhost/a"));
}

#[test]
fn rfc6120_s10_4_other_domains_are_not_found_and_the_hub_reads_no_messages() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.hear(romeo);
    for (to, said) in [
        (
            "x@example.org",
            "error from x@example.org: remote-server-not-found",
        ),
        ("localhost", "error from localhost: service-unavailable"),
        (
            "pubsub.localhost",
            "error from pubsub.localhost: service-unavailable",
        ),
    ] {
        world.ask(romeo, message(to, MessageKind::Normal, "hi"));
        assert_eq!(world.hear(romeo), [said]);
    }
    world.ask(romeo, message("x@example.org", MessageKind::Error, "hi"));
    assert_eq!(world.hear(romeo), [""; 0]);
}

#[test]
fn rfc6121_s8_5_3_a_query_reaches_its_resource_or_comes_back_and_answers_do_not() {
    let mut world = World::new();
    let (romeo, juliet) = (
        world.online("romeo", "a", 0),
        world.online("juliet", "b", -1),
    );
    world.hush(&[romeo, juliet]);
    world.ask(romeo, iq("juliet@localhost/b", IqKind::Get));
    assert_eq!(world.hear(juliet), ["iq get from romeo@localhost/a"]);
    world.ask(juliet, iq("romeo@localhost/a", IqKind::Result));
    assert_eq!(world.hear(romeo), ["iq result from juliet@localhost/b"]);
    for to in [
        "juliet@localhost/gone",
        "juliet@localhost",
        "nobody@localhost/x",
        "localhost",
    ] {
        world.ask(romeo, iq(to, IqKind::Set));
        assert_eq!(world.hear(romeo), [format!("iq error from {to}")]);
        world.ask(romeo, iq(to, IqKind::Result));
        assert_eq!(world.hear(romeo), [""; 0], "{to}");
    }
}

#[test]
fn xep0160_s2_kept_messages_come_with_their_time_in_order_and_once() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.account("juliet");
    for n in 0..150 {
        world.ask(
            romeo,
            message("juliet@localhost", MessageKind::Chat, &n.to_string()),
        );
    }
    let juliet = world.connected("juliet", "b");
    world.announce(juliet, -1);
    assert!(
        world
            .hear(juliet)
            .iter()
            .all(|heard| !heard.starts_with("message")),
        "not with a negative priority"
    );
    world.announce(juliet, 0);
    let heard: Vec<_> = world
        .hear(juliet)
        .into_iter()
        .filter(|heard| heard.starts_with("message"))
        .collect();
    assert_eq!(
        heard,
        (0..150)
            .map(|n| format!("message {n} (delayed)"))
            .collect::<Vec<_>>()
    );
    assert_eq!(world.store.offline_count(&bare("juliet")), 0);
}

#[test]
fn rfc6120_s10_1_nothing_overtakes_the_messages_that_are_being_handed_over() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.account("juliet");
    let say = |n: usize| message("juliet@localhost", MessageKind::Chat, &n.to_string());
    for n in 0..100 {
        world.ask(romeo, say(n));
    }
    let juliet = world.connected("juliet", "b");
    world.drains = false;
    world.announce(juliet, 0);
    // The first batch is in the mailbox, the second is still in the store.
    world.ask(romeo, say(100));
    world.drains = true;
    let messages = |heard: Vec<String>| -> Vec<_> {
        heard
            .into_iter()
            .filter(|heard| heard.starts_with("message"))
            .collect()
    };
    let expected: Vec<_> = (0..=100)
        .map(|n| format!("message {n} (delayed)"))
        .collect();
    assert_eq!(messages(world.hear(juliet)), expected);
    assert_eq!(world.store.offline_count(&bare("juliet")), 0);
    world.ask(romeo, say(101));
    assert_eq!(messages(world.hear(juliet)), ["message 101"]);
}

#[test]
fn xep0160_s2_what_the_store_could_not_give_is_asked_for_again() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.account("juliet");
    let say = |text: &str| message("juliet@localhost", MessageKind::Chat, text);
    world.ask(romeo, say("kept"));
    let juliet = world.online("juliet", "b", -1);
    world.hear(juliet);
    world.store.blind = true;
    world.announce(juliet, 0);
    world.ask(romeo, say("behind it"));
    world.store.blind = false;
    world.pass(1);
    world.router.handle_timeout(world.now);
    world.settle();
    let heard: Vec<_> = world
        .hear(juliet)
        .into_iter()
        .filter(|heard| heard.starts_with("message"))
        .collect();
    assert_eq!(
        heard,
        ["message kept (delayed)", "message behind it (delayed)"]
    );
}

#[test]
fn xep0160_s2_a_batch_is_removed_only_when_the_next_is_asked_for() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.account("juliet");
    for n in 0..100 {
        world.ask(
            romeo,
            message("juliet@localhost", MessageKind::Chat, &n.to_string()),
        );
    }
    world.drains = false;
    let juliet = world.connected("juliet", "b");
    world.announce(juliet, 0);
    assert_eq!(
        world
            .hear(juliet)
            .iter()
            .filter(|heard| heard.starts_with("message"))
            .count(),
        64
    );
    assert_eq!(world.store.offline_count(&bare("juliet")), 100);
    // The link is cut: the next session hears all of it.
    world.ask(juliet, Command::Detach(EndReason::LinkLost));
    world.drains = true;
    let juliet = world.online("juliet", "c", 0);
    assert_eq!(
        world
            .hear(juliet)
            .iter()
            .filter(|heard| heard.starts_with("message"))
            .count(),
        100
    );
}

#[test]
fn xep0160_s2_another_resource_goes_on_where_the_first_one_ended() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.account("juliet");
    for n in 0..100 {
        world.ask(
            romeo,
            message("juliet@localhost", MessageKind::Chat, &n.to_string()),
        );
    }
    world.drains = false;
    let (one, two) = (
        world.online("juliet", "b", 0),
        world.online("juliet", "c", 0),
    );
    world.drains = true;
    assert_eq!(
        world
            .hear(two)
            .iter()
            .filter(|heard| heard.starts_with("message"))
            .count(),
        0
    );
    world.ask(one, Command::Detach(EndReason::LinkLost));
    assert_eq!(
        world
            .hear(two)
            .iter()
            .filter(|heard| heard.starts_with("message"))
            .count(),
        100
    );
}

#[test]
fn xep0160_s2_a_full_store_answers_service_unavailable() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.account("juliet");
    for _ in 0..200 {
        world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "x"));
    }
    assert_eq!(world.hear(romeo), ["romeo@localhost/a available"]);
    world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "x"));
    assert_eq!(
        world.hear(romeo),
        ["error from juliet@localhost: service-unavailable"]
    );
}

#[test]
fn s5_a_message_that_cannot_be_kept_comes_back() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.account("juliet");
    world.hear(romeo);
    world.store.failing = true;
    world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "x"));
    assert_eq!(
        world.hear(romeo),
        ["error from juliet@localhost: resource-constraint"]
    );
    world.store.failing = false;
    world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "y"));
    assert_eq!(world.store.offline_count(&bare("juliet")), 1);
}
