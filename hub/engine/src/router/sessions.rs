//! A session's beginning and its end.
//!
//! Implements: RFC 6120 §7 resource binding, as far as it is shared state; RFC 6121 §4.5.4 (a lost session is unavailable).

use crate::{
    account::LastSeen,
    address::{BareJid, Jid},
    command::{EndReason, Reply, SessionId, Transport},
    effect::{StoreOp, Urgency},
    event::{Event, What},
    refusal::{Reason, Refusal},
    router::{Router, availability::Farewell, commit::After, pipeline::Ask},
    service::{Recipient, presence},
};

impl Router {
    pub(super) fn attach(
        &mut self,
        ask: Ask,
        account: BareJid,
        resource: Option<Box<str>>,
        transport: Transport,
    ) {
        // The account may have been removed or disabled since its password was checked.
        let facts = self.residency.facts(&account).filter(|facts| facts.enabled);
        let Some((role, subscriptions)) =
            facts.map(|facts| (facts.role, facts.counts.subscriptions))
        else {
            self.refuse(ask, Reason::NotAuthorized.into());
            return;
        };
        // RFC 6120 §7.6: without a wish the hub makes a resource, which nobody can guess.
        let resource = resource.unwrap_or_else(|| self.random.name().into());
        let Ok(jid) = account.with_resource(&resource) else {
            self.refuse(ask, Reason::JidMalformed.into());
            return;
        };
        let older = self.directory.session(&jid);
        let others = self.directory.sessions(&account).len() - usize::from(older.is_some());
        if others >= self.limits.sessions_per_account {
            // RFC 6120 §7.6.2.1.
            let refusal =
                Refusal::new(Reason::ResourceConstraint).say("the account has too many sessions");
            self.refuse(ask, refusal);
            return;
        }
        if let Some(older) = older {
            // RFC 6120 §7.7.2.2, second way: the newcomer is more likely to be alive than what it replaces.
            self.end_session(older, EndReason::Replaced);
        }
        let id = self.directory.bind(ask.session, jid.clone());
        self.residency.drop_record(&account);
        let shared = &mut self.residency.shared;
        let had = shared.roles.get(&account).copied();
        if had != Some(role) {
            shared.leave(id, &account);
            shared.roles.insert(&account, role);
        }
        shared.enter(id, &account);
        if had != Some(role) && subscriptions > 0 {
            // S13: what it subscribed to under other rules, in an earlier life of the hub perhaps, must stand under these.
            self.judge_later(&account);
        }
        let since = self.now.wall;
        if let Some(session) = self.directory.get_mut(ask.session) {
            session.transport = transport;
            session.since = since;
        }
        self.answer(ask, Ok(Reply::Attached { jid }));
    }

    pub(super) fn attach_operator(&mut self, ask: Ask) {
        if let Some(session) = self.directory.get_mut(ask.session) {
            session.operator = true;
        }
        self.answer(ask, Ok(Reply::Done));
    }

    /// Ends a session from this side: its connection says why.
    pub(super) fn end_session(&mut self, id: SessionId, reason: EndReason) {
        self.post.end(&self.directory, id, reason);
        self.detach(id, reason);
    }

    /// The connection has left: nothing more can be told to it.
    pub(super) fn leave_session(&mut self, id: SessionId, reason: EndReason) {
        let mailbox = self
            .directory
            .get(id)
            .map(|session| session.mailbox.clone());
        self.detach(id, reason);
        if let Some(mailbox) = mailbox {
            mailbox.close();
        }
    }

    /// Takes the session out and lets the world know. Every way in which a session can end comes through here, so the farewell
    /// is the same for all of them.
    pub(super) fn detach(&mut self, id: SessionId, _: EndReason) {
        if let Some(session) = self.directory.get(id) {
            let hosts = session.availability.directed().map(Jid::bare);
            for host in hosts.collect::<Vec<_>>() {
                self.cease_guest(id, &host);
            }
        }
        let Some(mut session) = self.directory.close(id) else {
            return;
        };
        self.forget_questions(id);
        for parked in session
            .pipeline
            .take()
            .into_iter()
            .flat_map(|pipeline| pipeline.parked)
        {
            self.residency.unpin(&parked.pins);
        }
        let resume = self.cursors.forget(id);
        drop(self.post.digests.take_all(Recipient::Session(id)));
        self.component_left(id);
        let Some(jid) = session.jid else { return };
        let account = jid.bare();
        let broadcast = session.availability.current().is_some();
        if broadcast || session.availability.has_directed() {
            let presence = presence::farewell(jid.as_jid(), self.now.wall);
            self.say_farewell(Farewell {
                account: account.clone(),
                event: Event::new(What::Presence(presence)).into(),
                broadcast,
                directed: session.availability.take_directed(),
            });
        }
        let gone = self.directory.sessions(&account).is_empty();
        let last = gone || (broadcast && !self.is_anyone_available(&account));
        self.pubsub.session_ended(&jid);
        self.went_offline(&jid, last);
        if resume {
            self.pass_on_kept(&account);
        }
        self.listings.remove(&id);
        if self.directory.sessions(&account).is_empty() {
            if let Some(gone) = session.account {
                self.residency.shared.leave(gone, &account);
            }
            self.note_last_seen(account, session.availability.take_left());
        }
    }

    /// XEP-0012 §3: when the account's last session ended, and what it said.
    fn note_last_seen(&mut self, account: BareJid, status: Option<Box<str>>) {
        let seen = LastSeen {
            at: self.now.wall,
            status,
        };
        if self.residency.is_absent(&account) {
            return;
        }
        if let Some(facts) = self.residency.facts_mut(&account) {
            facts.last_seen = Some(Box::new(seen.clone()));
        }
        // A board without a clock must not write 1970 over the truth (S28).
        if self.now.wall_trusted {
            self.carry_out(
                vec![StoreOp::LastSeen { account, seen }],
                Urgency::Lazy,
                After::default(),
            );
        }
    }
}
