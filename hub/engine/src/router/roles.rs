//! The roles of accounts that have been here, for as long as the process runs.
//!
//! One flat table of digests: an allocation for each account would stand among those of its session and outlive it, and a storm of
//! ten thousand sessions would leave as many pages that the allocator cannot give back. A digest has 128 bits and two secret keys,
//! so that no two addresses that anybody finds have the same one.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
};

use crate::{account::Role, address::BareJid};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Roles {
    keys: [RandomState; 2],
    of: HashMap<u128, Role>,
}

impl Roles {
    fn digest(&self, jid: &BareJid) -> u128 {
        let [high, low] = &self.keys;
        let high = u128::from(high.hash_one(jid.as_str()));
        high << 64 | u128::from(low.hash_one(jid.as_str()))
    }

    pub(super) fn get(&self, jid: &BareJid) -> Option<&Role> {
        self.of.get(&self.digest(jid))
    }

    pub(super) fn contains_key(&self, jid: &BareJid) -> bool {
        self.get(jid).is_some()
    }

    /// Returns the role that it had.
    pub(super) fn insert(&mut self, jid: &BareJid, role: Role) -> Option<Role> {
        self.of.insert(self.digest(jid), role)
    }

    pub(super) fn remove(&mut self, jid: &BareJid) -> Option<Role> {
        self.of.remove(&self.digest(jid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_its_own() {
        let mut roles = Roles::default();
        let jid = |number: usize| BareJid::new(&format!("d{number}"), "localhost").unwrap();
        for number in 0..1_000 {
            assert_eq!(
                roles.insert(&jid(number), Role::ALL[number % Role::ALL.len()]),
                None
            );
        }
        for number in 0..1_000 {
            let role = Role::ALL[number % Role::ALL.len()];
            assert_eq!(roles.get(&jid(number)), Some(&role));
        }
        assert_eq!(roles.remove(&jid(0)), Some(Role::ALL[0]));
        assert!(!roles.contains_key(&jid(0)) && roles.contains_key(&jid(1)));
    }
}
