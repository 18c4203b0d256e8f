//! What services may know of the world outside them.

use std::collections::HashMap;

use crate::{
    access::Subject,
    account::Role,
    address::{BareJid, FullJid, Jid},
    command::SessionId,
    router::{self, directory::Directory, residency::Residency},
    service::{self, AccountId, Acquaintance, Recipient, roster},
};

/// The router's shared state as a service sees it.
pub(super) struct World<'a> {
    pub(super) directory: &'a mut Directory,
    pub(super) residency: &'a Residency,
    pub(super) roles: &'a HashMap<BareJid, Role>,
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
        router::subject(self.roles, account).or_else(|| self.directory.components.subject(account))
    }

    fn acquaintance(&self, owner: &BareJid, contact: &BareJid) -> Acquaintance<'_> {
        let roster = self.residency.roster(owner);
        let contact = roster.and_then(|roster| roster::find(roster, contact));
        contact.map_or_else(Acquaintance::default, |contact| Acquaintance {
            sees: contact.subscription.from(),
            seen: contact.subscription.to(),
            groups: &contact.groups,
        })
    }
}
