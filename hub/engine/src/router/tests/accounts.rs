//! Logins, registration, removal, and the administration.

use super::*;
use crate::command::AdminReply;

fn is_known(world: &mut World, id: SessionId, name: &str) -> bool {
    match world.request(
        id,
        Command::SignIn {
            account: bare(name),
        },
    ) {
        Ok(Reply::Credentials { found }) => found.is_some(),
        other => panic!("{other:?}"),
    }
}

/// Ends a login and gives how long its outcome is held back.
fn signed_in(world: &mut World, id: SessionId, name: &str, ok: bool) -> Duration {
    let account = bare(name);
    match world.request(id, Command::SignedIn { account, ok }) {
        Ok(Reply::HoldBack { wait }) => wait,
        other => panic!("{other:?}"),
    }
}

fn boxed() -> Box<Credentials> {
    Box::new(keys())
}

#[test]
fn unknown_and_disabled_accounts_look_alike_and_cost_the_same() {
    let mut world = World::new();
    world.account("romeo");
    world.account("disabled");
    let operator = world.operator();
    world
        .admin(
            operator,
            AdminRequest::SetEnabled {
                account: bare("disabled"),
                enabled: false,
            },
        )
        .unwrap();
    let id = world.open();
    assert!(is_known(&mut world, id, "romeo"));
    assert!(!is_known(&mut world, id, "disabled"));
    assert!(!is_known(&mut world, id, "nobody"));
    for name in ["disabled", "nobody", "romeo"] {
        assert_eq!(signed_in(&mut world, id, name, false), Duration::ZERO);
    }
}

#[test]
fn a_thousand_wrong_passwords_slow_the_guesser_and_nobody_else() {
    let mut world = World::new();
    world.account("romeo");
    // All begin before the first has failed, as from a thousand connections.
    let guessers: Vec<SessionId> = (0..1_000).map(|_| world.open()).collect();
    for guesser in &guessers {
        assert!(is_known(&mut world, *guesser, "romeo"));
    }
    let waits: Vec<Duration> = guessers
        .iter()
        .map(|guesser| signed_in(&mut world, *guesser, "romeo", false))
        .collect();
    let at_once = waits.iter().filter(|wait| wait.is_zero()).count();
    assert_eq!(
        at_once, 11,
        "ten are free, and the eleventh brings it above the brim"
    );
    assert_eq!(waits.last(), Some(&Duration::from_secs(30)));
    assert_eq!(
        signed_in(&mut world, guessers[0], "juliet", true),
        Duration::from_secs(30),
        "good news from there is held back like bad"
    );
    let mailbox = Mailbox::new(Arc::clone(&world.router.budget));
    let other = world
        .router
        .open(Arc::clone(&mailbox), Some([192, 0, 2, 9].into()));
    world.mailboxes.insert(other, mailbox);
    assert_eq!(signed_in(&mut world, other, "juliet", true), Duration::ZERO);
    assert!(signed_in(&mut world, other, "romeo", true) <= Duration::from_secs(2));
    assert_eq!(world.router.status().failed_logins, 1_000);
}

#[test]
fn an_account_that_was_removed_or_disabled_after_its_password_was_checked_is_not_attached() {
    let mut world = World::new();
    world.account("romeo");
    world.account("juliet");
    let operator = world.operator();
    let id = world.open();
    assert!(is_known(&mut world, id, "romeo"));
    world
        .admin(
            operator,
            AdminRequest::RemoveAccount {
                account: bare("romeo"),
            },
        )
        .unwrap();
    world
        .admin(
            operator,
            AdminRequest::SetEnabled {
                account: bare("juliet"),
                enabled: false,
            },
        )
        .unwrap();
    assert_eq!(
        world.attach("romeo", "a").unwrap_err().reason,
        Reason::NotAuthorized
    );
    assert_eq!(
        world.attach("juliet", "a").unwrap_err().reason,
        Reason::NotAuthorized
    );
}

#[test]
fn rfc6120_s7_6_resources_are_bounded_and_made_unguessable() {
    let mut world = World::new();
    world.account("romeo");
    for resource in ["a", "b", "c", "d"] {
        world.attach("romeo", resource).unwrap();
    }
    assert_eq!(
        world.attach("romeo", "e").unwrap_err().reason,
        Reason::ResourceConstraint
    );
    world
        .attach("romeo", "a")
        .expect("an equal resource takes its place");
    world.account("juliet");
    let id = world.open();
    let transport = Transport {
        protocol: "xmpp",
        peer: None,
        tls: true,
        mechanism: "PLAIN",
    };
    let attach = Command::Attach {
        account: bare("juliet"),
        resource: None,
        transport,
    };
    let Ok(Reply::Attached { jid }) = world.request(id, attach) else {
        panic!("not attached")
    };
    assert_eq!(jid.resource().len(), 16);
}

#[test]
fn xep0077_s3_1_registration() {
    let mut world = World::new();
    let id = world.open();
    let register = |world: &mut World, name: &str| {
        let account = BareJid::new(name, "localhost").unwrap();
        world
            .request(
                id,
                Command::Register {
                    account,
                    credentials: boxed(),
                },
            )
            .map_err(|refusal| refusal.reason)
            .map(|_| ())
    };
    assert_eq!(register(&mut world, "romeo"), Ok(()));
    assert!(world.store.has_account(&bare("romeo")));
    assert_eq!(register(&mut world, "romeo"), Err(Reason::Conflict));
    assert_eq!(register(&mut world, "a+b"), Err(Reason::NotAcceptable));
    for _ in 0..2 {
        let _ = register(&mut world, "x");
    }
    assert_eq!(
        register(&mut world, "y"),
        Err(Reason::ResourceConstraint),
        "the rate of an address"
    );

    let mut closed = World::with(RouterSettings {
        registration: false,
        ..settings()
    });
    let id = closed.open();
    let refused = closed.request(
        id,
        Command::Register {
            account: bare("romeo"),
            credentials: boxed(),
        },
    );
    assert_eq!(refused.unwrap_err().reason, Reason::NotAllowed);
}

#[test]
fn xep0077_s3_2_who_leaves_is_gone_for_all_contacts() {
    let mut world = World::new();
    world.befriend("romeo", "juliet");
    let (romeo, desk) = (
        world.online("romeo", "a", 0),
        world.online("romeo", "desk", 0),
    );
    let juliet = world.online("juliet", "b", 0);
    world.hush(&[romeo, desk, juliet]);
    world.ask(romeo, Command::Unregister);
    assert_eq!(
        world
            .hear(romeo)
            .iter()
            .filter(|heard| !heard.starts_with("juliet"))
            .collect::<Vec<_>>(),
        ["done", "end: AccountChanged"]
    );
    assert_eq!(world.hear(desk).last().unwrap(), "end: AccountChanged");
    assert_eq!(
        world.hear(juliet),
        [
            "unsubscribe from romeo@localhost",
            "push romeo@localhost to",
            "unsubscribed from romeo@localhost",
            "push romeo@localhost none",
            "romeo@localhost/a unavailable",
            "romeo@localhost/desk unavailable",
        ]
    );
    assert!(!world.store.has_account(&bare("romeo")));
    assert_eq!(
        world.attach("romeo", "a").unwrap_err().reason,
        Reason::NotAuthorized
    );
}

#[test]
fn s5_a_removal_that_fails_leaves_everything_as_it_was() {
    let mut world = World::new();
    world.befriend("romeo", "juliet");
    let romeo = world.online("romeo", "a", 0);
    let juliet = world.online("juliet", "b", 0);
    world.hush(&[romeo, juliet]);
    world.store.failing = true;
    world.ask(romeo, Command::Unregister);
    world.store.failing = false;
    assert_eq!(world.hear(romeo), ["ResourceConstraint"]);
    world.announce(romeo, 1);
    assert_eq!(world.hear(juliet), ["romeo@localhost/a available"]);
}

#[test]
fn xep0077_s3_3_a_new_password_leaves_sessions_alone_unless_an_operator_sets_it() {
    let mut world = World::new();
    let (romeo, desk) = (
        world.online("romeo", "a", 0),
        world.online("romeo", "desk", 0),
    );
    world.hush(&[romeo, desk]);
    world.ask(romeo, Command::ChangeCredentials(boxed()));
    assert_eq!(world.hear(romeo), ["done"]);
    assert_eq!(world.hear(desk), [""; 0]);
    let operator = world.operator();
    world
        .admin(
            operator,
            AdminRequest::SetCredentials {
                account: bare("romeo"),
                credentials: boxed(),
            },
        )
        .unwrap();
    assert_eq!(world.hear(desk).last().unwrap(), "end: AccountChanged");
}

#[test]
fn the_administration_adds_lists_and_counts() {
    let mut world = World::new();
    let operator = world.operator();
    let add = |name: &str, replace| AdminRequest::AddAccount {
        account: bare(name),
        role: Role::Operator,
        credentials: boxed(),
        replace,
    };
    world.admin(operator, add("anna", false)).unwrap();
    assert_eq!(
        world
            .admin(operator, add("anna", false))
            .unwrap_err()
            .reason,
        Reason::Conflict
    );
    world.admin(operator, add("anna", true)).unwrap();
    world.online("bert", "x", 0);
    let Ok(Reply::Admin(reply)) = world.admin(
        operator,
        AdminRequest::ListAccounts {
            after: None,
            max: 10,
        },
    ) else {
        panic!()
    };
    let AdminReply::Accounts(accounts) = *reply else {
        panic!()
    };
    assert_eq!(accounts.len(), 2);
    let Ok(Reply::Admin(reply)) =
        world.admin(operator, AdminRequest::ListSessions { account: None })
    else {
        panic!()
    };
    let AdminReply::Sessions(sessions) = *reply else {
        panic!()
    };
    assert_eq!(sessions[0].jid.as_str(), "bert@localhost/x");
    let Ok(Reply::Admin(reply)) = world.admin(operator, AdminRequest::Status) else {
        panic!()
    };
    let AdminReply::Status(status) = *reply else {
        panic!()
    };
    // Not counting the administration that asks.
    assert_eq!((status.accounts, status.sessions), (2, 1));
    let gone = world.admin(
        operator,
        AdminRequest::RemoveAccount {
            account: bare("nobody"),
        },
    );
    assert_eq!(gone.unwrap_err().reason, Reason::ItemNotFound);
}

#[test]
fn administration_is_for_the_operator_and_commands_are_for_the_attached() {
    let mut world = World::new();
    let romeo = world.online("romeo", "a", 0);
    let refused = world.request(romeo, Command::Admin(Box::new(AdminRequest::Status)));
    assert_eq!(refused.unwrap_err().reason, Reason::NotAllowed);
    let stranger = world.open();
    for command in [
        Command::GetRoster { version: None },
        Command::Unregister,
        Command::Admin(Box::new(AdminRequest::Status)),
    ] {
        assert_eq!(
            world.request(stranger, command).unwrap_err().reason,
            Reason::NotAuthorized
        );
    }
}

#[test]
fn last_seen_is_not_overwritten_by_a_clock_that_is_not_set() {
    let mut world = World::new();
    world.now.wall_trusted = false;
    let romeo = world.online("romeo", "a", 0);
    world.ask(romeo, Command::Detach(EndReason::Farewell));
    assert!(
        world
            .store
            .account(&bare("romeo"))
            .unwrap()
            .last_seen
            .is_none()
    );
}
