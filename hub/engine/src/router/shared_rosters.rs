//! Shared roster groups at work: who of each group is here, and what accounts are to each other by their groups.
//!
//! A member's presence goes to those who see one of its groups and have a session: both are found by group, so the cost is
//! that of the deliveries, whatever the size of the groups. Memory is a word for each account here and each of its groups.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use crate::{
    account::Role,
    address::BareJid,
    roster_group::{GroupId, RosterGroups, Viewer},
    router::roles::Roles,
    service::AccountId,
};

/// Accounts with a session, by one group.
#[derive(Debug, Default)]
struct Here {
    members: BTreeSet<AccountId>,
    /// Those who see the members.
    watchers: BTreeSet<AccountId>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct SharedRosters {
    groups: Arc<RosterGroups>,
    here: Vec<Here>,
    /// The roles of accounts that have been here: with their names they say which groups an account has, and by them the
    /// access rules are held against stored subscriptions (S13).
    pub(super) roles: Roles,
    /// Whether an access rule is about a group.
    in_access: bool,
    /// What versions of rosters begin with that no earlier life of the hub has used.
    life: Box<str>,
    /// Grows with every change of who is in which group.
    generation: u64,
}

impl SharedRosters {
    pub(super) fn new(groups: RosterGroups, in_access: bool, secret: [u8; 32]) -> Self {
        let life = secret.iter().take(6).map(|byte| format!("{byte:02x}"));
        let mut shared = Self {
            life: life.collect::<String>().into(),
            in_access,
            ..Self::default()
        };
        shared.replace(groups);
        shared
    }

    pub(super) const fn set_in_access(&mut self, in_access: bool) {
        self.in_access = in_access;
    }

    /// The groups in force.
    pub(super) const fn groups(&self) -> &Arc<RosterGroups> {
        &self.groups
    }

    /// Takes other groups; nobody is in them until they [`enter`](Self::enter). Returns the old ones.
    pub(super) fn replace(&mut self, groups: RosterGroups) -> Arc<RosterGroups> {
        self.here.clear();
        self.here.resize_with(groups.len(), Here::default);
        self.generation += 1;
        std::mem::replace(&mut self.groups, Arc::new(groups))
    }

    /// The account has its first session.
    pub(super) fn enter(&mut self, account: AccountId, jid: &BareJid) {
        self.each_group(jid, |members, group| {
            group.get(members).insert(account);
        });
    }

    /// The account's last session is over, or its role is about to change.
    pub(super) fn leave(&mut self, account: AccountId, jid: &BareJid) {
        self.each_group(jid, |members, group| {
            group.get(members).remove(&account);
        });
    }

    fn each_group(&mut self, jid: &BareJid, mut change: impl FnMut(bool, &mut Here)) {
        let Some(&role) = self.roles.get(jid).filter(|_| !self.groups.is_empty()) else {
            return;
        };
        let lists = [
            (true, self.groups.of(jid, role)),
            (false, self.groups.seen_by(jid, role)),
        ];
        for (members, groups) in lists {
            for group in groups {
                if let Some(here) = self.here.get_mut(usize::from(group.0)) {
                    change(members, here);
                }
            }
        }
    }

    /// Members of a group that are here, after one.
    pub(super) fn members(
        &self,
        group: GroupId,
        after: Option<AccountId>,
    ) -> impl Iterator<Item = AccountId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let here = self.here.get(usize::from(group.0));
        here.into_iter()
            .flat_map(move |here| here.members.range((from, Bound::Unbounded)).copied())
    }

    /// Who is here and sees one of these groups; an account as often as it does.
    pub(super) fn watchers(&self, groups: &[GroupId]) -> impl Iterator<Item = AccountId> {
        let here = groups
            .iter()
            .filter_map(|group| self.here.get(usize::from(group.0)));
        here.flat_map(|here| here.watchers.iter().copied())
    }

    /// The account as its groups let it see others, if it has been here.
    pub(super) fn viewer(&self, account: &BareJid) -> Option<Viewer> {
        let role = *self.roles.get(account)?;
        Some(Viewer::new(&self.groups, account, role))
    }

    /// The names of the account's groups, if any access rule asks for them.
    pub(super) fn names_of(&self, account: &BareJid, role: Role) -> Vec<Arc<str>> {
        if !self.in_access {
            return Vec::new();
        }
        let groups = self.groups.of(account, role);
        groups
            .iter()
            .map(|&group| Arc::clone(self.groups.name(group)))
            .collect()
    }

    /// Who is in which group has changed, so rosters have other versions.
    pub(super) const fn grow(&mut self) {
        self.generation += 1;
    }

    /// What shared contacts add to the version of the account's roster (RFC 6121 §2.6): nothing for who has none. It is of
    /// this life of the hub, since nothing is stored that would tell whether they changed between two.
    pub(super) fn version(&self, account: &BareJid) -> Option<Box<str>> {
        let role = *self.roles.get(account)?;
        let seen = self.groups.seen_by(account, role);
        (!seen.is_empty()).then(|| format!("{}.{}", self.life, self.generation).into())
    }
}

impl Here {
    const fn get(&mut self, members: bool) -> &mut BTreeSet<AccountId> {
        if members {
            &mut self.members
        } else {
            &mut self.watchers
        }
    }
}
