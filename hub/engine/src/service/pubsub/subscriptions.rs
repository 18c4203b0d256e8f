//! The subscriptions of one node or filter (XEP-0060 §4.2). An address may have several, told apart by their subids (§6.1.6);
//! nearly all have one, and a hundred thousand of those cost a tree of them and nothing beside it.

use std::{cmp::Ordering, collections::BTreeSet};

use crate::{
    address::{BareJid, Jid},
    item::{NodeSubscription, SubscriptionState},
};

/// In order of address, then of subid.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(BTreeSet<Entry>);

/// Compared by address and subid, of which a node or filter has each pair once.
#[derive(Debug)]
struct Entry(NodeSubscription);

impl Entry {
    fn key(&self) -> (&Jid, &str) {
        (&self.0.jid, &self.0.subid)
    }

    /// What stands before all of an address, to find them.
    fn before(jid: &Jid) -> Self {
        Self(NodeSubscription {
            jid: jid.clone(),
            subid: Box::default(),
            state: SubscriptionState::None,
            options: None,
        })
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Subscriptions {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &NodeSubscription> {
        self.0.iter().map(|entry| &entry.0)
    }

    /// Those of one address.
    pub(super) fn of<'a>(&'a self, jid: &'a Jid) -> impl Iterator<Item = &'a NodeSubscription> {
        let from = self.0.range(Entry::before(jid)..);
        from.map(|entry| &entry.0).take_while(|one| one.jid == *jid)
    }

    /// Those of an account, by its bare address and its sessions'.
    pub(super) fn of_account<'a>(
        &'a self,
        account: &'a BareJid,
    ) -> impl Iterator<Item = &'a NodeSubscription> {
        // `a@b/x` comes after `a@b`, and between them `a@b.c` does.
        let from = self.0.range(Entry::before(account.as_jid())..);
        let near = from.map(|entry| &entry.0);
        near.take_while(|one| one.jid.as_str().starts_with(account.as_str()))
            .filter(|one| one.jid.bare() == *account)
    }

    /// One of them.
    pub(super) fn get<'a>(&'a self, jid: &'a Jid, subid: &str) -> Option<&'a NodeSubscription> {
        self.of(jid).find(|one| *one.subid == *subid)
    }

    /// Adds one, or puts it in the place of the same one as it was; returns that.
    pub(super) fn put(&mut self, subscription: NodeSubscription) -> Option<NodeSubscription> {
        self.0.replace(Entry(subscription)).map(|entry| entry.0)
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, jid: &Jid, subid: &str) -> Option<NodeSubscription> {
        let key = Entry(NodeSubscription {
            subid: subid.into(),
            ..Entry::before(jid).0
        });
        self.0.take(&key).map(|entry| entry.0)
    }

    /// Takes out all of an address.
    pub(super) fn remove_all(&mut self, jid: &Jid) -> Vec<NodeSubscription> {
        let subids: Vec<Box<str>> = self.of(jid).map(|one| one.subid.clone()).collect();
        let removed = subids.iter().map(|subid| self.remove(jid, subid));
        removed.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<NodeSubscription> for Subscriptions {
    fn from_iter<I: IntoIterator<Item = NodeSubscription>>(list: I) -> Self {
        Self(list.into_iter().map(Entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(jid: &str, subid: &str) -> NodeSubscription {
        NodeSubscription {
            jid: Jid::parse(jid).unwrap(),
            subid: subid.into(),
            state: SubscriptionState::Subscribed,
            options: None,
        }
    }

    #[test]
    fn an_address_has_several_and_loses_one_or_all() {
        let all = [
            one("a@b", "2"),
            one("a@b/x", "3"),
            one("a@b", "1"),
            one("aa@b", "1"),
        ];
        let mut list: Subscriptions = all.into_iter().collect();
        let a = Jid::parse("a@b").unwrap();
        let subids = |list: &Subscriptions| -> Vec<String> {
            list.of(&a).map(|one| one.subid.to_string()).collect()
        };
        assert_eq!(subids(&list), ["1", "2"]);
        let pending = NodeSubscription {
            state: SubscriptionState::Pending,
            ..one("a@b", "2")
        };
        assert!(list.put(pending.clone()).is_some());
        assert_eq!(list.get(&a, "2"), Some(&pending));
        assert!(list.remove(&a, "3").is_none());
        assert!(list.remove(&a, "1").is_some());
        assert_eq!(list.remove_all(&a), [pending]);
        assert_eq!(list.iter().count(), 2);
    }

    #[test]
    fn a_plain_subscription_is_small() {
        assert!(size_of::<Entry>() <= 56, "{}", size_of::<Entry>());
    }
}
