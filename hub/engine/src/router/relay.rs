//! To a component and from it: what a command means that one of its addresses gives.
//!
//! Implements: XEP-0114 1.6 §3 ("the component MAY send stanzas from any user at its hostname", and from no other); RFC 6121
//! §3, §4.2, §4.3, §8 where one side is an account and the other a contact elsewhere.
//! What is for an address of a component goes to its session as it is, with the address in the entry's tag where the stanza
//! does not have it; whether there is such a user only the component knows.

use std::sync::Arc;

use smallvec::smallvec;

use crate::{
    account::Role,
    address::{BareJid, FullJid, Jid},
    command::{Command, SessionId},
    effect::AccountCounts,
    event::{Event, What},
    mailbox::{Addressed, Entry, SubscriptionTag},
    message::{Handshake, Presence, PresenceKind, Probe, SubscriptionStanza},
    refusal::{Reason, Refusal},
    router::{
        Router, bounce,
        commit::After,
        components,
        fanout::{Job, Reach, Source},
        needs::Needs,
        pipeline::Ask,
        residency::Need,
    },
    service::{Delivery, Recipient, presence, pubsub::Asker, roster},
    time::Timestamp,
};

/// The resource under which the pubsub service knows a component that asks as a bare address: its sessions have one, and
/// whatever is sent there reaches the component.
const BARE_ASKER: &str = "component";

/// How an entry says for which of a component's addresses it is.
pub(super) fn addressed_to(to: &Jid) -> Arc<SubscriptionTag> {
    Arc::new(SubscriptionTag {
        to: Some(to.clone()),
        ..SubscriptionTag::default()
    })
}

/// An asking address as the pubsub service names askers.
fn full(from: &Jid) -> Option<FullJid> {
    from.as_full()
        .or_else(|| from.bare().with_resource(BARE_ASKER).ok())
}

/// An address of a component as the pubsub service sees it. Bounds of an account are for accounts: a component is trusted by
/// whoever runs the hub (XEP-0114 §4).
pub(super) fn asker_abroad(jid: FullJid, role: Role) -> Asker {
    Asker {
        subject: components::subject(&jid.bare(), role),
        jid,
        superuser: false,
        counts: AccountCounts::default(),
        host: None,
    }
}

impl Router {
    /// An event for one address of a component, behind whatever of its sender is still on its way (RFC 6120 §10.1).
    pub(super) fn relay(
        &mut self,
        from: &BareJid,
        component: SessionId,
        to: &Jid,
        event: &Arc<Event>,
    ) {
        let order = self.whose_order(from);
        let source = Source::Account(self.directory.account(&order));
        let delivery = Delivery {
            tag: Some(addressed_to(to)),
            ..Delivery::plain(Recipient::Session(component))
        };
        let job = Job {
            event: Arc::clone(event),
            to: [delivery].into(),
            reach: Reach::Available,
            delay: None,
            by: None,
        };
        self.fanout
            .send(source, job, &self.directory, &mut self.post);
    }

    /// The hub's own word to one address of a component.
    pub(super) fn tell_component(
        &mut self,
        component: SessionId,
        to: &Jid,
        what: What,
        delay: Option<Timestamp>,
    ) {
        let entry = Entry::Event {
            event: Arc::new(Event::new(what)),
            to: Addressed::Full,
            tag: Some(addressed_to(to)),
            delay,
        };
        self.post.deliveries += 1;
        self.post.push(&self.directory, component, entry);
    }

    /// What a component's command needs in memory: it has neither account nor roster, so what it may see is in the other's.
    pub(super) fn needs_abroad(&self, command: &Command) -> Needs {
        let of_account = |jid: BareJid| -> Needs {
            if self.is_ours(&jid) {
                smallvec![Need::Account(jid.clone()), Need::Roster(jid)]
            } else {
                Needs::new()
            }
        };
        match command {
            Command::Send(message) => self.message_needs(message),
            Command::QueryOfPresence(iq) => of_account(iq.to.bare()),
            Command::Handshake { to, .. } | Command::Probe { to, .. } => of_account(to.bare()),
            Command::Describe { account } | Command::ListBelongings { account, .. } => {
                of_account(account.clone())
            }
            Command::Activity { of } => of_account(of.bare()),
            Command::Pubsub(request) => self.needs_of_pubsub(self.pubsub.wants(request)),
            _ => Needs::new(),
        }
    }

    /// Carries out a command of a component. It speaks for its own domain alone, whatever its session has checked.
    pub(super) fn run_as(&mut self, ask: Ask, from: Jid, command: Command) {
        let component = self.directory.components.by_session(ask.session);
        if component.is_none_or(|component| component.domain.as_str() != from.domain()) {
            self.refuse(ask, Reason::NotAuthorized.into());
            return;
        }
        match command {
            Command::Send(message) => self.send(ask, &from, message),
            Command::Query(iq) => self.route_iq(ask.session, &from, iq),
            Command::QueryOfPresence(iq) => self.route_iq_of_presence(ask.session, &from, iq),
            Command::Direct { to, presence } => {
                self.direct_from_abroad(ask.session, from, &to, presence);
            }
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
                    ..SubscriptionStanza::bare(from.bare(), to.bare(), kind)
                };
                self.handshake_from_abroad(ask, word);
            }
            Command::Probe { to, id } => self.probe_from_abroad(ask.session, &from, &to, id),
            Command::Activity { of } => self.activity(ask, &from.bare(), &of),
            Command::Describe { account } => self.describe(ask, Some(&from.bare()), &account),
            Command::ListComponents => self.list_components(ask),
            Command::GetDocument { of, key } => self.get_document(ask, &from, of, key),
            Command::Pubsub(request) => match full(&from) {
                Some(jid) => self.pubsub(ask, jid, *request),
                None => self.refuse(ask, Reason::InternalServerError.into()),
            },
            Command::ListBelongings { account, page } => match full(&from) {
                Some(jid) => self.list_belongings(ask, &jid, account, page),
                None => self.refuse(ask, Reason::InternalServerError.into()),
            },
            // What only an account has.
            _ => self.refuse(ask, Reason::NotAllowed.into()),
        }
    }

    /// What a parked command of a component comes back as when the store cannot answer.
    pub(super) fn fail_as(&mut self, ask: Ask, from: Jid, command: Command, refusal: Refusal) {
        match command {
            Command::Send(mut message) => {
                message.from = from;
                self.bounce_message(ask.session, &message, &refusal);
            }
            Command::Query(mut iq) | Command::QueryOfPresence(mut iq) => {
                iq.from = from;
                self.bounce_iq(ask.session, &iq, &refusal);
            }
            Command::Direct { .. } | Command::Handshake { .. } | Command::Probe { .. } => {}
            _ => self.refuse(ask, refusal),
        }
    }

    /// Presence from a contact elsewhere: to the resource, or to all available ones (RFC 6121 §8.5.2.1.2, §8.5.3.1). Whether
    /// the account asked for it is not looked at, as for directed presence of any other (§4.6).
    fn direct_from_abroad(&mut self, id: SessionId, from: Jid, to: &Jid, mut presence: Presence) {
        presence.from = from;
        presence.at = self.now.wall;
        let bare = to.bare();
        if self.is_ours(&bare) {
            self.note_shown(id, &presence, to);
        } else if self.is_hub(&bare) {
            return;
        } else if let Err(refusal) = self.abroad(&bare) {
            if matches!(presence.kind, PresenceKind::Available { .. }) {
                self.presence_error_abroad(id, &presence.from, to, presence.id, &refusal);
            }
            return;
        }
        let sender = presence.from.bare();
        self.present(&sender, to, &Arc::new(Event::new(What::Presence(presence))));
    }

    fn presence_error_abroad(
        &mut self,
        component: SessionId,
        sender: &Jid,
        about: &Jid,
        stanza: Option<Box<str>>,
        refusal: &Refusal,
    ) {
        let error = bounce::presence(about, stanza, refusal, self.now.wall);
        self.tell_component(component, sender, error.what, None);
    }

    /// A word of the handshake to an address elsewhere: the account's side changes here, the other is the component's. A
    /// `subscribe` that nobody could answer comes back and leaves no trace; what ends something ends it here in any case.
    pub(super) fn handshake_abroad(&mut self, ask: Ask, word: SubscriptionStanza) {
        let (account, to, id) = (word.from.clone(), word.to.clone(), word.id.clone());
        if let (Handshake::Subscribe, Err(refusal)) = (word.kind, self.abroad(&to)) {
            self.presence_error(ask.session, &to, id, &refusal);
            return;
        }
        if word.kind == Handshake::Subscribed && !self.is_of_component(&to) {
            return;
        }
        let items_max = self.limits.roster_items;
        match self.with_rosters(&account, &to, |ours, _| roster::say(ours, word, items_max)) {
            Ok(outcome) => {
                let after = After {
                    ask: Some(ask),
                    ..After::default()
                };
                self.commit_rosters(&account, outcome, after);
            }
            Err(refusal) => self.presence_error(ask.session, &to, id, &refusal),
        }
    }

    fn handshake_from_abroad(&mut self, ask: Ask, word: SubscriptionStanza) {
        let (from, to, id) = (word.from.clone(), word.to.clone(), word.id.clone());
        if self.is_hub(&to) {
            return;
        }
        if !self.is_ours(&to) {
            match self.abroad(&to) {
                Ok(component) => {
                    let event = Arc::new(Event::new(What::Subscription(word)));
                    self.relay(&from, component, to.as_jid(), &event);
                }
                Err(refusal) if word.kind == Handshake::Subscribe => {
                    let (sender, about) = (from.as_jid(), to.as_jid());
                    self.presence_error_abroad(ask.session, sender, about, id, &refusal);
                }
                Err(_) => {}
            }
            return;
        }
        // RFC 6121 §8.5.1: of an account that does not exist nothing is heard; XEP-0191 §3.3: nor of one that has blocked who asks.
        let unheard =
            word.kind == Handshake::Subscribe && self.directory.blocks(to.as_jid(), from.as_jid());
        if unheard || self.residency.facts(&to).is_none() {
            return;
        }
        let items_max = self.limits.roster_items;
        match self.with_rosters(&to, &from, |ours, _| roster::hear(ours, word, items_max)) {
            Ok(outcome) => {
                let after = After {
                    ask: Some(ask),
                    ..After::default()
                };
                self.commit_rosters(&to, outcome, after);
            }
            Err(refusal) => {
                let (sender, about) = (from.as_jid(), to.as_jid());
                self.presence_error_abroad(ask.session, sender, about, id, &refusal);
            }
        }
    }

    /// RFC 6121 §4.3.2, from a contact elsewhere: the account's own roster says what it may see.
    fn probe_from_abroad(&mut self, id: SessionId, from: &Jid, to: &Jid, probe: Option<Box<str>>) {
        let account = to.bare();
        // XEP-0191 §3.3: who is blocked gets no answer.
        if self.directory.blocks(to, from) {
            return;
        }
        if !self.is_ours(&account) {
            if let Ok(component) = self.abroad(&account) {
                self.ask_presence(component, from, to, probe);
            }
            return;
        }
        if !self.sees(&from.bare(), &account) {
            // First rule: what the asker may not see and what does not exist look the same.
            let stanza = SubscriptionStanza {
                id: probe,
                ..SubscriptionStanza::bare(account, from.bare(), Handshake::Unsubscribed)
            };
            self.tell_component(id, from, What::Subscription(stanza), None);
            return;
        }
        let shown = self.presences(&account).into_iter();
        let shown: Vec<_> = shown
            .filter_map(|event| match &event.what {
                What::Presence(shown) if to.is_bare() || shown.from == *to => Some(shown.clone()),
                _ => None,
            })
            .collect();
        if shown.is_empty() {
            let gone = Presence {
                id: probe,
                ..presence::farewell(to, self.now.wall)
            };
            let facts = self.residency.facts(&account);
            let seen = facts.and_then(|facts| facts.last_seen.as_deref());
            let seen = seen.map(|seen| seen.at);
            self.tell_component(id, from, What::Presence(gone), seen);
        }
        for presence in shown {
            let at = presence.at;
            self.tell_component(id, from, What::Presence(presence), Some(at));
        }
    }

    /// Passes a question for presence on to a component, which answers as its contact (RFC 6121 §4.3.1).
    pub(super) fn ask_presence(
        &mut self,
        component: SessionId,
        from: &Jid,
        to: &Jid,
        id: Option<Box<str>>,
    ) {
        let probe = Probe {
            from: from.clone(),
            to: to.clone(),
            id,
        };
        let event = Arc::new(Event::new(What::Probe(probe)));
        self.relay(&from.bare(), component, to, &event);
    }

    /// The contact's presence is asked for where it lives, for a session that has just come (RFC 6121 §4.2.2).
    pub(super) fn probe_contact(&mut self, id: SessionId, contact: &BareJid) {
        let own = self.directory.get(id);
        let own = own.and_then(|session| session.jid.clone());
        if let (Some(own), Ok(component)) =
            (own.as_ref().map(FullJid::as_jid), self.abroad(contact))
        {
            self.ask_presence(component, own, contact.as_jid(), None);
        }
    }
}
