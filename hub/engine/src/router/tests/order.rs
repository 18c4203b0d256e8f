//! S6: commands in order, answers in order, and how much of both may be under way.

use super::*;

fn contact(name: &str) -> Command {
    Command::SetContact {
        jid: bare(name),
        name: None,
        groups: Vec::new(),
    }
}

#[test]
fn commands_wait_for_the_start_and_then_run_in_order() {
    let mut world = World::new();
    world.account("romeo");
    world.router = Router::new(settings());
    world.store.held = true;
    let id = world.open();
    let attach = Command::Attach {
        account: bare("romeo"),
        resource: None,
        transport: Transport {
            protocol: "xmpp",
            peer: None,
            tls: true,
            mechanism: "PLAIN",
        },
    };
    world.ask(id, attach);
    world.ask(id, Command::GetRoster { version: None });
    assert_eq!(world.hear(id), [""; 0]);
    world.store.held = false;
    world.settle();
    assert_eq!(world.hear(id), ["answer", "roster of 0"]);
}

#[test]
fn a_store_that_cannot_start_is_asked_again() {
    let mut world = World::new();
    world.router = Router::new(settings());
    world.store.blind = true;
    world.settle();
    let due = world.router.next_deadline().unwrap();
    world.store.blind = false;
    world.pass(2);
    assert!(due <= world.now.mono);
    world.router.handle_timeout(world.now);
    world.settle();
    world.connected("romeo", "a");
}

#[test]
fn several_changes_join_one_group_and_a_later_answer_waits_for_them() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.hear(romeo);
    world.store.held = true;
    for name in ["a", "b", "c"] {
        world.ask(romeo, contact(name));
    }
    world.ask(
        romeo,
        Command::Describe {
            account: bare("romeo"),
        },
    );
    assert_eq!(world.hear(romeo), [""; 0], "the ready answer waits");
    world.store.held = false;
    world.settle();
    let answers: Vec<_> = world
        .hear(romeo)
        .into_iter()
        .filter(|heard| !heard.starts_with("push"))
        .collect();
    assert_eq!(answers, ["done", "done", "done", "answer"]);
}

#[test]
fn a_message_behind_a_parked_command_is_sent_before_the_farewell() {
    let mut world = World::new();
    let (romeo, juliet) = (
        world.online("romeo", "a", 0),
        world.online("juliet", "b", 0),
    );
    world.account("nurse");
    world.hush(&[romeo, juliet]);
    world.store.held = true;
    world.ask(romeo, message("nurse@localhost", MessageKind::Chat, "kept"));
    world.ask(
        romeo,
        message("juliet@localhost/b", MessageKind::Chat, "last words"),
    );
    world.ask(romeo, Command::Detach(EndReason::Farewell));
    assert_eq!(world.hear(juliet), [""; 0]);
    world.store.held = false;
    world.settle();
    assert_eq!(world.hear(juliet), ["message last words"]);
    assert_eq!(world.store.offline_count(&bare("nurse")), 1);
    assert_eq!(world.router.status().sessions, 1);
}

#[test]
fn sixty_four_commands_under_way_congest_a_session_until_half_are_done() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.hear(romeo);
    world.store.held = true;
    for n in 0..64 {
        assert!(!world.router.is_congested(romeo), "{n}");
        world.ask(romeo, contact(&format!("c{n}")));
    }
    assert!(world.router.is_congested(romeo));
    world.store.held = false;
    world.settle();
    assert!(!world.router.is_congested(romeo));
    assert_eq!(
        world
            .hear(romeo)
            .iter()
            .filter(|heard| *heard == "continue")
            .count(),
        1,
        "the connection is woken"
    );
}

#[test]
fn a_load_that_fails_refuses_what_needs_it_and_nothing_else() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.account("juliet");
    world.hear(romeo);
    world.store.blind = true;
    world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "x"));
    assert_eq!(
        world.hear(romeo),
        ["error from juliet@localhost: resource-constraint"]
    );
    world.ask(romeo, message("romeo@localhost", MessageKind::Chat, "me"));
    assert_eq!(world.hear(romeo), ["message me"]);
    world.store.blind = false;
    world.ask(romeo, message("juliet@localhost", MessageKind::Chat, "y"));
    assert_eq!(world.store.offline_count(&bare("juliet")), 1);
}

#[test]
fn an_idle_session_has_no_pipeline() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    world.ask(romeo, contact("x"));
    assert!(
        world
            .router
            .directory
            .get(romeo)
            .unwrap()
            .pipeline
            .is_none()
    );
}

#[test]
fn accounts_that_were_only_asked_for_do_not_stay() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    for n in 0..3 * residency::ABSENT_ACCOUNTS_MAX {
        world.ask(
            romeo,
            message(&format!("n{n}@localhost"), MessageKind::Chat, "x"),
        );
        world.hear(romeo);
    }
    assert!(
        world.router.residency.len() <= 2 * residency::ABSENT_ACCOUNTS_MAX,
        "{}",
        world.router.residency.len()
    );
    assert!(world.router.residency.facts(&bare("romeo")).is_some());
}
