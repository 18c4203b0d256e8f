//! Which items a node holds, whose and since when: known in memory only where something depends on it.
//!
//! That is a node that refuses or retracts when it is full (XEP-0060 §7.1.2.5), one that drops what its publisher left
//! behind (`pubsub#purge_offline`), and for one request the node of which somebody takes back what may be another's, or
//! several items at once. All other nodes leave it to the store.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use crate::{
    address::BareJid,
    item::{Item, NodeConfig, NodeFull},
    node::ItemId,
    time::Timestamp,
};

/// Most items of a node whose contents must be known.
pub(super) const CONTENTS_MAX: u32 = 10_000;

/// Whether what the node is set to depends on what it holds.
pub(super) fn must_be_known(config: &NodeConfig) -> bool {
    config.persist_items
        && (config.publish_node_full != NodeFull::DiscardOldest || config.purge_offline)
}

#[derive(Debug)]
struct Held {
    id: ItemId,
    publisher: BareJid,
    published: Timestamp,
}

/// The items of a node in order of publication; see the module.
#[derive(Debug, Default)]
pub(super) struct Contents(Option<VecDeque<Held>>);

impl Contents {
    /// Those of a new node.
    pub(super) fn none() -> Self {
        Self(Some(VecDeque::new()))
    }

    pub(super) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Takes what the store knows, oldest first. Memory is newer than any answer.
    pub(super) fn fill(&mut self, items: &[Arc<Item>]) {
        if self.0.is_none() {
            self.0 = Some(VecDeque::with_capacity(items.len()));
            for item in items {
                self.push(item);
            }
        }
    }

    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    fn push(&mut self, item: &Item) {
        let Some(held) = &mut self.0 else { return };
        // Most items of a node are of one publisher: one name for all of them.
        let publisher = match held.back() {
            Some(last) if last.publisher == item.publisher.bare() => last.publisher.clone(),
            _ => item.publisher.bare(),
        };
        held.push_back(Held {
            id: item.id.clone(),
            publisher,
            published: item.published,
        });
    }

    /// An item was published: one of its id makes room, and it is the newest. Returns what is beyond `keep`, oldest first.
    pub(super) fn put(&mut self, item: &Item, keep: u32) -> Vec<ItemId> {
        if let Some(held) = &mut self.0 {
            held.retain(|old| old.id != item.id);
        }
        self.push(item);
        self.trim(keep)
    }

    /// The node keeps fewer items; returns those that go.
    pub(super) fn trim(&mut self, keep: u32) -> Vec<ItemId> {
        let Some(held) = &mut self.0 else {
            return Vec::new();
        };
        let excess = held.len().saturating_sub(keep as usize);
        held.drain(..excess).map(|old| old.id).collect()
    }

    pub(super) fn remove(&mut self, ids: &[ItemId]) {
        if let Some(held) = &mut self.0 {
            let gone: HashSet<&ItemId> = ids.iter().collect();
            held.retain(|old| !gone.contains(&old.id));
        }
    }

    /// Lets go of what is older: nobody is shown it any more, and the store drops it in its own time.
    pub(super) fn expire(&mut self, before: Timestamp) {
        if let Some(held) = &mut self.0 {
            while held.front().is_some_and(|old| old.published < before) {
                held.pop_front();
            }
        }
    }

    /// How many there would be with these: of equal ids only one stays.
    pub(super) fn len_with(&self, ids: &[ItemId]) -> usize {
        let new: HashSet<&ItemId> = ids.iter().collect();
        let others = self.iter().filter(|old| !new.contains(&old.id));
        others.count() + ids.len()
    }

    /// Who published an item, if it is there.
    pub(super) fn publisher_of(&self, id: &ItemId) -> Option<&BareJid> {
        self.iter()
            .find(|old| old.id == *id)
            .map(|old| &old.publisher)
    }

    /// Everybody whose items there are.
    pub(super) fn publishers(&self) -> impl Iterator<Item = &BareJid> {
        self.iter().map(|old| &old.publisher)
    }

    /// What publishers who are gone left there, and whether that is everything.
    pub(super) fn left_by(&self, is_gone: &dyn Fn(&BareJid) -> bool) -> (Vec<ItemId>, bool) {
        let theirs = self.iter().filter(|old| is_gone(&old.publisher));
        let theirs: Vec<_> = theirs.map(|old| old.id.clone()).collect();
        let all = theirs.len() == self.iter().count();
        (theirs, all)
    }

    /// About how many bytes it owns.
    pub(super) fn weight(&self) -> usize {
        /// The text of an id and its share of the allocator.
        const ID: usize = 48;
        self.0
            .as_ref()
            .map_or(0, |held| held.len() * (size_of::<Held>() + ID))
    }

    fn iter(&self) -> impl Iterator<Item = &Held> {
        self.0.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{address::FullJid, class::Class};

    fn item(id: &str, publisher: &str, seconds: i64) -> Item {
        Item {
            id: ItemId::parse(id).unwrap(),
            publisher: FullJid::parse(&format!("{publisher}@localhost/x")).unwrap(),
            published: Timestamp::from_micros(seconds * 1_000_000),
            payload: None,
            class: Class::Event,
        }
    }

    fn ids(names: &[&str]) -> Vec<ItemId> {
        names.iter().map(|id| ItemId::parse(id).unwrap()).collect()
    }

    #[test]
    fn the_oldest_go_and_an_item_that_comes_again_is_the_newest() {
        let mut contents = Contents::none();
        for (id, second) in [("1", 1), ("2", 2), ("1", 3)] {
            assert!(contents.put(&item(id, "a", second), 2).is_empty());
        }
        assert_eq!(contents.put(&item("3", "b", 4), 2), ids(&["2"]));
        assert_eq!(contents.len_with(&ids(&["1", "4"])), 3);
        let a = BareJid::parse("a@localhost").unwrap();
        assert_eq!(
            contents.left_by(&|publisher| *publisher == a),
            (ids(&["1"]), false)
        );
        contents.expire(Timestamp::from_micros(4_000_000));
        assert_eq!(contents.publisher_of(&ids(&["1"])[0]), None);
        contents.remove(&ids(&["3"]));
        assert_eq!(contents.publishers().count(), 0);
    }

    #[test]
    fn what_is_not_known_stays_so_until_the_store_says_it_and_is_not_overwritten_then() {
        let mut contents = Contents::default();
        assert!(contents.put(&item("1", "a", 1), 1).is_empty());
        assert!(!contents.is_known());
        contents.fill(&[Arc::new(item("1", "a", 1))]);
        contents.put(&item("2", "a", 2), 9);
        contents.fill(&[]);
        assert_eq!(contents.publishers().count(), 2);
    }
}
