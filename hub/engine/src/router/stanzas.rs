//! Messages and queries between entities, and what may be known of them.
//!
//! Implements: RFC 6121 §8 (where a message goes is decided by [`crate::service::inbox`]); RFC 6120 §8.4, §10; XEP-0012 2.0 §3 to
//! §5. A query to a resource is delivered whether or not the two share presence (§8.5.3.1 would rather not): whoever knows the
//! resource has been told it, and resources that the hub makes cannot be guessed.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::{
    address::{BareJid, FullJid, Jid},
    command::{PageRequest, PubsubAction, PubsubRequest, Reply, SessionId},
    effect::{StoreOp, Urgency},
    event::{Event, What},
    mailbox::Addressed,
    message::{Iq, Message, MessageKind, Resource},
    refusal::{Reason, Refusal},
    router::{
        Router, bounce,
        carbons::Outcome,
        commit::{After, Deed},
        fanout::Reach,
        pipeline::Ask,
        residency::Need,
        store_failed,
        stored::Asked,
        world::World,
    },
    service::{
        Decision, Recipient,
        inbox::{self, Addressee, Fate},
        roster,
    },
};

impl Router {
    /// Whether the account must be looked up before the message can be routed.
    pub(super) fn message_needs(&self, message: &Message) -> SmallVec<[Need; 2]> {
        let bare = message.to.bare();
        let settled = !self.is_ours(&bare)
            || message.kind == MessageKind::Error
            || match message.to.as_full() {
                Some(full) => self.directory.session(&full).is_some(),
                None => self.directory.is_reachable(&bare),
            };
        if settled {
            SmallVec::new()
        } else {
            smallvec![Need::Account(bare)]
        }
    }

    pub(super) fn send(&mut self, ask: Ask, own: &Jid, mut message: Message) {
        // RFC 6120 §8.1.2.1: `from` is the session's own, always.
        message.from = own.clone();
        self.counts.messages += 1;
        let bare = message.to.bare();
        if let Err(refusal) = self.directory.check_blocks(&message.from, &message.to) {
            self.bounce_message(ask.session, &message, &refusal);
            return;
        }
        if !self.is_ours(&bare) {
            // RFC 6120 §10.3, §10.4: the hub reads no messages, and reaches components but no other server.
            let component = if self.is_hub(&bare) {
                Err(Reason::ServiceUnavailable.into())
            } else {
                self.abroad(&bare)
            };
            match component {
                Ok(component) => {
                    let copies = self.to_copy(&message);
                    let to = message.to.clone();
                    let event = Arc::new(Event::new(What::Message(message)));
                    self.relay(&own.bare(), component, &to, &event);
                    if let Some(message) = copies {
                        self.copy(ask.session, &message, Outcome::ToNobody);
                    }
                }
                Err(refusal) => self.refuse_message(ask.session, &message, &refusal),
            }
            return;
        }
        let reachable = self.directory.is_reachable(&bare);
        let connected = message
            .to
            .as_full()
            .and_then(|full| self.directory.session(&full));
        let exists =
            self.residency.facts(&bare).is_some() || !self.directory.sessions(&bare).is_empty();
        let to = match (connected, exists) {
            (Some(_), _) => Addressee::Connected,
            (None, false) => Addressee::Unknown,
            (None, true) if message.to.is_bare() => Addressee::Bare { reachable },
            (None, true) => Addressee::Absent { reachable },
        };
        let mut fate = inbox::fate(message.kind, message.hints, to);
        if fate == Fate::DeliverToAll && self.cursors.are_taking(&bare) {
            let away = inbox::fate(
                message.kind,
                message.hints,
                Addressee::Bare { reachable: false },
            );
            if away == Fate::Keep {
                fate = Fate::Keep;
            }
        }
        let sender = ask.session;
        let copies = self.to_copy(&message);
        let mut outcome = Outcome::ToNobody;
        match (fate, connected) {
            (Fate::DeliverTo, Some(id)) => {
                outcome = Outcome::To(id);
                let event = Arc::new(Event::new(What::Message(message)));
                self.send_from(
                    &own.bare(),
                    Recipient::Session(id),
                    &event,
                    Reach::Reachable,
                );
            }
            (Fate::DeliverToAll, _) => {
                outcome = Outcome::ToAll;
                let account = self.directory.account(&bare);
                let event = Arc::new(Event::new(What::Message(message)));
                self.send_from(
                    &own.bare(),
                    Recipient::Account(account),
                    &event,
                    Reach::Reachable,
                );
            }
            (Fate::Keep, _) => return self.keep(ask, &bare, message, copies),
            (Fate::Refuse, _) => {
                return self.refuse_message(sender, &message, &Reason::ServiceUnavailable.into());
            }
            // Of what nobody can get, not even its sender's other resources need a copy.
            (Fate::Ignore | Fate::DeliverTo, _) if to == Addressee::Unknown => return,
            (Fate::Ignore | Fate::DeliverTo, _) => {}
        }
        if let Some(message) = copies {
            self.copy(sender, &message, outcome);
        }
    }

    /// XEP-0160 §2.
    fn keep(
        &mut self,
        ask: Ask,
        account: &BareJid,
        message: Message,
        copies: Option<Box<Message>>,
    ) {
        let kept = self
            .residency
            .facts(account)
            .map_or(0, |facts| facts.counts.offline as usize);
        if kept >= self.limits.offline_messages {
            let full = Refusal::new(Reason::ServiceUnavailable)
                .say("no more messages are kept for the account");
            self.refuse_message(ask.session, &message, &full);
            return;
        }
        self.cursors.kept(account);
        // Who is taking what was kept will take this too.
        let taker = self.cursors.taker(account);
        let outcome = taker.map_or(Outcome::ToNobody, Outcome::To);
        let apology = bounce::message(&message, &store_failed()).map(Arc::new);
        let op = StoreOp::PutOffline {
            account: account.clone(),
            message: Box::new(message),
            at: self.now.wall,
        };
        // No answer, but the session's later answers wait: the message counts as handled once it is stored (S6).
        let after = After {
            ask: Some(ask),
            apology,
            deeds: copies
                .map(|message| Deed::Copy(message, outcome))
                .into_iter()
                .collect(),
            ..After::default()
        };
        self.carry_out(vec![op], Urgency::Group, after);
    }

    /// A message that cannot be delivered: its sender's other resources see that it was sent, and that it came back.
    fn refuse_message(&mut self, sender: SessionId, message: &Message, refusal: &Refusal) {
        if let Some(copied) = self.to_copy(message) {
            self.copy(sender, &copied, Outcome::Refused);
        }
        self.bounce_message(sender, message, refusal);
        if let Some(error) = bounce::message(message, refusal) {
            self.copy_error(sender, message, &error);
        }
    }

    pub(super) fn bounce_message(&mut self, to: SessionId, message: &Message, refusal: &Refusal) {
        if let Some(event) = bounce::message(message, refusal) {
            self.post
                .insist(&self.directory, to, &Arc::new(event), Addressed::Full, None);
        }
    }

    /// RFC 6120 §10.3 to §10.5, RFC 6121 §8.5.1, §8.5.2.1.3, §8.5.3.
    pub(super) fn route_iq(&mut self, id: SessionId, own: &Jid, mut iq: Iq) {
        iq.from = own.clone();
        let bare = iq.to.bare();
        if let Err(refusal) = self.directory.check_blocks(&iq.from, &iq.to) {
            self.bounce_iq(id, &iq, &refusal);
            return;
        }
        if let Some(to) = iq
            .to
            .as_full()
            .and_then(|full| self.directory.session(&full))
        {
            let event = Arc::new(Event::new(What::Iq(iq)));
            self.send_from(
                &own.bare(),
                Recipient::Session(to),
                &event,
                Reach::Available,
            );
            return;
        }
        // What the hub answers for an account or itself was answered by the session; it knows no more here.
        let ours = self.is_ours(&bare) || self.is_hub(&bare);
        let component = if ours {
            Err(Reason::ServiceUnavailable.into())
        } else {
            self.abroad(&bare)
        };
        match component {
            Ok(component) => {
                let to = iq.to.clone();
                let event = Arc::new(Event::new(What::Iq(iq)));
                self.relay(&own.bare(), component, &to, &event);
            }
            Err(refusal) => self.bounce_iq(id, &iq, &refusal),
        }
    }

    /// XEP-0012 §4: who does not see the account must not learn through its resources when it was last active.
    pub(super) fn route_iq_of_presence(&mut self, id: SessionId, own: &Jid, iq: Iq) {
        let bare = iq.to.bare();
        let blocked = self.directory.check_blocks(own, &iq.to).is_err();
        if self.is_ours(&bare) && !blocked && !self.may_see(&own.bare(), &bare) {
            let asked = Iq {
                from: own.clone(),
                ..iq
            };
            self.bounce_iq(id, &asked, &Reason::Forbidden.into());
        } else {
            self.route_iq(id, own, iq);
        }
    }

    pub(super) fn bounce_iq(&mut self, to: SessionId, iq: &Iq, refusal: &Refusal) {
        if let Some(event) = bounce::iq(iq, refusal) {
            self.post
                .insist(&self.directory, to, &Arc::new(event), Addressed::Full, None);
        }
    }

    /// XEP-0012.
    pub(super) fn activity(&mut self, ask: Ask, asker: &BareJid, of: &Jid) {
        let open = self.directory.check_blocks(asker.as_jid(), of);
        let result = open.and_then(|()| self.activity_of(asker, of));
        self.answer(
            ask,
            result.map(|(seconds, status)| Reply::Activity { seconds, status }),
        );
    }

    fn activity_of(&self, asker: &BareJid, of: &Jid) -> Result<(u64, Option<Box<str>>), Refusal> {
        let bare = of.bare();
        if self.is_hub(&bare) {
            // §5: how long the hub is up.
            let started = self.started.unwrap_or(self.now.mono);
            return Ok((self.now.mono.since(started).as_secs(), None));
        }
        if !self.is_ours(&bare) {
            return Err(Reason::RemoteServerNotFound.into());
        }
        // §3, §4: only who may see the account's presence; an account that does not exist looks the same.
        if !self.may_see(asker, &bare) {
            return Err(Reason::Forbidden.into());
        }
        if let Some(full) = of.as_full() {
            let session = self
                .directory
                .session(&full)
                .and_then(|id| self.directory.get(id));
            let active = session.ok_or(Reason::ServiceUnavailable)?.active;
            return Ok((self.now.mono.since(active).as_secs(), None));
        }
        if !self.directory.sessions(&bare).is_empty() {
            return Ok((0, None));
        }
        let seen = self
            .residency
            .facts(&bare)
            .and_then(|facts| facts.last_seen.as_deref());
        let seen = seen
            .ok_or_else(|| Refusal::new(Reason::ItemNotFound).say("the account was never here"))?;
        let seconds = u64::try_from(self.now.wall.secs() - seen.at.secs()).unwrap_or(0);
        Ok((seconds, seen.status.clone()))
    }

    /// Whether `asker` sees the account's presence: its own roster or a group says so, or if it is elsewhere the account's
    /// roster, which is here.
    pub(super) fn may_see(&self, asker: &BareJid, account: &BareJid) -> bool {
        if !self.is_ours(asker) {
            return self.sees(asker, account);
        }
        asker == account
            || self.sees_by_handshake(asker, account)
            || self.sees_by_groups(asker, account)
    }

    /// Whether `asker`, whose roster is here, has a subscription to the account's presence.
    pub(super) fn sees_by_handshake(&self, asker: &BareJid, account: &BareJid) -> bool {
        let roster = self.residency.roster(asker);
        let contact = roster.and_then(|roster| roster::find(roster, account));
        contact.is_some_and(|contact| contact.subscription.to())
    }

    /// Whether `watcher` sees the account by shared roster groups, as far as both are known.
    pub(super) fn sees_by_groups(&self, watcher: &BareJid, account: &BareJid) -> bool {
        self.residency.sees_by_groups(watcher, account)
    }

    /// XEP-0030 for an account: who may not see its presence cannot tell it from one that does not exist (RFC 6121 §8.5.1).
    pub(super) fn describe(&mut self, ask: Ask, asker: Option<&BareJid>, account: &BareJid) {
        let open = asker.map_or(Ok(()), |asker| {
            self.directory
                .check_blocks(asker.as_jid(), account.as_jid())
        });
        if let Err(refusal) = open {
            self.refuse(ask, refusal);
            return;
        }
        let allowed = asker.is_none_or(|asker| self.may_see(asker, account));
        let facts = self.residency.facts(account).filter(|_| allowed);
        let Some(role) = facts.map(|facts| facts.role) else {
            self.refuse(ask, Reason::ServiceUnavailable.into());
            return;
        };
        let resources = self.resources(account);
        self.answer(ask, Ok(Reply::Described { role, resources }));
    }

    fn resources(&self, account: &BareJid) -> Vec<Resource> {
        let sessions = self
            .directory
            .sessions(account)
            .iter()
            .filter_map(|&id| self.directory.get(id));
        sessions
            .filter_map(|session| {
                Some(Resource {
                    jid: session.jid.clone()?,
                    presence: session.availability.kind()?,
                })
            })
            .collect()
    }

    /// XEP-0030 §4, XEP-0163 §5: an account that does not exist has no items, like one whose items the asker may not know of.
    pub(super) fn list_belongings(
        &mut self,
        ask: Ask,
        own: &FullJid,
        account: BareJid,
        page: Option<PageRequest>,
    ) {
        if let Err(refusal) = self.directory.check_blocks(own.as_jid(), account.as_jid()) {
            self.refuse(ask, refusal);
            return;
        }
        let Some(asker) = self.asker(own.clone()) else {
            self.refuse(ask, Reason::NotAuthorized.into());
            return;
        };
        let resources = if self.may_see(&own.bare(), &account) {
            self.resources(&account)
        } else {
            Vec::new()
        };
        let request = PubsubRequest {
            host: Some(account),
            action: PubsubAction::List { node: None, page },
        };
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        match self.pubsub.handle(&asker, request, &mut world, self.now) {
            Decision::Read { query, then } => {
                self.defer(&ask);
                let then = Box::new(|answer| match then(answer)? {
                    Reply::Pubsub(nodes) => Ok(Reply::Belongings { resources, nodes }),
                    other => Ok(other),
                });
                self.query(query, Asked::Read { ask, then });
            }
            Decision::Refuse(refusal) => self.refuse(ask, refusal),
            Decision::Answer(_) | Decision::Change(_) => {
                self.refuse(ask, Reason::InternalServerError.into());
            }
        }
    }
}
