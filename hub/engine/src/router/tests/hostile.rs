//! What somebody tries who wants more than is theirs, and what must not come of races: through the router.

use super::{
    groups::{ward, world_with},
    *,
};
use crate::{
    command::{Field, NewItem, PubsubAction, PubsubRequest},
    item::Affiliation,
    node::{ItemId, NodeAddress, NodeId},
    payload::Payload,
};

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

fn at(host: Option<&str>, action: PubsubAction) -> Command {
    let host = host.map(bare);
    Command::Pubsub(Box::new(PubsubRequest { host, action }))
}

fn fields(options: &[(&str, &str)]) -> Vec<Field> {
    let field = |&(var, value): &(&str, &str)| Field {
        var: format!("pubsub#{var}").into(),
        values: vec![value.into()],
    };
    options.iter().map(field).collect()
}

fn publish(name: &str, id: &str) -> PubsubAction {
    PubsubAction::Publish {
        node: node(name),
        items: vec![NewItem {
            id: Some(ItemId::parse(id).unwrap()),
            payload: Some(Payload::xml("<x xmlns='urn:x'/>".into())),
        }],
        options: None,
    }
}

fn subscribe(name: &str, who: &str, options: &[(&str, &str)]) -> PubsubAction {
    PubsubAction::Subscribe {
        node: node(name),
        jid: jid(who),
        options: Some(fields(options)),
    }
}

#[test]
fn xep0163_s8_who_no_longer_sees_an_account_by_its_role_hears_nothing_of_its_nodes() {
    let mut world = world_with(ward());
    let admin = world.operator();
    let lamp = world.online("lamp", "x", 0);
    let olga = world.online("olga", "desk", 0);
    world
        .request(lamp, at(Some("lamp"), publish("urn:mood", "1")))
        .unwrap();
    world
        .request(
            olga,
            at(Some("lamp"), subscribe("urn:mood", "olga@localhost", &[])),
        )
        .unwrap();
    world.hush(&[lamp, olga]);
    let told = |world: &mut World, id: &str| {
        world
            .request(lamp, at(Some("lamp"), publish("urn:mood", id)))
            .unwrap();
        let heard = world.hear(olga).into_iter();
        heard.filter(|line| line.starts_with("node ")).count()
    };
    assert_eq!(told(&mut world, "2"), 1);
    let request = AdminRequest::AddAccount {
        account: bare("olga"),
        role: Role::Device,
        credentials: Box::new(keys()),
        replace: true,
    };
    world.admin(admin, request).unwrap();
    world.hush(&[lamp, olga]);
    assert_eq!(told(&mut world, "3"), 0);
}

#[test]
fn whoever_an_owner_names_leaves_nothing_behind() {
    let mut world = World::new();
    let lamp = world.online("lamp", "x", 0);
    let name = "devices/lamp/a";
    world.request(lamp, at(None, publish(name, "1"))).unwrap();
    for number in 0..50 {
        let somebody = BareJid::parse(&format!("nobody{number}@localhost")).unwrap();
        for affiliation in [Affiliation::Member, Affiliation::Owner, Affiliation::None] {
            let word = PubsubAction::SetAffiliations {
                node: node(name),
                changes: vec![(somebody.clone(), affiliation)],
            };
            world.request(lamp, at(None, word)).unwrap();
        }
        assert!(world.router.directory.known(&somebody).is_none());
    }
}

#[test]
fn s9_one_recipient_with_ever_new_frequencies_does_not_fill_the_room_for_digests() {
    let mut world = World::new();
    world.store.add_account(&bare("op"), Role::Operator);
    let lamp = world.online("lamp", "x", 0);
    let op = world.online("op", "desk", 0);
    for number in 0..8 {
        let name = format!("devices/lamp/{number}");
        world.request(lamp, at(None, publish(&name, "0"))).unwrap();
        let millis = (10_000 + number).to_string();
        let options = [("digest", "1"), ("digest_frequency", millis.as_str())];
        let wish = subscribe(&name, "op@localhost", &options);
        world.request(op, at(None, wish)).unwrap();
        world.request(lamp, at(None, publish(&name, "1"))).unwrap();
    }
    assert_eq!(world.router.post.digests.count(), 4);
    world.hush(&[op]);
    // The slowest of them, and all have come.
    world.pass(11);
    world.router.handle_timeout(world.now);
    world.settle();
    let heard = world.hear(op).into_iter();
    assert_eq!(heard.filter(|line| line.starts_with("node ")).count(), 8);
}

#[test]
fn s5_a_node_that_is_deleted_while_it_is_read_does_not_come_back() {
    let mut world = World::new();
    let lamp = world.online("lamp", "x", 0);
    let name = "devices/lamp/a";
    for id in ["1", "2"] {
        world.request(lamp, at(None, publish(name, id))).unwrap();
    }
    let retract = PubsubAction::Retract {
        node: node(name),
        items: vec![ItemId::parse("2").unwrap()],
        notify: false,
    };
    world.request(lamp, at(None, retract)).unwrap();
    world.store.add_account(&bare("boss"), Role::Admin);
    let boss = world.online("boss", "x", 0);
    // A subscriber needs the last item, and the store is slow.
    let other = world.online("lamp", "other", 0);
    world.store.held = true;
    world.ask(other, at(None, subscribe(name, "lamp@localhost", &[])));
    let early = world.store.hold_back();
    let delete = PubsubAction::Delete {
        node: node(name),
        redirect: None,
    };
    world.ask(lamp, at(None, delete));
    // Whoever asks for it meanwhile is told that it is not there.
    let get = PubsubAction::GetConfig { node: node(name) };
    world.ask(boss, at(None, get));
    world.store.held = false;
    world.router.handle_stored(early, world.now);
    world.settle();
    let there = NodeAddress::of_service(node(name));
    assert!(!world.router.pubsub.is_resident(&there));
}

#[test]
fn s4_5_a_last_item_is_shown_to_who_is_in_the_group_and_to_nobody_else_though_the_owner_is_away() {
    let mut world = World::new();
    world.store.add_account(&bare("juliet"), Role::Admin);
    let juliet = world.online("juliet", "x", 0);
    world.befriend("juliet", "romeo");
    world.befriend("juliet", "paris");
    let group = |jid: &str| Command::SetContact {
        jid: bare(jid),
        name: None,
        groups: vec!["Friends".into()],
    };
    world.request(juliet, group("romeo")).unwrap();
    let options = [
        ("access_model", "roster"),
        ("roster_groups_allowed", "Friends"),
        ("send_last_published_item", "on_sub_and_presence"),
    ];
    let PubsubAction::Publish { node, items, .. } = publish("home/a", "1") else {
        panic!()
    };
    let make = PubsubAction::Publish {
        node: node.clone(),
        items,
        options: Some(fields(&options)),
    };
    world.request(juliet, at(None, make)).unwrap();
    let admit = PubsubAction::SetAffiliations {
        node: node.clone(),
        changes: vec![(bare("paris"), Affiliation::Member)],
    };
    world.request(juliet, at(None, admit)).unwrap();
    for name in ["romeo", "paris"] {
        let id = world.connected(name, "old");
        let wish = PubsubAction::Subscribe {
            node: node.clone(),
            jid: bare(name).into(),
            options: None,
        };
        world.request(id, at(None, wish)).unwrap();
        world.ask(id, Command::Detach(EndReason::Farewell));
    }
    // What the store has, memory does not: it may be older than what the roster says now.
    let there = NodeAddress::of_service(node);
    world.router.pubsub.unload(&there);
    world
        .store
        .affiliate(&there, &bare("paris"), Affiliation::None);
    world.ask(juliet, Command::Detach(EndReason::Farewell));
    world.router.residency.forget(&bare("juliet"));
    let mut told = |name: &str| {
        let id = world.online(name, "new", 0);
        let heard = world.hear(id).into_iter();
        heard.filter(|line| line.starts_with("node ")).count()
    };
    assert_eq!(told("romeo"), 1);
    assert_eq!(told("paris"), 0);
}

#[test]
fn s12_19_a_lease_that_is_over_gives_no_right_to_read_whatever_the_timers_do() {
    let mut world = World::new();
    world.store.add_account(&bare("boss"), Role::Admin);
    let boss = world.online("boss", "x", 0);
    let romeo = world.online("romeo", "x", 0);
    let PubsubAction::Publish { node, items, .. } = publish("home/a", "1") else {
        panic!()
    };
    let make = PubsubAction::Publish {
        node: node.clone(),
        items,
        options: Some(fields(&[("access_model", "authorize")])),
    };
    world.request(boss, at(None, make)).unwrap();
    let ends = Timestamp::from_micros(world.now.wall.micros() + 100_000_000).to_string();
    let wish = subscribe("home/a", "romeo@localhost", &[("expire", ends.as_str())]);
    world.request(romeo, at(None, wish)).unwrap();
    let yes = PubsubAction::Authorize {
        node: node.clone(),
        jid: jid("romeo@localhost"),
        subid: None,
        allow: true,
    };
    world.request(boss, at(None, yes)).unwrap();
    let get = |world: &mut World| {
        let items = PubsubAction::Items {
            node: node.clone(),
            ids: Vec::new(),
            max: None,
            subid: None,
            page: None,
            order: crate::item::Order::default(),
        };
        let asked = world.request(romeo, at(None, items));
        asked.err().map(|refusal| refusal.reason)
    };
    world.hush(&[boss, romeo]);
    world.pass(101);
    assert_eq!(get(&mut world), Some(Reason::NotAuthorized));
    // From the disk, too.
    let there = NodeAddress::of_service(node.clone());
    world.router.pubsub.unload(&there);
    assert_eq!(get(&mut world), Some(Reason::NotAuthorized));
}
