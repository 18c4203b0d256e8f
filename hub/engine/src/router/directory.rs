//! Who is here: sessions, and the accounts that they belong to.
//!
//! Sessions live in a slab and are named by index and generation, so a stale name finds nothing. Accounts are interned for the
//! life of the process: fan-out finds an account's sessions by index. Only accounts that have had a session, or that a
//! service names as a subscriber, get an index; an address that was merely asked for never does.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
};

use smallvec::SmallVec;

use crate::{
    address::{BareJid, FullJid, Jid},
    command::{SessionId, Transport},
    mailbox::Mailbox,
    router::{
        block_lists::BlockLists,
        components::Components,
        hearing::{Guests, Hearing},
        pipeline::Pipeline,
    },
    service::{AccountId, presence::Availability},
    time::{Instant, Timestamp},
};

/// One session. An idle device pays for this, its mailbox, its address and its last presence.
pub(super) struct Session {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) transport: Transport,
    pub(super) jid: Option<FullJid>,
    pub(super) account: Option<AccountId>,
    pub(super) since: Timestamp,
    /// When it last asked for something (XEP-0012 §4).
    pub(super) active: Instant,
    pub(super) availability: Availability,
    /// It asked for the roster: pushes go to it (RFC 6121 §2.1.6).
    pub(super) interested: bool,
    /// It asked for the block list: pushes go to it (XEP-0191 §3.3).
    pub(super) watches_blocks: bool,
    /// It gets copies (XEP-0280); set by [`Directory::set_carbons`].
    pub(super) carbons: bool,
    /// It is the hub's own administration.
    pub(super) operator: bool,
    /// Which personal nodes its client wants to hear of; most clients pay one word for it.
    pub(super) hearing: Option<Box<Hearing>>,
    /// How often its client was asked what it can.
    pub(super) questions: u8,
    /// Commands and answers under way; an idle session pays one word.
    pub(super) pipeline: Option<Box<Pipeline>>,
}

struct Slot {
    generation: u32,
    session: Option<Box<Session>>,
}

struct AccountSlot {
    /// Bound sessions, oldest first.
    sessions: SmallVec<[SessionId; 1]>,
    /// Where its address stands in `names`.
    name: (u32, u32),
    /// Grows with every change of who hears of its personal nodes.
    hearing: u32,
}

/// All sessions and the accounts that have had one.
#[derive(Default)]
pub(super) struct Directory {
    slots: Vec<Slot>,
    free: Vec<u32>,
    accounts: Vec<AccountSlot>,
    /// The addresses of all accounts, one after the other. An allocation for each would live as long as the process in the
    /// midst of what its session owned, and keep the allocator from giving those pages back after a storm.
    names: String,
    by_hash: HashMap<u64, SmallVec<[AccountId; 1]>>,
    hasher: RandomState,
    live: usize,
    /// Accounts with a session.
    here: usize,
    pub(super) components: Components,
    /// Who hears of open personal nodes of an account because of a presence directed to it.
    pub(super) guests: Guests,
    /// Addresses with an index that are a component's: what is for them goes to its session.
    relayed: HashMap<AccountId, Jid>,
    /// Sessions that get copies.
    carbons: usize,
    /// Who has blocked whom.
    pub(super) block_lists: BlockLists,
}

impl Directory {
    /// A directory of the hub whose pubsub service is `service`.
    pub(super) fn new(service: BareJid) -> Self {
        Self {
            block_lists: BlockLists::new(service.into()),
            ..Self::default()
        }
    }

    /// A session that belongs to nobody yet.
    pub(super) fn open(
        &mut self,
        mailbox: Arc<Mailbox>,
        peer: Option<IpAddr>,
        active: Instant,
    ) -> SessionId {
        let session = Box::new(Session {
            mailbox,
            transport: Transport {
                protocol: "",
                peer,
                tls: false,
                mechanism: "",
            },
            jid: None,
            account: None,
            since: Timestamp::default(),
            active,
            availability: Availability::default(),
            interested: false,
            watches_blocks: false,
            carbons: false,
            operator: false,
            hearing: None,
            questions: 0,
            pipeline: None,
        });
        self.live += 1;
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.session = Some(session);
            return SessionId {
                index,
                generation: slot.generation,
            };
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot {
            generation: 0,
            session: Some(session),
        });
        SessionId {
            index,
            generation: 0,
        }
    }

    /// The session, unless it is over.
    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        let slot = self.slots.get(id.index as usize)?;
        slot.session
            .as_deref()
            .filter(|_| slot.generation == id.generation)
    }

    /// The session, unless it is over.
    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.session
            .as_deref_mut()
            .filter(|_| slot.generation == id.generation)
    }

    /// Makes it a session of `jid`'s account.
    pub(super) fn bind(&mut self, id: SessionId, jid: FullJid) -> AccountId {
        let account = self.account(&jid.bare());
        if let Some(session) = self.get_mut(id) {
            session.jid = Some(jid);
            session.account = Some(account);
        }
        if let Some(slot) = self.accounts.get_mut(account.0 as usize) {
            self.here += usize::from(slot.sessions.is_empty());
            slot.sessions.push(id);
        }
        account
    }

    /// Takes the session out.
    pub(super) fn close(&mut self, id: SessionId) -> Option<Box<Session>> {
        self.get(id)?;
        let slot = self.slots.get_mut(id.index as usize)?;
        let session = slot.session.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        self.live -= 1;
        self.carbons -= usize::from(session.carbons);
        if let Some(slot) = session
            .account
            .and_then(|account| self.accounts.get_mut(account.0 as usize))
        {
            slot.sessions.retain(|other| *other != id);
            self.here -= usize::from(slot.sessions.is_empty());
        }
        Some(session)
    }

    /// Whether the session gets copies from now on.
    pub(super) fn set_carbons(&mut self, id: SessionId, enabled: bool) {
        let Some(session) = self.get_mut(id) else {
            return;
        };
        let had = std::mem::replace(&mut session.carbons, enabled);
        self.carbons = self.carbons + usize::from(enabled) - usize::from(had);
    }

    /// Whether any session gets copies.
    pub(super) const fn has_carbons(&self) -> bool {
        self.carbons > 0
    }

    /// The account's index, if it has one.
    pub(super) fn known(&self, jid: &BareJid) -> Option<AccountId> {
        self.known_text(jid.as_str())
    }

    fn known_text(&self, text: &str) -> Option<AccountId> {
        let hash = self.hasher.hash_one(text);
        let mut same = self.by_hash.get(&hash)?.iter().copied();
        same.find(|account| self.name(*account) == Some(text))
    }

    fn name(&self, account: AccountId) -> Option<&str> {
        let (start, end) = self.accounts.get(account.0 as usize)?.name;
        self.names.get(start as usize..end as usize)
    }

    /// The address of an account that has a session.
    pub(super) fn jid_of(&self, account: AccountId) -> Option<BareJid> {
        let first = *self.sessions_of(account).first()?;
        Some(self.get(first)?.jid.as_ref()?.bare())
    }

    /// The account's sessions, oldest first.
    pub(super) fn sessions_of(&self, account: AccountId) -> &[SessionId] {
        self.accounts
            .get(account.0 as usize)
            .map_or(&[], |slot| &slot.sessions)
    }

    /// The sessions of an account by its address.
    pub(super) fn sessions(&self, jid: &BareJid) -> &[SessionId] {
        self.known(jid)
            .map_or(&[], |account| self.sessions_of(account))
    }

    /// Whether a session of the account takes messages to its bare address.
    pub(super) fn is_reachable(&self, jid: &BareJid) -> bool {
        let mut sessions = self.sessions(jid).iter();
        sessions.any(|&id| {
            self.get(id)
                .is_some_and(|session| session.availability.is_reachable())
        })
    }

    /// All sessions, in order of place.
    pub(super) fn all(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.slots.iter().zip(0u32..).filter_map(|(slot, index)| {
            let id = SessionId {
                index,
                generation: slot.generation,
            };
            Some((id, slot.session.as_deref()?))
        })
    }

    /// How many accounts have a session.
    pub(super) const fn accounts_here(&self) -> usize {
        self.here
    }

    /// How many sessions there are.
    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// The account's index, made now if need be.
    pub(super) fn account(&mut self, jid: &BareJid) -> AccountId {
        self.index(jid.as_jid())
    }

    /// The index of an address of a component, made now if need be; `None`, it is no component's.
    pub(super) fn relayed(&mut self, jid: &Jid) -> Option<AccountId> {
        self.components.get(jid.domain())?;
        Some(self.index(jid))
    }

    /// The session that takes what is for an address with this index, if that is a component's, and the address.
    pub(super) fn relay(&self, account: AccountId) -> Option<(SessionId, &Jid)> {
        if self.relayed.is_empty() {
            return None;
        }
        let jid = self.relayed.get(&account)?;
        Some((self.components.session(jid.domain())?, jid))
    }

    /// There are other components now: which addresses are theirs.
    pub(super) fn find_relayed(&mut self) {
        let indices = (0..self.accounts.len()).filter_map(|index| u32::try_from(index).ok());
        let addresses = indices.filter_map(|index| {
            let jid = Jid::parse(self.name(AccountId(index))?).ok()?;
            self.components.get(jid.domain())?;
            Some((AccountId(index), jid))
        });
        self.relayed = addresses.collect();
    }

    fn index(&mut self, jid: &Jid) -> AccountId {
        if let Some(account) = self.known_text(jid.as_str()) {
            return account;
        }
        let account = AccountId(u32::try_from(self.accounts.len()).unwrap_or(u32::MAX));
        let start = self.names.len();
        self.names.push_str(jid.as_str());
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.accounts.push(AccountSlot {
            sessions: SmallVec::new(),
            name: (place(start), place(self.names.len())),
            hearing: 0,
        });
        let hash = self.hasher.hash_one(jid.as_str());
        self.by_hash.entry(hash).or_default().push(account);
        if self.components.get(jid.domain()).is_some() {
            self.relayed.insert(account, jid.clone());
        }
        account
    }

    /// See [`crate::service::Directory::hearing`]. An account that is not known has told nobody the number.
    pub(super) fn hearing_changed(&mut self, of: &BareJid) {
        if let Some(account) = self.known(of) {
            self.hearing_of_changed(account);
        }
    }

    /// The same by its index.
    pub(super) fn hearing_of_changed(&mut self, account: AccountId) {
        if let Some(slot) = self.accounts.get_mut(account.0 as usize) {
            slot.hearing = slot.hearing.wrapping_add(1);
        }
    }

    /// The same of all accounts: the shared groups are others.
    pub(super) fn hearing_of_all_changed(&mut self) {
        for slot in &mut self.accounts {
            slot.hearing = slot.hearing.wrapping_add(1);
        }
    }

    /// See [`crate::service::Directory::hearing`].
    pub(super) fn hearing(&mut self, of: &BareJid) -> u32 {
        let account = self.account(of);
        let slot = self.accounts.get(account.0 as usize);
        slot.map_or(0, |slot| slot.hearing)
    }

    /// The session bound to a full address.
    pub(super) fn session(&self, jid: &FullJid) -> Option<SessionId> {
        let account = self.known(&jid.bare())?;
        let mut sessions = self.sessions_of(account).iter().copied();
        sessions.find(|&id| {
            self.get(id)
                .is_some_and(|session| session.jid.as_ref() == Some(jid))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::MailboxBudget;

    #[test]
    fn a_stale_session_finds_nothing_and_its_place_is_used_again() {
        let budget = MailboxBudget::new(10, 10_000, 10_000);
        let mut directory = Directory::default();
        let open = |directory: &mut Directory| {
            directory.open(Mailbox::new(Arc::clone(&budget)), None, Instant::default())
        };
        let first = open(&mut directory);
        let jid = FullJid::parse("a@localhost/x").unwrap();
        directory.bind(first, jid.clone());
        assert_eq!(directory.session(&jid), Some(first));
        directory.close(first);
        let second = open(&mut directory);
        assert_eq!((second.index, directory.len()), (first.index, 1));
        assert!(directory.get(first).is_none());
        assert_eq!(directory.session(&jid), None);
    }

    #[test]
    fn an_idle_session_is_small() {
        assert!(
            size_of::<Session>() + size_of::<Slot>() <= 240,
            "{}",
            size_of::<Session>() + size_of::<Slot>()
        );
        assert!(
            size_of::<AccountSlot>() <= 64,
            "{}",
            size_of::<AccountSlot>()
        );
    }
}
