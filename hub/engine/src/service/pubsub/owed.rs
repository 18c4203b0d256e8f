//! How many alarms are owed to whom, and whose they are: the bounds of S9.
//!
//! An account has room for so many, and each publisher for a share of them: one device that raises without end is refused
//! before it leaves no room for the alarms of others.

use std::collections::HashMap;

use crate::{
    address::BareJid,
    limits::{OWED_ALARMS_PER_ACCOUNT_MAX, OWED_ALARMS_PER_PUBLISHER_MAX},
    refusal::{Reason, Refusal},
};

/// Alarms owed, by account and then by the bare account that raised them. Without entries that count nothing.
#[derive(Debug, Default)]
pub(super) struct Owed {
    accounts: HashMap<BareJid, Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// The sum of `publishers`.
    total: u32,
    publishers: HashMap<BareJid, u32>,
}

impl Owed {
    /// Another `count` alarms of `publisher` are owed to `account`.
    pub(super) fn add(&mut self, account: &BareJid, publisher: &BareJid, count: u32) {
        let owed = self.accounts.entry(account.clone()).or_default();
        let share = owed.publishers.entry(publisher.clone()).or_default();
        let before = *share;
        *share = share.saturating_add(count);
        owed.total = owed.total.saturating_add(*share - before);
    }

    /// They were acknowledged, or otherwise stopped being owed.
    pub(super) fn remove(&mut self, account: &BareJid, publisher: &BareJid, count: u32) {
        let Some(owed) = self.accounts.get_mut(account) else {
            return;
        };
        let Some(share) = owed.publishers.get_mut(publisher) else {
            return;
        };
        let removed = count.min(*share);
        *share -= removed;
        owed.total = owed.total.saturating_sub(removed);
        if *share == 0 {
            owed.publishers.remove(publisher);
        }
        if owed.publishers.is_empty() {
            self.accounts.remove(account);
        }
    }

    /// The account is gone. What it raised stays owed to others.
    pub(super) fn remove_account(&mut self, account: &BareJid) {
        self.accounts.remove(account);
    }

    /// All there are.
    pub(super) fn total(&self) -> u64 {
        self.accounts
            .values()
            .map(|owed| u64::from(owed.total))
            .sum()
    }

    /// S9: stored alarms have a bound; beyond it the publisher is refused, and nothing is dropped.
    pub(super) fn room_for(
        &self,
        accounts: &[BareJid],
        publisher: &BareJid,
    ) -> Result<(), Refusal> {
        let full = |text| Err(Refusal::new(Reason::ResourceConstraint).say(text));
        for owed in accounts.iter().filter_map(|jid| self.accounts.get(jid)) {
            let share = owed.publishers.get(publisher).copied().unwrap_or(0);
            if share as usize >= OWED_ALARMS_PER_PUBLISHER_MAX {
                return full(
                    "a subscriber has left too many alarms of this account unacknowledged",
                );
            }
            if owed.total as usize >= OWED_ALARMS_PER_ACCOUNT_MAX {
                return full("a subscriber has left too many alarms unacknowledged");
            }
        }
        Ok(())
    }
}
