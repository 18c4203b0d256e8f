//! Who hears of a node is kept up to date by what changed (S15, S18).

use super::world::*;
use crate::{
    access::{AccessRules, Rule, Who},
    address::Jid,
    class::{Class, ClassRules},
    command::PubsubAction,
    item::Affiliation,
    limits::Limits,
    node::NodeAddress,
};

/// A world in which everybody may create, publish, read and subscribe to filters.
fn open_world() -> World {
    let mut world = World::new();
    let everything = Rule::new(Who::All, crate::access::Actions::ALL, "#", true).unwrap();
    world.pubsub.set_rules(
        AccessRules::new(vec![everything]),
        ClassRules::default(),
        crate::history::HistoryRules::default(),
        Limits::default(),
        &|_| None,
        &mut world.directory,
    );
    world
}

fn leave(world: &mut World, name: &str, from: &str, jid: &str) {
    let unsubscribe = PubsubAction::Unsubscribe {
        node: node(from),
        jid: Jid::parse(jid).unwrap(),
        subid: None,
    };
    world.ask(&device(name), unsubscribe).unwrap();
}

#[test]
fn subscribers_who_come_and_go_one_by_one_between_publishes_are_no_new_list_each() {
    let (mut world, dev7) = (open_world(), device("dev7"));
    world.create(&dev7, "free/a", &[]);
    for number in 0..300 {
        let name = format!("d{number}");
        let from = if number % 2 == 0 { "free/a" } else { "free/#" };
        let jid = format!("{name}@localhost");
        world.subscribe(&device(&name), from, &jid).unwrap();
        // The last item, which a new subscriber is sent.
        world.heard();
        world.publish(&dev7, "free/a", "1").unwrap();
        assert_eq!(world.heard().len(), number + 1);
    }
    for number in 0..300 {
        let name = format!("d{number}");
        let from = if number % 2 == 0 { "free/a" } else { "free/#" };
        leave(&mut world, &name, from, &format!("{name}@localhost"));
        world.publish(&dev7, "free/a", "1").unwrap();
        assert_eq!(world.heard().len(), 299 - number);
    }
    let built = world.pubsub.status().audiences_built;
    // At the first publish, when the filter came and when it went.
    assert!(built <= 3, "{built}");
}

#[test]
fn a_filter_that_does_not_match_leaves_a_nodes_list_alone() {
    let (mut world, dev7) = (open_world(), device("dev7"));
    world.create(&dev7, "free/a", &[]);
    world.publish(&dev7, "free/a", "1").unwrap();
    for number in 0..1_000 {
        let name = format!("d{number}");
        let filter = format!("other/{number}/#");
        world
            .subscribe(&device(&name), &filter, &format!("{name}@localhost"))
            .unwrap();
    }
    world.publish(&dev7, "free/a", "2").unwrap();
    assert_eq!(world.pubsub.status().audiences_built, 1);
}

#[test]
fn what_was_kept_up_to_date_is_what_would_be_made_anew() {
    let (mut world, dev7) = (open_world(), device("dev7"));
    world.create(&dev7, "free/a", &[]);
    let at = NodeAddress::of_service(node("free/a"));
    let froms = ["free/a", "free/#", "+/a", "#", "other/#"];
    let mut random = 7_u32;
    let mut below = |bound: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % bound
    };
    for step in 0..3_000 {
        let who = device(&format!("d{}", below(40)));
        let bare = who.subject.jid.to_string();
        let jid = if below(3) == 0 {
            who.jid.to_string()
        } else {
            bare
        };
        let from = froms[below(5) as usize];
        match below(20) {
            // An outcast is refused.
            0..9 => drop(world.subscribe(&who, from, &jid)),
            9..17 => {
                // Whether it was subscribed does not matter here.
                let _ = world.ask(
                    &who,
                    PubsubAction::Unsubscribe {
                        node: node(from),
                        jid: Jid::parse(&jid).unwrap(),
                        subid: None,
                    },
                );
            }
            17 => world.pubsub.session_ended(&who.jid),
            18 => {
                let outcast = PubsubAction::SetAffiliations {
                    node: node("free/a"),
                    changes: vec![(
                        who.subject.jid.clone(),
                        if below(2) == 0 {
                            Affiliation::Outcast
                        } else {
                            Affiliation::None
                        },
                    )],
                };
                world.ask(&dev7, outcast).unwrap();
            }
            _ => world.pubsub.account_removed(&who.subject.jid),
        }
        if below(3) > 0 {
            continue;
        }
        let pubsub = &mut world.pubsub;
        let there = pubsub.nodes.get_mut(&at).unwrap();
        let mut list = |there: &mut crate::service::pubsub::node::Node| {
            let list = there.audience(
                &at,
                Class::Event,
                &pubsub.interest,
                &mut world.directory,
                &mut 0,
            );
            let said = |tag: &crate::mailbox::SubscriptionTag| {
                (tag.subids.clone(), tag.collection.clone())
            };
            let list = list
                .iter()
                .map(|one| (one.to, one.tag.as_deref().map(said)));
            list.collect::<Vec<_>>()
        };
        let kept = list(there);
        there.audience.invalidate();
        assert_eq!(kept, list(there), "step {step}");
        there.audience.invalidate();
        list(there);
    }
}
