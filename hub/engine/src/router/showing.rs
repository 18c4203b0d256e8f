//! Last items for who comes: those of the personal nodes that a session wants to hear of, and of the nodes that its account is
//! subscribed to (`send_last_published_item = on_sub_and_presence`), once in each presence session.
//!
//! Implements: XEP-0060 1.30 §9.1, §9.2, §16.4.4 as far as it is about presence; XEP-0163 1.2.2 §4.3.4.
//! A showing is a cursor, pulled as the mailbox drains (S10): an operator who sees 10,000 accounts logs in with a small mailbox. The
//! store says which accounts of a batch have such nodes at all, so that those without cost nothing more. Members of shared roster
//! groups are read from the store in pages, as for a roster, whether they are here or not.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    account::Role,
    address::BareJid,
    command::{Command, Cursor, SessionId, Token},
    effect::{StoreQuery, Urgency},
    limits::CURSOR_BATCH,
    node::{NodeAddress, NodeId},
    router::{
        Router, commit::After, cursor::Progress, hearing::Shown, needs::Needs, regroup::Lookups,
        stored::Asked, world::World,
    },
    service::Hearer,
};

/// The same as [`CURSOR_BATCH`], as the store counts.
const BATCH: u32 = CURSOR_BATCH as u32;

/// What is to be shown to a session.
#[derive(Debug, Clone)]
pub(super) struct Showing {
    whose: Whose,
    /// Accounts of this batch, in order; the first may be half done.
    hosts: VecDeque<BareJid>,
    /// The nodes of this batch that the store has, to be in memory before they are shown.
    present: VecDeque<NodeAddress>,
    stage: Stage,
}

/// Whose nodes.
#[derive(Debug, Clone)]
enum Whose {
    /// Its own account's, then those of the accounts it sees: after this one, once it has `begun`.
    Seen { begun: bool, after: Option<BareJid> },
    /// Then those of accounts that it sees by shared roster groups alone, which the store knows.
    Members(Lookups),
    /// One account's: it has just come to see it, or has shown its presence to it.
    One,
    /// The service's nodes that its account is subscribed to, after this one.
    Service { after: Option<NodeId> },
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The store is to be asked about it.
    Due,
    /// It was.
    Asked,
    /// It has answered.
    Here,
}

impl Showing {
    fn of(whose: Whose, hosts: impl IntoIterator<Item = BareJid>) -> Self {
        Self {
            whose,
            hosts: hosts.into_iter().collect(),
            present: VecDeque::new(),
            stage: Stage::Due,
        }
    }
}

impl Router {
    /// Shows the session what it wants to see of its account and its contacts.
    pub(super) fn start_showing(&mut self, id: SessionId) {
        let whose = Whose::Seen {
            begun: false,
            after: None,
        };
        self.begin_showing(id, Showing::of(whose, []));
    }

    /// Shows it one account's nodes; until then it hears nothing of them.
    pub(super) fn show_apart(&mut self, id: SessionId, host: BareJid) {
        let begun = self.cursors.of_session(id).any(|progress| {
            matches!(progress, Progress::Showing(showing)
                if matches!(showing.whose, Whose::One) && showing.hosts.contains(&host))
        });
        let session = self.directory.get_mut(id);
        let Some(hearing) = session.and_then(|session| session.hearing.as_mut()) else {
            return;
        };
        if begun {
            return;
        }
        if !hearing.apart.contains(&host) {
            hearing.apart.push(host.clone());
        }
        self.begin_showing(id, Showing::of(Whose::One, [host]));
    }

    /// Shows a session that has become available what its account is subscribed to at the service.
    pub(super) fn show_subscribed(&mut self, id: SessionId) {
        let account = self.directory.get(id).and_then(|session| {
            let jid = session.jid.as_ref()?;
            Some(jid.bare())
        });
        let subscribed = account.is_some_and(|account| {
            let facts = self.residency.facts(&account);
            facts.is_none_or(|facts| facts.counts.subscriptions > 0)
        });
        if subscribed {
            self.begin_showing(id, Showing::of(Whose::Service { after: None }, []));
        }
    }

    fn begin_showing(&mut self, id: SessionId, showing: Showing) {
        if let Some(cursor) = self.open_cursor(id, Progress::Showing(showing.into())) {
            // What it needs, the roster first, is loaded before it runs.
            self.submit(id, Token::default(), Command::Continue(cursor));
        }
    }

    /// What the next step needs in memory.
    pub(super) fn showing_needs(&self, cursor: Cursor) -> Needs {
        let Some((_, Progress::Showing(showing))) = self.cursors.progress(cursor) else {
            return Needs::new();
        };
        let present = showing.present.iter();
        self.needs_of_pubsub(present.flat_map(|at| self.pubsub.wants_shown(at)))
    }

    /// The next step: all that it needs is in memory.
    pub(super) fn step_showing(&mut self, cursor: Cursor, id: SessionId, mut showing: Showing) {
        match showing.stage {
            Stage::Due => self.ask_batch(cursor, id, showing),
            Stage::Asked => {}
            Stage::Here => {
                let done = self.show_batch(id, &mut showing);
                if done && matches!(showing.whose, Whose::One) {
                    return self.close_cursor(cursor);
                }
                if done {
                    showing.stage = Stage::Due;
                }
                self.go_on(cursor, id, Progress::Showing(showing.into()));
            }
        }
    }

    /// Shows as much of the batch as there is room for; true if that was all.
    fn show_batch(&mut self, id: SessionId, showing: &mut Showing) -> bool {
        let bytes_max = self.batch_bytes_max();
        let mut bytes = 0;
        if let Whose::Service { .. } = showing.whose {
            while bytes <= bytes_max
                && let Some(at) = showing.present.pop_front()
            {
                bytes += self.show(id, &at);
            }
            return showing.present.is_empty();
        }
        let members = matches!(showing.whose, Whose::Members(_));
        while let Some(host) = showing.hosts.front().cloned() {
            if members && bytes > bytes_max {
                return false;
            }
            if !self.show_host(id, &host, showing, &mut bytes, bytes_max) {
                return false;
            }
            showing.hosts.pop_front();
            showing.present.retain(|at| at.host.as_ref() != Some(&host));
        }
        true
    }

    /// Shows an account's nodes; false if the rest of them must wait for room.
    fn show_host(
        &mut self,
        id: SessionId,
        host: &BareJid,
        showing: &mut Showing,
        bytes: &mut usize,
        bytes_max: usize,
    ) -> bool {
        let session = self.directory.get(id);
        let (Some(own), Some(hearing)) = (
            session
                .and_then(|session| session.jid.as_ref())
                .map(crate::address::FullJid::bare),
            session.and_then(|session| session.hearing.as_deref()),
        ) else {
            return true;
        };
        let apart = matches!(showing.whose, Whose::One);
        // Each of these is shown at once.
        let whole = apart || matches!(showing.whose, Whose::Members(_));
        let (wishes, before) = (hearing.wishes.clone(), hearing.before.clone());
        let rank = (own != *host).then(|| host.clone());
        let after = match &hearing.shown {
            Shown::UpTo(account, Some(node)) if *account == rank && !whole => Some(node.clone()),
            _ => None,
        };
        // An account that nobody is here of makes no nodes meanwhile: what the store does not have is not there.
        let there = showing
            .present
            .iter()
            .any(|at| at.host.as_ref() == Some(host))
            || !self.directory.sessions(host).is_empty();
        let names = wishes.names().iter().filter(|_| there);
        for name in names.filter(|name| after.as_ref().is_none_or(|after| *name > after)) {
            if *bytes > bytes_max && !whole {
                return false;
            }
            let known = before.as_ref().is_some_and(|before| before.include(name));
            if !known || apart {
                let at = NodeAddress {
                    host: Some(host.clone()),
                    node: name.clone(),
                };
                *bytes += self.show(id, &at);
            }
            if !whole {
                self.set_shown(id, Shown::UpTo(rank.clone(), Some(name.clone())));
                if known {
                    continue;
                }
                self.directory.hearing_changed(host);
            }
        }
        let session = self.directory.get_mut(id);
        if let Some(hearing) = session.and_then(|session| session.hearing.as_mut()) {
            if apart {
                hearing.apart.retain(|one| one != host);
            }
            match &mut hearing.shown {
                Shown::Members(shown) => drop(shown.insert(host.clone())),
                shown if !apart => *shown = Shown::UpTo(rank, None),
                _ => {}
            }
        }
        self.directory.hearing_changed(host);
        true
    }

    fn set_shown(&mut self, id: SessionId, shown: Shown) {
        let session = self.directory.get_mut(id);
        if let Some(hearing) = session.and_then(|session| session.hearing.as_mut()) {
            hearing.shown = shown;
        }
    }

    /// Shows one node's last item, if the session may see it; what it weighs.
    fn show(&mut self, id: SessionId, at: &NodeAddress) -> usize {
        let session = self.directory.get(id);
        let Some(account) = session.and_then(|session| session.jid.as_ref()) else {
            return 0;
        };
        let account = account.bare();
        let sees = at
            .host
            .as_ref()
            .is_none_or(|host| *host == account || self.may_see(&account, host));
        let hearer = Hearer {
            session: id,
            account,
            sees,
        };
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        let Some(notice) = self.pubsub.show(at, &hearer, &mut world, self.now) else {
            return 0;
        };
        let weight = notice.event.weight();
        let after = After {
            notices: vec![notice],
            ..After::default()
        };
        self.carry_out(Vec::new(), Urgency::Group, after);
        weight
    }

    /// Puts the next batch together, if the last is done, and asks the store about it; or ends.
    fn ask_batch(&mut self, cursor: Cursor, id: SessionId, mut showing: Showing) {
        let session = self.directory.get(id);
        let Some(own) = session.and_then(|session| session.jid.as_ref()) else {
            return self.close_cursor(cursor);
        };
        let own = own.bare();
        let query = match &mut showing.whose {
            Whose::Service { after } => Some(StoreQuery::Awaiting {
                account: own.clone(),
                after: after.clone(),
                max: BATCH,
            }),
            Whose::One => self.present_query(id, &showing.hosts),
            Whose::Members(lookups) if showing.hosts.is_empty() => {
                lookups.query(&self.domain, BATCH)
            }
            Whose::Members(_) => self.present_query(id, &showing.hosts),
            Whose::Seen { begun, after } => {
                if showing.hosts.is_empty() {
                    let first = !std::mem::replace(begun, true);
                    let contacts = self.seen_after(&own, after.as_ref());
                    *after = contacts.last().cloned().or(after.take());
                    showing.hosts.extend(first.then(|| own.clone()));
                    showing.hosts.extend(contacts);
                }
                self.present_query(id, &showing.hosts)
            }
        };
        match query {
            Some(query) => {
                showing.stage = Stage::Asked;
                self.cursors.set(cursor, Progress::Showing(showing.into()));
                let asked = match &query {
                    StoreQuery::Awaiting { .. } | StoreQuery::Present { .. } => {
                        Asked::Showing(cursor)
                    }
                    _ => Asked::Shown(cursor, query.clone()),
                };
                self.query(query, asked);
            }
            None if matches!(showing.whose, Whose::Seen { .. }) => {
                self.show_members(cursor, id, &own, showing);
            }
            None => self.end_showing(cursor, id, &showing.whose),
        }
    }

    /// All contacts were shown: those follow whom the account sees by groups alone.
    fn show_members(&mut self, cursor: Cursor, id: SessionId, own: &BareJid, showing: Showing) {
        let viewer = self.residency.shared.viewer(own);
        let lookups = viewer.map(|viewer| viewer.groups().lookups(viewer.seen()));
        let lookups = lookups.unwrap_or_default();
        if lookups.is_empty() {
            return self.end_showing(cursor, id, &showing.whose);
        }
        self.set_shown(id, Shown::Members(BTreeSet::new()));
        let showing = Showing::of(Whose::Members(Lookups::new(lookups)), []);
        self.ask_batch(cursor, id, showing);
    }

    /// The store has found members of groups: those who were not shown yet are the next batch.
    pub(super) fn members_found(
        &mut self,
        cursor: Cursor,
        query: &StoreQuery,
        found: &[(BareJid, Role)],
    ) {
        let Some((id, mut showing)) = self.showing(cursor) else {
            return;
        };
        let (Some(own), Whose::Members(lookups)) = (self.account_of(id), &mut showing.whose) else {
            return;
        };
        lookups.advance(query, found);
        if let Some(viewer) = self.residency.shared.viewer(&own) {
            let session = self.directory.get(id);
            let hearing = session.and_then(|session| session.hearing.as_deref());
            let is_due = |jid: &BareJid| {
                hearing.is_some_and(|hearing| {
                    let shown =
                        matches!(&hearing.shown, Shown::Members(shown) if shown.contains(jid));
                    !shown && !hearing.apart.contains(jid)
                })
            };
            let due = found.iter().filter(|(jid, role)| {
                // What the page says may be older than what was decided since.
                let role = self.residency.role_now(jid, *role);
                role.is_some_and(|role| viewer.look(jid, role).is_some())
                    && !self.sees_by_handshake(&own, jid)
                    && is_due(jid)
            });
            showing.hosts = due.map(|(jid, _)| jid.clone()).collect();
        }
        self.ask_batch(cursor, id, showing);
    }

    /// The next contacts whose presence the account sees.
    fn seen_after(&self, account: &BareJid, after: Option<&BareJid>) -> Vec<BareJid> {
        let contacts = self
            .residency
            .roster(account)
            .map_or(&[][..], |roster| &roster.contacts);
        let from = after.map_or(0, |after| {
            contacts.partition_point(|contact| contact.jid <= *after)
        });
        let seen = contacts[from..]
            .iter()
            .filter(|contact| contact.subscription.to());
        seen.take(CURSOR_BATCH)
            .map(|contact| contact.jid.clone())
            .collect()
    }

    /// `None`: there is nothing more to ask for.
    fn present_query(&self, id: SessionId, hosts: &VecDeque<BareJid>) -> Option<StoreQuery> {
        let hearing = self.directory.get(id)?.hearing.as_ref()?;
        (!hosts.is_empty()).then(|| StoreQuery::Present {
            hosts: hosts.iter().cloned().collect(),
            names: hearing.wishes.names().to_vec(),
        })
    }

    fn end_showing(&mut self, cursor: Cursor, id: SessionId, whose: &Whose) {
        self.close_cursor(cursor);
        if !matches!(whose, Whose::Seen { .. } | Whose::Members(_)) {
            return;
        }
        let session = self.directory.get_mut(id);
        if let Some(hearing) = session.and_then(|session| session.hearing.as_mut()) {
            hearing.shown = Shown::All;
            hearing.before = None;
            if let Some(own) = self.account_of(id) {
                // It hears of those, too, who were made or came into its groups meanwhile.
                self.hearing_by_groups_changed(&own);
            }
            self.next_wishes(id);
        }
    }

    /// The store has said which nodes of the batch there are.
    pub(super) fn showing_answered(&mut self, cursor: Cursor, present: Vec<NodeAddress>) {
        let Some((id, mut showing)) = self.showing(cursor) else {
            return;
        };
        showing.stage = Stage::Here;
        if let Whose::Service { after } = &mut showing.whose {
            let Some(last) = present.last() else {
                return self.close_cursor(cursor);
            };
            *after = Some(last.node.clone());
        }
        showing.present = present.into();
        self.cursors.set(cursor, Progress::Showing(showing.into()));
        // The nodes are loaded before it runs.
        self.submit(id, Token::default(), Command::Continue(cursor));
    }

    /// The store could not say: it is asked again.
    pub(super) fn showing_failed(&mut self, cursor: Cursor) {
        if let Some((_, mut showing)) = self.showing(cursor) {
            showing.stage = Stage::Due;
            self.cursors.set(cursor, Progress::Showing(showing.into()));
            self.try_again_later(cursor);
        }
    }

    /// Whether the session's showing has still to come to an account.
    pub(super) fn will_be_shown(&self, id: SessionId, host: &BareJid) -> bool {
        let own = self.account_of(id);
        let by_groups = own.is_some_and(|own| {
            !self.sees_by_handshake(&own, host) && self.sees_by_groups(&own, host)
        });
        self.cursors.of_session(id).any(|progress| match progress {
            Progress::Showing(showing) => match &showing.whose {
                Whose::Seen { .. } if by_groups => true,
                Whose::Seen { begun, after } => {
                    !begun || after.as_ref() < Some(host) || showing.hosts.contains(host)
                }
                Whose::One | Whose::Members(_) => showing.hosts.contains(host),
                Whose::Service { .. } => false,
            },
            _ => false,
        })
    }

    fn showing(&self, cursor: Cursor) -> Option<(SessionId, Showing)> {
        match self.cursors.progress(cursor)? {
            (id, Progress::Showing(showing)) => Some((id, Showing::clone(showing))),
            _ => None,
        }
    }
}
