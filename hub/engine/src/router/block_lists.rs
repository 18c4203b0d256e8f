//! Block lists in memory, and the screen that every stanza between two entities passes on its way into a mailbox.
//!
//! Implements: XEP-0191 1.3 §3.3 (nothing from who is blocked arrives, nothing goes to who is blocked), §5, §7 (an account's own
//! resources never block each other).
//!
//! Few accounts have a list, so all of them are read at the start: a stanza is never held up by a question, and where nobody has
//! a list the screen is one comparison. What the hub itself says, its errors among them, is not screened.

use std::collections::HashMap;

use crate::{
    address::Jid,
    block_list::BlockList,
    event::{Event, What},
    refusal::{Reason, Refusal},
    router::directory::{Directory, Session},
    service::AccountId,
};

#[derive(Default)]
struct Kept {
    list: BlockList,
    /// Entries that the store has not confirmed; they count against the bound and block nobody yet.
    coming: usize,
}

/// The lists of accounts that have one. A change is in force once it is stored (S5), so a commit that fails leaves nothing to
/// be undone.
#[derive(Default)]
pub(super) struct BlockLists {
    lists: HashMap<AccountId, Kept>,
    /// Who speaks where a node of the hub's own service does.
    service: Option<Jid>,
}

impl BlockLists {
    pub(super) fn new(service: Jid) -> Self {
        Self {
            lists: HashMap::new(),
            service: Some(service),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    pub(super) fn list(&self, of: AccountId) -> Option<&BlockList> {
        self.lists.get(&of).map(|kept| &kept.list)
    }

    fn covers(&self, of: AccountId, jid: &Jid) -> bool {
        self.list(of).is_some_and(|list| list.covers(jid))
    }

    /// Whether the account may block these too.
    pub(super) fn admit(&mut self, of: AccountId, jids: &[Jid], max: usize) -> Result<(), Refusal> {
        let (has, coming, new) = match self.lists.get(&of) {
            Some(Kept { list, coming }) => {
                let new = jids.iter().filter(|jid| !list.contains(jid)).count();
                (list.entries().len(), *coming, new)
            }
            None => (0, 0, jids.len()),
        };
        if new > 0 && has + coming + new > max {
            return Err(Refusal::new(Reason::ResourceConstraint).say("the block list is full"));
        }
        self.lists.entry(of).or_default().coming += jids.len();
        Ok(())
    }

    /// So many of what was to come are there, or will never be.
    pub(super) fn came(&mut self, of: AccountId, count: usize) {
        self.change(of, |kept| kept.coming = kept.coming.saturating_sub(count));
    }

    pub(super) fn block(&mut self, of: AccountId, jid: Jid) -> bool {
        self.lists.entry(of).or_default().list.insert(jid)
    }

    pub(super) fn unblock(&mut self, of: AccountId, jid: &Jid) -> bool {
        let mut was = false;
        self.change(of, |kept| was = kept.list.remove(jid));
        was
    }

    /// The account is gone.
    pub(super) fn forget(&mut self, of: AccountId) {
        self.lists.remove(&of);
    }

    /// Where nothing is left nothing is kept.
    fn change(&mut self, of: AccountId, change: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.lists.get_mut(&of) {
            change(kept);
            if kept.list.is_empty() && kept.coming == 0 {
                self.lists.remove(&of);
            }
        }
    }

    /// Who speaks in an event; nobody where it is the hub, or the account to itself.
    fn sender<'e>(&'e self, event: &'e Event) -> Option<&'e Jid> {
        match &event.what {
            What::Message(message) => Some(&message.from),
            What::Iq(iq) => Some(&iq.from),
            What::Presence(presence) => Some(&presence.from),
            What::Subscription(stanza) => Some(stanza.from.as_jid()),
            What::Node(event) => match &event.at.host {
                Some(host) => Some(host.as_jid()),
                None => self.service.as_ref(),
            },
            What::Probe(probe) => Some(&probe.from),
            What::Roster(_) | What::BlockList(_) | What::Carbon(_) | What::Question(_) => None,
        }
    }
}

/// Holds one event against the block lists of its sender and of those who are to get it.
pub(super) struct Screen<'a> {
    lists: &'a BlockLists,
    from: &'a Jid,
    account: Option<AccountId>,
}

impl Screen<'_> {
    /// Whether the session must not get the event.
    pub(super) fn stops(&self, to: &Session) -> bool {
        let (Some(jid), Some(account)) = (&to.jid, to.account) else {
            return false;
        };
        if self.account == Some(account) {
            return false;
        }
        self.hides_from(jid.as_jid()) || self.lists.covers(account, self.from)
    }

    /// Whether an address elsewhere must not get the event: it has no list here, but its sender may have one.
    pub(super) fn hides_from(&self, jid: &Jid) -> bool {
        self.account.is_some_and(|own| self.lists.covers(own, jid))
    }
}

impl Directory {
    /// The screen for an event; `None`: everybody may get it.
    pub(super) fn screen<'a>(&'a self, event: &'a Event) -> Option<Screen<'a>> {
        if self.block_lists.is_empty() {
            return None;
        }
        let from = self.block_lists.sender(event)?;
        Some(Screen {
            lists: &self.block_lists,
            from,
            account: self.known(&from.bare()),
        })
    }

    /// Whether the account has blocked an address. Its own resources it never blocks.
    pub(super) fn blocks(&self, account: &Jid, jid: &Jid) -> bool {
        if self.block_lists.is_empty() {
            return false;
        }
        let account = account.bare();
        account != jid.bare()
            && self
                .known(&account)
                .is_some_and(|known| self.block_lists.covers(known, jid))
    }

    /// What the sender of a stanza hears if it or the receiver has blocked the other.
    pub(super) fn check_blocks(&self, from: &Jid, to: &Jid) -> Result<(), Refusal> {
        if self.blocks(from, to) {
            return Err(Refusal::blocked());
        }
        if self.blocks(to, from) {
            // As if nobody were there.
            return Err(Reason::ServiceUnavailable.into());
        }
        Ok(())
    }
}
