//! Shared roster groups: contacts that nobody asked for, and their presence.

use super::*;
use crate::{
    access::{Action, Rule, Who},
    limits::CURSOR_BATCH,
    roster_group::RosterGroup,
};

pub(super) fn group(name: &str, members: &[Who], seen_by: &[Who]) -> RosterGroup {
    RosterGroup {
        name: name.into(),
        members: members.into(),
        seen_by: seen_by.into(),
    }
}

pub(super) fn role(role: Role) -> Who {
    Who::Role(role)
}

/// Operators see devices and each other.
pub(super) fn ward() -> Vec<RosterGroup> {
    vec![
        group("Devices", &[role(Role::Device)], &[role(Role::Operator)]),
        group("Staff", &[role(Role::Operator)], &[role(Role::Operator)]),
    ]
}

pub(super) fn with(groups: Vec<RosterGroup>) -> RouterSettings {
    RouterSettings {
        roster_groups: RosterGroups::new(groups),
        ..settings()
    }
}

pub(super) fn world_with(groups: Vec<RosterGroup>) -> World {
    let mut world = World::with(with(groups));
    for name in ["olga", "otto"] {
        world.store.add_account(&bare(name), Role::Operator);
    }
    world
}

impl World {
    /// The roster as the session is given it, each contact in words, and its version.
    pub(super) fn roster(
        &mut self,
        id: SessionId,
        version: Option<&str>,
    ) -> (Option<Vec<String>>, Box<str>) {
        let get = Command::GetRoster {
            version: version.map(Into::into),
        };
        let Ok(Reply::Roster {
            contacts,
            shared,
            version,
        }) = self.request(id, get)
        else {
            panic!("no roster")
        };
        let line = |jid: &str, name: &str, subscription: &str, groups: &[Box<str>]| {
            format!("{jid} {name:?} {subscription} {}", groups.join("+"))
        };
        let list = contacts.map(|contacts| {
            let own = contacts.iter().map(|contact| {
                let name = contact.name.as_deref().unwrap_or_default();
                let subscription = contact.subscription.name();
                line(contact.jid.as_str(), name, subscription, &contact.groups)
            });
            let shared = shared
                .iter()
                .map(|(jid, subscription, groups)| line(jid, "", subscription.name(), groups));
            own.chain(shared).collect()
        });
        (list, version)
    }
}

#[test]
fn an_operator_sees_devices_come_and_go_without_a_handshake() {
    let mut world = world_with(ward());
    let olga = world.online("olga", "desk", 0);
    assert_eq!(world.hear(olga), ["olga@localhost/desk available"]);
    let lamp = world.online("lamp", "x", 0);
    assert_eq!(world.hear(olga), ["lamp@localhost/x available"]);
    assert_eq!(
        world.hear(lamp),
        ["lamp@localhost/x available"],
        "a device sees nobody"
    );
    let otto = world.online("otto", "desk", 0);
    assert_eq!(world.hear(olga), ["otto@localhost/desk available"]);
    assert_eq!(
        world.hear(otto),
        [
            "otto@localhost/desk available",
            "lamp@localhost/x available (delayed)",
            "olga@localhost/desk available (delayed)"
        ],
        "who is here is shown at the login"
    );
    world.ask(lamp, Command::Detach(EndReason::LinkLost));
    assert_eq!(world.hear(olga), ["lamp@localhost/x unavailable"]);
    assert_eq!(world.hear(otto), ["lamp@localhost/x unavailable"]);
}

#[test]
fn a_presence_costs_a_delivery_to_each_who_sees_it_and_is_here() {
    let mut world = world_with(ward());
    for n in 0..300 {
        world.online(&format!("d{n}"), "x", 0);
    }
    for n in 0..20 {
        world
            .store
            .add_account(&bare(&format!("op{n}")), Role::Operator);
    }
    let operators: Vec<_> = (0..5)
        .map(|n| world.online(&format!("op{n}"), "desk", 0))
        .collect();
    let lamp = world.online("lamp", "x", 0);
    world.hush(&operators);
    let (before, queries) = (world.router.post.deliveries, world.store.queries);
    world.announce(lamp, 1);
    assert_eq!(
        world.router.post.deliveries - before,
        1 + 5,
        "the device itself and five operators"
    );
    assert_eq!(world.store.queries, queries, "and the store is not asked");
}

#[test]
fn s10_ten_thousand_shared_contacts_are_shown_through_a_small_mailbox() {
    let mut world = World::with(RouterSettings {
        budget: MailboxBudget::new(CURSOR_BATCH + 8, 1 << 20, 128 << 20),
        ..with(ward())
    });
    world.store.add_account(&bare("olga"), Role::Operator);
    for n in 0..10_000 {
        let device = world.connected(&format!("d{n:05}"), "x");
        world.announce(device, 0);
        world.hush(&[device]);
    }
    let olga = world.connected("olga", "desk");
    let listed = world.roster(olga, None).0.unwrap();
    assert_eq!(listed.len(), 10_000);
    assert_eq!(listed[9_999], "d09999@localhost \"\" to Devices");
    let queries = world.store.queries;
    world.announce(olga, 0);
    let (mut shown, mut most, mut memory) = (0, 0, 0);
    loop {
        memory = memory.max(world.router.budget.memory());
        let entries = world.entries(olga);
        if entries.is_empty() {
            break;
        }
        most = most.max(entries.len());
        for entry in entries {
            match entry {
                Entry::Event { .. } => shown += 1,
                Entry::Continue(cursor) => drop(world.ask(olga, Command::Continue(cursor))),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(shown, 1 + 10_000);
    assert!(most <= CURSOR_BATCH + 2, "{most} entries at once");
    assert!(memory < 32 << 10, "{memory} bytes at once");
    assert_eq!(world.router.budget.dropped(), 0);
    assert_eq!(world.store.queries, queries, "who is here is in memory");
}

#[test]
fn s10_who_has_many_resources_does_not_overfill_a_mailbox() {
    let mut settings = with(ward());
    settings.limits.sessions_per_account = 16;
    settings.budget = MailboxBudget::new(CURSOR_BATCH + 24, 1 << 20, 128 << 20);
    let mut world = World::with(settings);
    world.store.add_account(&bare("olga"), Role::Operator);
    for n in 0..64 {
        for m in 0..16 {
            let device = world.connected(&format!("d{n}"), &format!("x{m}"));
            world.announce(device, 0);
            world.hush(&[device]);
        }
    }
    let olga = world.connected("olga", "desk");
    world.announce(olga, 0);
    assert_eq!(world.hear(olga).len(), 1 + 64 * 16);
    assert_eq!(world.router.budget.dropped(), 0);
}

#[test]
fn a_large_roster_leaves_room_for_what_was_asked_along_with_it() {
    let mut world = world_with(ward());
    for n in 0..10_000 {
        world.account(&format!("pendant-{n:05}"));
    }
    let olga = world.connected("olga", "desk");
    for _ in 0..2 {
        world.ask(olga, Command::GetRoster { version: None });
    }
    for _ in 0..20 {
        world.ask(olga, Command::GetBlockList);
    }
    let heard = world.hear(olga);
    assert_eq!(heard[..2], ["roster of 10001", "roster of 10001"]);
    assert_eq!(heard.len(), 22, "nothing ends a session that asks for much");
}

#[test]
fn rfc6121_s2_1_a_roster_has_own_and_shared_contacts() {
    let mut world = world_with(ward());
    for name in ["lamp", "door"] {
        world.account(name);
    }
    let olga = world.online("olga", "desk", 0);
    world.hush(&[olga]);
    world.ask(
        olga,
        Command::SetContact {
            jid: bare("lamp"),
            name: Some("Hall".into()),
            groups: vec!["Light".into(), "Devices".into()],
        },
    );
    assert_eq!(world.hear(olga), ["push lamp@localhost to", "done"]);
    assert_eq!(
        world
            .store
            .contact(&bare("olga"), &bare("lamp"))
            .unwrap()
            .groups,
        ["Light".into()],
        "what is shared is not stored"
    );
    let (list, version) = world.roster(olga, None);
    assert_eq!(
        list.unwrap(),
        [
            "lamp@localhost \"Hall\" to Light+Devices",
            "door@localhost \"\" to Devices",
            "otto@localhost \"\" both Staff"
        ]
    );
    assert_eq!(world.roster(olga, Some(&version)).0, None, "s2.6.3");
    // A device sees nobody, and has a roster like any other.
    let lamp = world.connected("lamp", "x");
    let (list, version) = world.roster(lamp, None);
    assert_eq!((list.unwrap().len(), &*version), (0, "0"));
}

#[test]
fn rfc6121_s2_5_a_shared_contact_cannot_be_removed_but_what_is_the_accounts_own_can() {
    let mut world = world_with(ward());
    world.account("lamp");
    let olga = world.online("olga", "desk", 0);
    world.hush(&[olga]);
    let remove = |jid: &str| Command::RemoveContact { jid: bare(jid) };
    let refused = world.request(olga, remove("lamp")).unwrap_err().reason;
    assert_eq!(refused, Reason::NotAllowed);
    let refused = world.request(olga, remove("nobody")).unwrap_err().reason;
    assert_eq!(refused, Reason::ItemNotFound);
    world.ask(
        olga,
        Command::SetContact {
            jid: bare("lamp"),
            name: Some("Hall".into()),
            groups: Vec::new(),
        },
    );
    world.hush(&[olga]);
    world.ask(olga, remove("lamp"));
    assert_eq!(
        world.hear(olga),
        ["push lamp@localhost to", "done"],
        "it stays shared"
    );
    let list = world.roster(olga, None).0.unwrap();
    assert!(list.contains(&"lamp@localhost \"\" to Devices".into()));
}

#[test]
fn rfc6121_s3_1_3_who_sees_by_groups_is_subscribed_already() {
    let mut world = world_with(ward());
    let olga = world.online("olga", "desk", 0);
    let lamp = world.online("lamp", "x", 0);
    world.hush(&[olga, lamp]);
    world.handshake(olga, "lamp@localhost", Handshake::Subscribe);
    assert_eq!(world.hear(olga), ["lamp@localhost/x available"]);
    assert_eq!(world.hear(lamp), [""; 0], "the device is not asked");
    assert!(world.store.contact(&bare("lamp"), &bare("olga")).is_none());
    world.handshake(lamp, "olga@localhost", Handshake::Subscribed);
    assert_eq!(world.hear(lamp), [""; 0], "there is nothing to grant");
    // Nor can the device take away what it did not give.
    world.handshake(lamp, "olga@localhost", Handshake::Unsubscribed);
    world.handshake(olga, "lamp@localhost", Handshake::Unsubscribe);
    assert_eq!(world.hear(olga), [""; 0]);
    world.announce(lamp, 1);
    assert_eq!(world.hear(olga), ["lamp@localhost/x available"]);
    // The other way there is no group, so it is asked.
    world.handshake(lamp, "olga@localhost", Handshake::Subscribe);
    assert_eq!(world.hear(olga), ["subscribe from lamp@localhost"]);
}

#[test]
fn a_handshake_that_ends_hides_nobody_who_is_seen_by_groups() {
    let mut world = world_with(ward());
    world.befriend("olga", "lamp");
    let olga = world.online("olga", "desk", 0);
    let lamp = world.online("lamp", "x", 0);
    world.hush(&[olga, lamp]);
    world.handshake(olga, "lamp@localhost", Handshake::Unsubscribe);
    assert_eq!(world.hear(olga), ["push lamp@localhost both"]);
    world.handshake(lamp, "olga@localhost", Handshake::Unsubscribe);
    world.hush(&[olga, lamp]);
    world.announce(lamp, 1);
    assert_eq!(world.hear(olga), ["lamp@localhost/x available"], "once");
}

#[test]
fn xep0191_s3_3_who_is_blocked_sees_nothing_by_groups_either() {
    let mut world = world_with(ward());
    let olga = world.online("olga", "desk", 0);
    let lamp = world.online("lamp", "x", 0);
    world.hush(&[olga, lamp]);
    world.ask(lamp, Command::Block(vec![jid("olga@localhost")]));
    assert_eq!(world.hear(olga), ["lamp@localhost/x unavailable"]);
    world.announce(lamp, 1);
    assert_eq!(world.hear(olga), [""; 0]);
    let late = world.online("olga", "phone", 0);
    assert!(
        !world
            .hear(late)
            .contains(&"lamp@localhost/x available (delayed)".into())
    );
    world.hush(&[olga]);
    world.ask(lamp, Command::Unblock(None));
    assert_eq!(world.hear(olga), ["lamp@localhost/x available"]);
    // The other way: the operator does not want to see one lamp.
    world.ask(olga, Command::Block(vec![jid("lamp@localhost")]));
    world.hush(&[olga]);
    world.announce(lamp, 0);
    assert_eq!(world.hear(olga), [""; 0]);
    world.ask(olga, Command::Unblock(None));
    assert_eq!(
        world.hear(olga),
        ["done", "lamp@localhost/x available (delayed)"]
    );
}

#[test]
fn who_may_see_an_account_by_groups_may_ask_for_all_that_shows_presence() {
    let mut world = world_with(ward());
    let olga = world.online("olga", "desk", 0);
    let lamp = world.online("lamp", "x", 0);
    world.hush(&[olga, lamp]);
    let probe = |to: &str| Command::Probe {
        to: jid(to),
        id: None,
    };
    world.ask(olga, probe("lamp@localhost"));
    assert_eq!(world.hear(olga), ["lamp@localhost/x available (delayed)"]);
    world.ask(lamp, probe("olga@localhost"));
    assert_eq!(world.hear(lamp), ["unsubscribed from olga@localhost"]);
    let activity = |of: &str| Command::Activity { of: jid(of) };
    assert!(world.request(olga, activity("lamp@localhost")).is_ok());
    let refused = world.request(lamp, activity("olga@localhost"));
    assert_eq!(refused.unwrap_err().reason, Reason::Forbidden);
    let describe = |name: &str| Command::Describe {
        account: bare(name),
    };
    assert!(world.request(olga, describe("lamp")).is_ok());
    assert!(world.request(lamp, describe("olga")).is_err());
    let acquaintance = |world: &mut World, owner: &str, contact: &str| {
        let router = &mut world.router;
        let seen = world::World {
            directory: &mut router.directory,
            residency: &router.residency,
        };
        let known = crate::service::Directory::acquaintance(&seen, &bare(owner), &bare(contact));
        (known.sees, known.seen, known.groups.join("+"))
    };
    let shown = acquaintance(&mut world, "lamp", "olga");
    assert_eq!(shown, (true, false, String::new()));
    let seen = acquaintance(&mut world, "olga", "lamp");
    assert_eq!(seen, (false, true, "Devices".into()));
}

#[test]
fn a_roster_lists_as_many_shared_contacts_as_its_bound_and_the_presence_of_all_is_told() {
    let mut settings = with(ward());
    settings.limits.roster_items = 3;
    let mut world = World::with(settings);
    world.store.add_account(&bare("olga"), Role::Operator);
    let devices: Vec<_> = (0..10)
        .map(|n| world.online(&format!("d{n}"), "x", 0))
        .collect();
    let olga = world.online("olga", "desk", 0);
    assert_eq!(world.hear(olga).len(), 1 + 10);
    assert_eq!(world.roster(olga, None).0.unwrap().len(), 3);
    world.announce(devices[9], 1);
    assert_eq!(world.hear(olga), ["d9@localhost/x available"]);
}

#[test]
fn a_roster_that_cannot_be_read_is_refused_and_asked_again() {
    let mut world = world_with(ward());
    let olga = world.connected("olga", "desk");
    world.roster(olga, None);
    world.store.blind = true;
    let get = || Command::GetRoster { version: None };
    let refused = world.request(olga, get()).unwrap_err();
    assert_eq!(refused.reason, Reason::ResourceConstraint);
    world.store.blind = false;
    assert!(world.request(olga, get()).is_ok());
}

#[test]
fn s13_an_access_rule_that_names_a_group_decides_for_its_members() {
    let publishers = [Action::Publish, Action::Create].into_iter().collect();
    let rule = Rule::new(
        Who::Group("Night shift".into()),
        publishers,
        "doors/#",
        true,
    );
    let nobody = Rule::new(Who::All, publishers, "doors/#", false);
    let access = || AccessRules::new(vec![rule.clone().unwrap(), nobody.clone().unwrap()]);
    let night = |name: &str| vec![group("Night shift", &[Who::Account(name.into())], &[])];
    let mut world = World::with(RouterSettings {
        access: access(),
        ..with(night("nora"))
    });
    let (nora, nils) = (world.connected("nora", "x"), world.connected("nils", "x"));
    let publish = || pubsub::publish("doors/1", 1);
    assert!(world.request(nora, publish()).is_ok());
    let refused = world.request(nils, publish()).unwrap_err().reason;
    assert_eq!(refused, Reason::Forbidden);
    let settings = RouterSettings {
        access: access(),
        ..with(night("nils"))
    };
    world.router.reload(reloaded(settings), world.now);
    assert!(world.request(nora, publish()).is_err(), "another night");
    world.settle();
}
