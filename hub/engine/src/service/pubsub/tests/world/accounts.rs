//! Who is known, who is here, and what rosters say of whom.

use std::collections::BTreeMap;

use crate::{
    access::Subject,
    address::{BareJid, FullJid},
    command::SessionId,
    node::NodeId,
    service::{AccountId, Acquaintance, Directory, Hearer},
};

#[derive(Default)]
pub(in crate::service::pubsub::tests) struct Accounts {
    pub(super) known: Vec<BareJid>,
    pub(in crate::service::pubsub::tests) online: Vec<FullJid>,
    /// Who hears of which personal node, and the number of that state.
    pub(in crate::service::pubsub::tests) hearers: Vec<(BareJid, NodeId, Hearer)>,
    pub(in crate::service::pubsub::tests) hearing: u32,
    /// Who asked anything so far.
    pub(in crate::service::pubsub::tests) subjects: Vec<Subject>,
    /// Owner and contact, and what the owner's roster says.
    pub(in crate::service::pubsub::tests) contacts: BTreeMap<(BareJid, BareJid), Known>,
}

/// See [`Acquaintance`].
pub(in crate::service::pubsub::tests) struct Known {
    pub(in crate::service::pubsub::tests) sees: bool,
    pub(in crate::service::pubsub::tests) seen: bool,
    pub(in crate::service::pubsub::tests) groups: Vec<Box<str>>,
}

impl Directory for Accounts {
    fn hearing(&mut self, _: &BareJid) -> u32 {
        self.hearing
    }

    fn hearers(&self, of: &BareJid, node: &NodeId) -> Option<Vec<Hearer>> {
        let of = self
            .hearers
            .iter()
            .filter(|(host, name, _)| host == of && name == node);
        Some(of.map(|(_, _, hearer)| hearer.clone()).collect())
    }

    fn account(&mut self, jid: &BareJid) -> AccountId {
        let at = self.known.iter().position(|known| known == jid);
        let at = at.unwrap_or_else(|| {
            self.known.push(jid.clone());
            self.known.len() - 1
        });
        AccountId(at as u32)
    }

    fn session(&self, jid: &FullJid) -> Option<SessionId> {
        let at = self.online.iter().position(|online| online == jid)?;
        Some(SessionId {
            index: at as u32,
            generation: 0,
        })
    }

    fn is_here(&self, account: &BareJid) -> bool {
        self.online.iter().any(|online| online.bare() == *account)
    }

    fn subject(&self, account: &BareJid) -> Option<Subject> {
        let known = self.subjects.iter().find(|known| known.jid == *account);
        known.cloned()
    }

    fn acquaintance(&self, owner: &BareJid, contact: &BareJid) -> Acquaintance<'_> {
        let contact = self.contacts.get(&(owner.clone(), contact.clone()));
        contact.map_or_else(Acquaintance::default, |known| Acquaintance {
            sees: known.sees,
            seen: known.seen,
            groups: (&known.groups).into(),
        })
    }
}
