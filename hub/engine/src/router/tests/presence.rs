//! RFC 6121 §4 through the router.

use super::*;

/// Juliet and romeo see each other and are here.
fn couple() -> (World, SessionId, SessionId) {
    let mut world = World::new();
    world.befriend("romeo", "juliet");
    let romeo = world.online("romeo", "a", 0);
    let juliet = world.online("juliet", "b", 0);
    world.hush(&[romeo, juliet]);
    (world, romeo, juliet)
}

#[test]
fn rfc6121_s4_2_initial_presence_goes_to_contacts_and_own_resources_and_brings_theirs() {
    let mut world = World::new();
    world.befriend("romeo", "juliet");
    world.account("stranger");
    let juliet = world.online("juliet", "b", -5);
    let stranger = world.online("stranger", "x", 0);
    let desk = world.online("romeo", "desk", 0);
    world.hush(&[juliet, stranger, desk]);
    let romeo = world.connected("romeo", "a");
    world.announce(romeo, 0);
    assert_eq!(
        world.hear(romeo),
        [
            "romeo@localhost/a available",
            "romeo@localhost/desk available (delayed)",
            "juliet@localhost/b available (delayed)",
        ]
    );
    assert_eq!(world.hear(juliet), ["romeo@localhost/a available"]);
    assert_eq!(world.hear(desk), ["romeo@localhost/a available"]);
    assert_eq!(world.hear(stranger), [""; 0]);
}

#[test]
fn rfc6121_s4_4_an_update_goes_to_those_who_see_the_account_and_brings_nothing() {
    let (mut world, romeo, juliet) = couple();
    world.announce(romeo, 3);
    assert_eq!(world.hear(juliet), ["romeo@localhost/a available"]);
    assert_eq!(world.hear(romeo), ["romeo@localhost/a available"]);
}

#[test]
fn rfc6121_s4_5_every_end_of_a_session_is_heard() {
    use EndReason::{Farewell, LinkLost, Overflow, ProtocolError, Unresponsive};
    for reason in [Farewell, LinkLost, Unresponsive, ProtocolError, Overflow] {
        let (mut world, romeo, juliet) = couple();
        world.ask(romeo, Command::Detach(reason));
        assert_eq!(
            world.hear(juliet),
            ["romeo@localhost/a unavailable"],
            "{reason:?}"
        );
        assert_eq!(world.router.status().sessions, 1);
    }
}

#[test]
fn rfc6121_s4_5_a_session_that_is_replaced_is_unavailable_before_the_new_one_is_bound() {
    let (mut world, romeo, juliet) = couple();
    let newer = world.attach("romeo", "a").unwrap();
    world.announce(newer, 0);
    assert_eq!(world.hear(romeo), ["end: Replaced"]);
    assert_eq!(
        world.hear(juliet),
        [
            "romeo@localhost/a unavailable",
            "romeo@localhost/a available"
        ]
    );
}

#[test]
fn rfc6121_s4_5_a_kick_a_shutdown_and_a_changed_account_are_heard() {
    let (mut world, romeo, juliet) = couple();
    let operator = world.operator();
    world
        .admin(
            operator,
            AdminRequest::Kick {
                jid: jid("romeo@localhost"),
            },
        )
        .unwrap();
    assert_eq!(world.hear(romeo), ["end: Kicked"]);
    assert_eq!(world.hear(juliet), ["romeo@localhost/a unavailable"]);

    let (mut world, romeo, juliet) = couple();
    let operator = world.operator();
    world
        .admin(
            operator,
            AdminRequest::SetEnabled {
                account: bare("romeo"),
                enabled: false,
            },
        )
        .unwrap();
    assert_eq!(world.hear(romeo), ["end: AccountChanged"]);
    assert_eq!(world.hear(juliet), ["romeo@localhost/a unavailable"]);

    let (mut world, romeo, juliet) = couple();
    world.router.shutdown(world.now);
    assert_eq!(world.hear(romeo), ["end: Shutdown"]);
    assert_eq!(world.hear(juliet).last().unwrap(), "end: Shutdown");
    let late = world.open();
    assert_eq!(world.hear(late), ["end: Shutdown"]);
}

#[test]
fn rfc6121_s4_5_a_session_whose_mailbox_overflowed_is_heard_to_go() {
    let mut world = World::with(RouterSettings {
        budget: MailboxBudget::new(8, 1 << 20, 1 << 20),
        ..settings()
    });
    world.befriend("romeo", "juliet");
    let juliet = world.online("juliet", "b", 0);
    let romeo = world.online("romeo", "a", 0);
    world.hush(&[juliet, romeo]);
    for _ in 0..10 {
        // Romeo never reads.
        world.ask(juliet, message("romeo@localhost/a", MessageKind::Chat, "x"));
    }
    assert_eq!(
        world.hear(juliet).first().unwrap(),
        "romeo@localhost/a unavailable"
    );
    assert_eq!(world.hear(romeo), ["end: Overflow"]);
}

#[test]
fn rfc6121_s4_5_who_says_unavailable_is_not_gone_twice() {
    let (mut world, romeo, juliet) = couple();
    world.ask(romeo, Command::Announce(unavailable(Some("bye"))));
    world.ask(romeo, Command::Detach(EndReason::Farewell));
    assert_eq!(world.hear(juliet), ["romeo@localhost/a unavailable"]);
    let account = world.store.account(&bare("romeo")).unwrap();
    assert_eq!(
        account.last_seen.as_ref().unwrap().status.as_deref(),
        Some("bye")
    );
}

#[test]
fn rfc6121_s4_6_who_was_addressed_directly_hears_the_farewell_once() {
    let (mut world, romeo, juliet) = couple();
    let nurse = world.online("nurse", "n", 0);
    world.hear(nurse);
    for to in ["nurse@localhost/n", "juliet@localhost/b"] {
        world.ask(
            romeo,
            Command::Direct {
                to: jid(to),
                presence: available(0),
            },
        );
    }
    world.announce(romeo, 1);
    assert_eq!(
        world.hear(nurse),
        ["romeo@localhost/a available"],
        "updates are for subscribers"
    );
    world.hear(juliet);
    world.ask(romeo, Command::Detach(EndReason::LinkLost));
    assert_eq!(world.hear(nurse), ["romeo@localhost/a unavailable"]);
    assert_eq!(world.hear(juliet), ["romeo@localhost/a unavailable"]);
}

#[test]
fn rfc6121_s4_6_3_a_subscriber_hears_broadcasts_whatever_it_was_told_directly() {
    let (mut world, romeo, juliet) = couple();
    world.ask(
        romeo,
        Command::Direct {
            to: jid("juliet@localhost"),
            presence: unavailable(None),
        },
    );
    world.ask(romeo, Command::Detach(EndReason::LinkLost));
    assert_eq!(
        world.hear(juliet),
        [
            "romeo@localhost/a unavailable",
            "romeo@localhost/a unavailable"
        ]
    );
}

#[test]
fn rfc6121_s4_6_1_who_was_told_unavailable_directly_and_is_no_subscriber_is_not_told_again() {
    let (mut world, romeo, _) = couple();
    let nurse = world.online("nurse", "n", 0);
    world.hear(nurse);
    for presence in [available(0), unavailable(None)] {
        world.ask(
            romeo,
            Command::Direct {
                to: jid("nurse@localhost"),
                presence,
            },
        );
    }
    world.ask(romeo, Command::Detach(EndReason::LinkLost));
    assert_eq!(
        world.hear(nurse),
        [
            "romeo@localhost/a available",
            "romeo@localhost/a unavailable"
        ]
    );
}

#[test]
fn rfc6121_s4_6_directed_presence_of_a_session_that_was_never_available_is_taken_back_too() {
    let mut world = World::new();
    let nurse = world.online("nurse", "n", 0);
    let romeo = world.connected("romeo", "a");
    world.ask(
        romeo,
        Command::Direct {
            to: jid("nurse@localhost"),
            presence: available(0),
        },
    );
    world.ask(romeo, Command::Detach(EndReason::Farewell));
    assert_eq!(
        world.hear(nurse)[1..],
        [
            "romeo@localhost/a available",
            "romeo@localhost/a unavailable"
        ]
    );
}

#[test]
fn rfc6120_s10_4_directed_presence_to_another_domain_comes_back() {
    let (mut world, romeo, _) = couple();
    world.ask(
        romeo,
        Command::Direct {
            to: jid("x@example.org"),
            presence: available(0),
        },
    );
    assert_eq!(world.hear(romeo), ["x@example.org presence error"]);
}

#[test]
fn rfc6121_s4_5_2_a_farewell_whose_contacts_cannot_be_read_is_told_once_they_can() {
    let (mut world, romeo, juliet) = couple();
    world.router.residency.forget(&bare("romeo"));
    world.store.blind = true;
    world.ask(romeo, Command::Detach(EndReason::LinkLost));
    for _ in 0..3 {
        world.pass(1);
        assert!(world.router.next_deadline().unwrap() <= world.now.mono);
        world.router.handle_timeout(world.now);
        world.settle();
        assert_eq!(world.hear(juliet), [""; 0]);
    }
    world.store.blind = false;
    world.pass(1);
    world.router.handle_timeout(world.now);
    world.settle();
    assert_eq!(world.hear(juliet), ["romeo@localhost/a unavailable"]);
    let soon = world.now.mono + STORE_RETRY;
    assert!(world.router.next_deadline().is_none_or(|at| at > soon));
}

fn probe(to: &str) -> Command {
    Command::Probe {
        to: jid(to),
        id: Some("p1".into()),
    }
}

#[test]
fn rfc6121_s4_3_2_a_probe_shows_what_may_be_seen() {
    let (mut world, romeo, juliet) = couple();
    world.account("stranger");
    for (to, said) in [
        ("juliet@localhost", "juliet@localhost/b available (delayed)"),
        ("juliet@localhost/b", "juliet@localhost/b available"),
        ("juliet@localhost/gone", "juliet@localhost/gone unavailable"),
        ("stranger@localhost", "unsubscribed from stranger@localhost"),
        (
            "stranger@localhost/x",
            "unsubscribed from stranger@localhost",
        ),
        ("nobody@localhost", "unsubscribed from nobody@localhost"),
        ("romeo@localhost", "romeo@localhost/a available (delayed)"),
    ] {
        world.ask(romeo, probe(to));
        assert_eq!(world.hear(romeo), [said], "{to}");
    }
    world.ask(juliet, Command::Detach(EndReason::Farewell));
    world.hear(romeo);
    world.ask(romeo, probe("juliet@localhost"));
    assert_eq!(
        world.hear(romeo),
        ["juliet@localhost unavailable (delayed)"],
        "since when"
    );
}

/// The presence that the next entry of the session is.
fn next_presence(world: &mut World, id: SessionId) -> Presence {
    match world.entries(id).remove(0) {
        Entry::Event { event, .. } => match &event.what {
            What::Presence(presence) => presence.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn rfc6121_s4_3_2_of_a_full_address_only_that_it_is_there_is_said() {
    let (mut world, romeo, juliet) = couple();
    let detailed = Presence {
        id: Some("pres1".into()),
        content: "<show>dnd</show>".into(),
        ..available(7)
    };
    world.ask(juliet, Command::Announce(detailed.clone()));
    world.hear(romeo);
    world.ask(romeo, probe("juliet@localhost"));
    let whole = next_presence(&mut world, romeo);
    assert_eq!(
        (whole.id, whole.content),
        (detailed.id.clone(), detailed.content)
    );
    world.ask(romeo, probe("juliet@localhost/b"));
    let mere = next_presence(&mut world, romeo);
    assert_eq!((mere.id, mere.content), (detailed.id, bytes::Bytes::new()));
}

#[test]
fn rfc6121_s4_3_2_1_where_nothing_is_shown_the_answer_has_the_id_of_the_probe() {
    let (mut world, romeo, _) = couple();
    world.ask(romeo, probe("juliet@localhost/gone"));
    assert_eq!(next_presence(&mut world, romeo).id.as_deref(), Some("p1"));
}

#[test]
fn rfc6121_s4_6_6_who_was_shown_presence_directly_may_ask_whether_it_still_holds() {
    let (mut world, romeo, _) = couple();
    let nurse = world.online("nurse", "n", 0);
    world.hear(nurse);
    let direct = |to: &str, presence| Command::Direct {
        to: jid(to),
        presence,
    };
    for (shown_to, asked) in [
        ("nurse@localhost/n", "romeo@localhost/a"),
        ("nurse@localhost", "romeo@localhost/a"),
    ] {
        world.ask(romeo, direct(shown_to, available(0)));
        world.hear(nurse);
        world.ask(nurse, probe(asked));
        assert_eq!(world.hear(nurse), ["romeo@localhost/a available"]);
        world.ask(nurse, probe("romeo@localhost"));
        assert_eq!(
            world.hear(nurse),
            ["unsubscribed from romeo@localhost"],
            "of that resource alone"
        );
        world.ask(romeo, direct(shown_to, unavailable(None)));
        world.hear(nurse);
        world.ask(nurse, probe(asked));
        assert_eq!(world.hear(nurse), ["unsubscribed from romeo@localhost"]);
    }
}

#[test]
fn xep0012_activity_is_for_those_who_see_the_account() {
    let (mut world, romeo, juliet) = couple();
    let stranger = world.online("stranger", "x", 0);
    let seconds = |world: &mut World, id, of: &str| match world
        .request(id, Command::Activity { of: jid(of) })
    {
        Ok(Reply::Activity { seconds, status }) => Ok((seconds, status)),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal.reason),
    };
    world.pass(10);
    assert_eq!(
        seconds(&mut world, romeo, "juliet@localhost/b"),
        Ok((10, None)),
        "s4: idle"
    );
    assert_eq!(
        seconds(&mut world, romeo, "juliet@localhost"),
        Ok((0, None)),
        "s3: connected"
    );
    assert_eq!(
        seconds(&mut world, romeo, "localhost"),
        Ok((10, None)),
        "s5: up since"
    );
    assert_eq!(
        seconds(&mut world, stranger, "juliet@localhost"),
        Err(Reason::Forbidden)
    );
    assert_eq!(
        seconds(&mut world, stranger, "nobody@localhost"),
        Err(Reason::Forbidden)
    );
    world.ask(juliet, Command::Announce(unavailable(Some("Heading Home"))));
    world.ask(juliet, Command::Detach(EndReason::Farewell));
    world.pass(903);
    assert_eq!(
        seconds(&mut world, romeo, "juliet@localhost"),
        Ok((903, Some("Heading Home".into())))
    );
    assert_eq!(
        seconds(&mut world, romeo, "juliet@localhost/b"),
        Err(Reason::ServiceUnavailable)
    );
}

#[test]
fn xep0012_s4_a_resource_is_asked_only_by_who_sees_its_account() {
    let (mut world, romeo, juliet) = couple();
    let stranger = world.online("stranger", "x", 0);
    world.hear(stranger);
    let ask = || {
        let Command::Query(iq) = iq("juliet@localhost/b", IqKind::Get) else {
            panic!("a query")
        };
        Command::QueryOfPresence(iq)
    };
    world.ask(stranger, ask());
    assert_eq!(world.hear(stranger), ["iq error from juliet@localhost/b"]);
    assert_eq!(world.hear(juliet), [""; 0]);
    world.ask(romeo, ask());
    assert_eq!(world.hear(juliet), ["iq get from romeo@localhost/a"]);
}

#[test]
fn xep0030_an_account_is_described_to_those_who_see_it() {
    let (mut world, romeo, _) = couple();
    world.account("stranger");
    let Ok(Reply::Described { resources, .. }) = world.request(
        romeo,
        Command::Describe {
            account: bare("juliet"),
        },
    ) else {
        panic!("not described")
    };
    assert_eq!(resources[0].jid.as_str(), "juliet@localhost/b");
    for name in ["stranger", "nobody"] {
        let refused = world
            .request(
                romeo,
                Command::Describe {
                    account: bare(name),
                },
            )
            .unwrap_err();
        assert_eq!(refused.reason, Reason::ServiceUnavailable);
    }
}
