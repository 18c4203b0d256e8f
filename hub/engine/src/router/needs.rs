//! What each command needs in memory before it runs.

use smallvec::{SmallVec, smallvec};

use crate::{
    address::{BareJid, FullJid},
    command::{AdminRequest, Command, PubsubAction, PubsubRequest, SessionId},
    router::{Router, residency::Need},
    service::pubsub::Wanted,
};

pub(super) type Needs = SmallVec<[Need; 2]>;

impl Router {
    pub(super) fn missing(&self, needs: &[Need]) -> Needs {
        let absent = |need: &&Need| match need {
            Need::Boot => !self.booted,
            Need::Node(_) | Need::Contents(..) => true,
            _ => !self.residency.has(need),
        };
        needs.iter().filter(absent).cloned().collect()
    }

    /// What the command needs in memory.
    pub(super) fn needs(&self, id: SessionId, command: &Command) -> Needs {
        if !self.booted && !matches!(command, Command::Detach(_)) {
            return smallvec![Need::Boot];
        }
        let Some(session) = self.directory.get(id) else {
            return Needs::new();
        };
        let own = session.jid.as_ref().map(FullJid::bare);
        match (command, own) {
            (Command::SignIn { account }, _) => smallvec![Need::Record(account.clone())],
            (Command::Attach { account, .. } | Command::Register { account, .. }, _) => {
                smallvec![Need::Account(account.clone())]
            }
            (Command::Describe { account }, None) => smallvec![Need::Account(account.clone())],
            (Command::Describe { account }, Some(own)) => {
                smallvec![Need::Account(account.clone()), Need::Roster(own)]
            }
            (Command::As { command, .. }, _) => self.needs_abroad(command),
            (Command::ListBelongings { account, .. }, Some(own)) => smallvec![
                Need::Account(own.clone()),
                Need::Roster(own),
                Need::Roster(account.clone())
            ],
            (Command::Admin(request), _) => self.admin_needs(request),
            (Command::Pubsub(request), own) => {
                let mut needs: Needs = own.into_iter().map(Need::Account).collect();
                needs.extend(self.needs_of_pubsub(self.pubsub.wants(request)));
                needs
            }
            (Command::QueryOfPresence(iq), Some(own)) => self.with_contact(own, iq.to.bare()),
            (Command::SetContact { jid, .. }, Some(own)) => self.with_contact(own, jid.clone()),
            (
                Command::Announce(_)
                | Command::GetRoster { .. }
                | Command::Unblock(_)
                | Command::Capabilities(_)
                | Command::Disclose { .. },
                Some(own),
            ) => smallvec![Need::Roster(own)],
            (Command::Continue(cursor), Some(own)) => {
                let mut needs: Needs = smallvec![Need::Roster(own)];
                needs.extend(self.showing_needs(*cursor));
                needs
            }
            (Command::Block(_), Some(own)) => {
                smallvec![Need::Account(own.clone()), Need::Roster(own)]
            }
            (Command::SetDocuments(_), Some(own)) => {
                smallvec![Need::Account(own.clone()), Need::Documents(own)]
            }
            (Command::Probe { to, .. }, Some(own)) => {
                let mut needs: Needs = smallvec![Need::Roster(own)];
                if self.is_ours(&to.bare()) {
                    needs.push(Need::Account(to.bare()));
                }
                needs
            }
            (Command::Handshake { to, .. }, Some(own)) => self.pair(own, to.bare()),
            (Command::RemoveContact { jid }, Some(own)) => self.pair(own, jid.clone()),
            (Command::Send(message), _) => self.message_needs(message),
            (Command::Activity { of }, Some(own)) if self.is_ours(&of.bare()) => {
                smallvec![Need::Account(of.bare()), Need::Roster(own)]
            }
            (Command::ChangeCredentials(_), Some(own)) => smallvec![Need::Record(own)],
            (Command::Unregister, Some(own)) => self.removal_needs(&own),
            _ => Needs::new(),
        }
    }

    /// What the pubsub service wants in memory.
    pub(super) fn needs_of_pubsub(&self, wanted: impl IntoIterator<Item = Wanted>) -> Needs {
        let mut needs = Needs::new();
        for wanted in wanted {
            // What an account sees by shared groups depends on its role too.
            if let Wanted::Roster(jid) = &wanted
                && !self.residency.shared.groups().is_empty()
            {
                needs.push(Need::Account(jid.clone()));
            }
            needs.push(Need::of_pubsub(wanted));
        }
        needs
    }

    /// The account's roster, and what there is of a contact that groups may share with it.
    fn with_contact(&self, own: BareJid, contact: BareJid) -> Needs {
        let mut needs: Needs = smallvec![Need::Roster(own)];
        if !self.residency.shared.groups().is_empty() && self.is_ours(&contact) {
            needs.push(Need::Account(contact));
        }
        needs
    }

    /// Both rosters of a handshake; the contact's only if it can have one.
    fn pair(&self, own: BareJid, contact: BareJid) -> Needs {
        let mut needs: Needs = smallvec![Need::Roster(own)];
        if self.is_ours(&contact) {
            needs.push(Need::Account(contact.clone()));
            needs.push(Need::Roster(contact));
        }
        needs
    }

    /// What the removal of an account needs: both sides of all its contacts, and its nodes with their owners.
    pub(super) fn removal_needs(&self, account: &BareJid) -> Needs {
        let mut needs: Needs = smallvec![
            Need::Account(account.clone()),
            Need::Roster(account.clone()),
            Need::Owned(account.clone())
        ];
        if let Some(roster) = self.residency.roster(account) {
            let ours = roster
                .contacts
                .iter()
                .map(|contact| &contact.jid)
                .filter(|jid| self.is_ours(jid));
            needs.extend(
                ours.flat_map(|jid| [Need::Account(jid.clone()), Need::Roster(jid.clone())]),
            );
        }
        for node in self.residency.owned(account) {
            let request = PubsubRequest {
                host: None,
                action: PubsubAction::NodeAffiliations { node: node.clone() },
            };
            needs.extend(self.pubsub.wants(&request).into_iter().map(Need::of_pubsub));
        }
        needs
    }

    /// What an administrative request needs.
    fn admin_needs(&self, request: &AdminRequest) -> Needs {
        match request {
            AdminRequest::AddAccount { account, .. }
            | AdminRequest::SetCredentials { account, .. }
            | AdminRequest::SetEnabled { account, .. } => smallvec![Need::Record(account.clone())],
            AdminRequest::RemoveAccount { account } => self.removal_needs(account),
            AdminRequest::ListAccounts { .. }
            | AdminRequest::ListSessions { .. }
            | AdminRequest::Kick { .. }
            | AdminRequest::Status
            | AdminRequest::NodeUsage { .. } => Needs::new(),
        }
    }
}
