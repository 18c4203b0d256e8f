//! External components: which there may be, which are connected, and what ends with their connection.
//!
//! Implements: XEP-0114 1.6 §3 as far as it is shared state: one connection a domain, `conflict`.
//! A component is one session with many addresses: all of its domain. It is no account, so nothing is kept for it while it is
//! away; what it shows of its addresses is taken back when it goes, since nobody else would say that they are gone.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    access::Subject,
    account::Role,
    address::{BareJid, Jid},
    command::{Cursor, EndReason, Reply, SessionId, Transport},
    component::Component,
    event::{Event, What},
    mailbox::Entry,
    message::{Presence, PresenceKind},
    refusal::{Reason, Refusal},
    router::{Router, pipeline::Ask},
    service::presence,
    time::Now,
};

/// Most pairs of an address of a component and who was shown its presence; beyond, presence is passed on all the same, and not
/// taken back when the component is lost.
const SHOWN_MAX: usize = 65_536;

/// One component that may be connected.
struct Place {
    component: Arc<Component>,
    session: Option<SessionId>,
    /// Which of its addresses is shown as available to whom.
    shown: BTreeSet<(Jid, Jid)>,
}

/// All components that there may be: few.
#[derive(Default)]
pub(super) struct Components(Vec<Place>);

impl Components {
    fn of_domain(&self, domain: &str) -> Option<&Place> {
        self.0
            .iter()
            .find(|place| place.component.domain.as_str() == domain)
    }

    fn of_session(&self, id: SessionId) -> Option<&Place> {
        self.0.iter().find(|place| place.session == Some(id))
    }

    /// The component of a domain, if there may be one.
    pub(super) fn get(&self, domain: &str) -> Option<&Component> {
        Some(&self.of_domain(domain)?.component)
    }

    /// The session of a domain's component, if it is connected.
    pub(super) fn session(&self, domain: &str) -> Option<SessionId> {
        self.of_domain(domain)?.session
    }

    /// The component whose session it is.
    pub(super) fn by_session(&self, id: SessionId) -> Option<&Component> {
        Some(&self.of_session(id)?.component)
    }

    /// How many there may be, and how many are connected.
    pub(super) fn count(&self) -> (usize, usize) {
        let attached = self.0.iter().filter(|place| place.session.is_some());
        (self.0.len(), attached.count())
    }

    /// The roles by domain.
    pub(super) fn roles(&self) -> HashMap<Box<str>, Role> {
        let components = self.0.iter().map(|place| &place.component);
        components
            .map(|component| (component.domain.as_str().into(), component.role))
            .collect()
    }

    /// An address of a component as the rules see it.
    pub(super) fn subject(&self, jid: &BareJid) -> Option<Subject> {
        let role = self.get(jid.domain())?.role;
        Some(subject(jid, role))
    }

    /// The session is over: what was shown through it.
    fn leave(&mut self, id: SessionId) -> Option<(BareJid, BTreeSet<(Jid, Jid)>)> {
        let place = self.0.iter_mut().find(|place| place.session == Some(id))?;
        place.session = None;
        Some((
            place.component.domain.clone(),
            std::mem::take(&mut place.shown),
        ))
    }
}

/// An address of a component, which acts with this role, as the rules see it.
pub(super) fn subject(jid: &BareJid, role: Role) -> Subject {
    Subject {
        jid: jid.clone(),
        role,
        groups: Vec::new(),
        component: true,
    }
}

impl Router {
    /// Which components there may be, at the start and on SIGHUP. Those that are gone or have another secret or role lose their
    /// connection.
    pub fn set_components(&mut self, components: Vec<Component>, now: Now) {
        self.enter(now);
        let stale = self.directory.components.0.iter();
        let stale: Vec<_> = stale
            .filter(|place| !components.contains(&place.component))
            .filter_map(|place| place.session)
            .collect();
        for id in stale {
            self.end_session(id, EndReason::AccountChanged);
        }
        let mut before = std::mem::take(&mut self.directory.components.0);
        let places = components.into_iter().map(|component| {
            let at = before
                .iter()
                .position(|place| *place.component == component);
            at.map_or_else(
                || Place {
                    component: Arc::new(component),
                    session: None,
                    shown: BTreeSet::new(),
                },
                |at| before.swap_remove(at),
            )
        });
        self.directory.components.0 = places.collect();
        self.directory.find_relayed();
        self.leave();
    }

    /// Whether the address is of a component that there may be.
    pub(super) fn is_of_component(&self, jid: &BareJid) -> bool {
        jid.domain() != self.domain.as_str()
            && self.directory.components.get(jid.domain()).is_some()
    }

    /// The session that takes what is for an address which is neither an account's nor the hub's. RFC 6120 §10.4: of a domain
    /// that nobody here serves `remote-server-not-found`; of a component that is away `service-unavailable` (§8.3.3.19), since
    /// the hub knows it and has nobody to give it to.
    pub(super) fn abroad(&self, jid: &BareJid) -> Result<SessionId, Refusal> {
        if self.directory.components.get(jid.domain()).is_none() {
            return Err(Reason::RemoteServerNotFound.into());
        }
        self.directory
            .components
            .session(jid.domain())
            .ok_or_else(|| {
                Refusal::new(Reason::ServiceUnavailable)
                    .say("the component of this domain is not connected")
            })
    }

    /// In whose order something from this address goes out: a component's addresses share one, so that the directory does not
    /// grow with every address that it makes up.
    pub(super) fn whose_order(&self, from: &BareJid) -> BareJid {
        if from.domain() == self.domain.as_str() {
            return from.clone();
        }
        let component = self.directory.components.get(from.domain());
        component.map_or_else(|| from.clone(), |component| component.domain.clone())
    }

    /// The handshake fitted. The older connection stays: a component's presence and subscriptions hang on it, and two copies
    /// that replace each other for ever would be worse than one that is told why it cannot. If the older one is dead the hub
    /// finds out now, and the next attempt succeeds.
    pub(super) fn attach_component(
        &mut self,
        ask: Ask,
        component: &Component,
        transport: Transport,
    ) {
        let id = ask.session;
        let since = self.now.wall;
        let places = &mut self.directory.components.0;
        // Removed or given another secret since the handshake was judged.
        let place = places
            .iter_mut()
            .find(|place| *place.component == *component);
        let Some(place) = place.filter(|_| !self.stopping) else {
            self.refuse(ask, Reason::NotAuthorized.into());
            return;
        };
        if let Some(older) = place.session {
            self.post
                .push(&self.directory, older, Entry::Continue(Cursor::PROVE));
            self.refuse(ask, Reason::Conflict.into());
            return;
        }
        place.session = Some(id);
        if let Some(session) = self.directory.get_mut(id) {
            session.transport = transport;
            session.since = since;
        }
        self.answer(ask, Ok(Reply::Done));
    }

    /// A component's session is over.
    pub(super) fn component_left(&mut self, id: SessionId) {
        let Some((domain, shown)) = self.directory.components.leave(id) else {
            return;
        };
        self.pubsub.component_ended(domain.as_str());
        for (from, to) in shown {
            let gone = presence::farewell(&from, self.now.wall);
            self.present(
                &from.bare(),
                &to,
                &Arc::new(Event::new(What::Presence(gone))),
            );
        }
    }

    /// Notes what a component shows of one of its addresses.
    pub(super) fn note_shown(&mut self, id: SessionId, presence: &Presence, to: &Jid) {
        let places = &mut self.directory.components.0;
        let Some(place) = places.iter_mut().find(|place| place.session == Some(id)) else {
            return;
        };
        let pair = (presence.from.clone(), to.clone());
        match presence.kind {
            PresenceKind::Available { .. } if place.shown.len() < SHOWN_MAX => {
                place.shown.insert(pair);
            }
            PresenceKind::Unavailable => {
                place.shown.remove(&pair);
            }
            _ => {}
        }
    }

    /// As what the rules see an address of a component.
    pub(super) fn role_abroad(&self, jid: &BareJid) -> Option<Role> {
        let component = self.directory.components.get(jid.domain());
        component
            .filter(|_| jid.domain() != self.domain.as_str())
            .map(|component| component.role)
    }

    /// What belongs to the hub besides its own service (XEP-0030 §4): components that can be asked.
    pub(super) fn list_components(&mut self, ask: Ask) {
        let connected = self.directory.components.0.iter();
        let connected = connected.filter(|place| place.session.is_some());
        let mut list: Vec<_> = connected
            .map(|place| place.component.domain.clone())
            .collect();
        list.sort();
        self.answer(ask, Ok(Reply::Components(list)));
    }
}
