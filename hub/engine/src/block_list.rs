//! Whom an account has blocked.
//!
//! Implements: XEP-0191 1.3 §5 (which addresses an entry covers).

use crate::address::Jid;

/// The addresses that an account has blocked, in order of their text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockList(Vec<Jid>);

impl BlockList {
    /// Adds an entry; false if it was there.
    pub fn insert(&mut self, jid: Jid) -> bool {
        let place = self.place(jid.as_str());
        if let Err(at) = place {
            self.0.insert(at, jid);
        }
        place.is_err()
    }

    /// Takes an entry out; false if it was not there. An entry is not touched by others that cover it.
    pub fn remove(&mut self, jid: &Jid) -> bool {
        let place = self.place(jid.as_str());
        if let Ok(at) = place {
            self.0.remove(at);
        }
        place.is_ok()
    }

    /// Whether there is exactly this entry.
    pub fn contains(&self, jid: &Jid) -> bool {
        self.place(jid.as_str()).is_ok()
    }

    /// All entries.
    pub fn entries(&self) -> &[Jid] {
        &self.0
    }

    /// Whether nothing is blocked.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// §5: an entry with a resource covers that resource alone; a bare address with a localpart all resources of it; a domain
    /// itself, all its accounts and all its resources.
    pub fn covers(&self, jid: &Jid) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let whole = jid.as_str();
        // The bare address is the beginning of the whole one, so nothing is allocated.
        let resource = jid.resource().map_or(0, |resource| resource.len() + 1);
        let bare = &whole[..whole.len() - resource];
        [whole, bare, jid.domain()]
            .into_iter()
            .any(|form| self.place(form).is_ok())
    }

    /// Whether the list says something of an address, or of a resource of its account.
    pub fn touches(&self, jid: &Jid) -> bool {
        let resources = format!("{}/", jid.bare());
        let (Ok(first) | Err(first)) = self.place(&resources);
        let first = self.0.get(first);
        self.covers(jid) || first.is_some_and(|entry| entry.as_str().starts_with(&resources))
    }

    fn place(&self, text: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|entry| entry.as_str().cmp(text))
    }
}

impl FromIterator<Jid> for BlockList {
    fn from_iter<I: IntoIterator<Item = Jid>>(jids: I) -> Self {
        let mut list: Vec<Jid> = jids.into_iter().collect();
        list.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        list.dedup();
        Self(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    #[test]
    fn xep0191_s5_what_an_entry_covers() {
        let all = [
            "romeo@localhost",
            "romeo@localhost/garden",
            "romeo@localhost/tomb",
            "iago@localhost",
            "localhost",
            "localhost/garden",
            "pubsub.localhost",
            "romeo@pubsub.localhost/garden",
        ];
        for (entry, covered) in [
            ("romeo@localhost/garden", &all[1..2]),
            ("romeo@localhost", &all[..3]),
            ("localhost/garden", &all[5..6]),
            ("localhost", &all[..6]),
            ("pubsub.localhost", &all[6..]),
        ] {
            let list: BlockList = [jid(entry)].into_iter().collect();
            let found: Vec<_> = all
                .into_iter()
                .filter(|text| list.covers(&jid(text)))
                .collect();
            assert_eq!(found, covered, "{entry}");
        }
    }

    #[test]
    fn an_entry_is_there_once_and_goes_alone() {
        let mut list = BlockList::default();
        assert!(list.insert(jid("b@localhost")) && list.insert(jid("localhost")));
        assert!(!list.insert(jid("b@localhost")));
        assert!(!list.remove(&jid("b@localhost/x")) && list.remove(&jid("b@localhost")));
        assert_eq!(list.entries(), [jid("localhost")]);
        assert!(list.covers(&jid("b@localhost")) && !list.contains(&jid("b@localhost")));
    }

    #[test]
    fn a_list_touches_an_account_of_which_it_names_a_resource() {
        let entries = ["a@localhost", "b@localhost/x", "b@localhost0"];
        let list: BlockList = entries.iter().map(|text| jid(text)).collect();
        assert!(list.touches(&jid("b@localhost")) && list.touches(&jid("a@localhost")));
        assert!(!list.touches(&jid("c@localhost")) && !list.touches(&jid("localhost")));
    }
}
