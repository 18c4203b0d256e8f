//! What a session is shown after it became available, in batches that it asks for as its mailbox drains (S10): the presence of
//! its contacts and their waiting requests, kept messages, owed alarms.
//!
//! Implements: RFC 6121 §3.1.3 (requests are shown again), §4.2.2; XEP-0160 1.0.1 §2; S12.
//! A kept message is removed when the session asks for the batch after it: a crash in between delivers it twice rather than not at
//! all. One session at a time takes an account's messages; if it ends halfway the next one goes on.

mod contacts;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    address::BareJid,
    command::{Command, Cursor, SessionId, Token},
    effect::{StoreOp, StoreQuery, Urgency},
    event::{Event, NodeChange, NodeEvent, What},
    item::Item,
    limits::CURSOR_BATCH,
    mailbox::{Addressed, Entry},
    message::{Message, MessageKind},
    node::NodeAddress,
    router::{Router, commit::After, regroup::Regrouping, showing::Showing, stored::Asked},
    service::AccountId,
    time::{Instant, Timestamp},
};

/// The same as [`CURSOR_BATCH`], as the store counts.
const BATCH: u32 = CURSOR_BATCH as u32;
/// A batch is at most this part of what a mailbox holds in bytes: messages are never dropped, so a batch that did not fit
/// would end the session, at every login anew, and whoever writes to an absent account could shut it out.
const BATCH_BYTES_SHARE: usize = 4;

/// After how long the store is asked again for what it could not give.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) enum Progress {
    /// Contacts after this one.
    Contacts(Option<BareJid>),
    /// Messages after this one; so many of them were handed over and are still kept.
    Offline { after: u64, handed: u32 },
    /// Members of roster groups that are here: in this one of the groups that the account sees, after this account.
    Shared { at: usize, after: Option<AccountId> },
    /// Alarms after this one.
    Owed { after: u64 },
    /// Contacts by groups that are not what they were.
    Regroup,
    /// Last items.
    Showing(Box<Showing>),
}

#[derive(Clone)]
struct Open {
    session: SessionId,
    account: BareJid,
    progress: Progress,
}

/// Cursors that are open.
#[derive(Default)]
pub(super) struct Cursors {
    open: HashMap<u32, Open>,
    made: u32,
    /// Which session takes an account's kept messages.
    takers: HashMap<BareJid, SessionId>,
    /// For which of these accounts something was kept since the store was asked.
    late: HashSet<BareJid>,
    /// Cursors for which the store could not be asked, by when it is asked again. At most one each.
    retries: VecDeque<(Instant, Cursor)>,
    /// Where those that are told of other groups stand.
    regroupings: HashMap<u32, Regrouping>,
}

impl Cursors {
    fn begin(&mut self, open: Open) -> Cursor {
        loop {
            // The largest numbers mean something else.
            self.made = if self.made >= Cursor::LAST {
                0
            } else {
                self.made + 1
            };
            if !self.open.contains_key(&self.made) {
                self.open.insert(self.made, open);
                return Cursor(self.made);
            }
        }
    }

    /// Whose a cursor is, and how far.
    pub(super) fn progress(&self, cursor: Cursor) -> Option<(SessionId, &Progress)> {
        let open = self.open.get(&cursor.0)?;
        Some((open.session, &open.progress))
    }

    /// How far all of a session's cursors are.
    pub(super) fn of_session(&self, session: SessionId) -> impl Iterator<Item = &Progress> {
        let theirs = self
            .open
            .values()
            .filter(move |open| open.session == session);
        theirs.map(|open| &open.progress)
    }

    /// Notes how far a cursor is.
    pub(super) fn set(&mut self, cursor: Cursor, progress: Progress) {
        if let Some(open) = self.open.get_mut(&cursor.0) {
            open.progress = progress;
        }
    }

    /// The session is not to be shown last items any more.
    pub(super) fn forget_showing(&mut self, session: SessionId) {
        self.open.retain(|_, open| {
            open.session != session || !matches!(open.progress, Progress::Showing(_))
        });
    }

    /// When [`Router::retry_cursors`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.retries.front().map(|(at, _)| *at)
    }

    /// The session is to be told of other groups.
    pub(super) fn begin_regrouping(
        &mut self,
        session: SessionId,
        account: BareJid,
        walk: Regrouping,
    ) -> Cursor {
        let cursor = self.begin(Open {
            session,
            account,
            progress: Progress::Regroup,
        });
        self.regroupings.insert(cursor.0, walk);
        cursor
    }

    /// Whose walk it is, and where it stands.
    pub(super) fn regrouping(&mut self, cursor: Cursor) -> Option<(SessionId, &mut Regrouping)> {
        let session = self.open.get(&cursor.0)?.session;
        Some((session, self.regroupings.get_mut(&cursor.0)?))
    }

    /// Groups have other places now: those who are being shown members begin anew.
    pub(super) fn see_other_groups(&mut self) {
        for open in self.open.values_mut() {
            if let Progress::Shared { at, after } = &mut open.progress {
                (*at, *after) = (0, None);
            }
        }
    }

    pub(super) fn close(&mut self, cursor: Cursor) {
        self.regroupings.remove(&cursor.0);
        if let Some(Open {
            account,
            session,
            progress: Progress::Offline { .. },
        }) = self.open.remove(&cursor.0)
            && self.takers.get(&account) == Some(&session)
        {
            self.takers.remove(&account);
            self.late.remove(&account);
        }
    }

    /// Whether kept messages are being handed over. What comes for the account meanwhile is kept behind them, or it would
    /// overtake them (RFC 6120 §10.1).
    pub(super) fn are_taking(&self, account: &BareJid) -> bool {
        self.takers.contains_key(account)
    }

    /// The session to which they are handed over.
    pub(super) fn taker(&self, account: &BareJid) -> Option<SessionId> {
        self.takers.get(account).copied()
    }

    /// A message was kept for the account.
    pub(super) fn kept(&mut self, account: &BareJid) {
        if self.are_taking(account) {
            self.late.insert(account.clone());
        }
    }

    /// The session is over; true if it was taking its account's messages.
    pub(super) fn forget(&mut self, session: SessionId) -> bool {
        let mut taking = false;
        let regroupings = &mut self.regroupings;
        // Few cursors are open at any time: those of sessions that have just come.
        self.open.retain(|number, open| {
            if open.session == session {
                regroupings.remove(number);
            }
            taking |= open.session == session && matches!(open.progress, Progress::Offline { .. });
            open.session != session
        });
        if taking {
            let late = &mut self.late;
            self.takers.retain(|account, taker| {
                let stays = *taker != session;
                if !stays {
                    late.remove(account);
                }
                stays
            });
        }
        taking
    }
}

impl Router {
    /// Hands over what was kept, and owed alarms, if the session takes messages.
    pub(super) fn start_kept(&mut self, id: SessionId) {
        if !self
            .directory
            .get(id)
            .is_some_and(|session| session.availability.is_reachable())
        {
            return;
        }
        self.start_offline(id);
        let Some(account) = self.account_of(id) else {
            return;
        };
        if self
            .residency
            .facts(&account)
            .is_none_or(|facts| facts.counts.owed > 0)
        {
            let open = Open {
                session: id,
                account: account.clone(),
                progress: Progress::Owed { after: 0 },
            };
            let cursor = self.cursors.begin(open);
            self.query(
                StoreQuery::Owed {
                    account,
                    after: 0,
                    max: BATCH,
                },
                Asked::Owed(cursor),
            );
        }
    }

    pub(super) fn start_offline(&mut self, id: SessionId) {
        let Some(account) = self.account_of(id) else {
            return;
        };
        let none = self
            .residency
            .facts(&account)
            .is_some_and(|facts| facts.counts.offline == 0);
        if none || self.cursors.takers.contains_key(&account) {
            return;
        }
        self.cursors.takers.insert(account.clone(), id);
        let progress = Progress::Offline {
            after: 0,
            handed: 0,
        };
        let cursor = self.cursors.begin(Open {
            session: id,
            account: account.clone(),
            progress,
        });
        self.ask_for_kept(cursor, account, 0);
    }

    fn ask_for_kept(&mut self, cursor: Cursor, account: BareJid, after: u64) {
        self.cursors.late.remove(&account);
        self.query(
            StoreQuery::Offline {
                account,
                after,
                max: BATCH,
            },
            Asked::Offline(cursor),
        );
    }

    /// The session's mailbox has drained: the next batch.
    pub(super) fn continue_cursor(&mut self, id: SessionId, cursor: Cursor) {
        let Some(open) = self
            .cursors
            .open
            .get(&cursor.0)
            .filter(|open| open.session == id)
            .cloned()
        else {
            return;
        };
        let Open {
            account, progress, ..
        } = open;
        match progress {
            Progress::Contacts(after) => self.step_contacts(cursor, id, &account, after.as_ref()),
            Progress::Shared { at, after } => self.step_shared(cursor, id, &account, at, after),
            Progress::Regroup => self.step_regrouping(cursor),
            Progress::Offline { after, handed } => {
                self.step_offline(cursor, id, account, after, handed)
            }
            Progress::Showing(showing) => self.step_showing(cursor, id, *showing),
            Progress::Owed { after } => {
                self.query(
                    StoreQuery::Owed {
                        account,
                        after,
                        max: BATCH,
                    },
                    Asked::Owed(cursor),
                );
            }
        }
    }

    fn step_offline(
        &mut self,
        cursor: Cursor,
        id: SessionId,
        account: BareJid,
        after: u64,
        handed: u32,
    ) {
        if let Some(facts) = self.residency.facts_mut(&account) {
            facts.counts.offline = facts.counts.offline.saturating_sub(handed);
        }
        let op = StoreOp::RemoveOffline {
            account: account.clone(),
            up_to: after,
        };
        self.carry_out(vec![op], Urgency::Group, After::default());
        // A session that no longer takes messages leaves the rest for the next one.
        if self
            .directory
            .get(id)
            .is_some_and(|session| session.availability.is_reachable())
        {
            if let Some(open) = self.cursors.open.get_mut(&cursor.0) {
                open.progress = Progress::Offline { after, handed: 0 };
            }
            self.ask_for_kept(cursor, account, after);
        } else {
            self.cursors.close(cursor);
            self.pass_on_kept(&account);
        }
    }

    /// Another session of the account that takes messages, if there is one, takes the kept ones.
    pub(super) fn pass_on_kept(&mut self, account: &BareJid) {
        let next = self.directory.sessions(account).iter().find(|&&id| {
            let session = self.directory.get(id);
            session.is_some_and(|session| session.availability.is_reachable())
        });
        if let Some(&next) = next {
            self.start_offline(next);
        }
    }

    /// Kept messages came from the store.
    pub(super) fn hand_over_messages(
        &mut self,
        cursor: Cursor,
        messages: Vec<(u64, Timestamp, Message)>,
    ) {
        let Some(open) = self.cursors.open.get(&cursor.0).cloned() else {
            return;
        };
        let id = open.session;
        let (mut after, mut handed, mut bytes) = (None, 0, 0);
        let bytes_max = self.batch_bytes_max();
        for (number, at, message) in messages {
            let to = if message.to.is_bare() {
                Addressed::Bare
            } else {
                Addressed::Full
            };
            let event = Arc::new(Event::new(What::Message(message)));
            bytes += event.weight();
            if after.is_some() && bytes > bytes_max {
                break;
            }
            self.post.tell(&self.directory, id, &event, to, Some(at));
            (after, handed) = (Some(number), handed + 1);
        }
        match (after, open.progress) {
            (Some(after), _) => self.go_on(cursor, id, Progress::Offline { after, handed }),
            (None, Progress::Offline { after, .. })
                if self.cursors.late.contains(&open.account) =>
            {
                self.ask_for_kept(cursor, open.account, after);
            }
            _ => self.cursors.close(cursor),
        }
    }

    /// Owed alarms came from the store. They stay owed until they are acknowledged (S12).
    pub(super) fn hand_over_alarms(
        &mut self,
        cursor: Cursor,
        alarms: Vec<(u64, NodeAddress, Arc<Item>)>,
    ) {
        let Some(id) = self.cursors.open.get(&cursor.0).map(|open| open.session) else {
            return;
        };
        // Fewer than a batch may be a page that the store cut short: it is the end only where nothing comes.
        let (mut last, mut bytes) = (None, 0);
        let bytes_max = self.batch_bytes_max();
        for (number, at, item) in alarms {
            let published = item.published;
            let change = NodeChange::Published {
                item,
                payload: true,
                reply: None,
            };
            let event = Arc::new(Event::new(What::Node(NodeEvent {
                at,
                kind: MessageKind::Normal,
                change,
            })));
            bytes += event.weight();
            if last.is_some() && bytes > bytes_max {
                break;
            }
            self.post.tell(
                &self.directory,
                id,
                &event,
                Addressed::Bare,
                Some(published),
            );
            last = Some(number);
        }
        match last {
            Some(after) => self.go_on(cursor, id, Progress::Owed { after }),
            None => self.cursors.close(cursor),
        }
    }

    /// The store could not give what the cursor needs. What a session waits for must not be left to the next one.
    pub(super) fn try_again_later(&mut self, cursor: Cursor) {
        let at = self.now.mono + RETRY;
        self.cursors.retries.push_back((at, cursor));
    }

    /// Asks again what is due.
    pub(super) fn retry_cursors(&mut self) {
        while let Some((_, cursor)) = self
            .cursors
            .retries
            .pop_front_if(|(at, _)| *at <= self.now.mono)
        {
            // Those of sessions that are over are closed.
            if let Some(session) = self.cursors.open.get(&cursor.0).map(|open| open.session) {
                self.submit(session, Token::default(), Command::Continue(cursor));
            }
        }
    }

    pub(super) fn batch_bytes_max(&self) -> usize {
        self.limits.mailbox_bytes / BATCH_BYTES_SHARE
    }

    /// A cursor of a session that has an address.
    pub(super) fn open_cursor(&mut self, id: SessionId, progress: Progress) -> Option<Cursor> {
        let account = self.account_of(id)?;
        Some(self.cursors.begin(Open {
            session: id,
            account,
            progress,
        }))
    }

    pub(super) fn close_cursor(&mut self, cursor: Cursor) {
        self.cursors.close(cursor);
    }

    pub(super) fn go_on(&mut self, cursor: Cursor, id: SessionId, progress: Progress) {
        if let Some(open) = self.cursors.open.get_mut(&cursor.0) {
            open.progress = progress;
            self.post.push(&self.directory, id, Entry::Continue(cursor));
        }
    }

    pub(super) fn account_of(&self, id: SessionId) -> Option<BareJid> {
        Some(self.directory.get(id)?.jid.as_ref()?.bare())
    }
}
