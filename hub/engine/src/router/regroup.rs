//! Who is in which roster group changes while people look: accounts are made, removed, disabled or given another role, and a
//! reload (SIGHUP) brings other groups. Whoever sees a difference is pushed it, and shown the presence that goes with it.
//!
//! Implements: RFC 6121 §2.1.6, §3.1.5, §3.2.2, §3.3.3, for contacts by shared groups.
//! One account that changes concerns those who see it and are here. An account whose own view changes may have ten thousand
//! contacts to be told of: its sessions are walked through them by a cursor, in batches that they ask for (S10).

use std::{collections::VecDeque, sync::Arc};

use crate::{
    account::Role,
    address::{BareJid, FullJid},
    command::{Cursor, SessionId},
    effect::StoreQuery,
    event::{Event, RosterPush, What},
    limits::CURSOR_BATCH,
    mailbox::Addressed,
    roster_group::{Lookup, RosterGroups, Shared, Viewer},
    router::{Router, stored::Asked},
    service::{
        presence,
        roster::{self, Told},
    },
};

/// What of a group's members the store is asked for, one page after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookups {
    left: VecDeque<Lookup>,
    /// In the first of them, after this account.
    after: Option<BareJid>,
}

impl Lookups {
    pub(super) fn new(lookups: impl IntoIterator<Item = Lookup>) -> Self {
        Self {
            left: lookups.into_iter().collect(),
            after: None,
        }
    }

    /// The next question, of at most `max` accounts; `None`: all is asked.
    pub(super) fn query(&self, domain: &BareJid, max: u32) -> Option<StoreQuery> {
        Some(match self.left.front()? {
            Lookup::Role { role, start } => StoreQuery::AccountsOfRole {
                role: *role,
                start: start.clone(),
                after: self.after.clone(),
                max,
            },
            Lookup::Accounts(names) => {
                let jids = names
                    .iter()
                    .filter_map(|name| BareJid::new(name, domain.as_str()).ok());
                // In the order of addresses, which is not that of the names before the `@`.
                let mut later: Vec<_> = jids
                    .filter(|jid| self.after.as_ref().is_none_or(|after| jid > after))
                    .collect();
                later.sort_unstable();
                later.truncate(max as usize);
                StoreQuery::RolesOf(later)
            }
        })
    }

    /// The page that [`query`](Self::query) asked for was read to its end, which is that account.
    pub(super) fn advance(&mut self, query: &StoreQuery, found: &[(BareJid, Role)]) {
        // Of accounts by name some may not exist: the page ends where the question did.
        let (last, is_full) = match query {
            StoreQuery::RolesOf(jids) => (jids.last(), !jids.is_empty()),
            StoreQuery::AccountsOfRole { .. } => {
                (found.last().map(|(jid, _)| jid), !found.is_empty())
            }
            _ => (None, false),
        };
        self.after = last.cloned();
        if !is_full {
            self.left.pop_front();
            self.after = None;
        }
    }
}

/// The walk of one session from an old view to the one in force.
#[derive(Debug)]
pub(super) struct Regrouping {
    old: Viewer,
    lookups: Lookups,
}

/// How much one look at a contact told a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Same,
    Comes,
    Goes,
}

impl Router {
    /// Takes other groups.
    pub(super) fn regroup(&mut self, groups: RosterGroups) {
        if **self.residency.shared.groups() == groups {
            return;
        }
        let old = self.residency.shared.replace(groups);
        let mut sessions = Vec::new();
        for (id, session) in self.directory.all() {
            let (Some(account), Some(jid)) = (session.account, &session.jid) else {
                continue;
            };
            let jid = jid.bare();
            self.residency.shared.enter(account, &jid);
            sessions.push((id, jid));
        }
        self.cursors.see_other_groups();
        for (id, jid) in sessions {
            if let Some(role) = self.residency.shared.roles.get(&jid) {
                let old = Viewer::new(&old, &jid, *role);
                self.start_regrouping(id, old);
            }
        }
    }

    /// An account was made, removed, disabled, enabled, or has another role; `None` is no account, or one that is disabled.
    pub(super) fn account_changed(
        &mut self,
        jid: &BareJid,
        before: Option<Role>,
        after: Option<Role>,
    ) {
        for listing in self.listings.values_mut() {
            listing.note(jid, after);
        }
        let shared = &mut self.residency.shared;
        let groups = Arc::clone(shared.groups());
        let account = self.directory.known(jid);
        let here = account.filter(|&account| !self.directory.sessions_of(account).is_empty());
        if let (Some(role), true) = (after, shared.roles.contains_key(jid)) {
            if let Some(here) = here {
                shared.leave(here, jid);
            }
            let had = shared.roles.insert(jid, role);
            if had != Some(role) {
                // It may see other groups, and what is being shown to it begins anew.
                self.cursors.see_other_groups();
            }
            if let Some(here) = here {
                shared.enter(here, jid);
            }
            if had != Some(role) {
                self.judge_later(jid);
            }
        }
        if groups.is_empty() {
            return;
        }
        if before != after {
            // Who hears of its nodes, and of those that go by its roster, may be others.
            self.directory.hearing_changed(jid);
            self.pubsub.owner_changed(jid);
        }
        if before != after && account.is_some() {
            // Whom it sees is another question too, and it need not be here to be subscribed.
            self.directory.hearing_of_all_changed();
        }
        self.residency.shared.grow();
        let of = |role: Option<Role>| role.map(|role| groups.of(jid, role)).unwrap_or_default();
        let both: Vec<_> = of(before).into_iter().chain(of(after)).collect();
        let mut watchers: Vec<_> = self.residency.shared.watchers(&both).collect();
        watchers.sort_unstable();
        watchers.dedup();
        for watcher in watchers.into_iter().filter(|&each| Some(each) != account) {
            let Some(viewer) = self
                .directory
                .jid_of(watcher)
                .and_then(|jid| self.residency.shared.viewer(&jid))
            else {
                continue;
            };
            let look = |role: Option<Role>| role.and_then(|role| viewer.look(jid, role));
            let (was, is) = (look(before), look(after));
            if was == is {
                continue;
            }
            let watcher = viewer.account().clone();
            if was.is_some() {
                // What it may read of the watcher's nodes goes by the groups in which that has it.
                self.went_out_of_sight(&watcher, jid);
            }
            let push = self.push_of(&viewer, jid, is.as_ref());
            self.tell(Told::Push(watcher.clone(), push));
            // Who sees it by a handshake saw it before, and sees it still.
            match (was.is_some(), is.is_some()) {
                _ if self.sees_by_handshake(&watcher, jid) => {}
                (false, true) => self.tell(Told::Show(jid.clone(), watcher)),
                (true, false) => {
                    self.directory.hearing_changed(jid);
                    self.tell(Told::Hide(jid.clone(), watcher));
                }
                _ => {}
            }
        }
        if let (Some(before), Some(here)) = (before, here)
            && after.is_some_and(|after| after != before)
        {
            for id in self.directory.sessions_of(here).to_vec() {
                self.start_regrouping(id, Viewer::new(&groups, jid, before));
            }
        }
    }

    fn start_regrouping(&mut self, id: SessionId, old: Viewer) {
        let Some(session) = self.directory.get(id) else {
            return;
        };
        let shows = session.interested || session.availability.current().is_some();
        let new = self.residency.shared.viewer(old.account());
        let Some(new) = new.filter(|new| shows && !new.is_like(&old)) else {
            return;
        };
        let mut lookups = old.groups().lookups(old.seen());
        for lookup in new.groups().lookups(new.seen()) {
            if !lookups.contains(&lookup) {
                lookups.push(lookup);
            }
        }
        let walk = Regrouping {
            lookups: Lookups::new(lookups),
            old,
        };
        let account = walk.old.account().clone();
        let cursor = self.cursors.begin_regrouping(id, account, walk);
        self.step_regrouping(cursor);
    }

    /// Asks for the next members.
    pub(super) fn step_regrouping(&mut self, cursor: Cursor) {
        let walk = self.cursors.regrouping(cursor);
        let query = walk.map(|(_, walk)| walk.lookups.query(&self.domain, CURSOR_BATCH as u32));
        match query {
            Some(Some(query)) => self.query(query.clone(), Asked::Members(cursor, query)),
            Some(None) => self.cursors.close(cursor),
            None => {}
        }
    }

    /// Members came from the store: the session is told of those whom it sees otherwise than before.
    pub(super) fn walk_on(
        &mut self,
        cursor: Cursor,
        query: &StoreQuery,
        found: &[(BareJid, Role)],
    ) {
        let Some((id, walk)) = self.cursors.regrouping(cursor) else {
            return;
        };
        walk.lookups.advance(query, found);
        let old = walk.old.clone();
        let Some(new) = self.residency.shared.viewer(old.account()) else {
            return self.cursors.close(cursor);
        };
        let mut told = false;
        for (jid, role) in found {
            // What the page says may be older than what was decided since.
            let role = self.residency.role_now(jid, *role);
            let was = role.and_then(|role| old.look(jid, role));
            let is = role.and_then(|role| new.look(jid, role));
            let words =
                |viewer: &Viewer, shared: &Shared| (viewer.names(&shared.groups), shared.mutual);
            let same =
                was.as_ref().map(|was| words(&old, was)) == is.as_ref().map(|is| words(&new, is));
            if same {
                continue;
            }
            told = true;
            let sight = match (was.is_some(), is.is_some()) {
                (false, true) => Sight::Comes,
                (true, false) => Sight::Goes,
                _ => Sight::Same,
            };
            let mut push = self.push_of(&new, jid, is.as_ref());
            self.finish_push(old.account(), &mut push);
            self.tell_one(id, old.account(), push, sight);
        }
        if told {
            self.walk_when_drained(cursor, id);
        } else {
            self.step_regrouping(cursor);
        }
    }

    /// One changed contact, to one session.
    fn tell_one(&mut self, id: SessionId, account: &BareJid, push: RosterPush, sight: Sight) {
        let Some(session) = self.directory.get(id) else {
            return;
        };
        let available = session.availability.current().is_some();
        let jid = push.jid.clone();
        if session.interested {
            let event = Arc::new(Event::new(What::Roster(push)));
            self.post
                .tell(&self.directory, id, &event, Addressed::Bare, None);
        }
        if sight == Sight::Goes {
            self.went_out_of_sight(&jid, account);
        }
        // Who sees the contact by a handshake saw it before, and sees it still.
        if !available || self.sees_by_handshake(account, &jid) {
            return;
        }
        match sight {
            Sight::Same => {}
            Sight::Comes => {
                self.show_resources(id, &jid, |_| true);
                self.came_into_sight_of(id, &jid);
            }
            Sight::Goes => {
                for full in self.available_resources(&jid) {
                    let gone = presence::farewell(full.as_jid(), self.now.wall);
                    let event = Arc::new(Event::new(What::Presence(gone)));
                    self.post
                        .tell(&self.directory, id, &event, Addressed::Bare, None);
                }
            }
        }
    }

    fn available_resources(&self, of: &BareJid) -> Vec<FullJid> {
        let sessions = self.directory.sessions(of).iter();
        let sessions = sessions.filter_map(|&id| self.directory.get(id));
        sessions
            .filter(|session| session.availability.current().is_some())
            .filter_map(|session| session.jid.clone())
            .collect()
    }

    /// The push of a contact as the account has it now, by its own roster and by shared groups.
    pub(super) fn push_of(
        &self,
        viewer: &Viewer,
        jid: &BareJid,
        shared: Option<&Shared>,
    ) -> RosterPush {
        let own = self.residency.roster(viewer.account());
        let entry = own.and_then(|roster| roster::find(roster, jid));
        let contact = match shared {
            Some(shared) => {
                let groups = viewer.names(&shared.groups);
                Some(roster::with_shared(entry, jid, shared.mutual, groups))
            }
            None => entry.filter(|entry| entry.listed).cloned(),
        };
        RosterPush {
            contact: contact.map(Box::new),
            jid: jid.clone(),
            version: own.map_or(0, |roster| roster.version).to_string().into(),
        }
    }
}
