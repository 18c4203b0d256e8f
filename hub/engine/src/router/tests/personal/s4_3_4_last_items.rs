//! XEP-0163 §4.3.4, XEP-0060 §7.1.2.1: what is shown to who comes.

use super::*;

#[test]
fn each_resource_is_shown_the_last_item_once_a_presence_session() {
    let mut world = world();
    let juliet = world.online("juliet", "balcony", 0);
    world.tell(juliet, MOOD, "1");
    world.tell(juliet, MOOD, "2");
    for resource in ["orchard", "phone"] {
        let romeo = world.client("romeo", resource, 1);
        assert_eq!(world.items(romeo), ["node urn:mood (delayed)"]);
        world.announce(romeo, 3);
        world.capable(romeo, 1);
        assert!(world.items(romeo).is_empty());
        world.ask(romeo, Command::Announce(unavailable(None)));
        world.announce(romeo, 0);
        world.capable(romeo, 1);
        assert_eq!(world.items(romeo), ["node urn:mood (delayed)"]);
    }
    // The account's own resources too.
    let chamber = world.client("juliet", "chamber", 1);
    assert_eq!(world.items(chamber), ["node urn:mood (delayed)"]);
}

#[test]
fn new_capabilities_show_what_is_new_in_them_and_end_what_is_not_in_them_any_more() {
    let mut world = world();
    let juliet = world.online("juliet", "balcony", 0);
    world.tell(juliet, MOOD, "1");
    world.tell(juliet, PLACE, "1");
    let romeo = world.client("romeo", "orchard", 1);
    world.hush(&[romeo]);
    world.capable(romeo, 2);
    assert_eq!(world.items(romeo), ["node urn:place (delayed)"]);
    world.tell(juliet, MOOD, "2");
    assert_eq!(world.items(romeo), ["node urn:mood"]);
    world.capable(romeo, 3);
    world.tell(juliet, MOOD, "3");
    assert!(world.items(romeo).is_empty());
}

#[test]
fn never_means_never_and_a_node_that_left_memory_is_shown_all_the_same() {
    let mut world = world();
    let juliet = world.online("juliet", "balcony", 0);
    world.tell_with(juliet, MOOD, "1", &[("send_last_published_item", "never")]);
    world.tell(juliet, PLACE, "1");
    for name in [MOOD, PLACE] {
        world.router.pubsub.unload(&NodeAddress {
            host: Some(bare("juliet")),
            node: node(name),
        });
    }
    let romeo = world.client("romeo", "orchard", 2);
    assert_eq!(world.items(romeo), ["node urn:place (delayed)"]);
}

#[test]
fn s16_4_4_an_expired_item_is_not_shown() {
    let mut world = world();
    let juliet = world.online("juliet", "balcony", 0);
    world.tell_with(juliet, MOOD, "1", &[("item_expire", "30")]);
    let romeo = world.client("romeo", "orchard", 1);
    assert_eq!(world.items(romeo), ["node urn:mood (delayed)"]);
    world.pass(60);
    let romeo = world.client("romeo", "phone", 1);
    assert!(world.items(romeo).is_empty());
}

#[test]
fn the_store_is_asked_again_if_it_could_not_say() {
    let mut world = world();
    let juliet = world.online("juliet", "balcony", 0);
    world.tell(juliet, MOOD, "1");
    let romeo = world.online("romeo", "orchard", 0);
    world.store.blind = true;
    world.capable(romeo, 1);
    assert!(world.items(romeo).is_empty());
    world.store.blind = false;
    world.pass(2);
    world.router.handle_timeout(world.now);
    world.settle();
    assert_eq!(world.items(romeo), ["node urn:mood (delayed)"]);
}

#[test]
fn s10_a_thousand_contacts_come_as_the_mailbox_drains_each_once_whatever_is_published_meanwhile() {
    let mut world = world();
    for number in 0..CONTACTS {
        world.befriend(&format!("d{number:04}"), "operator");
    }
    all_come_once(world);
}

#[test]
fn s10_members_of_groups_come_so_too() {
    let mut world = by_groups::world();
    world.store.add_account(&bare("operator"), Role::Operator);
    all_come_once(world);
}

const CONTACTS: usize = 300;

/// So many devices publish before and while an operator is shown their items.
fn all_come_once(mut world: World) {
    let mut contacts = Vec::new();
    for number in 0..CONTACTS {
        let name = format!("d{number:04}");
        let id = world.online(&name, "x", 0);
        world.tell(id, MOOD, "old");
        world.hush(&[id]);
        contacts.push(id);
    }
    world.drains = false;
    let operator = world.online("operator", "desk", 0);
    world.capable(operator, 1);
    let (mut shown, mut told, mut rounds) = (Vec::new(), Vec::new(), 0);
    loop {
        let entries = world.entries(operator);
        if entries.is_empty() {
            break;
        }
        rounds += 1;
        let events = entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Event { .. }))
            .count();
        assert!(
            events <= 4 * crate::limits::CURSOR_BATCH,
            "{events} at once"
        );
        for entry in entries {
            match entry {
                Entry::Continue(cursor) => {
                    // In the midst of it some of them publish anew.
                    for at in [rounds % CONTACTS, CONTACTS - 1 - rounds % CONTACTS] {
                        world.tell(contacts[at], MOOD, &format!("new{rounds}"));
                    }
                    world.ask(operator, Command::Continue(cursor));
                }
                Entry::Event { event, delay, .. } => {
                    let What::Node(node) = &event.what else {
                        continue;
                    };
                    let crate::event::NodeChange::Published { item, .. } = &node.change else {
                        continue;
                    };
                    let host = node.at.host.clone().unwrap();
                    let seen = (host, item.id.clone());
                    if delay.is_some() {
                        shown.push(seen);
                    } else {
                        told.push(seen);
                    }
                }
                _ => {}
            }
        }
    }
    assert!(rounds > CONTACTS / crate::limits::CURSOR_BATCH, "{rounds}");
    let hosts: std::collections::HashSet<_> = shown.iter().map(|(host, _)| host).collect();
    assert_eq!((shown.len(), hosts.len()), (CONTACTS, CONTACTS));
    for seen in &told {
        assert!(!shown.contains(seen), "{seen:?} came twice");
    }
    // Whoever was shown the old item was told of the new one.
    let newest: Vec<_> = (0..CONTACTS)
        .map(|number| {
            let host = bare(&format!("d{number:04}"));
            let at = NodeAddress {
                host: Some(host.clone()),
                node: node(MOOD),
            };
            (
                host,
                world
                    .store
                    .node(&at)
                    .unwrap()
                    .last
                    .clone()
                    .unwrap()
                    .id
                    .clone(),
            )
        })
        .collect();
    for newest in newest {
        assert!(
            shown.contains(&newest) || told.contains(&newest),
            "{newest:?}"
        );
    }
}

#[test]
fn a_node_of_the_service_shows_its_last_item_to_a_subscriber_who_comes() {
    let mut world = World::new();
    let owner = world.connected("owner", "x");
    let name = "devices/owner/t";
    let options = [("send_last_published_item", "on_sub_and_presence")];
    world.at(owner, None, publish(name, "1", &options));
    let operator = world.connected("owner", "desk");
    let subscribe = PubsubAction::Subscribe {
        node: node(name),
        jid: jid("owner@localhost"),
        options: None,
    };
    world.at(operator, None, subscribe);
    world.hush(&[operator]);
    world.announce(operator, 0);
    assert_eq!(world.items(operator), [format!("node {name} (delayed)")]);
    world.announce(operator, 1);
    assert!(world.items(operator).is_empty());
}
