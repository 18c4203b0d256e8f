//! The presence of contacts, those of the account's own and those by roster groups, and requests that wait.
//!
//! Implements: RFC 6121 §3.1.3 (requests are shown again), §4.2.2; S10.

use std::sync::Arc;

use crate::{
    address::BareJid,
    command::{Cursor, SessionId},
    event::{Event, What},
    limits::CURSOR_BATCH,
    mailbox::Addressed,
    message::{Handshake, SubscriptionStanza},
    router::{
        Router,
        cursor::{Open, Progress},
    },
    service::AccountId,
};

/// Accounts that are looked at in one step, whether or not they are shown.
const LOOKS_MAX: usize = 1_024;

/// How much goes into a mailbox at a time: who has many resources fills it alone.
struct Batch {
    entries: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Batch {
    const fn new(bytes_max: usize) -> Self {
        Self {
            entries: 0,
            bytes: 0,
            bytes_max,
        }
    }

    const fn is_full(&self) -> bool {
        self.entries >= CURSOR_BATCH || self.bytes > self.bytes_max
    }
}

impl Router {
    /// Shows the session the account's other resources, its contacts' presence, and the requests that wait.
    pub(in crate::router) fn start_contacts(&mut self, id: SessionId) {
        let Some(account) = self.account_of(id) else {
            return;
        };
        let own = self
            .directory
            .get(id)
            .and_then(|session| session.jid.clone());
        // Its own presence was broadcast to it.
        self.show_resources(id, &account, |jid| own.as_ref() != Some(jid));
        let cursor = self.cursors.begin(Open {
            session: id,
            account: account.clone(),
            progress: Progress::Contacts(None),
        });
        self.step_contacts(cursor, id, &account, None);
    }

    pub(super) fn step_contacts(
        &mut self,
        cursor: Cursor,
        id: SessionId,
        account: &BareJid,
        after: Option<&BareJid>,
    ) {
        let contacts = self
            .residency
            .roster(account)
            .map_or(&[][..], |roster| &roster.contacts);
        let from = after.map_or(0, |after| {
            contacts.partition_point(|contact| contact.jid <= *after)
        });
        let mut last = None;
        let mut due = Vec::new();
        let mut batch = Batch::new(self.batch_bytes_max());
        for contact in &contacts[from..] {
            if batch.is_full() {
                last = due.last().map(|(jid, _, _): &(BareJid, _, _)| jid.clone());
                break;
            }
            let here = contact.subscription.to()
                && (!self.directory.sessions(&contact.jid).is_empty()
                    || self.is_of_component(&contact.jid));
            if here || contact.pending_in.is_some() {
                batch.entries += usize::from(contact.pending_in.is_some());
                self.weigh_presence(&contact.jid, &mut batch);
                due.push((contact.jid.clone(), here, contact.pending_in.clone()));
            }
        }
        let shown = !due.is_empty();
        for (jid, here, pending) in due {
            if let Some(pending) = pending {
                let stanza = SubscriptionStanza {
                    from: jid.clone(),
                    to: account.clone(),
                    kind: Handshake::Subscribe,
                    id: pending.id,
                    lang: pending.lang,
                    content: pending.content,
                };
                let event = Arc::new(Event::new(What::Subscription(stanza)));
                self.post
                    .tell(&self.directory, id, &event, Addressed::Bare, None);
            }
            if here && self.is_of_component(&jid) {
                self.probe_contact(id, &jid);
            } else if here {
                self.show_resources(id, &jid, |_| true);
            }
        }
        match last {
            Some(last) => self.go_on(cursor, id, Progress::Contacts(Some(last))),
            None if shown && self.residency.shared.version(account).is_some() => {
                self.go_on(cursor, id, Progress::Shared { at: 0, after: None });
            }
            None => self.step_shared(cursor, id, account, 0, None),
        }
    }

    /// Shows members of roster groups that the account sees, each through the first of them that it is in, but for those that
    /// it sees by a handshake too.
    pub(super) fn step_shared(
        &mut self,
        cursor: Cursor,
        id: SessionId,
        account: &BareJid,
        at: usize,
        after: Option<AccountId>,
    ) {
        let Some(viewer) = self.residency.shared.viewer(account) else {
            return self.cursors.close(cursor);
        };
        let (mut at, mut after) = (at, after);
        let mut due = Vec::new();
        let (mut looked, mut batch) = (0, Batch::new(self.batch_bytes_max()));
        let more = 'groups: loop {
            let Some(&group) = viewer.seen().get(at) else {
                break false;
            };
            for member in self.residency.shared.members(group, after) {
                if batch.is_full() || looked >= LOOKS_MAX {
                    break 'groups true;
                }
                looked += 1;
                after = Some(member);
                let Some(jid) = self.directory.jid_of(member) else {
                    continue;
                };
                let role = self.residency.shared.roles.get(&jid);
                let look = role.and_then(|role| viewer.look(&jid, *role));
                let first = look.is_some_and(|look| look.groups.first() == Some(&group));
                if first && !self.sees_by_handshake(account, &jid) {
                    self.weigh_presence(&jid, &mut batch);
                    due.push(jid);
                }
            }
            (at, after) = (at + 1, None);
        };
        for jid in due {
            self.show_resources(id, &jid, |_| true);
        }
        if more {
            self.go_on(cursor, id, Progress::Shared { at, after });
        } else {
            self.cursors.close(cursor);
        }
    }

    /// A session that is told of other groups asks for more when its mailbox has drained.
    pub(in crate::router) fn walk_when_drained(&mut self, cursor: Cursor, id: SessionId) {
        self.go_on(cursor, id, Progress::Regroup);
    }

    /// Adds the presence of an account to what the batch holds: an entry for each of its resources.
    fn weigh_presence(&self, of: &BareJid, batch: &mut Batch) {
        let shown = self.directory.sessions(of).iter();
        for event in shown.filter_map(|&id| self.directory.get(id)?.availability.current()) {
            batch.entries += 1;
            batch.bytes += event.weight();
        }
    }
}
