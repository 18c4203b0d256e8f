//! Block lists changed by their accounts, and what others see of that.
//!
//! Implements: XEP-0191 1.3 §3.2 to §3.5, §4 (blocking is polite: subscriptions stay). Who is blocked where is in `block_lists`.
//! After unblocking the account also sees what it has missed: the presence of those it unblocked, and alarms that the service
//! owes it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use crate::{
    account::Subscription,
    address::{BareJid, FullJid, Jid},
    block_list::BlockList,
    command::{Reply, SessionId},
    effect::{StoreOp, Urgency},
    event::{BlockListPush, Event, What},
    mailbox::Addressed,
    refusal::Reason,
    router::{
        Router,
        commit::{After, Deed},
        fanout::Reach,
        pipeline::Ask,
    },
    service::{AccountId, Recipient, presence},
};

/// A change of a block list that is being stored.
#[derive(Debug)]
pub(super) struct BlockChange {
    account: BareJid,
    blocked: bool,
    /// As the account named them; none where all are unblocked.
    jids: Vec<Jid>,
    /// Contacts that see the account, or that it sees.
    contacts: Vec<(BareJid, Subscription)>,
}

impl Router {
    /// §3.2.
    pub(super) fn get_block_list(&mut self, ask: Ask, own: &FullJid) {
        if let Some(session) = self.directory.get_mut(ask.session) {
            session.watches_blocks = true;
        }
        let account = self.directory.known(&own.bare());
        let list = account.and_then(|account| self.directory.block_lists.list(account));
        let jids = list.map_or_else(Vec::new, |list| list.entries().to_vec());
        self.answer(ask, Ok(Reply::BlockList(jids)));
    }

    /// §3.3.
    pub(super) fn block(&mut self, ask: Ask, own: &FullJid, jids: Vec<Jid>) {
        let account = own.bare();
        // The account was removed while the command waited.
        if self.residency.facts(&account).is_none() {
            self.refuse(ask, Reason::NotAuthorized.into());
            return;
        }
        let max = self.limits.blocked_per_account;
        let known = self.directory.account(&account);
        if let Err(refusal) = self.directory.block_lists.admit(known, &jids, max) {
            self.refuse(ask, refusal);
            return;
        }
        let ops = jids.iter().map(|jid| StoreOp::PutBlocked {
            account: account.clone(),
            jid: jid.clone(),
        });
        self.change_blocks(ask, account.clone(), true, jids.clone(), ops.collect());
    }

    /// §3.4; without addresses §3.5.
    pub(super) fn unblock(&mut self, ask: Ask, own: &FullJid, jids: Option<Vec<Jid>>) {
        let account = own.bare();
        let jids = jids.filter(|jids| !jids.is_empty());
        let each = |jid: Option<&Jid>| StoreOp::RemoveBlocked {
            account: account.clone(),
            jid: jid.cloned(),
        };
        let ops = match &jids {
            Some(jids) => jids.iter().map(|jid| each(Some(jid))).collect(),
            None => vec![each(None)],
        };
        self.change_blocks(ask, account, false, jids.unwrap_or_default(), ops);
    }

    fn change_blocks(
        &mut self,
        ask: Ask,
        account: BareJid,
        blocked: bool,
        jids: Vec<Jid>,
        ops: Vec<StoreOp>,
    ) {
        let roster = self.residency.roster(&account);
        let contacts = roster.map_or(&[][..], |roster| &roster.contacts);
        let mut contacts: BTreeMap<BareJid, Subscription> = contacts
            .iter()
            .filter(|contact| contact.subscription != Subscription::None)
            .map(|contact| (contact.jid.clone(), contact.subscription))
            .collect();
        let all = self.directory.known(&account).filter(|_| jids.is_empty());
        let all = all.and_then(|account| self.directory.block_lists.list(account));
        let named = all.map_or(&jids[..], BlockList::entries);
        self.add_contacts_by_groups(&account, named, &mut contacts);
        let change = BlockChange {
            contacts: contacts.into_iter().collect(),
            account,
            blocked,
            jids,
        };
        let after = After {
            ask: Some(ask),
            reply: Some(Ok(Reply::Done)),
            deeds: vec![Deed::BlockList(change)],
            ..After::default()
        };
        self.carry_out(ops, Urgency::Group, after);
    }

    /// Those who see the account by shared groups and are here, and those whom `named` means and whom it sees so.
    fn add_contacts_by_groups(
        &self,
        account: &BareJid,
        named: &[Jid],
        contacts: &mut BTreeMap<BareJid, Subscription>,
    ) {
        let mut watchers = Vec::new();
        self.add_watchers_by_groups(account, &mut watchers);
        let watchers = watchers.iter().filter_map(|delivery| match delivery.to {
            Recipient::Account(watcher) => self.directory.jid_of(watcher),
            Recipient::Session(_) => None,
        });
        let mut meant: HashSet<BareJid> = named.iter().map(Jid::bare).collect();
        if named.iter().any(|jid| jid.local().is_none()) {
            // A domain means whoever is here.
            let here = self.directory.all();
            meant.extend(here.filter_map(|(_, session)| Some(session.jid.as_ref()?.bare())));
        }
        let seen = meant
            .into_iter()
            .filter(|jid| self.sees_by_groups(account, jid));
        let watchers = watchers.map(|jid| (jid, Subscription::From));
        for (jid, more) in watchers.chain(seen.map(|jid| (jid, Subscription::To))) {
            let has = contacts.entry(jid).or_default();
            *has = Subscription::of(has.to() || more.to(), has.from() || more.from());
        }
    }

    /// The change is stored: it is put into force, and told.
    pub(super) fn enforce(&mut self, change: BlockChange) {
        let Some(account) = self.directory.known(&change.account) else {
            return;
        };
        if change.blocked {
            self.enforce_block(account, &change);
        } else {
            self.enforce_unblock(account, &change);
        }
        let push = Event::new(What::BlockList(BlockListPush {
            blocked: change.blocked,
            jids: change.jids,
        }));
        let push = Arc::new(push);
        for &id in self.directory.sessions_of(account) {
            if self
                .directory
                .get(id)
                .is_some_and(|session| session.watches_blocks)
            {
                self.post
                    .tell(&self.directory, id, &push, Addressed::Full, None);
            }
        }
    }

    /// §3.3: those who see the account's presence and are blocked now see it go, as the last that they see of it.
    fn enforce_block(&mut self, account: AccountId, change: &BlockChange) {
        let fresh: BlockList = change.jids.iter().cloned().collect();
        for (from, to) in self.sights(account, change, &fresh) {
            let gone = presence::farewell(from.as_jid(), self.now.wall);
            let event = Event::new(What::Presence(gone));
            self.post
                .tell(&self.directory, to, &Arc::new(event), Addressed::Full, None);
        }
        self.hide_abroad(account, change, &fresh);
        for id in self.directory.sessions_of(account).to_vec() {
            if let Some(session) = self.directory.get_mut(id) {
                session.availability.hide_from_all(|jid| fresh.covers(jid));
            }
        }
        self.directory.block_lists.came(account, change.jids.len());
        for jid in &change.jids {
            self.directory.block_lists.block(account, jid.clone());
        }
    }

    /// The same for contacts who are a component's.
    fn hide_abroad(&mut self, account: AccountId, change: &BlockChange, fresh: &BlockList) {
        let own: Vec<FullJid> = self
            .directory
            .sessions_of(account)
            .iter()
            .filter_map(|&id| {
                let session = self.directory.get(id)?;
                session.availability.current()?;
                session.jid.clone()
            })
            .collect();
        for (jid, subscription) in &change.contacts {
            let covered = subscription.from() && fresh.covers(jid.as_jid());
            let hidden = self.directory.blocks(change.account.as_jid(), jid.as_jid());
            if !covered || hidden || self.is_ours(jid) {
                continue;
            }
            if let Ok(component) = self.abroad(jid) {
                for from in &own {
                    let gone = presence::farewell(from.as_jid(), self.now.wall);
                    self.tell_component(component, jid.as_jid(), What::Presence(gone), None);
                }
            }
        }
    }

    /// Who sees which of the account's resources, among those that `list` covers.
    fn sights(
        &self,
        account: AccountId,
        change: &BlockChange,
        list: &BlockList,
    ) -> Vec<(FullJid, SessionId)> {
        let mut seen = HashSet::new();
        let mut sights = Vec::new();
        let watchers: Vec<&BareJid> = change
            .contacts
            .iter()
            .filter(|(jid, subscription)| subscription.from() && list.touches(jid.as_jid()))
            .map(|(jid, _)| jid)
            .collect();
        for &id in self.directory.sessions_of(account) {
            let Some(session) = self.directory.get(id) else {
                continue;
            };
            let Some(jid) = &session.jid else { continue };
            let directed = session
                .availability
                .directed()
                .filter(|to| list.touches(to));
            let shown = directed.map(|to| (to.bare(), to.as_full()));
            let broadcast = watchers.iter().map(|&watcher| (watcher.clone(), None));
            let broadcast = broadcast.filter(|_| session.availability.current().is_some());
            for (who, resource) in broadcast.chain(shown) {
                for &to in self.directory.sessions(&who) {
                    let Some(other) = self.directory.get(to) else {
                        continue;
                    };
                    let Some(full) = &other.jid else { continue };
                    let meant = resource.as_ref().is_none_or(|resource| resource == full);
                    if meant
                        && other.availability.current().is_some()
                        && list.covers(full.as_jid())
                        && who != change.account
                        && seen.insert((id, to))
                    {
                        sights.push((jid.clone(), to));
                    }
                }
            }
        }
        sights
    }

    /// §3.4: those who may see the account see it again; it sees them, and gets what the service owes it.
    fn enforce_unblock(&mut self, account: AccountId, change: &BlockChange) {
        let lists = &mut self.directory.block_lists;
        let named = match &change.jids[..] {
            [] => lists
                .list(account)
                .map_or_else(Vec::new, |list| list.entries().to_vec()),
            jids => jids.to_vec(),
        };
        let mut freed: Vec<Jid> = Vec::new();
        for jid in named {
            if lists.unblock(account, &jid) {
                freed.push(jid);
            }
        }
        let freed: BlockList = freed.into_iter().collect();
        if freed.is_empty() {
            return;
        }
        for (jid, subscription) in &change.contacts {
            if !freed.touches(jid.as_jid()) {
                continue;
            }
            if subscription.from() {
                self.show_again(account, &change.account, jid, &freed);
            }
            if subscription.to() {
                for id in self.directory.sessions_of(account).to_vec() {
                    if self.is_available(id) {
                        self.show_resources(id, jid, |full| freed.covers(full.as_jid()));
                        if !self.is_ours(jid) {
                            self.probe_contact(id, jid);
                        }
                    }
                }
            }
        }
        if freed.covers(self.service.as_jid()) {
            for id in self.directory.sessions_of(account).to_vec() {
                self.start_kept(id);
            }
        }
    }

    /// The account's present resources, to those of a contact's that were blocked. Those that still are do not pass the screen.
    fn show_again(&mut self, account: AccountId, own: &BareJid, to: &BareJid, freed: &BlockList) {
        let events: Vec<_> = self
            .directory
            .sessions_of(account)
            .iter()
            .filter_map(|&id| self.directory.get(id)?.availability.current().cloned())
            .collect();
        if !self.is_ours(to) && freed.covers(to.as_jid()) {
            for event in &events {
                self.present(own, to.as_jid(), event);
            }
        }
        for id in self.directory.sessions(to).to_vec() {
            let session = self.directory.get(id);
            let jid = session.and_then(|session| session.jid.as_ref());
            if !jid.is_some_and(|jid| freed.covers(jid.as_jid())) || !self.is_available(id) {
                continue;
            }
            for event in &events {
                self.send_from(own, Recipient::Session(id), event, Reach::Available);
            }
        }
    }

    fn is_available(&self, id: SessionId) -> bool {
        let session = self.directory.get(id);
        session.is_some_and(|session| session.availability.current().is_some())
    }
}
