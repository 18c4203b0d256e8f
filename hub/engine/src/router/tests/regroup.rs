//! Shared roster groups while they change under those who look.

use super::{
    groups::{group, role, ward, with, world_with},
    *,
};
use crate::{access::Who, limits::CURSOR_BATCH, roster_group::RosterGroup};

impl World {
    /// A SIGHUP with other groups.
    fn regroup(&mut self, groups: Vec<RosterGroup>) {
        self.reload(with(groups));
    }

    pub(super) fn set_role(&mut self, operator: SessionId, name: &str, role: Role) {
        let request = AdminRequest::AddAccount {
            account: bare(name),
            role,
            credentials: Box::new(keys()),
            replace: true,
        };
        self.admin(operator, request).unwrap();
    }
}

#[test]
fn rfc6121_s2_1_6_accounts_that_change_are_pushed_to_who_sees_them() {
    let mut world = world_with(ward());
    let admin = world.operator();
    let olga = world.online("olga", "desk", 0);
    world.hush(&[olga]);
    let first = world.roster(olga, None).1;
    let add = AdminRequest::AddAccount {
        account: bare("lamp"),
        role: Role::Device,
        credentials: Box::new(keys()),
        replace: false,
    };
    world.admin(admin, add).unwrap();
    assert_eq!(world.hear(olga), ["push lamp@localhost to"]);
    let (list, second) = world.roster(olga, Some(&first));
    assert_eq!(list.unwrap().len(), 2, "the version is another one");
    assert_eq!(world.roster(olga, Some(&second)).0, None);

    let lamp = world.online("lamp", "x", 0);
    world.hush(&[olga, lamp]);
    let enable = |enabled| AdminRequest::SetEnabled {
        account: bare("lamp"),
        enabled,
    };
    world.admin(admin, enable(false)).unwrap();
    assert_eq!(
        world.hear(olga),
        [
            "lamp@localhost/x unavailable",
            "push lamp@localhost removed"
        ]
    );
    world.admin(admin, enable(true)).unwrap();
    assert_eq!(world.hear(olga), ["push lamp@localhost to"]);

    let lamp = world.online("lamp", "x", 0);
    world.hush(&[olga, lamp]);
    world.set_role(admin, "lamp", Role::Service);
    assert_eq!(
        world.hear(olga),
        [
            "push lamp@localhost removed",
            "lamp@localhost/x unavailable"
        ]
    );
    world.announce(lamp, 1);
    assert_eq!(world.hear(olga), [""; 0]);
    world.set_role(admin, "lamp", Role::Device);
    assert_eq!(
        world.hear(olga),
        ["push lamp@localhost to", "lamp@localhost/x available"]
    );
    world
        .admin(
            admin,
            AdminRequest::RemoveAccount {
                account: bare("lamp"),
            },
        )
        .unwrap();
    assert_eq!(
        world.hear(olga),
        [
            "lamp@localhost/x unavailable",
            "push lamp@localhost removed"
        ]
    );
}

#[test]
fn who_gets_another_role_gets_another_roster() {
    let mut world = world_with(ward());
    let admin = world.operator();
    let lamp = world.online("lamp", "x", 0);
    world.account("door");
    let nora = world.online("nora", "desk", 0);
    world.hush(&[lamp, nora]);
    world.set_role(admin, "nora", Role::Operator);
    let mut heard = world.hear(nora);
    heard.sort();
    assert_eq!(
        heard,
        [
            "lamp@localhost/x available (delayed)",
            "push door@localhost to",
            "push lamp@localhost to",
            "push olga@localhost both",
            "push otto@localhost both",
        ]
    );
    world.announce(lamp, 1);
    assert_eq!(world.hear(nora), ["lamp@localhost/x available"]);
    world.set_role(admin, "nora", Role::Device);
    let heard = world.hear(nora);
    assert!(heard.contains(&"lamp@localhost/x unavailable".into()));
    assert!(heard.contains(&"push otto@localhost removed".into()));
    world.announce(lamp, 0);
    assert_eq!(world.hear(nora), [""; 0]);
}

#[test]
fn a_reload_brings_and_takes_contacts_and_their_presence() {
    let mut world = world_with(Vec::new());
    let olga = world.online("olga", "desk", 0);
    let lamp = world.online("lamp", "x", 0);
    world.account("door");
    world.hush(&[olga, lamp]);
    world.regroup(ward());
    assert_eq!(
        world.hear(olga),
        [
            "push door@localhost to",
            "push lamp@localhost to",
            "lamp@localhost/x available (delayed)",
            "push otto@localhost both",
        ]
    );
    assert_eq!(world.hear(lamp), [""; 0]);
    world.announce(lamp, 1);
    assert_eq!(world.hear(olga), ["lamp@localhost/x available"]);

    let renamed = group("Fleet", &[role(Role::Device)], &[role(Role::Operator)]);
    world.regroup(vec![renamed]);
    assert_eq!(
        world.hear(olga),
        [
            "push door@localhost to",
            "push lamp@localhost to",
            "push otto@localhost removed",
        ],
        "under another name they are seen as before"
    );
    world.regroup(Vec::new());
    assert_eq!(
        world.hear(olga),
        [
            "push door@localhost removed",
            "push lamp@localhost removed",
            "lamp@localhost/x unavailable",
        ]
    );
    world.announce(lamp, 0);
    assert_eq!(world.hear(olga), [""; 0]);
    assert_eq!(&*world.roster(olga, None).1, "0");
}

#[test]
fn s10_a_reload_pushes_ten_thousand_contacts_through_a_small_mailbox() {
    let mut world = World::with(RouterSettings {
        budget: MailboxBudget::new(2 * CURSOR_BATCH + 8, 1 << 20, 128 << 20),
        ..settings()
    });
    world.store.add_account(&bare("olga"), Role::Operator);
    for n in 0..10_000 {
        let name = format!("d{n:05}");
        world.account(&name);
        if n % 10 == 0 {
            let device = world.connected(&name, "x");
            world.announce(device, 0);
            world.hush(&[device]);
        }
    }
    let olga = world.online("olga", "desk", 0);
    world.hush(&[olga]);
    world.regroup(ward());
    let heard = world.hear(olga);
    let pushes = heard.iter().filter(|heard| heard.starts_with("push d"));
    assert_eq!(pushes.count(), 10_000);
    let shown = heard.iter().filter(|heard| heard.ends_with("(delayed)"));
    assert_eq!(shown.count(), 1_000);
    assert!(!heard.iter().any(|heard| heard.starts_with("end")));
}

#[test]
fn accounts_that_a_group_names_are_all_told_of_however_many_there_are() {
    let mut world = world_with(Vec::new());
    // In another order as names than as addresses: `a-1` comes before `a` where an `@` follows.
    let names: Vec<_> = (0..100)
        .flat_map(|n| [format!("d{n}"), format!("d{n}-1"), format!("d{n}.")])
        .collect();
    for name in &names {
        world.account(name);
    }
    let olga = world.online("olga", "desk", 0);
    world.hush(&[olga]);
    let members: Vec<_> = names
        .iter()
        .map(|name| Who::Account((&**name).into()))
        .collect();
    world.regroup(vec![group("Some", &members, &[role(Role::Operator)])]);
    let heard = world.hear(olga);
    assert_eq!(heard.len(), 300);
    assert_eq!(world.roster(olga, None).0.unwrap().len(), 300);
}

#[test]
fn a_roster_that_is_read_while_accounts_change_says_no_less_than_the_pushes_before_it() {
    let mut world = world_with(ward());
    let admin = world.operator();
    world.account("gone");
    let olga = world.connected("olga", "desk");
    let add = |name: &str| AdminRequest::AddAccount {
        account: bare(name),
        role: Role::Device,
        credentials: Box::new(keys()),
        replace: false,
    };
    // Looked up beforehand, so that what follows needs the store for nothing else.
    for name in ["gone", "late"] {
        let list = AdminRequest::SetEnabled {
            account: bare(name),
            enabled: true,
        };
        let _ = world.admin(admin, list);
    }
    world.roster(olga, None);
    world.store.held = true;
    world.ask(olga, Command::GetRoster { version: None });
    let question = world.store.hold_back();
    world.ask(admin, Command::Admin(Box::new(add("late"))));
    let remove = AdminRequest::SetEnabled {
        account: bare("gone"),
        enabled: false,
    };
    world.ask(admin, Command::Admin(Box::new(remove)));
    world.store.held = false;
    world.settle();
    assert_eq!(
        world.hear(olga),
        ["push late@localhost to", "push gone@localhost removed"]
    );
    // The store answers as it was when it was asked.
    world.router.handle_stored(question, world.now);
    world.settle();
    let entries = world.entries(olga);
    let Some(Entry::Answer(answer)) = entries.first() else {
        panic!("{entries:?}")
    };
    let Ok(Reply::Roster { shared, .. }) = &answer.result else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = shared.iter().map(|(jid, ..)| jid).collect();
    assert_eq!(names, ["late@localhost", "otto@localhost"]);
}
