//! Logins, accounts, and what the command line asks.
//!
//! Implements: XEP-0077 2.4 §3.1, §3.2, §3.3 as far as they are shared state.
//! A change of the password by its owner leaves the account's other sessions alone: it is no sign of theft, and devices would all
//! fall off at once. One by the administration ends them, since it may be.
//! With an account go the nodes that nobody else owns: a node without owner could never be changed or deleted again.

use crate::{
    account::Role,
    address::{BareJid, FullJid},
    command::{
        AdminReply, AdminRequest, EndReason, PubsubAction, PubsubReply, PubsubRequest, Reply,
        SessionId, SessionInfo,
    },
    credentials::Credentials,
    effect::{StoreOp, StoreQuery, Urgency},
    item::Affiliation,
    refusal::{Reason, Refusal},
    router::{
        Router,
        commit::{After, Deed},
        pipeline::Ask,
        stored::Asked,
        world::World,
    },
    service::{
        Decision, Notice,
        accounts::{check_name, new_account},
        pubsub::Asker,
        roster::{self, Told},
    },
};

/// Accounts in one answer of `ListAccounts`.
const ACCOUNTS_PAGE_MAX: u32 = 1_000;

impl Router {
    /// Unknown, disabled, known: all take the same way, so that nothing can be learnt from the time.
    pub(super) fn sign_in(&mut self, ask: Ask, account: &BareJid) {
        let found = self
            .residency
            .record(account)
            .filter(|record| record.enabled)
            .cloned()
            .map(Box::new);
        self.answer(ask, Ok(Reply::Credentials { found }));
    }

    /// Decided when a login's outcome is known, not when it begins: else a thousand guesses at once would all begin before
    /// the first had failed, and none would be held back.
    pub(super) fn signed_in(&mut self, ask: Ask, account: &BareJid, ok: bool) {
        let peer = self
            .directory
            .get(ask.session)
            .and_then(|session| session.transport.peer);
        let wait = self.throttle.wait(account, peer, self.now.mono);
        if ok {
            self.throttle.succeeded(account);
        } else {
            self.throttle.failed(account, peer, self.now.mono);
        }
        self.answer(ask, Ok(Reply::HoldBack { wait }));
    }

    pub(super) fn register(&mut self, ask: Ask, account: BareJid, credentials: Credentials) {
        if !self.registration {
            self.refuse(ask, Reason::NotAllowed.into());
            return;
        }
        let peer = self
            .directory
            .get(ask.session)
            .and_then(|session| session.transport.peer);
        // Counted before the name is looked at: else a stranger could ask for names at any rate.
        let admitted = self.registrations.admit(peer, self.now.mono);
        match admitted.and_then(|()| self.make_account(&account, Role::Device, credentials)) {
            Ok(op) => {
                let deed = Deed::AccountChanged(account, None, Some(Role::Device));
                self.commit_account(ask, op, vec![deed]);
            }
            Err(refusal) => self.refuse(ask, refusal),
        }
    }

    /// A new account, in memory; to be committed.
    fn make_account(
        &mut self,
        jid: &BareJid,
        role: Role,
        credentials: Credentials,
    ) -> Result<StoreOp, Refusal> {
        check_name(jid, &self.domain)?;
        if self.residency.facts(jid).is_some() {
            return Err(Reason::Conflict.into());
        }
        let account = new_account(jid.clone(), role, credentials, self.now.wall);
        self.residency
            .put_account(jid, Some(account.clone()), Default::default());
        Ok(StoreOp::PutAccount(account))
    }

    fn commit_account(&mut self, ask: Ask, op: StoreOp, deeds: Vec<Deed>) {
        let after = After {
            ask: Some(ask),
            reply: Some(Ok(Reply::Done)),
            deeds,
            ..After::default()
        };
        self.carry_out(vec![op], Urgency::Group, after);
    }

    pub(super) fn change_credentials(&mut self, ask: Ask, own: &FullJid, credentials: Credentials) {
        match self.alter(&own.bare(), |account| account.credentials = credentials) {
            Some(op) => self.commit_account(ask, op, Vec::new()),
            None => self.refuse(ask, Reason::NotAuthorized.into()),
        }
    }

    /// Changes an existing account in memory; to be committed.
    fn alter(
        &mut self,
        jid: &BareJid,
        change: impl FnOnce(&mut crate::account::Account),
    ) -> Option<StoreOp> {
        let mut account = Box::new(self.residency.record(jid)?.clone());
        let facts = self.residency.facts(jid)?;
        // The record may be older than the end of the last session.
        account.last_seen = facts.last_seen.as_deref().cloned();
        let counts = facts.counts;
        change(&mut account);
        self.residency
            .put_account(jid, Some(account.clone()), counts);
        Some(StoreOp::PutAccount(account))
    }

    /// Removes an account, with all that others had of it, in one commit.
    pub(super) fn remove_account(&mut self, ask: Ask, account: &BareJid) {
        if self.residency.facts(account).is_none() {
            self.refuse(ask, Reason::ItemNotFound.into());
            return;
        }
        let before = self.residency.role(account);
        let (mut ops, notices) = self.delete_orphans(account);
        let contacts = self
            .residency
            .roster(account)
            .map_or_else(Vec::new, |roster| roster.contacts.clone());
        let mut deeds = Vec::new();
        let mut watchers = Vec::new();
        for contact in contacts {
            let outcome = self.with_rosters(account, &contact.jid, |ours, theirs| {
                roster::remove(ours, &contact.jid, theirs)
            });
            // The account's own side goes as a whole.
            ops.extend(outcome.ops.into_iter().filter(|op| !is_of(op, account)));
            let told = outcome.told.into_iter().filter(|told| match told {
                Told::Push(whose, _) => whose != account,
                // Its sessions end, which says the same.
                Told::Hide(of, _) => of != account,
                Told::Stanza(stanza) => stanza.to != *account,
                Told::Show(..) => true,
            });
            deeds.extend(told.map(Deed::Told));
            if contact.subscription.from() {
                watchers.push(contact.jid);
            }
        }
        ops.push(StoreOp::RemoveAccount {
            account: account.clone(),
        });
        deeds.push(Deed::Removed(account.clone(), watchers));
        deeds.push(Deed::AccountChanged(account.clone(), before, None));
        self.residency
            .put_account(account, None, Default::default());
        for deed in &mut deeds {
            if let Deed::Told(told) = deed {
                self.add_shared(told);
            }
        }
        let after = After {
            ask: Some(ask),
            reply: Some(Ok(Reply::Done)),
            notices,
            deeds,
            ..After::default()
        };
        self.carry_out(ops, Urgency::Group, after);
    }

    /// Deletes the nodes that only this account owns.
    fn delete_orphans(&mut self, account: &BareJid) -> (Vec<StoreOp>, Vec<Notice>) {
        let (mut ops, mut notices) = (Vec::new(), Vec::new());
        let Some(asker) = self.superuser() else {
            return (ops, notices);
        };
        for node in self.residency.take_owned(account) {
            let list = PubsubAction::NodeAffiliations { node: node.clone() };
            let Decision::Answer(Reply::Pubsub(reply)) = self.as_superuser(&asker, list) else {
                continue;
            };
            let PubsubReply::Affiliations { list, .. } = *reply else {
                continue;
            };
            let mut owners = list
                .iter()
                .filter(|(_, _, affiliation)| *affiliation == Affiliation::Owner);
            if owners.any(|(_, jid, _)| jid != account) {
                continue;
            }
            if let Decision::Change(change) = self.as_superuser(
                &asker,
                PubsubAction::Delete {
                    node,
                    redirect: None,
                },
            ) {
                ops.extend(change.ops);
                notices.extend(change.notices);
            }
        }
        (ops, notices)
    }

    fn as_superuser(&mut self, asker: &Asker, action: PubsubAction) -> Decision {
        let request = PubsubRequest { host: None, action };
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        self.pubsub.handle(asker, request, &mut world, self.now)
    }

    pub(super) fn administer(&mut self, ask: Ask, request: AdminRequest) {
        let unknown = || Refusal::new(Reason::ItemNotFound).say("there is no such account");
        match request {
            AdminRequest::AddAccount {
                account,
                role,
                credentials,
                replace,
            } => {
                let exists = self.residency.facts(&account).is_some();
                let before = self.residency.role(&account).filter(|_| exists);
                let op = if replace && exists {
                    self.alter(&account, |record| {
                        record.role = role;
                        record.credentials = *credentials;
                    })
                    .ok_or_else(unknown)
                } else {
                    self.make_account(&account, role, *credentials)
                };
                match op {
                    Ok(op) => {
                        let after = self.residency.role(&account);
                        let deed = (before != after)
                            .then_some(Deed::AccountChanged(account, before, after));
                        self.commit_account(ask, op, deed.into_iter().collect());
                    }
                    Err(refusal) => self.refuse(ask, refusal),
                }
            }
            AdminRequest::RemoveAccount { account } => self.remove_account(ask, &account),
            AdminRequest::SetCredentials {
                account,
                credentials,
            } => match self.alter(&account, |record| record.credentials = *credentials) {
                Some(op) => {
                    let deed = Deed::EndSessions(account, EndReason::AccountChanged);
                    self.commit_account(ask, op, vec![deed]);
                }
                None => self.refuse(ask, unknown()),
            },
            AdminRequest::SetEnabled { account, enabled } => {
                let before = self.residency.role(&account);
                match self.alter(&account, |record| record.enabled = enabled) {
                    Some(op) => {
                        let after = self.residency.role(&account);
                        let mut deeds = Vec::new();
                        if !enabled {
                            let end = EndReason::AccountChanged;
                            deeds.push(Deed::EndSessions(account.clone(), end));
                        }
                        if before != after {
                            deeds.push(Deed::AccountChanged(account, before, after));
                        }
                        self.commit_account(ask, op, deeds);
                    }
                    None => self.refuse(ask, unknown()),
                }
            }
            AdminRequest::ListAccounts { after, max } => {
                self.defer(&ask);
                let max = max.min(ACCOUNTS_PAGE_MAX);
                self.query(StoreQuery::Accounts { after, max }, Asked::Accounts(ask));
            }
            AdminRequest::ListSessions { account } => {
                let sessions = self.list_sessions(account.as_ref());
                self.answer(
                    ask,
                    Ok(Reply::Admin(Box::new(AdminReply::Sessions(sessions)))),
                );
            }
            AdminRequest::Kick { jid } => {
                let victims = match jid.as_full() {
                    Some(full) => self.directory.session(&full).into_iter().collect(),
                    None if jid.local().is_none() => {
                        let component = self.directory.components.session(jid.domain());
                        component.into_iter().collect()
                    }
                    None => self.directory.sessions(&jid.bare()).to_vec(),
                };
                for &id in &victims {
                    self.end_session(id, EndReason::Kicked);
                }
                self.answer(
                    ask,
                    Ok(Reply::Admin(Box::new(AdminReply::Count(victims.len())))),
                );
            }
            AdminRequest::Status => {
                self.defer(&ask);
                self.query(StoreQuery::Totals, Asked::Totals(ask));
            }
            AdminRequest::NodeUsage { at } => {
                self.defer(&ask);
                self.query(StoreQuery::NodeBytes(at.clone()), Asked::NodeUsage(ask, at));
            }
        }
    }

    fn list_sessions(&self, account: Option<&BareJid>) -> Vec<SessionInfo> {
        let info = |(id, session): (SessionId, &crate::router::directory::Session)| {
            let component = || self.directory.components.by_session(id);
            Some(SessionInfo {
                jid: match &session.jid {
                    Some(jid) => jid.as_jid().clone(),
                    None => component()?.domain.as_jid().clone(),
                },
                transport: session.transport.clone(),
                since: session.since,
                presence: session.availability.kind(),
            })
        };
        let mut sessions: Vec<_> = self.directory.all().filter_map(info).collect();
        sessions.retain(|session| account.is_none_or(|account| session.jid.bare() == *account));
        sessions.sort_by(|a, b| a.jid.cmp(&b.jid));
        sessions
    }
}

/// Whether a change is of the account's own roster.
fn is_of(op: &StoreOp, whose: &BareJid) -> bool {
    matches!(op, StoreOp::PutContact { account, .. } | StoreOp::RemoveContact { account, .. } if account == whose)
}
