//! Who hears of personal nodes without having subscribed: each session whose client says that it wants to (XEP-0060 §9).
//!
//! A session hears of its own account's nodes and of those of everybody whose presence it sees ("auto-subscribe", §9.1), as far
//! as its client advertises `NODE+notify` ("filtered-notifications", §9.2). It begins to hear of a node when it is shown the
//! node's last item (see `showing`): what was published before is shown then, what is published later is told. So nothing comes
//! twice, and nothing is lost in between, however long the showing takes.
//!
//! The lists of who hears a node are the pubsub service's to make and keep; whatever could change one changes its account's
//! number in the directory.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use smallvec::SmallVec;

use crate::{
    address::BareJid,
    capabilities::{Verification, Wishes},
    command::SessionId,
    effect::{StoreOp, StoreQuery},
    node::{NodeAddress, NodeId},
    router::{Router, residency::Need, stored::Asked, world::World},
};

/// What a session's client wants to hear of, and how much of it the session hears yet.
#[derive(Debug)]
pub(super) struct Hearing {
    /// The hash of the capabilities; `None` for what is only the client's word.
    pub(super) verification: Option<Verification>,
    pub(super) wishes: Arc<Wishes>,
    /// What it heard of before its capabilities changed, of everybody.
    pub(super) before: Option<Arc<Wishes>>,
    /// How far the showing is.
    pub(super) shown: Shown,
    /// What comes when this showing is done: the capabilities changed meanwhile.
    pub(super) next: Option<(Option<Verification>, Arc<Wishes>)>,
    /// Accounts that are shown by themselves, and not heard of until they are.
    pub(super) apart: Vec<BareJid>,
}

/// By what a session hears of an account's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is its own.
    Own,
    /// A handshake.
    Handshake,
    /// Shared roster groups alone.
    Groups,
}

/// Up to where a session was shown last items: of its own account first, then of its contacts in order, then of those whom it
/// sees by shared roster groups alone, as they are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// Of nobody.
    Nothing,
    /// Of all accounts before this one (`None`: its own), and of its nodes up to this one (`None`: all).
    UpTo(Option<BareJid>, Option<NodeId>),
    /// Of its own account, all contacts, and these.
    Members(BTreeSet<BareJid>),
    /// Of everybody.
    All,
}

impl Shown {
    /// Whether the node of an account was reached.
    fn covers(&self, of: &BareJid, sight: Sight, node: &NodeId) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Members(shown) => sight != Sight::Groups || shown.contains(of),
            Self::UpTo(..) if sight == Sight::Groups => false,
            Self::UpTo(account, last) => {
                let of = (sight != Sight::Own).then_some(of);
                let reached = || last.as_ref().is_none_or(|last| node <= last);
                // `None` comes before every contact.
                of < account.as_ref() || (of == account.as_ref() && reached())
            }
        }
    }
}

impl Hearing {
    pub(super) const fn new(verification: Option<Verification>, wishes: Arc<Wishes>) -> Self {
        Self {
            verification,
            wishes,
            before: None,
            shown: Shown::Nothing,
            next: None,
            apart: Vec::new(),
        }
    }

    /// Whether the session hears of a node of an account that it sees.
    pub(super) fn reaches(&self, of: &BareJid, sight: Sight, node: &NodeId) -> bool {
        let before = || {
            self.before
                .as_ref()
                .is_some_and(|before| before.include(node))
        };
        self.wishes.include(node)
            && (self.shown.covers(of, sight, node) || before())
            && !self.apart.contains(of)
    }

    /// Whether it hears of a node of an account that it has only shown presence to.
    pub(super) fn reaches_guest(&self, of: &BareJid, node: &NodeId) -> bool {
        self.wishes.include(node) && !self.apart.contains(of)
    }
}

/// Sessions that have shown their presence to an account they do not see (XEP-0060 §9.1.3). Each session is bounded by how many
/// it may address (RFC 6121 §4.6).
#[derive(Debug, Default)]
pub(super) struct Guests(HashMap<BareJid, SmallVec<[SessionId; 1]>>);

impl Guests {
    /// The guests of an account.
    pub(super) fn of(&self, host: &BareJid) -> impl Iterator<Item = SessionId> {
        self.0.get(host).into_iter().flatten().copied()
    }

    /// True if it was none before.
    fn add(&mut self, host: &BareJid, guest: SessionId) -> bool {
        let guests = self.0.entry(host.clone()).or_default();
        let comes = !guests.contains(&guest);
        if comes {
            guests.push(guest);
        }
        comes
    }

    /// True if it was one.
    fn remove(&mut self, host: &BareJid, guest: SessionId) -> bool {
        let Some(guests) = self.0.get_mut(host) else {
            return false;
        };
        let before = guests.len();
        guests.retain(|one| *one != guest);
        let gone = guests.len() < before;
        if guests.is_empty() {
            self.0.remove(host);
        }
        gone
    }
}

impl Router {
    /// The session's client wants to hear of these nodes from now on.
    pub(super) fn listen(
        &mut self,
        id: SessionId,
        verification: Option<Verification>,
        wishes: Arc<Wishes>,
    ) {
        let Some(session) = self.directory.get_mut(id) else {
            return;
        };
        let available = session.availability.current().is_some();
        let Some(hearing) = &mut session.hearing else {
            if wishes.is_empty() {
                return;
            }
            let hosts: Vec<BareJid> = session
                .availability
                .directed()
                .map(|jid| jid.bare())
                .collect();
            session.hearing = Some(Hearing::new(verification, wishes).into());
            for host in hosts {
                self.become_guest(id, &host);
            }
            if available {
                self.start_showing(id);
            }
            return;
        };
        if hearing.wishes == wishes {
            hearing.verification = verification;
            hearing.next = None;
        } else if hearing.shown == Shown::All {
            hearing.before = Some(std::mem::replace(&mut hearing.wishes, wishes));
            hearing.verification = verification;
            hearing.shown = Shown::Nothing;
            if !available {
                hearing.before = None;
            }
            // What it no longer wants must stop at once (XEP-0060 §9.2).
            self.hearing_of_all_changed(id);
            if available {
                self.start_showing(id);
            }
        } else {
            hearing.next = Some((verification, wishes));
            if hearing.shown == Shown::Nothing && !available {
                self.next_wishes(id);
            }
        }
    }

    /// The showing is done: what the client wanted meanwhile comes now.
    pub(super) fn next_wishes(&mut self, id: SessionId) {
        let next = self
            .directory
            .get_mut(id)
            .and_then(|session| session.hearing.as_mut()?.next.take());
        if let Some((verification, wishes)) = next {
            let hearing = self
                .directory
                .get_mut(id)
                .and_then(|session| session.hearing.as_mut());
            if let Some(hearing) = hearing {
                hearing.shown = Shown::All;
            }
            self.listen(id, verification, wishes);
        }
    }

    /// The session is available: if its client's wishes are known by a directed presence, it hears of its contacts now.
    pub(super) fn hear_contacts(&mut self, id: SessionId) {
        let session = self.directory.get(id);
        let hearing = session.and_then(|session| session.hearing.as_ref());
        if hearing.is_some_and(|hearing| hearing.shown == Shown::Nothing) {
            self.start_showing(id);
        }
    }

    /// The session is no longer available, or is over. `own` is its account, whose roster should be in memory; `directed` are
    /// those it had shown presence to.
    pub(super) fn stop_hearing(&mut self, id: SessionId, directed: &[BareJid]) {
        for host in directed {
            self.cease_guest(id, host);
        }
        let hears = |router: &Self| {
            let session = router.directory.get(id);
            session.is_some_and(|session| session.hearing.is_some())
        };
        if hears(self) {
            self.cursors.forget_showing(id);
            self.hearing_of_all_changed(id);
            if let Some(session) = self.directory.get_mut(id) {
                session.hearing = None;
            }
        }
    }

    /// What the session hears of its account's nodes and of those of whoever it sees has changed.
    fn hearing_of_all_changed(&mut self, id: SessionId) {
        let Some(own) = self
            .directory
            .get(id)
            .and_then(|session| session.jid.as_ref())
        else {
            return;
        };
        let own = own.bare();
        self.directory.hearing_changed(&own);
        if let Some(roster) = self.residency.roster(&own) {
            let seen = roster.contacts.iter();
            for contact in seen.filter(|contact| contact.subscription.to()) {
                self.directory.hearing_changed(&contact.jid);
            }
        }
        self.hearing_by_groups_changed(&own);
    }

    /// The same of those who are here and whom its account sees by shared roster groups.
    pub(super) fn hearing_by_groups_changed(&mut self, own: &BareJid) {
        let shared = &self.residency.shared;
        let Some(viewer) = shared.viewer(own) else {
            return;
        };
        for &group in viewer.seen() {
            for account in shared.members(group, None) {
                self.directory.hearing_of_changed(account);
            }
        }
    }

    /// XEP-0060 §9.1.3: the session has shown its presence to the account.
    pub(super) fn become_guest(&mut self, id: SessionId, host: &BareJid) {
        let session = self.directory.get(id);
        let hears = session.is_some_and(|session| session.hearing.is_some());
        if hears && self.is_ours(host) && self.directory.guests.add(host, id) {
            self.show_apart(id, host.clone());
        }
    }

    /// It has taken that back.
    pub(super) fn cease_guest(&mut self, id: SessionId, host: &BareJid) {
        if self.directory.guests.remove(host, id) {
            self.directory.hearing_changed(host);
        }
    }

    /// A roster changes: who hears of its account's nodes may be others.
    pub(super) fn note_contact(&mut self, op: &StoreOp) {
        if let StoreOp::PutContact { account, .. } | StoreOp::RemoveContact { account, .. } = op {
            self.directory.hearing_changed(account);
        }
    }

    /// `to` sees `of` from now on: its sessions are shown what there is, unless they will be anyway.
    pub(super) fn came_into_sight(&mut self, of: &BareJid, to: &BareJid) {
        for id in self.directory.sessions(to).to_vec() {
            self.came_into_sight_of(id, of);
        }
    }

    /// The same for one session of the account.
    pub(super) fn came_into_sight_of(&mut self, id: SessionId, of: &BareJid) {
        let session = self.directory.get(id);
        let available = session.is_some_and(|session| session.availability.current().is_some());
        if available && !self.will_be_shown(id, of) {
            self.show_apart(id, of.clone());
        }
    }

    /// `to` will see `of` once that is stored, and be shown what there is then: what is published meanwhile is part of it, and
    /// not told before.
    pub(super) fn hold_apart(&mut self, of: &BareJid, to: &BareJid) {
        for id in self.directory.sessions(to).to_vec() {
            let session = self.directory.get(id);
            let available = session.is_some_and(|session| session.availability.current().is_some());
            if !available || self.will_be_shown(id, of) {
                continue;
            }
            let session = self.directory.get_mut(id);
            if let Some(hearing) = session.and_then(|session| session.hearing.as_mut())
                && !hearing.apart.contains(of)
            {
                hearing.apart.push(of.clone());
            }
        }
    }

    /// That was not stored after all.
    pub(super) fn release_apart(&mut self, of: &BareJid, to: &BareJid) {
        for id in self.directory.sessions(to).to_vec() {
            if self.will_be_shown(id, of) {
                continue;
            }
            let session = self.directory.get_mut(id);
            if let Some(hearing) = session.and_then(|session| session.hearing.as_mut()) {
                hearing.apart.retain(|one| one != of);
            }
        }
        self.directory.hearing_changed(of);
    }

    /// By shared groups `to` is not to `of` what it was: it may hear of less, and lose what it was subscribed to by that
    /// (XEP-0163 §8).
    pub(super) fn went_out_of_sight(&mut self, of: &BareJid, to: &BareJid) {
        self.directory.hearing_changed(of);
        self.judge_at(of.clone(), to.clone());
    }

    /// XEP-0163 §8: whoever may no longer read loses the subscription too.
    pub(super) fn judge_at(&mut self, host: BareJid, account: BareJid) {
        let query = StoreQuery::SubscriptionsOf {
            host: Some(host.clone()),
            account,
        };
        self.query(query, Asked::JudgeAt(host));
    }

    /// Ends what the access models no longer allow, now or when the node is in memory.
    pub(super) fn judge_nodes(&mut self, host: &BareJid, names: Vec<NodeId>) {
        for node in names {
            let at = NodeAddress {
                host: Some(host.clone()),
                node,
            };
            if self.pubsub.is_resident(&at) {
                self.recheck_personal(&at);
            } else {
                self.load(&Need::Node(at));
            }
        }
    }

    /// The same for one node that is in memory.
    pub(super) fn recheck_personal(&mut self, at: &NodeAddress) {
        // Without the roster nobody would be seen to see the account.
        if at
            .host
            .as_ref()
            .is_none_or(|host| self.residency.roster(host).is_none())
        {
            return;
        }
        let mut world = World {
            directory: &mut self.directory,
            residency: &self.residency,
        };
        if let Some(change) = self.pubsub.recheck_personal(at, &mut world) {
            self.change(change, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sight::*, *};

    #[test]
    fn what_was_shown_is_what_comes_before_in_order() {
        let (a, b) = (
            BareJid::parse("a@localhost").unwrap(),
            BareJid::parse("b@localhost").unwrap(),
        );
        let node = |name: &str| NodeId::parse(name).unwrap();
        let at = Shown::UpTo(Some(a.clone()), Some(node("m")));
        assert!(at.covers(&b, Own, &node("z")), "its own comes first");
        assert!(at.covers(&a, Handshake, &node("m")) && at.covers(&a, Handshake, &node("a")));
        assert!(!at.covers(&a, Handshake, &node("n")) && !at.covers(&b, Handshake, &node("a")));
        let own = Shown::UpTo(None, Some(node("m")));
        assert!(own.covers(&a, Own, &node("a")) && !own.covers(&a, Own, &node("z")));
        assert!(!own.covers(&a, Handshake, &node("a")));
        assert!(Shown::UpTo(Some(a.clone()), None).covers(&a, Handshake, &node("z")));
        assert!(
            !Shown::Nothing.covers(&a, Own, &node("a"))
                && Shown::All.covers(&b, Handshake, &node("a"))
        );
        // Who is seen by groups alone comes behind all of them, in no order.
        assert!(!at.covers(&a, Groups, &node("a")));
        let members = Shown::Members([a.clone()].into());
        assert!(
            members.covers(&a, Groups, &node("z")) && members.covers(&b, Handshake, &node("a"))
        );
        assert!(!members.covers(&b, Groups, &node("a")));
    }
}
