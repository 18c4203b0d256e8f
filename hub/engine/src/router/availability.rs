//! Presence on its way: broadcasts, directed presence, probes and farewells.
//!
//! Implements: RFC 6121 §4.2 to §4.6; XEP-0191 1.3 §3.3 for presence.
//! Both sides of a subscription are in this hub and change together, so the account's own roster says whom it sees: a login of
//! an operator with 10,000 devices loads one roster, not 10,000.

use std::sync::Arc;

use crate::{
    address::{BareJid, FullJid, Jid},
    command::SessionId,
    event::{Event, What},
    mailbox::Addressed,
    message::{Handshake, Presence, PresenceKind, Show, SubscriptionStanza},
    refusal::{Reason, Refusal},
    router::{
        Router, bounce,
        fanout::{Job, Reach, Source},
        relay::addressed_to,
        residency::Need,
        world::World,
    },
    service::{
        Delivery, Recipient,
        presence::{self, Announced, Directed},
        roster,
    },
};

/// The last presence of a session that is over or no longer available.
pub(super) struct Farewell {
    pub(super) account: BareJid,
    pub(super) event: Arc<Event>,
    /// Contacts saw it.
    pub(super) broadcast: bool,
    pub(super) directed: Directed,
}

impl Router {
    pub(super) fn announce(&mut self, id: SessionId, own: &FullJid, mut presence: Presence) {
        presence.from = own.clone().into();
        presence.at = self.now.wall;
        let event = Arc::new(Event::new(What::Presence(presence)));
        let Some(session) = self.directory.get_mut(id) else {
            return;
        };
        let announced = session.availability.announce(&event);
        match announced {
            Announced::Initial => {
                self.broadcast(&own.bare(), &event);
                self.start_contacts(id);
                self.start_kept(id);
                self.start_requests(id, &own.bare());
                self.show_subscribed(id);
                self.hear_contacts(id);
            }
            Announced::Update { now_reachable } => {
                self.broadcast(&own.bare(), &event);
                if now_reachable {
                    self.start_kept(id);
                }
            }
            Announced::Gone | Announced::Nothing => {
                if !matches!(&event.what, What::Presence(presence) if presence.kind == PresenceKind::Unavailable)
                {
                    return;
                }
                let hosts = session.availability.directed().map(Jid::bare);
                let hosts: Vec<BareJid> = hosts.collect();
                let directed = session.availability.take_directed();
                self.stop_hearing(id, &hosts);
                let broadcast = announced == Announced::Gone;
                if broadcast {
                    // RFC 6121 §4.5.2: the resource itself hears it too.
                    self.post
                        .tell(&self.directory, id, &event, Addressed::Bare, None);
                }
                self.say_farewell(Farewell {
                    account: own.bare(),
                    event,
                    broadcast,
                    directed,
                });
                if broadcast {
                    self.went_offline(own, !self.is_anyone_available(&own.bare()));
                }
            }
        }
    }

    /// Whether a session of the account is available.
    pub(super) fn is_anyone_available(&self, account: &BareJid) -> bool {
        let sessions = self.directory.sessions(account).iter();
        let mut sessions = sessions.filter_map(|&id| self.directory.get(id));
        sessions.any(|session| session.availability.current().is_some())
    }

    /// What ends at nodes with somebody's presence (XEP-0060 §12.5, `pubsub#purge_offline`).
    pub(super) fn went_offline(&mut self, session: &FullJid, last: bool) {
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        for change in self.pubsub.went_offline(session, last, &mut world) {
            self.change(change, None);
        }
    }

    /// Tells contacts, the account's other resources, and those who saw the session only by directed presence; nobody twice.
    pub(super) fn say_farewell(&mut self, farewell: Farewell) {
        if self.residency.roster(&farewell.account).is_none() {
            let need = Need::Roster(farewell.account.clone());
            self.farewells
                .entry(farewell.account.clone())
                .or_default()
                .push(farewell);
            self.load(&need);
            return;
        }
        let Farewell {
            account,
            event,
            broadcast,
            directed,
        } = farewell;
        if broadcast {
            self.broadcast(&account, &event);
        }
        let due =
            directed.to_tell(|jid| broadcast && (*jid == account || self.sees(jid, &account)));
        for jid in due {
            self.present(&account, &jid, &event);
        }
    }

    /// RFC 6121 §4.2.2, §4.4.2, §4.5.2: to contacts with a subscription from the account, and to the account itself.
    fn broadcast(&mut self, account: &BareJid, event: &Arc<Event>) {
        let own = self.directory.account(account);
        let mut to = vec![Delivery::plain(Recipient::Account(own))];
        to.extend(self.watchers(account));
        let to = to.into();
        let job = Job {
            event: Arc::clone(event),
            to,
            reach: Reach::Available,
            delay: None,
            by: None,
        };
        self.fanout
            .send(Source::Account(own), job, &self.directory, &mut self.post);
    }

    /// Contacts that see the account and are here.
    fn watchers(&self, account: &BareJid) -> Vec<Delivery> {
        let contacts = self
            .residency
            .roster(account)
            .map_or(&[][..], |roster| &roster.contacts);
        let watchers = contacts
            .iter()
            .filter(|contact| contact.subscription.from());
        let here = watchers.filter_map(|contact| {
            if self.is_of_component(&contact.jid) {
                let component = self.abroad(&contact.jid).ok()?;
                return Some(Delivery {
                    tag: Some(addressed_to(contact.jid.as_jid())),
                    ..Delivery::plain(Recipient::Session(component))
                });
            }
            let account = self.directory.known(&contact.jid)?;
            let here = !self.directory.sessions_of(account).is_empty();
            here.then(|| Delivery::plain(Recipient::Account(account)))
        });
        let mut here: Vec<_> = here.collect();
        self.add_watchers_by_groups(account, &mut here);
        here
    }

    /// Those who see the account by shared groups and are here. Nobody hears it twice, nor the account itself as its own
    /// contact.
    pub(super) fn add_watchers_by_groups(&self, account: &BareJid, to: &mut Vec<Delivery>) {
        let shared = &self.residency.shared;
        let Some(&role) = shared.roles.get(account) else {
            return;
        };
        let groups = shared.groups().of(account, role);
        if groups.is_empty() {
            return;
        }
        let told = to.iter().filter_map(|delivery| match delivery.to {
            Recipient::Account(account) => Some(account),
            Recipient::Session(_) => None,
        });
        let mut told: Vec<_> = told.chain(self.directory.known(account)).collect();
        told.sort_unstable();
        let mut more: Vec<_> = shared.watchers(&groups).collect();
        more.sort_unstable();
        more.dedup();
        more.retain(|watcher| told.binary_search(watcher).is_err());
        to.extend(
            more.into_iter()
                .map(|watcher| Delivery::plain(Recipient::Account(watcher))),
        );
    }

    /// Whether `watcher` sees `account`, whose roster is here.
    pub(super) fn sees(&self, watcher: &BareJid, account: &BareJid) -> bool {
        let roster = self.residency.roster(account);
        roster
            .and_then(|roster| roster::find(roster, watcher))
            .is_some_and(|contact| contact.subscription.from())
            || self.sees_by_groups(watcher, account)
    }

    /// RFC 6121 §4.6.
    pub(super) fn direct(
        &mut self,
        id: SessionId,
        own: &FullJid,
        to: &Jid,
        mut presence: Presence,
    ) {
        presence.from = own.clone().into();
        presence.at = self.now.wall;
        let stanza_id = presence.id.clone();
        let kind = presence.kind;
        let (ours, hub) = (self.is_ours(&to.bare()), self.is_hub(&to.bare()));
        let max = self.limits.roster_items;
        let mut refusal = if ours || hub {
            None
        } else {
            self.abroad(&to.bare()).err()
        };
        let blocked = self.directory.blocks(own.as_jid(), to);
        if blocked {
            refusal = Some(Refusal::blocked());
        } else if !hub && refusal.is_none() && kind != PresenceKind::Error {
            let Some(session) = self.directory.get_mut(id) else {
                return;
            };
            if kind == PresenceKind::Unavailable {
                session.availability.hide_from(to);
            } else if !session.availability.show_to(to, max) {
                refusal = Some(
                    Refusal::new(Reason::ResourceConstraint).say("presence was shown to too many"),
                );
            }
        }
        match refusal {
            // Errors are not answered, and a farewell that does not arrive harms nobody.
            Some(refusal)
                if matches!(kind, PresenceKind::Available { .. })
                    || blocked && kind != PresenceKind::Error =>
            {
                let error = bounce::presence(to, stanza_id, &refusal, self.now.wall);
                self.post
                    .insist(&self.directory, id, &Arc::new(error), Addressed::Full, None);
            }
            Some(_) => {}
            None => {
                let event = Arc::new(Event::new(What::Presence(presence)));
                self.present(&own.bare(), to, &event);
                match kind {
                    PresenceKind::Available { .. } => self.become_guest(id, &to.bare()),
                    PresenceKind::Unavailable => self.cease_guest(id, &to.bare()),
                    PresenceKind::Error => {}
                }
            }
        }
    }

    /// A presence to one entity: a resource, or all available ones (RFC 6121 §8.5.2.1.2, §8.5.3.1); to nobody, nothing (§8.5.1,
    /// §8.5.2.2.2, §8.5.3.2.2).
    pub(super) fn present(&mut self, from: &BareJid, to: &Jid, event: &Arc<Event>) {
        if to.domain() != self.domain.as_str()
            && let Ok(component) = self.abroad(&to.bare())
        {
            return self.relay(from, component, to, event);
        }
        let recipient = match to.as_full() {
            Some(full) => self.directory.session(&full).map(Recipient::Session),
            None => self.directory.known(&to.bare()).map(Recipient::Account),
        };
        if let Some(to) = recipient {
            self.send_from(from, to, event, Reach::Available);
        }
    }

    /// One event from an account, behind whatever of it is still on its way (RFC 6120 §10.1).
    pub(super) fn send_from(
        &mut self,
        from: &BareJid,
        to: Recipient,
        event: &Arc<Event>,
        reach: Reach,
    ) {
        let source = Source::Account(self.directory.account(&self.whose_order(from)));
        if let Recipient::Session(id) = to
            && !self.fanout.is_busy(&source)
        {
            self.post
                .tell(&self.directory, id, event, Addressed::Full, None);
            return;
        }
        let job = Job {
            event: Arc::clone(event),
            to: [Delivery::plain(to)].into(),
            reach,
            delay: None,
            by: None,
        };
        self.fanout
            .send(source, job, &self.directory, &mut self.post);
    }

    /// RFC 6121 §4.3.2, §4.6.6.
    pub(super) fn probe(
        &mut self,
        id: SessionId,
        own: &FullJid,
        to: &Jid,
        probe: Option<Box<str>>,
    ) {
        let (asker, contact) = (own.bare(), to.bare());
        if self.directory.blocks(own.as_jid(), to) {
            let error = bounce::presence(to, probe, &Refusal::blocked(), self.now.wall);
            self.post
                .insist(&self.directory, id, &Arc::new(error), Addressed::Full, None);
            return;
        }
        // XEP-0191 §3.3: who is blocked gets no answer.
        if self.directory.blocks(to, own.as_jid()) {
            return;
        }
        if !self.is_ours(&contact) {
            if let Ok(component) = self.abroad(&contact) {
                self.ask_presence(component, own.as_jid(), to, probe);
            }
            return;
        }
        let sees = self.may_see(&asker, &contact);
        let shown = match to.as_full() {
            Some(full) => self.show_merely(id, own, &full, sees),
            None => sees && self.show_resources(id, &contact, |_| true) > 0,
        };
        if shown {
            return;
        }
        // §4.3.2.1: where no presence of the contact's is shown the answer has the probe's id.
        let (what, delay) = if sees {
            let absent = Presence {
                id: probe,
                ..presence::farewell(to, self.now.wall)
            };
            // §4.3.2, third rule: since when, if that is known.
            let seen = self
                .residency
                .facts(&contact)
                .and_then(|facts| facts.last_seen.as_deref());
            (What::Presence(absent), seen.map(|seen| seen.at))
        } else {
            // First rule: what the asker may not see and what does not exist look the same.
            let stanza = SubscriptionStanza {
                id: probe,
                ..SubscriptionStanza::bare(contact, asker, Handshake::Unsubscribed)
            };
            (What::Subscription(stanza), None)
        };
        let event = Arc::new(Event::new(what));
        self.post
            .tell(&self.directory, id, &event, Addressed::Full, delay);
    }

    /// That a resource is there and nothing more: all that is said of a full address (RFC 6121 §4.3.2), to who sees the account
    /// or was shown presence by that very resource (§4.6.6). False if there is nothing to show.
    fn show_merely(&mut self, to: SessionId, own: &FullJid, of: &FullJid, sees: bool) -> bool {
        let session = self
            .directory
            .session(of)
            .and_then(|id| self.directory.get(id));
        let Some(availability) = session.map(|session| &session.availability) else {
            return false;
        };
        let current = availability.current().map(|event| &event.what);
        if !(sees && current.is_some() || availability.is_shown_to(own)) {
            return false;
        }
        let mere = Presence {
            kind: PresenceKind::Available {
                show: Show::Online,
                priority: 0,
            },
            id: match current {
                Some(What::Presence(presence)) => presence.id.clone(),
                _ => None,
            },
            ..presence::farewell(of.as_jid(), self.now.wall)
        };
        let event = Arc::new(Event::new(What::Presence(mere)));
        self.post
            .tell(&self.directory, to, &event, Addressed::Full, None);
        true
    }

    /// The last presence of each available resource of `of`, to one session, with the time of its announcement
    /// (RFC 6121 §4.3.2, XEP-0203). Returns how many there were.
    pub(super) fn show_resources(
        &mut self,
        to: SessionId,
        of: &BareJid,
        is_wanted: impl Fn(&FullJid) -> bool,
    ) -> usize {
        let mut shown = 0;
        for &id in self.directory.sessions(of) {
            let Some(session) = self.directory.get(id) else {
                continue;
            };
            let (Some(jid), Some(event)) = (&session.jid, session.availability.current()) else {
                continue;
            };
            if let (true, What::Presence(presence)) = (is_wanted(jid), &event.what) {
                self.post.tell(
                    &self.directory,
                    to,
                    event,
                    Addressed::Full,
                    Some(presence.at),
                );
                shown += 1;
            }
        }
        shown
    }
}
