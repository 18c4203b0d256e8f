//! Shared roster groups: which accounts see which without a handshake (`[[roster_group]]`).
//!
//! Nothing is kept for a pair of accounts: who belongs to a group, and who sees it, follow from an account's name and role
//! alone. So a fleet of a million devices and their operators cost what their groups' words cost.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use smallvec::SmallVec;

use crate::{
    access::Who,
    account::{Role, Subscription},
    address::BareJid,
};

/// Most groups.
pub const GROUPS_MAX: usize = 1_000;
/// Most words of one list of a group.
pub const WORDS_MAX: usize = 10_000;

/// One `[[roster_group]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterGroup {
    /// Its name, as rosters and access rules say it.
    pub name: Box<str>,
    /// Who belongs to it. A group is no member of another.
    pub members: Vec<Who>,
    /// Who sees its members.
    pub seen_by: Vec<Who>,
}

/// A group by its place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u16);

/// Groups in the order of the file, each once.
pub type Groups = SmallVec<[GroupId; 4]>;

/// All groups, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RosterGroups {
    names: Vec<Arc<str>>,
    members: Index,
    watchers: Index,
    /// Groups that are seen by the members of a group.
    seen_by_group: HashMap<GroupId, Vec<GroupId>>,
    /// Each group's own words for its members.
    words: Vec<Vec<Who>>,
}

impl RosterGroups {
    /// The groups of the file; a word that names a group which is not among them names nobody.
    pub fn new(groups: Vec<RosterGroup>) -> Self {
        let mut all = Self::default();
        let ids = (0..=u16::MAX).map(GroupId);
        let by_name: HashMap<Box<str>, GroupId> = groups
            .iter()
            .zip(ids.clone())
            .map(|(group, id)| (group.name.clone(), id))
            .collect();
        for (group, id) in groups.into_iter().zip(ids) {
            for who in &group.members {
                all.members.add(who, id);
            }
            for who in &group.seen_by {
                match who {
                    Who::Group(name) => {
                        if let Some(&by) = by_name.get(name) {
                            all.seen_by_group.entry(by).or_default().push(id);
                        }
                    }
                    who => all.watchers.add(who, id),
                }
            }
            all.names.push(group.name.into());
            all.words.push(group.members);
        }
        all.members.finish();
        all.watchers.finish();
        all
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// A group's name.
    pub fn name(&self, group: GroupId) -> &Arc<str> {
        &self.names[usize::from(group.0)]
    }

    /// The groups that an account belongs to.
    pub fn of(&self, account: &BareJid, role: Role) -> Groups {
        let mut groups = Groups::new();
        if !self.is_empty() {
            self.members.find(account, role, &mut groups);
            tidy(&mut groups);
        }
        groups
    }

    /// The groups whose members an account sees.
    pub fn seen_by(&self, account: &BareJid, role: Role) -> Groups {
        let mut groups = Groups::new();
        if !self.is_empty() {
            self.watchers.find(account, role, &mut groups);
            for own in self.of(account, role) {
                groups.extend(self.seen_by_group.get(&own).into_iter().flatten().copied());
            }
            tidy(&mut groups);
        }
        groups
    }

    /// Whether the first account sees the second.
    pub fn sees(&self, watcher: (&BareJid, Role), member: (&BareJid, Role)) -> bool {
        if self.is_empty() || watcher.0 == member.0 {
            return false;
        }
        let of = self.of(member.0, member.1);
        !of.is_empty()
            && self
                .seen_by(watcher.0, watcher.1)
                .iter()
                .any(|group| of.contains(group))
    }

    /// Which accounts must be looked up to know all members of `groups`.
    pub fn lookups(&self, groups: &[GroupId]) -> Vec<Lookup> {
        let mut lookups: Vec<Lookup> = Vec::new();
        let mut accounts: Vec<Box<str>> = Vec::new();
        let words = groups.iter().flat_map(|id| &self.words[usize::from(id.0)]);
        for who in words {
            let (roles, start): (&[Role], &str) = match who {
                Who::All => (&Role::ALL, ""),
                Who::Role(role) => (std::slice::from_ref(role), ""),
                Who::Pattern(start) => (&Role::ALL, start),
                Who::Account(name) => {
                    accounts.push(name.clone());
                    continue;
                }
                Who::Group(_) => continue,
            };
            lookups.extend(roles.iter().map(|&role| Lookup::Role {
                role,
                start: start.into(),
            }));
        }
        // What a wider one finds is not looked for again: of those of a role the shorter start comes first.
        lookups.sort_unstable();
        lookups.dedup_by(|later, kept| match (later, kept) {
            (
                Lookup::Role { role, start },
                Lookup::Role {
                    role: other,
                    start: wider,
                },
            ) => role == other && start.starts_with(&**wider),
            _ => false,
        });
        accounts.sort_unstable();
        accounts.dedup();
        if !accounts.is_empty() {
            lookups.push(Lookup::Accounts(accounts));
        }
        lookups
    }
}

/// Accounts to be found in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup {
    /// Those of a role whose localpart begins so.
    Role {
        /// Their role.
        role: Role,
        /// Empty for all of the role.
        start: Box<str>,
    },
    /// These, by localpart.
    Accounts(Vec<Box<str>>),
}

fn tidy(groups: &mut Groups) {
    groups.sort_unstable();
    groups.dedup();
}

/// Who the words of the groups name: one look for each kind of word, however many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Index {
    all: Vec<GroupId>,
    roles: HashMap<Role, Vec<GroupId>>,
    accounts: HashMap<Box<str>, Vec<GroupId>>,
    patterns: HashMap<Box<str>, Vec<GroupId>>,
    /// The lengths that patterns have, in bytes.
    lengths: Vec<usize>,
}

impl Index {
    fn add(&mut self, who: &Who, group: GroupId) {
        match who {
            Who::All => self.all.push(group),
            Who::Role(role) => self.roles.entry(*role).or_default().push(group),
            Who::Account(name) => self.accounts.entry(name.clone()).or_default().push(group),
            Who::Pattern(start) => {
                self.lengths.push(start.len());
                self.patterns.entry(start.clone()).or_default().push(group);
            }
            Who::Group(_) => {}
        }
    }

    fn finish(&mut self) {
        self.lengths.sort_unstable();
        self.lengths.dedup();
    }

    fn find(&self, account: &BareJid, role: Role, groups: &mut Groups) {
        let name = account.local().unwrap_or_default();
        groups.extend(self.all.iter().copied());
        groups.extend(self.roles.get(&role).into_iter().flatten().copied());
        groups.extend(self.accounts.get(name).into_iter().flatten().copied());
        for &length in &self.lengths {
            let start = name.get(..length);
            let found = start.and_then(|start| self.patterns.get(start));
            groups.extend(found.into_iter().flatten().copied());
        }
    }
}

/// An account as its groups let it see others.
#[derive(Debug, Clone)]
pub struct Viewer {
    groups: Arc<RosterGroups>,
    account: BareJid,
    role: Role,
    of: Groups,
    seen: Groups,
}

/// What an account has of another by shared groups.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shared {
    /// The groups through which it sees the other; at least one.
    pub groups: Groups,
    /// The other sees it too.
    pub mutual: bool,
}

impl Viewer {
    /// The account, of that role, under these groups.
    pub fn new(groups: &Arc<RosterGroups>, account: &BareJid, role: Role) -> Self {
        Self {
            of: groups.of(account, role),
            seen: groups.seen_by(account, role),
            groups: Arc::clone(groups),
            account: account.clone(),
            role,
        }
    }

    /// Whose view it is.
    pub const fn account(&self) -> &BareJid {
        &self.account
    }

    /// The groups whose members it sees.
    pub fn seen(&self) -> &[GroupId] {
        &self.seen
    }

    /// All groups, as they were when it looked.
    pub const fn groups(&self) -> &Arc<RosterGroups> {
        &self.groups
    }

    /// What it has of another account, which has that role; `None` if it does not see it.
    pub fn look(&self, other: &BareJid, role: Role) -> Option<Shared> {
        if self.seen.is_empty() || *other == self.account {
            return None;
        }
        let mut groups = self.groups.of(other, role);
        groups.retain(|group| self.seen.contains(group));
        if groups.is_empty() {
            return None;
        }
        let theirs = self.groups.seen_by(other, role);
        Some(Shared {
            mutual: self.of.iter().any(|group| theirs.contains(group)),
            groups,
        })
    }

    /// Whether it would see everybody in the same way as `other` does.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.seen.is_empty() && other.seen.is_empty())
            || (self.groups == other.groups && self.role == other.role)
    }

    /// The names of groups.
    pub fn names(&self, groups: &[GroupId]) -> Vec<Box<str>> {
        let names = groups.iter().map(|&group| self.groups.name(group));
        names.map(|name| (**name).into()).collect()
    }
}

/// Contacts that an account has by shared groups alone, in order of address: one text and a list of its cuts, since there may
/// be ten thousand of them on their way at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedContacts {
    text: String,
    cuts: Vec<(usize, Subscription, u16)>,
    /// The sets of groups that occur.
    sets: Vec<Vec<Box<str>>>,
    places: HashMap<Shared, u16>,
}

impl SharedContacts {
    /// Adds one as `viewer` sees it; in order.
    pub fn push(&mut self, viewer: &Viewer, jid: &BareJid, shared: Shared) {
        let subscription = Subscription::of(true, shared.mutual);
        let next = u16::try_from(self.sets.len()).unwrap_or(u16::MAX);
        let set = match self.places.get(&shared) {
            Some(&set) => set,
            // So many different sets have nobody's groups: the last ones share one.
            None if next == u16::MAX => next - 1,
            None => {
                self.sets.push(viewer.names(&shared.groups));
                self.places.insert(shared, next);
                next
            }
        };
        self.text.push_str(jid.as_str());
        self.cuts.push((self.text.len(), subscription, set));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cuts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// Each with its address, who sees whom, and its groups.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Subscription, &[Box<str>])> {
        let mut start = 0;
        self.cuts.iter().map(move |&(end, subscription, set)| {
            let jid = &self.text[start..end];
            start = end;
            let groups = self.sets.get(usize::from(set));
            (jid, subscription, groups.map_or(&[][..], Vec::as_slice))
        })
    }

    /// What they weigh in a mailbox, in bytes.
    pub const fn weight(&self) -> usize {
        const CUT: usize = size_of::<(usize, Subscription, u16)>();
        self.text.len() + self.cuts.len() * CUT
    }
}
