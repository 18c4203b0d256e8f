//! What services may know of the world outside them.

use crate::{
    access::Subject,
    address::{BareJid, FullJid, Jid},
    command::SessionId,
    roster_group::Viewer,
    router::{self, directory::Directory, residency::Residency},
    service::{self, AccountId, Acquaintance, Recipient, roster},
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

    fn is_account(&self, jid: &BareJid) -> bool {
        self.directory.components.get(jid.domain()).is_none()
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
