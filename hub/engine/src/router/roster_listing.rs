//! The roster of an account that has shared contacts: its own, and whom its groups let it see, absent ones too.
//!
//! Implements: RFC 6121 §2.1.3, §2.1.4, §2.6, for contacts by shared groups.
//! Members are not kept in memory: they are read in pages when somebody asks, by an index, without their keys. What changes
//! meanwhile is pushed to the session, so it is noted here too: the answer must not say less than a push before it. Several
//! requests of one session share one reading.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
};

use crate::{
    account::{Contact, Role, Roster},
    address::BareJid,
    command::{Reply, SessionId},
    effect::StoreQuery,
    roster_group::{Lookup, SharedContacts, Viewer},
    router::{
        Router,
        commit::{After, Deed},
        pipeline::Ask,
        regroup::Lookups,
        store_failed,
        stored::Asked,
    },
    service::roster,
};

/// Accounts in one page.
const PAGE: u32 = 1_000;

/// A roster that is being put together.
#[derive(Debug)]
pub(super) struct Listing {
    /// Who is answered.
    asks: VecDeque<Ask>,
    viewer: Viewer,
    lookups: Lookups,
    found: BTreeMap<BareJid, Role>,
    /// What became of accounts since it began.
    changed: BTreeMap<BareJid, Option<Role>>,
    /// Which of the session's listings it is: an answer of the store to an older one is of no use.
    number: u64,
    /// The account's own contacts, once all others are found.
    own: Roster,
}

impl Listing {
    pub(super) fn note(&mut self, jid: &BareJid, role: Option<Role>) {
        self.changed.insert(jid.clone(), role);
    }
}

impl Router {
    /// Begins to put together the roster of an account that sees others by shared groups.
    pub(super) fn list_roster(&mut self, ask: Ask, viewer: Viewer) {
        let id = ask.session;
        self.defer(&ask);
        if let Some(listing) = self.listings.get_mut(&id) {
            listing.asks.push_back(ask);
            return;
        }
        self.begin_listing(id, [ask].into(), viewer);
    }

    fn begin_listing(&mut self, id: SessionId, asks: VecDeque<Ask>, viewer: Viewer) {
        let lookups: Vec<Lookup> = viewer.groups().lookups(viewer.seen());
        self.listings_made += 1;
        let listing = Listing {
            asks,
            lookups: Lookups::new(lookups),
            viewer,
            found: BTreeMap::new(),
            changed: BTreeMap::new(),
            number: self.listings_made,
            own: Roster::default(),
        };
        self.listings.insert(id, listing);
        self.step_listing(id);
    }

    fn step_listing(&mut self, id: SessionId) {
        let Some(listing) = self.listings.get_mut(&id) else {
            return;
        };
        let left = self.limits.roster_items.saturating_sub(listing.found.len());
        let max = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let next = listing.lookups.query(&self.domain, max).filter(|_| max > 0);
        if let Some(query) = next {
            let number = listing.number;
            self.query(query.clone(), Asked::Listing(id, number, query));
            return;
        }
        let account = listing.viewer.account().clone();
        let number = listing.number;
        listing.own = self.residency.roster(&account).cloned().unwrap_or_default();
        // The account's own part is what is in memory now: it is told once it is stored.
        let after = After {
            deeds: vec![Deed::RosterListed(id, number)],
            ..After::default()
        };
        if let Some(after) = self.commits.follow_roster(&account, after) {
            self.follow_up(after, None);
        }
    }

    /// Members came from the store; `None`: it could not tell.
    pub(super) fn listed(
        &mut self,
        id: SessionId,
        number: u64,
        query: &StoreQuery,
        found: Option<Vec<(BareJid, Role)>>,
    ) {
        let listing = self.listings.get_mut(&id);
        let Some(listing) = listing.filter(|listing| listing.number == number) else {
            return;
        };
        match found {
            Some(found) => {
                listing.lookups.advance(query, &found);
                listing.found.extend(found);
                self.step_listing(id);
            }
            None => {
                let asks = mem::take(&mut listing.asks);
                self.listings.remove(&id);
                for ask in asks {
                    self.refuse(ask, store_failed());
                }
            }
        }
    }

    /// All of it is known and stored: the answer.
    pub(super) fn answer_listing(&mut self, id: SessionId, number: u64) {
        let is_it = |listing: &&Listing| listing.number == number;
        let Some(viewer) = self
            .listings
            .get(&id)
            .filter(is_it)
            .map(|listing| &listing.viewer)
        else {
            return;
        };
        let account = viewer.account();
        let current = self.residency.shared.viewer(account);
        let stale = current.filter(|current| !current.is_like(viewer));
        let Some(listing) = self.listings.remove(&id) else {
            return;
        };
        if let Some(viewer) = stale {
            // Other groups, or another role, since it began.
            self.begin_listing(id, listing.asks, viewer);
            return;
        }
        let account = listing.viewer.account();
        let version = self.roster_version(account, listing.own.version);
        let (contacts, shared) = merge(&listing, self.limits.roster_items);
        let shared = Arc::new(shared);
        for ask in listing.asks {
            let reply = Reply::Roster {
                contacts: Some(contacts.clone()),
                shared: Arc::clone(&shared),
                version: version.clone(),
            };
            self.answer(ask, Ok(reply));
        }
    }

    /// The version of an account's roster, of whose own contacts this is the version (RFC 6121 §2.6).
    pub(super) fn roster_version(&self, account: &BareJid, own: u64) -> Box<str> {
        match self.residency.shared.version(account) {
            Some(shared) => format!("{own}-{shared}").into(),
            None => own.to_string().into(),
        }
    }
}

/// The account's own contacts, with what groups add to them, and the contacts that it has by groups alone.
fn merge(listing: &Listing, shared_max: usize) -> (Vec<Contact>, SharedContacts) {
    let mut found = listing.found.clone();
    for (jid, role) in &listing.changed {
        match role {
            Some(role) => found.insert(jid.clone(), *role),
            None => found.remove(jid),
        };
    }
    let mut contacts: BTreeMap<&BareJid, Contact> = BTreeMap::new();
    for contact in listing.own.contacts.iter().filter(|contact| contact.listed) {
        contacts.insert(&contact.jid, contact.clone());
    }
    let viewer = &listing.viewer;
    let mut shared = SharedContacts::default();
    for (jid, role) in &found {
        let Some(look) = viewer.look(jid, *role) else {
            continue;
        };
        match contacts.get_mut(jid) {
            Some(own) => {
                let groups = viewer.names(&look.groups);
                *own = roster::with_shared(Some(own), jid, look.mutual, groups);
            }
            None if shared.len() < shared_max => shared.push(viewer, jid, look),
            None => {}
        }
    }
    (contacts.into_values().collect(), shared)
}
