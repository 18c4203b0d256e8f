//! Rosters and handshakes on their way: from the command to both rosters, and after the commit to everybody's resources.
//!
//! Implements: RFC 6121 §2, §3; who decides is [`crate::service::roster`]. XEP-0191 1.3 §3.3 for the words: one to somebody whom the
//! sender has blocked is refused. Of one from somebody who is blocked the receiver hears nothing: a `subscribe` is as if there were no
//! such account, and what the other words end or grant changes on both sides, since the rosters must not be of two minds.
//! A `subscribe` to a domain that nobody here serves comes back as `remote-server-not-found` (RFC 6120 §10.4) and leaves no
//! trace: with no server to answer, a pending request would wait for ever. Components are in [`super::relay`]. Words to the
//! hub itself and to the own account, which sees itself anyway (RFC 6121 §4.2.2), are dropped.

use std::sync::Arc;

use crate::{
    account::Roster,
    address::{BareJid, FullJid},
    command::{Reply, SessionId},
    effect::Urgency,
    event::{Event, RosterPush, What},
    mailbox::Addressed,
    message::{Handshake, SubscriptionStanza},
    refusal::{Reason, Refusal},
    router::{
        Router, bounce,
        commit::{After, Deed},
        fanout::Reach,
        pipeline::Ask,
        store_failed,
    },
    service::{
        Recipient, presence,
        roster::{self, Outcome, Side, Told},
    },
};

impl Router {
    pub(super) fn handshake(&mut self, ask: Ask, word: SubscriptionStanza) {
        let (account, to, id) = (word.from.clone(), word.to.clone(), word.id.clone());
        if to == account || self.is_hub(&to) {
            return;
        }
        if self.directory.blocks(account.as_jid(), to.as_jid()) {
            self.presence_error(ask.session, &to, id, &Refusal::blocked());
            return;
        }
        if !self.is_ours(&to) {
            return self.handshake_abroad(ask, word);
        }
        // By groups the one sees the other already (§3.1.3), and nothing of that is theirs to grant: no request is left open.
        if word.kind == Handshake::Subscribe && self.sees_by_groups(&account, &to) {
            self.tell(Told::Show(to, account));
            return;
        }
        if word.kind == Handshake::Subscribed && self.sees_by_groups(&to, &account) {
            let roster = self.residency.roster(&account);
            let asked = roster.and_then(|roster| roster::find(roster, &to));
            if asked.is_none_or(|contact| contact.pending_in.is_none()) {
                return;
            }
        }
        let unheard = word.kind == Handshake::Subscribe
            && self.directory.blocks(to.as_jid(), account.as_jid());
        let apology = bounce::presence(to.as_jid(), id.clone(), &store_failed(), self.now.wall);
        let items_max = self.limits.roster_items;
        let outcome = self.with_rosters(&account, &to, |ours, theirs| {
            roster::shake(ours, &to, theirs.filter(|_| !unheard), word, items_max)
        });
        match outcome {
            Ok(outcome) => {
                let after = After {
                    ask: Some(ask),
                    apology: Some(Arc::new(apology)),
                    ..After::default()
                };
                self.commit_rosters(&account, outcome, after);
            }
            Err(refusal) => self.presence_error(ask.session, &to, id, &refusal),
        }
    }

    pub(super) fn presence_error(
        &mut self,
        to: SessionId,
        about: &BareJid,
        id: Option<Box<str>>,
        refusal: &Refusal,
    ) {
        let event = Arc::new(bounce::presence(about.as_jid(), id, refusal, self.now.wall));
        self.post
            .insist(&self.directory, to, &event, Addressed::Full, None);
    }

    pub(super) fn get_roster(&mut self, ask: Ask, own: &FullJid, version: Option<&str>) {
        let account = own.bare();
        if let Some(session) = self.directory.get_mut(ask.session) {
            session.interested = true;
        }
        let Some(roster) = self.residency.roster(&account) else {
            self.refuse(ask, Reason::InternalServerError.into());
            return;
        };
        let newest = self.roster_version(&account, roster.version);
        let unchanged = version == Some(&*newest);
        if let Some(viewer) = self.residency.shared.viewer(&account)
            && !unchanged
            && !viewer.seen().is_empty()
        {
            self.list_roster(ask, viewer);
            return;
        }
        let contacts = (!unchanged).then(|| {
            // RFC 6121 §3.1.3, §3.4.2: who only knocked is not part of what the account sees.
            roster
                .contacts
                .iter()
                .filter(|contact| contact.listed)
                .cloned()
                .collect()
        });
        let reply = Reply::Roster {
            contacts,
            shared: Arc::default(),
            version: newest,
        };
        self.defer(&ask);
        // A version that the store then refuses would be used again for other content: so the answer waits for it.
        let after = After {
            ask: Some(ask),
            reply: Some(Ok(reply)),
            ..After::default()
        };
        if let Some(after) = self.commits.follow_roster(&account, after) {
            self.follow_up(after, None);
        }
    }

    pub(super) fn set_contact(
        &mut self,
        ask: Ask,
        own: &FullJid,
        jid: &BareJid,
        name: Option<Box<str>>,
        mut groups: Vec<Box<str>>,
    ) {
        let account = own.bare();
        // A client sends all groups back that it was shown. Those that the hub adds are not the account's own.
        if let Some(shared) = self.shared_with(&account, jid) {
            groups.retain(|group| !shared.contains(group));
        }
        let items_max = self.limits.roster_items;
        let outcome = self.with_rosters(&account, jid, |ours, _| {
            roster::set(ours, jid, name, groups, items_max)
        });
        match outcome {
            Ok(outcome) => {
                let after = After {
                    ask: Some(ask),
                    reply: Some(Ok(Reply::Done)),
                    ..After::default()
                };
                self.commit_rosters(&account, outcome, after);
            }
            Err(refusal) => self.refuse(ask, refusal),
        }
    }

    pub(super) fn remove_contact(&mut self, ask: Ask, own: &FullJid, jid: &BareJid) {
        let account = own.bare();
        let listed = self
            .residency
            .roster(&account)
            .and_then(|roster| roster::find(roster, jid))
            .is_some_and(|contact| contact.listed);
        if !listed {
            let refusal = if self.sees_by_groups(&account, jid) {
                Refusal::new(Reason::NotAllowed)
                    .say("the contact is shared by a roster group of the hub")
            } else {
                // RFC 6121 §2.5.3.
                Reason::ItemNotFound.into()
            };
            self.refuse(ask, refusal);
            return;
        }
        let outcome = self.with_rosters(&account, jid, |ours, theirs| {
            roster::remove(ours, jid, theirs)
        });
        let after = After {
            ask: Some(ask),
            reply: Some(Ok(Reply::Done)),
            ..After::default()
        };
        self.commit_rosters(&account, outcome, after);
    }

    /// Lends both rosters; the contact's is `None` if it has no account here.
    pub(super) fn with_rosters<R>(
        &mut self,
        account: &BareJid,
        contact: &BareJid,
        decide: impl FnOnce(Side<'_>, Option<Side<'_>>) -> R,
    ) -> R {
        let mut ours = self.residency.take_roster(account).unwrap_or_default();
        let exists =
            contact != account && self.is_ours(contact) && self.residency.facts(contact).is_some();
        let mut theirs: Option<Roster> = if exists {
            self.residency.take_roster(contact)
        } else {
            None
        };
        let result = decide(
            Side {
                account,
                roster: &mut ours,
            },
            theirs.as_mut().map(|roster| Side {
                account: contact,
                roster,
            }),
        );
        self.residency.put_roster(account, ours);
        if let Some(theirs) = theirs {
            self.residency.put_roster(contact, theirs);
        }
        result
    }

    pub(super) fn commit_rosters(&mut self, account: &BareJid, outcome: Outcome, mut after: After) {
        for mut told in outcome.told {
            self.add_shared(&mut told);
            if let Told::Show(of, to) = &told {
                self.hold_apart(of, to);
            }
            after.deeds.push(Deed::Told(told));
        }
        if !outcome.ops.is_empty() {
            self.carry_out(outcome.ops, Urgency::Group, after);
            return;
        }
        if let Some(ask) = &after.ask {
            self.defer(ask);
        }
        if let Some(after) = self.commits.follow_roster(account, after) {
            self.follow_up(after, None);
        }
    }

    /// Tells of a committed change of rosters.
    pub(super) fn tell(&mut self, told: Told) {
        match told {
            Told::Stanza(stanza) => {
                // RFC 6121 §3.1.3: a request goes to available resources; §3.1.6, §3.2.3, §3.3.3: the rest to interested ones.
                let reach = if stanza.kind == Handshake::Subscribe {
                    Reach::Available
                } else {
                    Reach::Interested
                };
                let (from, to) = (stanza.from.clone(), stanza.to.clone());
                self.send_between(&from, &to, Event::new(What::Subscription(stanza)), reach);
            }
            Told::Push(account, mut push) => {
                // Its groups may be others (XEP-0060 §4.5: roster access).
                if push
                    .contact
                    .as_ref()
                    .is_some_and(|contact| contact.subscription.from())
                {
                    self.judge_at(account.clone(), push.jid.clone());
                }
                self.finish_push(&account, &mut push);
                self.send_between(
                    &account,
                    &account,
                    Event::new(What::Roster(push)),
                    Reach::Interested,
                );
            }
            Told::Show(of, to) => {
                for event in self.presences(&of) {
                    self.present(&of, to.as_jid(), &event);
                }
                self.came_into_sight(&of, &to);
            }
            // Who sees the account by groups sees it still.
            Told::Hide(of, to) if self.sees_by_groups(&to, &of) => {}
            Told::Hide(of, to) => {
                for event in self.presences(&of) {
                    let What::Presence(shown) = &event.what else {
                        continue;
                    };
                    let Some(jid) = shown.from.as_full() else {
                        continue;
                    };
                    let gone = presence::farewell(jid.as_jid(), self.now.wall);
                    self.present(
                        &of,
                        to.as_jid(),
                        &Arc::new(Event::new(What::Presence(gone))),
                    );
                }
                self.judge_at(of, to);
            }
        }
    }

    /// A push shows what shared groups add to the contact, as they are when the change is decided: pushes go in the order of
    /// decisions.
    pub(super) fn add_shared(&self, told: &mut Told) {
        let Told::Push(account, push) = told else {
            return;
        };
        let viewer = self.residency.shared.viewer(account);
        let role = self.residency.role(&push.jid);
        if let (Some(viewer), Some(role)) = (viewer, role)
            && let Some(shared) = viewer.look(&push.jid, role)
        {
            let groups = viewer.names(&shared.groups);
            let own = push.contact.take();
            let contact = roster::with_shared(own.as_deref(), &push.jid, shared.mutual, groups);
            push.contact = Some(Box::new(contact));
        }
    }

    /// The version that a push leads to, which shared contacts are a part of.
    pub(super) fn finish_push(&self, account: &BareJid, push: &mut RosterPush) {
        if let Some(shared) = self.residency.shared.version(account) {
            push.version = format!("{}-{shared}", push.version).into();
        }
    }

    /// The groups by which the account sees a contact.
    fn shared_with(&self, account: &BareJid, contact: &BareJid) -> Option<Vec<Box<str>>> {
        let viewer = self.residency.shared.viewer(account)?;
        let shared = viewer.look(contact, self.residency.role(contact)?)?;
        Some(viewer.names(&shared.groups))
    }

    fn send_between(&mut self, from: &BareJid, to: &BareJid, event: Event, reach: Reach) {
        if self.is_of_component(to) {
            if let Ok(component) = self.abroad(to) {
                self.relay(from, component, to.as_jid(), &Arc::new(event));
            }
        } else if let Some(account) = self.directory.known(to) {
            self.send_from(from, Recipient::Account(account), &Arc::new(event), reach);
        }
    }

    /// The last presence of each available resource of an account.
    pub(super) fn presences(&self, of: &BareJid) -> Vec<Arc<Event>> {
        let sessions = self
            .directory
            .sessions(of)
            .iter()
            .filter_map(|&id| self.directory.get(id));
        sessions
            .filter_map(|session| session.availability.current().cloned())
            .collect()
    }
}
