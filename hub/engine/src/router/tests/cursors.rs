//! S10 and S12: much to tell, little room.

use super::*;
use crate::{
    class::Class,
    item::Item,
    node::{ItemId, NodeAddress, NodeId},
};

fn with_mailbox(events: usize) -> World {
    World::with(RouterSettings {
        budget: MailboxBudget::new(events, 1 << 20, 128 << 20),
        ..settings()
    })
}

#[test]
fn s10_an_operator_with_ten_thousand_devices_logs_in_with_a_small_mailbox() {
    let mut world = with_mailbox(100);
    for n in 0..10_000 {
        let name = format!("d{n:05}");
        world.befriend("operator", &name);
        if n % 2 == 0 {
            let device = world.connected(&name, "x");
            world.announce(device, 0);
            world.hush(&[device]);
        }
    }
    let queries = world.store.queries;
    let operator = world.connected("operator", "console");
    world.announce(operator, 0);
    let heard = world.hear(operator);
    assert_eq!(heard.len(), 1 + 5_000);
    assert_eq!(heard[1], "d00000@localhost/x available (delayed)");
    assert_eq!(heard[5_000], "d09998@localhost/x available (delayed)");
    assert_eq!(world.router.budget.dropped(), 0);
    assert!(
        world.store.queries - queries <= 3,
        "one roster, not ten thousand"
    );
}

#[test]
fn s7_a_long_fan_out_goes_in_slices_and_keeps_its_order() {
    let mut world = World::new();
    let devices: Vec<_> = (0..3_000)
        .map(|n| {
            let name = format!("d{n:04}");
            world.befriend("operator", &name);
            let device = world.connected(&name, "x");
            world.announce(device, 0);
            world.hear(device);
            device
        })
        .collect();
    let operator = world.connected("operator", "console");
    let (first, last) = (devices[0], devices[2_999]);
    world.router.handle(
        operator,
        Token::default(),
        Command::Announce(available(0)),
        world.now,
    );
    world.settle();
    world.hush(&[first, last, operator]);
    // The shell has not called `work` yet: what follows from the same account queues behind.
    world.router.handle(
        operator,
        Token::default(),
        Command::Announce(available(1)),
        world.now,
    );
    world.router.handle(
        operator,
        Token::default(),
        message("d2999@localhost/x", MessageKind::Chat, "now"),
        world.now,
    );
    assert_eq!(world.hear(first), ["operator@localhost/console available"]);
    assert_eq!(world.hear(last), [""; 0]);
    assert!(world.router.work());
    assert_eq!(world.hear(last), [""; 0]);
    world.settle();
    assert_eq!(
        world.hear(last),
        ["operator@localhost/console available", "message now"]
    );
}

#[test]
fn who_writes_to_an_absent_account_cannot_shut_it_out() {
    let mut world = World::new();
    world.account("juliet");
    let stranger = world.connected("stranger", "x");
    let long = "x".repeat(200_000);
    for _ in 0..20 {
        let text = message("juliet@localhost", MessageKind::Chat, &long);
        world.ask(stranger, text);
    }
    let balcony = world.connected("juliet", "balcony");
    world.announce(balcony, 0);
    let heard = world.hear(balcony);
    assert!(!heard.iter().any(|heard| heard.starts_with("end")));
    let messages = heard.iter().filter(|heard| heard.starts_with("message"));
    assert_eq!(
        messages.count(),
        20,
        "all that was kept comes, a few at a time"
    );
}

#[test]
fn s12_owed_alarms_come_after_every_login_until_they_are_acknowledged() {
    let mut world = World::new();
    world.account("operator");
    let at = NodeAddress::of_service(NodeId::parse("devices/d1/fall").unwrap());
    let alarms = (1..=100).map(|n| {
        let item = Item {
            id: ItemId::parse(&n.to_string()).unwrap(),
            publisher: FullJid::parse("d1@localhost/x").unwrap(),
            published: Timestamp::default(),
            payload: None,
            class: Class::Alarm,
        };
        (n, at.clone(), Arc::new(item))
    });
    world.store.owed.insert(bare("operator"), alarms.collect());
    for _ in 0..2 {
        let operator = world.connected("operator", "console");
        world.announce(operator, 0);
        let heard = world.hear(operator);
        let alarms = heard
            .iter()
            .filter(|heard| *heard == "node devices/d1/fall (delayed)")
            .count();
        assert_eq!(alarms, 100);
        world.ask(operator, Command::Detach(EndReason::LinkLost));
    }
}
