//! Who wants which nodes: filter subscriptions in a trie of levels, so that resolving one node's subscribers visits the
//! filters that match it and no others (S15, S16).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    address::{BareJid, Jid},
    item::NodeSubscription,
    mailbox::SubscriptionTag,
    node::Filter,
    time::{Now, Timestamp},
};

use super::subscriptions::Subscriptions;

/// Changes remembered of one filter.
const RECENT_MAX: usize = 64;

/// Everybody subscribed to one filter.
#[derive(Debug)]
pub(super) struct Interested {
    pub(super) filter: Filter,
    /// The tag of a notification that reaches its receiver through this filter alone.
    pub(super) tag: Arc<SubscriptionTag>,
    pub(super) subscriptions: Subscriptions,
    /// Whose subscriptions changed lately, with the numbers of the changes, in order.
    recent: VecDeque<(u64, Jid)>,
    /// All changes after this one are in `recent`.
    complete_after: u64,
}

impl Interested {
    fn note(&mut self, change: u64, jid: Jid) {
        if self.recent.len() >= RECENT_MAX
            && let Some((oldest, _)) = self.recent.pop_front()
        {
            self.complete_after = oldest;
        }
        self.recent.push_back((change, jid));
    }
}

/// All filter subscriptions.
#[derive(Debug, Default)]
pub(super) struct Interest {
    root: Level,
    len: usize,
    generation: u64,
    /// What was resolved before this change is stale as a whole.
    valid_from: u64,
    /// The time by which leases are judged, if it can be believed (S28).
    now: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Level {
    named: BTreeMap<Box<str>, Level>,
    plus: Option<Box<Level>>,
    /// The filter that ends here.
    here: Option<Box<Interested>>,
    /// The filter that ends here with `#`.
    rest: Option<Box<Interested>>,
}

impl Interest {
    /// The number of the last change.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Everything resolved so far is stale: the rules changed.
    pub(super) fn invalidate(&mut self) {
        self.generation += 1;
        self.valid_from = self.generation;
    }

    /// Whose subscriptions of filters that match a node have changed after change `seen`, when `filters` filters matched it;
    /// `None` if that is not known, or is more than `most`.
    ///
    /// A filter that is gone is missing in the count. One that has come since knows none of the changes before it, so what was
    /// resolved then is stale however many there are. Else they are the same ones.
    pub(super) fn changes(
        &self,
        node: &str,
        seen: u64,
        filters: usize,
        most: usize,
    ) -> Option<Vec<&Jid>> {
        let (mut count, mut complete) = (0, self.valid_from <= seen);
        let mut changed = Vec::new();
        self.matching(node, &mut |interested| {
            count += 1;
            complete &= interested.complete_after <= seen;
            let since = interested.recent.iter().rev();
            let since = since.take_while(|(change, _)| *change > seen);
            changed.extend(since.map(|(_, jid)| jid));
        });
        (complete && count == filters && changed.len() <= most).then_some(changed)
    }

    /// The time of the entry that is being handled.
    pub(super) fn set_time(&mut self, now: Now) {
        self.now = now.wall_trusted.then_some(now.wall);
    }

    /// Whether a lease is over (XEP-0060 §12.19). Without a clock that can be believed none is.
    pub(super) fn is_over(&self, ends: Option<Timestamp>) -> bool {
        matches!((ends, self.now), (Some(ends), Some(now)) if ends <= now)
    }

    /// Number of subscriptions.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a subscription, or puts it in the place of the same one as it was; returns that.
    pub(super) fn put(
        &mut self,
        filter: &Filter,
        subscription: NodeSubscription,
    ) -> Option<NodeSubscription> {
        self.generation += 1;
        let generation = self.generation;
        let mut level = &mut self.root;
        let mut rest = false;
        for name in filter.levels() {
            match name {
                "#" => rest = true,
                "+" => level = level.plus.get_or_insert_default(),
                _ => level = level.named.entry(name.into()).or_default(),
            }
        }
        let place = if rest {
            &mut level.rest
        } else {
            &mut level.here
        };
        let interested = place.get_or_insert_with(|| {
            Box::new(Interested {
                filter: filter.clone(),
                tag: Arc::new(SubscriptionTag {
                    subids: Vec::new(),
                    collection: Some(filter.clone()),
                    ..SubscriptionTag::default()
                }),
                subscriptions: Subscriptions::default(),
                recent: VecDeque::new(),
                complete_after: generation,
            })
        });
        interested.note(generation, subscription.jid.clone());
        let before = interested.subscriptions.put(subscription);
        self.len += usize::from(before.is_none());
        before
    }

    /// The subscriptions of exactly this filter.
    pub(super) fn get(&self, filter: &Filter) -> Option<&Interested> {
        let mut level = &self.root;
        for name in filter.levels() {
            match name {
                "#" => return level.rest.as_deref(),
                "+" => level = level.plus.as_deref()?,
                _ => level = level.named.get(name)?,
            }
        }
        level.here.as_deref()
    }

    /// Removes a subscription.
    pub(super) fn remove(
        &mut self,
        filter: &Filter,
        jid: &Jid,
        subid: &str,
    ) -> Option<NodeSubscription> {
        let levels: Vec<&str> = filter.levels().collect();
        let removed = self.root.remove(&levels, jid, subid, self.generation + 1)?;
        self.generation += 1;
        self.len -= 1;
        Some(removed)
    }

    /// Removes all subscriptions of an address to one filter.
    pub(super) fn remove_all(&mut self, filter: &Filter, jid: &Jid) -> Vec<NodeSubscription> {
        let there = self.get(filter);
        let subids = there.map_or(Vec::new(), |interested| {
            let theirs = interested.subscriptions.of(jid);
            theirs.map(|one| one.subid.clone()).collect()
        });
        let removed = subids.iter();
        removed
            .filter_map(|subid| self.remove(filter, jid, subid))
            .collect()
    }

    /// Removes every subscription of an account, full addresses included.
    pub(super) fn remove_account(&mut self, account: &BareJid) -> Vec<NodeSubscription> {
        let mut theirs = Vec::new();
        self.each(&mut |interested| {
            for one in interested.subscriptions.iter() {
                if one.jid.bare() == *account {
                    theirs.push((interested.filter.clone(), one.clone()));
                }
            }
        });
        theirs
            .into_iter()
            .filter_map(|(filter, one)| self.remove(&filter, &one.jid, &one.subid))
            .collect()
    }

    /// Visits all filters, in a fixed order.
    pub(super) fn each(&self, visit: &mut dyn FnMut(&Interested)) {
        self.root.each(visit);
    }

    /// Visits the filters that match a node, in a fixed order.
    pub(super) fn matching<'a>(&'a self, node: &str, visit: &mut dyn FnMut(&'a Interested)) {
        let names: Vec<&str> = node.split('/').collect();
        // [MQTT-4.7.2-1]: a wildcard in the first level does not reach names that begin with `$`.
        self.root.matching(&names, !node.starts_with('$'), visit);
    }
}

impl Level {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.plus.is_none() && self.here.is_none() && self.rest.is_none()
    }

    fn matching<'a>(
        &'a self,
        names: &[&str],
        wildcards: bool,
        visit: &mut dyn FnMut(&'a Interested),
    ) {
        if wildcards && let Some(rest) = &self.rest {
            visit(rest);
        }
        let Some((name, below)) = names.split_first() else {
            if let Some(here) = &self.here {
                visit(here);
            }
            return;
        };
        if let Some(level) = self.named.get(*name) {
            level.matching(below, true, visit);
        }
        if wildcards && let Some(level) = &self.plus {
            level.matching(below, true, visit);
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&Interested)) {
        for interested in [&self.here, &self.rest].into_iter().flatten() {
            visit(interested);
        }
        for level in self.named.values().chain(self.plus.as_deref()) {
            level.each(visit);
        }
    }

    /// Removes a subscription, and the levels that held nothing else.
    fn remove(
        &mut self,
        names: &[&str],
        jid: &Jid,
        subid: &str,
        change: u64,
    ) -> Option<NodeSubscription> {
        let place = match names.split_first() {
            None => &mut self.here,
            Some((&"#", _)) => &mut self.rest,
            Some((&"+", below)) => {
                let level = self.plus.as_deref_mut()?;
                let removed = level.remove(below, jid, subid, change);
                if level.is_empty() {
                    self.plus = None;
                }
                return removed;
            }
            Some((name, below)) => {
                let level = self.named.get_mut(*name)?;
                let removed = level.remove(below, jid, subid, change);
                if level.is_empty() {
                    self.named.remove(*name);
                }
                return removed;
            }
        };
        let interested = place.as_deref_mut()?;
        let removed = interested.subscriptions.remove(jid, subid);
        if interested.subscriptions.is_empty() {
            *place = None;
        } else {
            interested.note(change, jid.clone());
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::SubscriptionState;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).unwrap()
    }

    fn subscription(jid: &str) -> NodeSubscription {
        NodeSubscription {
            jid: Jid::parse(jid).unwrap(),
            subid: "s".into(),
            state: SubscriptionState::Subscribed,
            options: None,
        }
    }

    fn matching(interest: &Interest, node: &str) -> Vec<String> {
        let mut found = Vec::new();
        interest.matching(node, &mut |one| found.push(one.filter.to_string()));
        found.sort();
        found
    }

    #[test]
    fn the_trie_finds_what_a_scan_of_all_filters_finds() {
        let filters = [
            "#", "+", "+/b", "a/#", "a/+", "a/b", "a/+/c", "$SYS/#", "+/+/#", "a/b/c/#", "/+",
        ];
        let mut interest = Interest::default();
        for text in filters {
            interest.put(&filter(text), subscription("op@localhost"));
        }
        assert_eq!(interest.len(), filters.len());
        for node in [
            "a", "a/b", "a/b/c", "a/x", "x", "/x", "$SYS/x", "$SYS", "a/b/c/d", "x/b",
        ] {
            let mut scanned: Vec<_> = filters
                .into_iter()
                .filter(|text| filter(text).matches(node))
                .map(String::from)
                .collect();
            scanned.sort();
            assert_eq!(matching(&interest, node), scanned, "{node}");
        }
    }

    #[test]
    fn what_is_removed_leaves_no_level_behind() {
        let mut interest = Interest::default();
        for text in ["a/+/c/#", "a/b", "#"] {
            interest.put(&filter(text), subscription("op@localhost"));
        }
        let generation = interest.generation();
        interest.remove_account(&BareJid::parse("op@localhost").unwrap());
        assert_eq!(interest.len(), 0);
        assert!(interest.root.is_empty());
        assert!(interest.generation() > generation);
    }
}
