//! Personal nodes of accounts that are seen by shared roster groups alone, and by groups that change.

use super::{
    super::groups::{group, role, ward, with, world_with},
    *,
};

/// Operators see devices and each other.
pub(super) fn world() -> World {
    let mut world = world_with(ward());
    world.teach(1, &[MOOD]);
    world
}

fn mood_of(name: &str) -> NodeAddress {
    NodeAddress {
        host: Some(bare(name)),
        node: node(MOOD),
    }
}

fn subscribe(name: &str) -> PubsubAction {
    PubsubAction::Subscribe {
        node: node(MOOD),
        jid: bare(name).into(),
        options: None,
    }
}

#[test]
fn xep_0163_s4_3_4_who_comes_is_shown_the_items_of_members_absent_ones_too_and_hears_of_the_next() {
    let mut world = world();
    let lamp = world.online("lamp", "x", 0);
    world.tell(lamp, MOOD, "1");
    let door = world.online("door", "x", 0);
    world.tell(door, MOOD, "1");
    world.ask(door, Command::Detach(EndReason::Farewell));
    // Whoever is seen by a handshake too is shown once.
    world.befriend("lamp", "otto");
    for name in ["olga", "otto"] {
        let operator = world.client(name, "desk", 1);
        let late = "node urn:mood (delayed)";
        assert_eq!(world.items(operator), [late, late], "{name}");
        world.tell(lamp, MOOD, "2");
        assert_eq!(world.items(operator), ["node urn:mood"], "{name}");
    }
    let watch = world.client("watch", "x", 1);
    assert!(world.items(watch).is_empty(), "a device sees nobody");
}

#[test]
fn the_store_is_asked_for_members_again_if_it_could_not_say() {
    let mut world = world();
    let lamp = world.online("lamp", "x", 0);
    world.tell(lamp, MOOD, "1");
    let olga = world.online("olga", "desk", 0);
    world.store.blind = true;
    world.capable(olga, 1);
    assert!(world.items(olga).is_empty());
    world.store.blind = false;
    for _ in 0..2 {
        world.pass(2);
        world.router.handle_timeout(world.now);
        world.settle();
    }
    assert_eq!(world.items(olga), ["node urn:mood (delayed)"]);
}

#[test]
fn who_comes_into_sight_by_another_role_is_shown_its_items_and_who_goes_is_not_heard_any_more() {
    let mut world = world();
    let admin = world.operator();
    let nora = world.client("nora", "x", 1);
    let lamp = world.online("lamp", "x", 0);
    world.tell(lamp, MOOD, "1");
    assert!(world.items(nora).is_empty());
    // Nora sees others.
    world.set_role(admin, "nora", Role::Operator);
    assert_eq!(world.items(nora), ["node urn:mood (delayed)"]);
    world.tell(lamp, MOOD, "2");
    assert_eq!(world.items(nora), ["node urn:mood"]);
    world.at(nora, Some("lamp"), subscribe("nora"));
    world.hush(&[nora]);
    // The lamp is seen by others.
    world.set_role(admin, "lamp", Role::Service);
    assert_eq!(
        world.items(nora),
        ["node urn:mood"],
        "its subscription is over"
    );
    assert!(
        world
            .store
            .node(&mood_of("lamp"))
            .unwrap()
            .subscriptions
            .is_empty()
    );
    world.tell(lamp, MOOD, "3");
    assert!(world.items(nora).is_empty());
    world.set_role(admin, "lamp", Role::Device);
    assert_eq!(world.items(nora), ["node urn:mood (delayed)"]);
    world.tell(lamp, MOOD, "4");
    assert_eq!(world.items(nora), ["node urn:mood"]);
    world.at(nora, Some("lamp"), subscribe("nora"));
    world.hush(&[nora]);
    // And Nora sees nobody again.
    world.set_role(admin, "nora", Role::Device);
    assert_eq!(
        world.items(nora),
        ["node urn:mood"],
        "its subscription is over"
    );
    assert!(
        world
            .store
            .node(&mood_of("lamp"))
            .unwrap()
            .subscriptions
            .is_empty()
    );
    world.tell(lamp, MOOD, "5");
    assert!(world.items(nora).is_empty());
}

#[test]
fn a_node_of_the_roster_model_heeds_another_role_of_its_audience() {
    let groups = vec![
        group("Devices", &[role(Role::Device)], &[role(Role::Operator)]),
        group("Helpers", &[role(Role::Service)], &[role(Role::Operator)]),
        group(
            "Staff",
            &[role(Role::Operator)],
            &[role(Role::Device), role(Role::Service)],
        ),
    ];
    let mut world = world_with(groups);
    world.teach(1, &[MOOD]);
    let admin = world.operator();
    let olga = world.online("olga", "desk", 0);
    let lamp = world.client("lamp", "x", 1);
    world.hush(&[lamp]);
    let model = [
        ("access_model", "roster"),
        ("roster_groups_allowed", "Devices"),
    ];
    world.tell_with(olga, MOOD, "1", &model);
    assert_eq!(world.items(lamp), ["node urn:mood"]);
    // It sees Olga as before, but it is no device.
    world.set_role(admin, "lamp", Role::Service);
    world.hush(&[lamp]);
    world.tell(olga, MOOD, "2");
    assert!(world.items(lamp).is_empty());
    world.set_role(admin, "lamp", Role::Device);
    world.hush(&[lamp]);
    world.tell(olga, MOOD, "3");
    assert_eq!(world.items(lamp), ["node urn:mood"]);
}

#[test]
fn groups_that_change_by_a_reload_show_what_they_bring_and_end_what_they_take() {
    let mut world = world();
    let olga = world.client("olga", "desk", 1);
    let nora = world.online("nora", "x", 0);
    world.tell(nora, MOOD, "1");
    world.hush(&[olga]);
    world.reload(with(Vec::new()));
    world.tell(nora, MOOD, "2");
    assert!(world.items(olga).is_empty());
    world.reload(with(ward()));
    assert_eq!(world.items(olga), ["node urn:mood (delayed)"]);
    world.tell(nora, MOOD, "3");
    assert_eq!(world.items(olga), ["node urn:mood"]);
}
