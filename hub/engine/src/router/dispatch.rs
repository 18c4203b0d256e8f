//! From a command to the service that decides it: what it needs, where it waits, and its answer's way back.

use crate::{
    access::Subject,
    account::Role,
    address::{BareJid, FullJid},
    command::{Answer, Command, PubsubRequest, Reply, SessionId, Token},
    effect::{AccountCounts, StoreOp, StoreQuery, StoreRequest, Urgency},
    event::What,
    mailbox::Entry,
    message::SubscriptionStanza,
    node::NodeAddress,
    refusal::{Reason, Refusal},
    router::{
        Router,
        commit::After,
        fanout::{Job, Reach, Source},
        pipeline::{Ask, Parked, Pipeline},
        relay::asker_abroad,
        residency::Need,
        store_failed,
        stored::Asked,
        world::World,
    },
    service::{Change, Decision, Notice, pubsub::Asker},
};

impl Router {
    /// Runs the command if nothing of its session waits before it and all that it needs is here; else parks it.
    pub(super) fn submit(&mut self, id: SessionId, token: Token, command: Command) {
        let mono = self.now.mono;
        let Some(session) = self.directory.get_mut(id) else {
            return;
        };
        session.active = mono;
        let behind = session
            .pipeline
            .as_ref()
            .is_some_and(|pipeline| !pipeline.parked.is_empty());
        let needs = self.needs(id, &command);
        let missing = self.missing(&needs);
        if missing.is_empty() && !behind {
            self.run(id, token, command);
            return;
        }
        self.residency.pin(&needs);
        if let Some(session) = self.directory.get_mut(id) {
            let parked = Parked {
                token,
                command,
                pins: needs.into_vec(),
            };
            session.pipeline.get_or_insert_default().park(parked);
        }
        self.await_loads(id, &missing);
    }

    /// Runs what is parked, up to the first command that must wait on.
    pub(super) fn advance(&mut self, id: SessionId) {
        loop {
            let Some(pipeline) = self
                .directory
                .get(id)
                .and_then(|session| session.pipeline.as_deref())
            else {
                return;
            };
            let Some(head) = pipeline.parked.front().filter(|_| pipeline.loads == 0) else {
                break;
            };
            let needs = self.needs(id, &head.command);
            let missing = self.missing(&needs);
            if !missing.is_empty() {
                self.residency.pin(&needs);
                if let Some(head) = self
                    .pipeline(id)
                    .and_then(|pipeline| pipeline.parked.front_mut())
                {
                    head.pins.extend(needs);
                }
                self.await_loads(id, &missing);
                break;
            }
            let Some(parked) = self
                .pipeline(id)
                .and_then(|pipeline| pipeline.parked.pop_front())
            else {
                return;
            };
            self.run(id, parked.token, parked.command);
            self.residency.unpin(&parked.pins);
        }
        self.relieve(id);
    }

    /// A load failed: the first command that waits for it is refused, and with it all of the session that need the same.
    pub(super) fn fail_parked(&mut self, id: SessionId, need: &Need) {
        while let Some(head) = self
            .pipeline(id)
            .and_then(|pipeline| pipeline.parked.front())
        {
            if !head.pins.contains(need) {
                break;
            }
            let Some(parked) = self
                .pipeline(id)
                .and_then(|pipeline| pipeline.parked.pop_front())
            else {
                return;
            };
            self.residency.unpin(&parked.pins);
            let ask = self.ask(id, parked.token);
            match parked.command {
                Command::Send(message) => self.bounce_message(id, &message, &store_failed()),
                Command::Query(iq) | Command::QueryOfPresence(iq) => {
                    self.bounce_iq(id, &iq, &store_failed())
                }
                Command::Detach(reason) => self.leave_session(id, reason),
                Command::As { from, command } => self.fail_as(ask, from, *command, store_failed()),
                Command::Announce(_)
                | Command::Capabilities(_)
                | Command::Disclose { .. }
                | Command::Direct { .. }
                | Command::Handshake { .. }
                | Command::Probe { .. } => {}
                Command::Continue(cursor) => self.try_again_later(cursor),
                _ => self.refuse(ask, store_failed()),
            }
        }
    }

    pub(super) fn pipeline(&mut self, id: SessionId) -> Option<&mut Pipeline> {
        self.directory.get_mut(id)?.pipeline.as_deref_mut()
    }

    /// Asks the store for what is missing and not asked for yet, and notes who waits.
    fn await_loads(&mut self, id: SessionId, missing: &[Need]) {
        for need in missing {
            let waiting = self.waiting.entry(need.clone()).or_default();
            if waiting.contains(&id) {
                continue;
            }
            waiting.push(id);
            if let Some(pipeline) = self.pipeline(id) {
                pipeline.loads += 1;
            }
            self.load(need);
        }
    }

    /// Asks the store for it, unless that is under way.
    pub(super) fn load(&mut self, need: &Need) {
        if self.residency.begin(need) {
            self.query(need.query(), Asked::Load(need.clone()));
        }
    }

    /// Asks the store.
    pub(super) fn query(&mut self, query: StoreQuery, then: Asked) {
        self.questions += 1;
        let id = self.questions;
        self.asked.insert(id, then);
        self.requests.push(StoreRequest::Query { id, query });
    }

    fn run(&mut self, id: SessionId, token: Token, command: Command) {
        let Some(session) = self.directory.get(id) else {
            return;
        };
        let (own, operator) = (session.jid.clone(), session.operator);
        let ask = self.ask(id, token);
        match (command, own) {
            (Command::Detach(reason), _) => self.leave_session(id, reason),
            (Command::SignIn { account }, _) => self.sign_in(ask, &account),
            (Command::SignedIn { account, ok }, _) => self.signed_in(ask, &account, ok),
            (
                Command::Register {
                    account,
                    credentials,
                },
                None,
            ) if !operator => self.register(ask, account, *credentials),
            (
                Command::Attach {
                    account,
                    resource,
                    transport,
                },
                None,
            ) if !operator => {
                self.attach(ask, account, resource, transport);
            }
            (
                Command::AttachComponent {
                    component,
                    transport,
                },
                None,
            ) if !operator && self.directory.components.by_session(id).is_none() => {
                self.attach_component(ask, &component, transport);
            }
            (Command::As { from, command }, None) => self.run_as(ask, from, *command),
            (Command::AttachOperator, None) => self.attach_operator(ask),
            (Command::Admin(request), None) if operator => self.administer(ask, *request),
            (Command::Pubsub(request), None) if operator => self.pubsub_as_operator(ask, *request),
            (Command::Describe { account }, None) if operator => self.describe(ask, None, &account),
            (Command::Continue(cursor), _) => self.continue_cursor(id, cursor),
            (command, Some(own)) => self.run_attached(ask, &own, command),
            // A session speaks before it may: that is its fault, not the peer's.
            (
                Command::Send(_)
                | Command::Query(_)
                | Command::QueryOfPresence(_)
                | Command::Announce(_)
                | Command::Capabilities(_)
                | Command::Disclose { .. }
                | Command::Direct { .. },
                None,
            )
            | (Command::Handshake { .. } | Command::Probe { .. }, None) => {}
            _ => self.refuse(ask, Reason::NotAuthorized.into()),
        }
    }

    fn run_attached(&mut self, ask: Ask, own: &FullJid, command: Command) {
        match command {
            Command::Announce(presence) => self.announce(ask.session, own, presence),
            Command::Capabilities(announced) => {
                self.capabilities_announced(ask.session, *announced)
            }
            Command::Disclose {
                question,
                disclosed,
            } => self.capabilities_disclosed(ask.session, question, *disclosed),
            Command::Direct { to, presence } => self.direct(ask.session, own, &to, presence),
            Command::Handshake {
                to,
                kind,
                id,
                lang,
                content,
            } => {
                let word = SubscriptionStanza {
                    id,
                    lang,
                    content,
                    ..SubscriptionStanza::bare(own.bare(), to.bare(), kind)
                };
                self.handshake(ask, word);
            }
            Command::Probe { to, id } => self.probe(ask.session, own, &to, id),
            Command::ListComponents => self.list_components(ask),
            Command::GetRoster { version } => self.get_roster(ask, own, version.as_deref()),
            Command::SetContact { jid, name, groups } => {
                self.set_contact(ask, own, &jid, name, groups)
            }
            Command::RemoveContact { jid } => self.remove_contact(ask, own, &jid),
            Command::Send(message) => self.send(ask, own.as_jid(), message),
            Command::Query(iq) => self.route_iq(ask.session, own.as_jid(), iq),
            Command::QueryOfPresence(iq) => {
                self.route_iq_of_presence(ask.session, own.as_jid(), iq)
            }
            Command::Activity { of } => self.activity(ask, &own.bare(), &of),
            Command::Describe { account } => self.describe(ask, Some(&own.bare()), &account),
            Command::ListBelongings { account, page } => {
                self.list_belongings(ask, own, account, page)
            }
            Command::GetBlockList => self.get_block_list(ask, own),
            Command::Block(jids) => self.block(ask, own, jids),
            Command::Unblock(jids) => self.unblock(ask, own, jids),
            Command::SetCarbons(enabled) => self.set_carbons(ask, enabled),
            Command::GetDocument { of, key } => self.get_document(ask, own.as_jid(), of, key),
            Command::SetDocuments(changes) => self.set_documents(ask, own, changes),
            Command::ChangeCredentials(credentials) => {
                self.change_credentials(ask, own, *credentials)
            }
            Command::Unregister => self.remove_account(ask, &own.bare()),
            Command::Pubsub(request) => self.pubsub(ask, own.clone(), *request),
            // A second bind, registration or administration by somebody who is logged in.
            _ => self.refuse(ask, Reason::NotAllowed.into()),
        }
    }

    pub(super) fn pubsub(&mut self, ask: Ask, jid: FullJid, request: PubsubRequest) {
        // XEP-0191 §3.3: a request goes to the service, or to whoever the personal nodes belong to.
        let host = request.host.as_ref().unwrap_or(&self.service);
        if let Err(refusal) = self.directory.check_blocks(jid.as_jid(), host.as_jid()) {
            self.refuse(ask, refusal);
            return;
        }
        match self.asker(jid) {
            Some(asker) => self.decide(ask, &asker, request),
            None => self.refuse(ask, Reason::NotAuthorized.into()),
        }
    }

    /// A session as the pubsub service sees it; `None`: its account was removed while the command waited.
    pub(super) fn asker(&self, jid: FullJid) -> Option<Asker> {
        let bare = jid.bare();
        if let Some(role) = self.role_abroad(&bare) {
            return Some(asker_abroad(jid, role));
        }
        let facts = self.residency.facts(&bare)?;
        let subject = Subject {
            groups: self.residency.shared.names_of(&bare, facts.role),
            role: facts.role,
            jid: bare,
            component: false,
        };
        Some(Asker {
            subject,
            jid,
            superuser: false,
            counts: facts.counts,
            host: None,
        })
    }

    fn pubsub_as_operator(&mut self, ask: Ask, request: PubsubRequest) {
        match self.superuser() {
            Some(asker) => self.decide(ask, &asker, request),
            None => self.refuse(ask, Reason::InternalServerError.into()),
        }
    }

    /// The hub's own administration as an asker: it owns nothing and may do everything.
    pub(super) fn superuser(&self) -> Option<Asker> {
        let jid = self.domain.with_resource("administration").ok()?;
        let subject = Subject {
            jid: self.domain.clone(),
            role: Role::Admin,
            groups: Vec::new(),
            component: false,
        };
        Some(Asker {
            subject,
            jid,
            superuser: true,
            counts: AccountCounts::default(),
            host: None,
        })
    }

    pub(super) fn decide(&mut self, ask: Ask, asker: &Asker, request: PubsubRequest) {
        // A lease that is over gives no right, though its time has only just come, or its node from the disk.
        if self.lease_deadline().is_some_and(|at| at <= self.now.mono) {
            self.see_to_leases();
        }
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        let decision = self.pubsub.handle(asker, request, &mut world, self.now);
        for aside in self.pubsub.take_asides() {
            self.change(aside, None);
        }
        match decision {
            Decision::Refuse(refusal) => self.refuse(ask, refusal),
            Decision::Answer(reply) => self.answer(ask, Ok(reply)),
            Decision::Read { query, then } => {
                self.defer(&ask);
                self.query(query, Asked::Read { ask, then });
            }
            Decision::Change(change) => {
                if change.ops.iter().any(|op| {
                    matches!(
                        op,
                        StoreOp::RemoveSubscription { .. } | StoreOp::RemoveNode { .. }
                    )
                }) {
                    self.residency.drifted(&asker.subject.jid, &self.limits);
                }
                self.change(*change, Some(ask));
            }
        }
    }

    /// Carries out a service's change.
    pub(super) fn change(&mut self, change: Change, ask: Option<Ask>) {
        let after = After {
            reply: ask.is_some().then_some(change.reply),
            ask,
            notices: change.notices,
            if_none_removed: change.if_none_removed,
            ..After::default()
        };
        self.carry_out(change.ops, change.urgency, after);
    }

    /// Hands a change to the store, or, if there is nothing to store, does what follows as soon as its node allows (S2).
    pub(super) fn carry_out(&mut self, ops: Vec<StoreOp>, urgency: Urgency, after: After) {
        if ops.is_empty() {
            let node = after
                .notices
                .iter()
                .find_map(|notice| node_of(notice))
                .cloned();
            if let Some(ask) = &after.ask {
                self.defer(ask);
            }
            let now = match &node {
                Some(at) => self.commits.follow_node(at, after),
                None => Some(after),
            };
            if let Some(after) = now {
                self.follow_up(after, None);
            }
            return;
        }
        for op in &ops {
            self.residency.note(op, &self.limits);
            self.note_contact(op);
        }
        // A new node comes with its owner; without one it is a new configuration.
        for pair in ops.windows(2) {
            if let [
                StoreOp::PutNode { creator, .. },
                StoreOp::PutAffiliation { .. },
            ] = pair
            {
                self.residency.note_new_node(creator, &self.limits);
            }
        }
        if let Some(ask) = &after.ask {
            self.defer(ask);
        }
        let acquaintances: Vec<_> = ops
            .iter()
            .filter_map(|op| match op {
                StoreOp::PutContact {
                    account, contact, ..
                } => Some((account.clone(), contact.jid.clone())),
                StoreOp::RemoveContact {
                    account, contact, ..
                } => Some((account.clone(), contact.clone())),
                _ => None,
            })
            .collect();
        self.commits.begin(ops, urgency, after, &mut self.requests);
        for (owner, contact) in acquaintances {
            self.acquaintance_changed(&owner, &contact);
        }
    }

    /// Who may hear of an owner's nodes may go by the owner's roster (XEP-0060 §4.5).
    fn acquaintance_changed(&mut self, owner: &BareJid, contact: &BareJid) {
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        for change in self.pubsub.acquaintance_changed(owner, contact, &mut world) {
            self.change(change, None);
        }
    }

    /// Tells everybody whom a change concerns; `by` is the session that asked for it.
    pub(super) fn notify(&mut self, notices: Vec<Notice>, by: Option<SessionId>) {
        for Notice { event, to, delay } in notices {
            let Some(at) = (match &event.what {
                What::Node(event) => Some(event.at.clone()),
                _ => None,
            }) else {
                continue;
            };
            let job = Job {
                event,
                to,
                reach: Reach::Reachable,
                delay,
                by,
            };
            self.fanout
                .send(Source::Node(at), job, &self.directory, &mut self.post);
        }
    }

    pub(super) fn ask(&mut self, session: SessionId, token: Token) -> Ask {
        self.asks += 1;
        Ask {
            session,
            token,
            number: self.asks,
        }
    }

    /// The answer comes later; those to later commands of the session wait for it (S6).
    pub(super) fn defer(&mut self, ask: &Ask) {
        if let Some(session) = self.directory.get_mut(ask.session) {
            session.pipeline.get_or_insert_default().defer(ask.number);
        }
    }

    pub(super) fn refuse(&mut self, ask: Ask, refusal: Refusal) {
        self.answer(ask, Err(refusal));
    }

    /// Answers, in the order of the session's commands.
    pub(super) fn answer(&mut self, ask: Ask, result: Result<Reply, Refusal>) {
        let answer = Box::new(Answer {
            token: ask.token,
            result,
        });
        self.settle(ask.session, ask.number, Some(answer));
    }

    /// A command is done, with or without an answer.
    pub(super) fn settle(&mut self, id: SessionId, number: u64, answer: Option<Box<Answer>>) {
        let Some(session) = self.directory.get_mut(id) else {
            return;
        };
        let Some(pipeline) = &mut session.pipeline else {
            if let Some(answer) = answer {
                self.post.push(&self.directory, id, Entry::Answer(answer));
            }
            return;
        };
        let mut ready = Vec::new();
        pipeline.answer(number, answer, &mut ready);
        for answer in ready {
            self.post.push(&self.directory, id, Entry::Answer(answer));
        }
        self.relieve(id);
    }
}

fn node_of(notice: &Notice) -> Option<&NodeAddress> {
    match &notice.event.what {
        What::Node(event) => Some(&event.at),
        _ => None,
    }
}
