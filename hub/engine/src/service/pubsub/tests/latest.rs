//! "A subscriber always sees the latest item, and each item once": under whatever else happens to the node.

use super::world::*;
use crate::{
    address::Jid,
    command::{PubsubAction, Reply},
    refusal::Refusal,
};

const NODE: &str = "free/a";

/// Numbers that look random and are the same in every run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, many: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % many
    }

    fn one_of<'a>(&mut self, all: &'a [String]) -> Option<&'a String> {
        let at = self.below(all.len().max(1) as u64);
        all.get(at as usize)
    }
}

fn configure(world: &mut World, var: &str, value: &str) -> Result<Reply, Refusal> {
    let action = PubsubAction::Configure {
        node: node(NODE),
        config: fields(&[(var, value)]),
    };
    world.ask(&device("owner"), action)
}

#[test]
fn a_subscriber_always_sees_the_latest_item_and_each_item_once() {
    for seed in 1..=200 {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut world = World::new();
        world.create(&device("owner"), NODE, &[("max_items", "3")]);
        let (mut subscribed, mut made, mut full) = (false, 0, "discard-oldest");
        for step in 0..120 {
            let before = world.ids(NODE);
            let mut expected: Vec<String> = Vec::new();
            let mut latest = false;
            match chance.below(12) {
                // Something new, or something that is there already, once more.
                roll @ 0..=4 => {
                    let again = (roll == 0).then(|| chance.one_of(&before)).flatten();
                    made += 1;
                    let id = again.cloned().unwrap_or_else(|| made.to_string());
                    let done = world.publish(&device("owner"), NODE, &id);
                    expected.push(format!("item {id}"));
                    let after = world.ids(NODE);
                    if done.is_err() {
                        assert_eq!((full, after.len()), ("reject", before.len()));
                        expected.clear();
                    } else if full == "retract-oldest" {
                        let gone = before.iter().filter(|id| !after.contains(id));
                        expected.extend(gone.map(|id| format!("retract [{id:?}]")));
                    }
                    latest = done.is_ok();
                }
                5 | 6 => {
                    if let Some(id) = chance.one_of(&before) {
                        world.ask(&device("owner"), retract(NODE, id)).unwrap();
                        expected.push(format!("retract [{id:?}]"));
                    }
                }
                7 => {
                    let many = (1 + chance.below(5)).to_string();
                    configure(&mut world, "max_items", &many).unwrap();
                }
                8 => {
                    full = ["discard-oldest", "retract-oldest", "reject"][chance.below(3) as usize];
                    configure(&mut world, "publish_node_full", full).unwrap();
                }
                9 => {
                    let purge = PubsubAction::Purge { node: node(NODE) };
                    world.ask(&device("owner"), purge).unwrap();
                    expected.push("purge".into());
                }
                // The node, or all that the hub has in memory, is read anew.
                10 => world.restart(),
                _ => {
                    let jid = Jid::parse("sub@localhost").unwrap();
                    if subscribed {
                        let leave = PubsubAction::Unsubscribe {
                            node: node(NODE),
                            jid,
                            subid: None,
                        };
                        world.ask(&device("sub"), leave).unwrap();
                        subscribed = false;
                    } else {
                        world.subscribe(&device("sub"), NODE, jid.as_str()).unwrap();
                        subscribed = true;
                        expected.extend(before.last().map(|id| format!("item {id}")));
                        latest = !before.is_empty();
                    }
                }
            }
            let heard = world.heard();
            let expected: Vec<String> = expected
                .into_iter()
                .filter(|_| subscribed)
                .map(|what| format!("sub@localhost: {what}"))
                .collect();
            assert_eq!(heard, expected, "seed {seed}, step {step}");
            if latest && subscribed {
                let newest = world.ids(NODE).pop().unwrap();
                let item = heard.iter().find(|line| line.contains(": item "));
                assert_eq!(
                    item,
                    Some(&format!("sub@localhost: item {newest}")),
                    "seed {seed}, step {step}"
                );
            }
        }
    }
}
