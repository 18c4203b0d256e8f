//! What services may know of the world outside them.

use crate::{
    access::Subject,
    address::{BareJid, FullJid, Jid},
    command::SessionId,
    node::NodeId,
    roster_group::Viewer,
    router::{
        self, directory::Directory, hearing::Sight, relay::addressed_to, residency::Residency,
    },
    service::{self, AccountId, Acquaintance, Delivery, Hearer, Recipient, roster},
};

/// The router's shared state as a service sees it.
pub(super) struct World<'a> {
    pub(super) directory: &'a mut Directory,
    pub(super) residency: &'a Residency,
}

impl service::Directory for World<'_> {
    fn account(&mut self, jid: &BareJid) -> AccountId {
        self.directory.account(jid)
    }

    fn hearing(&mut self, of: &BareJid) -> u32 {
        self.directory.hearing(of)
    }

    fn hearers(&self, of: &BareJid, node: &NodeId) -> Option<Vec<Hearer>> {
        let roster = self.residency.roster(of)?;
        let contacts = roster.contacts.iter();
        let watchers = contacts.filter(|contact| contact.subscription.from());
        let watchers = watchers.map(|contact| &contact.jid).chain([of]);
        let mut accounts: Vec<_> = watchers
            .filter_map(|jid| self.directory.known(jid))
            .collect();
        accounts.sort_unstable();
        let by_handshake = accounts.clone();
        accounts.extend(self.residency.watchers_by_groups(of));
        accounts.sort_unstable();
        accounts.dedup();
        let sessions = accounts.iter().flat_map(|account| {
            let sessions = self.directory.sessions_of(*account).iter();
            sessions.map(move |session| (session, account))
        });
        let mut found = Vec::new();
        for (&session, known) in sessions {
            let Some(one) = self.directory.get(session) else {
                continue;
            };
            let (Some(jid), Some(hearing)) = (&one.jid, &one.hearing) else {
                continue;
            };
            let account = jid.bare();
            let sight = if account == *of {
                Sight::Own
            } else if by_handshake.binary_search(known).is_ok() {
                Sight::Handshake
            } else {
                Sight::Groups
            };
            if hearing.reaches(of, sight, node) {
                found.push(Hearer {
                    session,
                    account,
                    sees: true,
                });
            }
        }
        for session in self.directory.guests.of(of) {
            let Some(guest) = self.directory.get(session) else {
                continue;
            };
            let (Some(jid), Some(hearing)) = (&guest.jid, &guest.hearing) else {
                continue;
            };
            let account = jid.bare();
            let sees = account == *of || self.acquaintance(of, &account).sees;
            if !sees && hearing.reaches_guest(of, node) {
                found.push(Hearer {
                    session,
                    account,
                    sees,
                });
            }
        }
        Some(found)
    }

    fn session(&self, jid: &FullJid) -> Option<SessionId> {
        self.directory.session(jid)
    }

    fn recipient(&mut self, jid: &Jid) -> Option<Recipient> {
        // Whatever resource an address of a component has, the component takes it.
        if let Some(relayed) = self.directory.relayed(jid) {
            return Some(Recipient::Account(relayed));
        }
        match jid.as_full() {
            Some(full) => self.directory.session(&full).map(Recipient::Session),
            None => Some(Recipient::Account(self.directory.account(&jid.bare()))),
        }
    }

    fn once(&mut self, jid: &Jid) -> Option<Delivery> {
        if self.directory.components.get(jid.domain()).is_some() {
            let component = self.directory.components.session(jid.domain())?;
            return Some(Delivery {
                tag: Some(addressed_to(jid)),
                ..Delivery::plain(Recipient::Session(component))
            });
        }
        let to = match jid.as_full() {
            Some(full) => Recipient::Session(self.directory.session(&full)?),
            // Without an index it has no session.
            None => Recipient::Account(self.directory.known(&jid.bare())?),
        };
        Some(Delivery::plain(to))
    }

    fn is_account(&self, jid: &BareJid) -> bool {
        self.directory.components.get(jid.domain()).is_none()
    }

    fn is_here(&self, account: &BareJid) -> bool {
        !self.directory.sessions(account).is_empty()
    }

    fn subject(&self, account: &BareJid) -> Option<Subject> {
        router::subject(&self.residency.shared, account)
            .or_else(|| self.directory.components.subject(account))
    }

    fn acquaintance(&self, owner: &BareJid, contact: &BareJid) -> Acquaintance<'_> {
        let roster = self.residency.roster(owner);
        let entry = roster.and_then(|roster| roster::find(roster, contact));
        let mut known = entry.map_or_else(Acquaintance::default, |entry| Acquaintance {
            sees: entry.subscription.from(),
            seen: entry.subscription.to(),
            groups: (&entry.groups).into(),
        });
        let shared = &self.residency.shared;
        if !shared.groups().is_empty() {
            known.sees |= self.residency.sees_by_groups(contact, owner);
            let viewer = self.residency.role(owner);
            let viewer = viewer.map(|role| Viewer::new(shared.groups(), owner, role));
            let role = self.residency.role(contact);
            if let (Some(viewer), Some(role)) = (viewer, role)
                && let Some(look) = viewer.look(contact, role)
            {
                known.seen = true;
                known.groups.to_mut().extend(viewer.names(&look.groups));
            }
        }
        known
    }
}
