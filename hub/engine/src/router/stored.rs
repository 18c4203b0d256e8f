//! The store's answers: what was loaded, what is committed, what failed (S5).

use crate::{
    account::Roster,
    address::BareJid,
    command::{AdminReply, Cursor, EndReason, Reply, RouterStatus, SessionId},
    effect::{StoreAnswer, StoreFault, StoreOp, StoreQuery, StoreResponse},
    item::NodeSubscription,
    mailbox::Addressed,
    node::{NodeAddress, NodeId},
    refusal::{Reason, Refusal},
    router::{
        Router, STORE_RETRY, abroad,
        commit::{After, Deed, accounts_of},
        pipeline::Ask,
        residency::Need,
        store_failed, subject,
        world::World,
    },
    service::roster::Told,
};

/// What makes a reply of what the store says.
type Then = Box<dyn FnOnce(StoreAnswer) -> Result<Reply, Refusal> + Send>;

/// What a question to the store was for.
pub(super) enum Asked {
    Load(Need),
    Read {
        ask: Ask,
        then: Then,
    },
    Offline(Cursor),
    Owed(Cursor),
    Showing(Cursor),
    Accounts(Ask),
    Totals(Ask),
    /// Leases that are over.
    Ended,
    /// Requests to subscribe that wait for an owner, for the session with which it came.
    Requests(BareJid, SessionId),
    NodeUsage(Ask, NodeAddress),
    /// What an account that has come is subscribed to.
    Judge(BareJid),
    /// Members of roster groups: for a session whose view changed, or for a roster.
    Members(Cursor, StoreQuery),
    /// The same, for a session that is being shown their nodes.
    Shown(Cursor, StoreQuery),
    Listing(SessionId, u64, StoreQuery),
    /// What somebody is subscribed to of an account's personal nodes.
    JudgeAt(BareJid),
    Sweep,
}

impl Router {
    /// Takes what the store answered: commits in order, queries as they come.
    pub fn handle_stored(&mut self, response: StoreResponse, now: crate::time::Now) {
        self.enter(now);
        match response {
            StoreResponse::Committed { seq, removed } => {
                let removed = (!removed.is_empty()).then(|| removed.iter().sum());
                if let Some((_, afters)) = self.commits.finish(seq) {
                    for (at, after) in afters.into_iter().enumerate() {
                        // What followed without a change of its own has no outcome.
                        self.follow_up(after, removed.filter(|_| at == 0));
                    }
                }
            }
            StoreResponse::Failed { seq, .. } => self.commit_failed(seq),
            StoreResponse::Answered { id, answer } => {
                if let Some(asked) = self.asked.remove(&id) {
                    self.answered(asked, answer);
                }
            }
        }
        self.leave();
    }

    /// Does what waited for a commit: first what concerns rosters, so that a push comes before the answer (RFC 6121 §2.3.2), then
    /// the answer, then the world.
    pub(super) fn follow_up(&mut self, mut after: After, removed: Option<u32>) {
        if let (Some(refusal), Some(0)) = (after.if_none_removed.take(), removed) {
            after.reply = Some(Err(refusal));
            after.notices.clear();
        }
        let (told, rest): (Vec<_>, Vec<_>) = after
            .deeds
            .into_iter()
            .partition(|deed| matches!(deed, Deed::Told(_)));
        for deed in told {
            if let Deed::Told(told) = deed {
                self.tell(told);
            }
        }
        let by = after.ask.as_ref().map(|ask| ask.session);
        if let Some(ask) = after.ask {
            match after.reply {
                Some(result) => self.answer(ask, result),
                None => self.settle(ask.session, ask.number, None),
            }
        }
        self.notify(after.notices, by);
        for deed in rest {
            match deed {
                Deed::Told(_) => {}
                Deed::BlockList(change) => self.enforce(change),
                Deed::Copy(message, outcome) => {
                    if let Some(sender) = by {
                        self.copy(sender, &message, outcome);
                    }
                }
                Deed::EndSessions(account, reason) => self.end_sessions(&account, reason),
                Deed::Removed(account, watchers) => self.forget_account(&account, watchers),
                Deed::AccountChanged(account, before, after) => {
                    self.account_changed(&account, before, after);
                }
                Deed::RosterListed(id, number) => self.answer_listing(id, number),
            }
        }
    }

    fn commit_failed(&mut self, seq: u64) {
        let Some((ops, afters)) = self.commits.finish(seq) else {
            return;
        };
        self.counts.commits_failed += 1;
        self.pubsub.commit_failed(&ops);
        for op in &ops {
            self.note_contact(op);
            if let Some(account) = accounts_of(op) {
                self.residency.forget(account);
            }
            match op {
                StoreOp::PutNode { creator: jid, .. } | StoreOp::PutAffiliation { jid, .. } => {
                    self.residency.forget_facts(jid);
                }
                StoreOp::PutSubscription { subscription, .. } => {
                    self.residency.forget_facts(&subscription.jid.bare());
                }
                // What was pushed since may rest on it: whoever asks again gets the whole roster.
                StoreOp::PutAccount(_) | StoreOp::RemoveAccount { .. } => {
                    self.residency.shared.grow();
                }
                StoreOp::PutBlocked { account, .. } => {
                    let account = self.directory.account(account);
                    self.directory.block_lists.came(account, 1);
                }
                _ => {}
            }
        }
        for after in afters {
            for deed in &after.deeds {
                if let Deed::Told(Told::Show(of, to)) = deed {
                    self.release_apart(of, to);
                }
            }
            let Some(ask) = after.ask else { continue };
            if let Some(apology) = after.apology {
                self.post.insist(
                    &self.directory,
                    ask.session,
                    &apology,
                    Addressed::Full,
                    None,
                );
            }
            match after.reply {
                Some(_) => self.answer(ask, Err(store_failed())),
                None => self.settle(ask.session, ask.number, None),
            }
        }
    }

    fn answered(&mut self, asked: Asked, answer: Result<StoreAnswer, StoreFault>) {
        match (asked, answer) {
            (Asked::Load(need), Ok(answer)) => self.loaded(need, answer),
            (Asked::Load(need), Err(_)) => self.load_failed(&need),
            (Asked::Read { ask, then }, Ok(answer)) => {
                let result = then(answer);
                self.answer(ask, result);
            }
            (Asked::Accounts(ask), Ok(StoreAnswer::Accounts(list))) => {
                self.answer(ask, Ok(Reply::Admin(Box::new(AdminReply::Accounts(list)))));
            }
            (Asked::Totals(ask), Ok(StoreAnswer::Totals { accounts, nodes })) => {
                self.counts = RouterStatus {
                    accounts,
                    nodes,
                    ..self.counts
                };
                let status = Box::new(self.status());
                self.answer(ask, Ok(Reply::Admin(Box::new(AdminReply::Status(status)))));
            }
            (
                Asked::NodeUsage(ask, at),
                Ok(StoreAnswer::Kept {
                    bytes: payload_bytes,
                    ..
                }),
            ) => {
                let reply = AdminReply::NodeUsage {
                    payload_bytes,
                    memory: self.pubsub.usage(&at, self.now),
                };
                self.answer(ask, Ok(Reply::Admin(Box::new(reply))));
            }
            (Asked::Read { ask, .. }, Err(StoreFault::NotFound)) => {
                // XEP-0059 §2.4.
                self.refuse(ask, Reason::ItemNotFound.into());
            }
            (
                Asked::Read { ask, .. }
                | Asked::Accounts(ask)
                | Asked::Totals(ask)
                | Asked::NodeUsage(ask, _),
                _,
            ) => self.refuse(ask, store_failed()),
            (Asked::Offline(cursor), Ok(StoreAnswer::Offline(messages))) => {
                self.hand_over_messages(cursor, messages)
            }
            (Asked::Owed(cursor), Ok(StoreAnswer::Owed(alarms))) => {
                self.hand_over_alarms(cursor, alarms)
            }
            (Asked::Showing(cursor), Ok(StoreAnswer::Present(present))) => {
                self.showing_answered(cursor, present)
            }
            (Asked::Shown(cursor, query), Ok(StoreAnswer::Roles(found))) => {
                self.members_found(cursor, &query, &found);
            }
            (Asked::Showing(cursor) | Asked::Shown(cursor, _), _) => self.showing_failed(cursor),
            (Asked::Offline(cursor) | Asked::Owed(cursor), _) => self.try_again_later(cursor),
            (Asked::Members(cursor, query), Ok(StoreAnswer::Roles(found))) => {
                self.walk_on(cursor, &query, &found);
            }
            (Asked::Members(cursor, _), _) => self.try_again_later(cursor),
            (Asked::Listing(id, number, query), answer) => {
                let found = match answer {
                    Ok(StoreAnswer::Roles(found)) => Some(found),
                    _ => None,
                };
                self.listed(id, number, &query, found);
            }
            (Asked::Ended, Ok(StoreAnswer::Ended(list))) => self.end_leases(list),
            (Asked::Requests(owner, id), Ok(StoreAnswer::Pending { list, .. })) => {
                self.send_requests(&owner, id, list)
            }
            // Asked again in an hour, and when the owner comes again.
            (Asked::Ended | Asked::Requests(..), _) => {}
            (Asked::Judge(account), Ok(StoreAnswer::Subscriptions(list))) => {
                self.judge(&account, list)
            }
            (Asked::JudgeAt(host), Ok(StoreAnswer::Subscriptions(list))) => {
                let names = list.into_iter().map(|(node, _)| node);
                self.judge_nodes(&host, names.collect());
            }
            // Whoever may no longer hear is not told anything meanwhile (see the service's list of hearers).
            (Asked::JudgeAt(_), _) => {}
            (Asked::Sweep, answer) => self.swept(answer),
            // Asked again at the account's next session.
            (Asked::Judge(account), _) => drop(self.residency.shared.roles.remove(&account)),
        }
    }

    fn loaded(&mut self, need: Need, answer: StoreAnswer) {
        if self.residency.finish(&need) {
            // A commit has overtaken the question.
            self.query(need.query(), Asked::Load(need));
            return;
        }
        match (&need, answer) {
            (
                Need::Boot,
                StoreAnswer::Boot {
                    filters,
                    owed,
                    asked,
                    blocked,
                },
            ) => {
                for (account, jid) in blocked {
                    let account = self.directory.account(&account);
                    self.directory.block_lists.block(account, jid);
                }
                let mut world = World {
                    directory: &mut self.directory,
                    residency: &self.residency,
                };
                self.pubsub.boot(filters, owed, asked, &mut world, self.now);
                self.booted = true;
                self.lease_sweep = Some(self.now.mono);
                self.begin_to_sweep();
            }
            (Need::Account(jid) | Need::Record(jid), StoreAnswer::Account(account, counts)) => {
                self.residency.put_account(jid, account, counts);
                if matches!(need, Need::Account(_)) {
                    self.residency.drop_record(jid);
                }
            }
            (Need::Roster(jid), StoreAnswer::Roster(mut roster)) => {
                roster.contacts.sort_by(|a, b| a.jid.cmp(&b.jid));
                self.residency.put_roster(jid, roster);
                for farewell in self.farewells.remove(jid).unwrap_or_default() {
                    self.say_farewell(farewell);
                }
            }
            (Need::Documents(jid), StoreAnswer::DocumentSizes(sizes)) => {
                self.residency
                    .put_documents(jid, sizes.into_iter().collect());
            }
            (Need::Owned(jid), StoreAnswer::Affiliations(list)) => {
                let owned = list
                    .into_iter()
                    .filter(|(_, affiliation)| *affiliation == crate::item::Affiliation::Owner);
                self.residency
                    .put_owned(jid, owned.map(|(node, _)| node).collect());
            }
            (Need::Node(at), StoreAnswer::Node(record)) => {
                let at: NodeAddress = at.clone();
                self.pubsub.loaded(at.clone(), record.map(|record| *record));
                self.recheck(&at);
            }
            (Need::Contents(at, _), StoreAnswer::Items { items, .. }) => {
                self.pubsub.contents_loaded(at, &items);
            }
            // An answer to another question is a fault of the store.
            _ => {
                self.load_failed(&need);
                return;
            }
        }
        for id in self.take_waiting(&need) {
            self.advance(id);
        }
    }

    /// Asks what the account is subscribed to, to be held against the rules (S13).
    pub(super) fn judge_later(&mut self, account: &BareJid) {
        let query = StoreQuery::SubscriptionsOf {
            host: None,
            account: account.clone(),
        };
        self.query(query, Asked::Judge(account.clone()));
    }

    /// Ends what the rules forbid an account that has come, of what it is subscribed to (S13). Nodes that are not in memory
    /// are judged when they come.
    fn judge(&mut self, account: &BareJid, list: Vec<(NodeId, NodeSubscription)>) {
        let Some(subject) = subject(&self.residency.shared, account) else {
            return;
        };
        let nodes: Vec<_> = list.into_iter().map(|(node, _)| node).collect();
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        for change in self.pubsub.judge(&subject, &nodes, &mut world) {
            self.change(change, None);
        }
    }

    /// Ends what the rules forbid among a node's subscriptions: they may be other rules than when it was last in memory (S13).
    fn recheck(&mut self, at: &NodeAddress) {
        if at.host.is_some() {
            return self.recheck_personal(at);
        }
        let components = abroad(&self.directory.components);
        let subject =
            |jid: &BareJid| subject(&self.residency.shared, jid).or_else(|| components(jid));
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        if let Some(change) = self.pubsub.recheck(at, &subject, &mut world) {
            self.change(change, None);
        }
    }

    fn load_failed(&mut self, need: &Need) {
        self.residency.abandon(need);
        if *need == Need::Boot {
            // Without it nothing can be answered rightly: commands wait on.
            self.store_retry = Some(self.now.mono + STORE_RETRY);
            return;
        }
        if let Need::Roster(jid) = need
            && self.farewells.contains_key(jid)
        {
            // RFC 6121 §4.5.2: contacts must hear that the session is gone. No more farewells can wait than there are sessions:
            // without the store nobody signs in.
            self.store_retry.get_or_insert(self.now.mono + STORE_RETRY);
        }
        for id in self.take_waiting(need) {
            self.fail_parked(id, need);
            self.advance(id);
        }
    }

    /// Asks again for what a failed load left undone.
    pub(super) fn load_again(&mut self) {
        if !self.booted {
            self.load(&Need::Boot);
        }
        let mut accounts: Vec<_> = self.farewells.keys().cloned().collect();
        accounts.sort();
        for account in accounts {
            self.load(&Need::Roster(account));
        }
    }

    /// Sessions for which this was the last load that they waited for.
    fn take_waiting(&mut self, need: &Need) -> Vec<SessionId> {
        let mut waiting = self.waiting.remove(need).unwrap_or_default();
        waiting.retain(|&id| {
            self.pipeline(id).is_some_and(|pipeline| {
                pipeline.loads = pipeline.loads.saturating_sub(1);
                pipeline.loads == 0
            })
        });
        waiting
    }

    pub(super) fn end_sessions(&mut self, account: &BareJid, reason: EndReason) {
        for id in self.directory.sessions(account).to_vec() {
            self.end_session(id, reason);
        }
    }

    /// The account's removal is stored: those who saw it see its sessions go.
    fn forget_account(&mut self, account: &BareJid, watchers: Vec<BareJid>) {
        self.pubsub.account_removed(account);
        if let Some(known) = self.directory.known(account) {
            self.directory.block_lists.forget(known);
        }
        self.residency.put_roster(
            account,
            Roster {
                contacts: crate::service::roster::watched_by(watchers),
                version: 0,
            },
        );
        self.end_sessions(account, EndReason::AccountChanged);
        self.residency.shared.roles.remove(account);
        self.residency.forget(account);
    }
}
