//! Who is what to a node (XEP-0060 §4.1), in order of address. Nearly every node has one: its owner, who needs no table.

use smallvec::SmallVec;

use crate::{address::BareJid, item::Affiliation};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Affiliates(SmallVec<[(BareJid, Affiliation); 1]>);

impl Affiliates {
    fn find(&self, jid: &BareJid) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(jid))
    }

    pub(super) fn get(&self, jid: &BareJid) -> Option<&Affiliation> {
        let at = self.find(jid).ok()?;
        self.0.get(at).map(|(_, affiliation)| affiliation)
    }

    pub(super) fn contains_key(&self, jid: &BareJid) -> bool {
        self.find(jid).is_ok()
    }

    pub(super) fn insert(&mut self, jid: BareJid, affiliation: Affiliation) {
        match self.find(&jid) {
            Ok(at) => self.0[at].1 = affiliation,
            Err(at) => self.0.insert(at, (jid, affiliation)),
        }
    }

    pub(super) fn remove(&mut self, jid: &BareJid) {
        if let Ok(at) = self.find(jid) {
            self.0.remove(at);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&BareJid, &Affiliation)> {
        self.0.iter().map(|(jid, affiliation)| (jid, affiliation))
    }
}

impl FromIterator<(BareJid, Affiliation)> for Affiliates {
    fn from_iter<I: IntoIterator<Item = (BareJid, Affiliation)>>(all: I) -> Self {
        let mut list: SmallVec<_> = all.into_iter().collect();
        list.sort();
        Self(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_order_in_which_they_come_each_is_found() {
        let jid = |number: u32| BareJid::new(&format!("d{number:03}"), "localhost").unwrap();
        let mut some: Affiliates = [
            (jid(900), Affiliation::Owner),
            (jid(1), Affiliation::Member),
        ]
        .into_iter()
        .collect();
        // 7 is prime to 500: each once, in no order.
        for number in 0..500 {
            some.insert(jid(number * 7 % 500), Affiliation::Outcast);
        }
        assert_eq!(some.len(), 501);
        assert_eq!(some.get(&jid(1)), Some(&Affiliation::Outcast));
        some.remove(&jid(1));
        some.remove(&jid(1));
        assert!(!some.contains_key(&jid(1)) && some.contains_key(&jid(900)));
        let order: Vec<_> = some.iter().map(|(jid, _)| jid.clone()).collect();
        assert!(order.is_sorted() && order.len() == 500);
    }
}
