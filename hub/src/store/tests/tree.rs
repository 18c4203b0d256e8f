//! The tree of names (S17), against a list of all levels that is made the slow way.

use super::*;
use crate::store::tree::{Branch, branch};

const WORDS: [&str; 8] = ["a", "b", "a-b", "a.b", "a0", "", "ä", "1"];

fn put(store: &mut Database, name: &str, keep: u32, items: u32) {
    store.done([put_node(name)]);
    for number in 0..items {
        store.done([put_item(name, &item(&number.to_string()), keep)]);
    }
}

fn some_name(random: &mut Random) -> String {
    let depth = 1 + random.below(3);
    let words: Vec<_> = (0..depth).map(|_| random.pick(&WORDS)).collect();
    words.join("/")
}

/// Every entry below a name: the keys of the levels in their order, with the names that they stand for.
fn levels(names: &[String], under: Option<&str>) -> Vec<(String, String)> {
    let prefix = under.map_or_else(String::new, |name| format!("{name}/"));
    let mut levels: Vec<(String, String)> = Vec::new();
    for name in names {
        let Some(rest) = name.strip_prefix(&prefix).filter(|_| *name != prefix) else {
            // A name that ends with the slash is a level with an empty name of its own.
            if *name == prefix {
                levels.push((name.clone(), name.clone()));
            }
            continue;
        };
        match rest.split_once('/') {
            Some(("", _)) if prefix.is_empty() => levels.push((name.clone(), name.clone())),
            None => levels.push((name.clone(), name.clone())),
            Some((level, _)) => {
                let level = format!("{prefix}{level}");
                if !names.contains(&level) {
                    levels.push((format!("{level}/"), level));
                }
            }
        }
    }
    levels.sort();
    levels.dedup();
    levels
}

fn keys(branch: &Branch) -> Vec<String> {
    let nodes = branch.nodes.iter().map(|(node, _)| format!("n {node}"));
    let items = branch.items.iter().map(|item| format!("i {item}"));
    nodes.chain(items).collect()
}

#[test]
fn s17_pages_of_the_tree_show_each_level_and_each_item_once_and_in_order() {
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let mut store = memory();
        let mut names: Vec<String> = Vec::new();
        for _ in 0..random.below(40) {
            let name = some_name(&mut random);
            if !names.contains(&name) && NodeId::parse(&name).is_ok() {
                put(&mut store, &name, 9, random.below(4) as u32);
                names.push(name);
            }
        }
        let all_below: Vec<Option<String>> = names
            .iter()
            .cloned()
            .chain(["a".into(), "b".into(), "none".into()])
            .map(Some)
            .chain([None])
            .collect();
        for under in all_below {
            let id = under.as_deref().map(|name| NodeId::parse(name).unwrap());
            let look = |page: PageRequest| {
                branch(store.connection(), id.as_ref(), Some(None), &page).unwrap()
            };
            let whole = look(PageRequest::default());
            let expected: Vec<_> = levels(&names, under.as_deref())
                .into_iter()
                .map(|(_, name)| format!("n {name}"))
                .chain(whole.items.iter().map(|item| format!("i {item}")))
                .collect();
            assert_eq!(
                keys(&whole),
                expected,
                "seed {seed}: {under:?} of {names:?}"
            );
            assert_eq!(whole.page.count as usize, expected.len());
            for max in [1, 2, 3] {
                let (mut seen, mut after): (Vec<String>, Box<str>) = (Vec::new(), "".into());
                loop {
                    let page = look(PageRequest {
                        max: Some(max),
                        after: Some(after),
                        ..PageRequest::default()
                    });
                    let Some(last) = page.page.last.clone() else {
                        break;
                    };
                    assert_eq!(
                        page.page.index,
                        Some(seen.len() as u32),
                        "seed {seed}: {under:?} of {names:?}"
                    );
                    seen.extend(keys(&page));
                    after = last;
                }
                assert_eq!(seen, expected, "seed {seed}: {under:?} by {max}");
                let (mut seen, mut before): (Vec<String>, Box<str>) = (Vec::new(), "".into());
                loop {
                    let page = look(PageRequest {
                        max: Some(max),
                        before: Some(before),
                        ..PageRequest::default()
                    });
                    let Some(first) = page.page.first.clone() else {
                        break;
                    };
                    seen.splice(0..0, keys(&page));
                    before = first;
                }
                assert_eq!(seen, expected, "seed {seed}: {under:?} back by {max}");
            }
            for index in 0..expected.len() + 2 {
                let page = look(PageRequest {
                    max: Some(2),
                    index: Some(index as u32),
                    ..PageRequest::default()
                });
                let from = index.min(expected.len());
                let to = (index + 2).min(expected.len());
                assert_eq!(
                    keys(&page),
                    expected[from..to],
                    "seed {seed}: {under:?} at {index}"
                );
            }
        }
    }
}

#[test]
fn xep_0059_s2_4_a_key_that_is_none_is_not_found() {
    let mut store = memory();
    put(&mut store, "a", 9, 1);
    let node = NodeId::parse("a").unwrap();
    for key in ["x", "i/none"] {
        let page = PageRequest {
            after: Some(key.into()),
            ..PageRequest::default()
        };
        let found = branch(store.connection(), Some(&node), Some(None), &page);
        assert!(matches!(found, Err(Fault::NotFound)), "{key}");
    }
}
