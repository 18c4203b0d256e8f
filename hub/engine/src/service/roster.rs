//! Rosters and the subscription handshake: what a word changes on both sides, and who hears of it.
//!
//! Implements: RFC 6121 §2 roster management, §2.6 versioning; §3 subscriptions, §3.4 pre-approval; appendix A.
//! Both accounts live in this hub, so a word is one step: the sender's entry and the receiver's change in one commit, and
//! no crash leaves them of two minds. A contact elsewhere, at a component, has no second side here; see `abroad`.
//!
//! Versions are numbers. A client that has the newest gets "no change", any other gets the whole roster: a log of changes
//! (§2.6.3 allows one) costs storage for every account and saves a few hundred bytes for the rare client that was away
//! while its roster changed.

mod abroad;

use std::mem;

use crate::{
    account::{Contact, PendingIn, Roster, Subscription},
    address::BareJid,
    effect::StoreOp,
    event::RosterPush,
    message::{Handshake, SubscriptionStanza},
    refusal::{Reason, Refusal},
};

pub use self::abroad::{hear, say};

/// Longest name of a contact or group, in bytes (RFC 6121 §2.3.3 leaves the bound to the server; the one of a JID part).
pub const NAME_BYTES_MAX: usize = 1_023;
/// Most groups of one contact.
pub const GROUPS_MAX: usize = 64;
/// Largest content of a `subscribe` that is kept to be shown again, in bytes.
pub const PENDING_BYTES_MAX: usize = 4_096;

/// What somebody is to be told once a change is committed, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The stanza itself, to the available (`subscribe`) or interested (all else) resources of its receiver.
    Stanza(SubscriptionStanza),
    /// A roster push to the account's interested resources (§2.1.6).
    Push(BareJid, RosterPush),
    /// The presence of the first account's resources, to the second account (§3.1.5).
    Show(BareJid, BareJid),
    /// Unavailable presence of the first account's resources, to the second account (§3.2.2, §3.3.3).
    Hide(BareJid, BareJid),
}

/// A decided change of one or two rosters.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What to store; all or nothing.
    pub ops: Vec<StoreOp>,
    /// What to tell afterwards.
    pub told: Vec<Told>,
}

/// An account's roster, to be changed.
pub struct Side<'a> {
    /// Whose.
    pub account: &'a BareJid,
    /// Its contacts.
    pub roster: &'a mut Roster,
}

/// The entry of `jid`, hidden or not.
pub fn find<'a>(roster: &'a Roster, jid: &BareJid) -> Option<&'a Contact> {
    let at = roster
        .contacts
        .binary_search_by(|contact| contact.jid.cmp(jid))
        .ok()?;
    roster.contacts.get(at)
}

/// Carries a word of the handshake from `from` to `to`, whose account may not exist.
pub fn shake(
    mut from: Side<'_>,
    to: &BareJid,
    mut theirs: Option<Side<'_>>,
    word: SubscriptionStanza,
    items_max: usize,
) -> Result<Outcome, Refusal> {
    let mut out = Outcome::default();
    let kind = word.kind;
    // Both rosters must be able to hold what the word makes, else neither side changes.
    if matches!(kind, Handshake::Subscribe | Handshake::Subscribed) {
        room_for(from.roster, to, items_max)?;
    }
    if let (Handshake::Subscribe, Some(side)) = (kind, &theirs) {
        room_for(side.roster, from.account, items_max)?;
    }
    let (sent, push) = edit(&mut from, to, &mut out, |contact| outbound(contact, kind));
    if !sent.route {
        out.told.extend(push);
        return Ok(out);
    }
    if sent.withdrawn {
        // §3.2.2: the resources go while the contact still sees the account, so before the word that ends that.
        out.told.push(Told::Hide(from.account.clone(), to.clone()));
    }
    if let Some(side) = &mut theirs {
        receive(side, &mut from, word, push, &mut out);
    } else {
        // §8.5.1 has every word to an account that does not exist ignored. §3.1.2 would have its sender told, but then whoever
        // asks learns which accounts there are (RFC 6120 §13.11).
        out.told.extend(push);
    }
    if sent.granted {
        out.told.push(Told::Show(from.account.clone(), to.clone()));
    }
    Ok(out)
}

/// The receiving half; `push` is the sender's own, which comes after the receiver's stanza.
fn receive(
    side: &mut Side<'_>,
    from: &mut Side<'_>,
    word: SubscriptionStanza,
    push: Option<Told>,
    out: &mut Outcome,
) {
    let (sender, receiver) = (from.account.clone(), side.account.clone());
    let (heard, their_push) = edit(side, &sender, out, |contact| inbound(contact, &word));
    if heard.deliver {
        out.told.push(Told::Stanza(word));
    }
    out.told.extend(their_push);
    out.told.extend(push);
    if heard.withdrawn {
        // §3.3.3: who is unsubscribed sees the contact go.
        out.told.push(Told::Hide(receiver.clone(), sender.clone()));
    }
    if heard.approve {
        // §3.1.3: the contact is subscribed to already, or has pre-approved: the server answers for it.
        let answer =
            SubscriptionStanza::bare(receiver.clone(), sender.clone(), Handshake::Subscribed);
        let (heard, push) = edit(from, &receiver, out, |contact| inbound(contact, &answer));
        if heard.deliver {
            out.told.push(Told::Stanza(answer));
        }
        out.told.extend(push);
        out.told.push(Told::Show(receiver, sender));
    }
}

/// Adds or changes a contact (RFC 6121 §2.3, §2.4).
pub fn set(
    mut side: Side<'_>,
    jid: &BareJid,
    name: Option<Box<str>>,
    groups: Vec<Box<str>>,
    items_max: usize,
) -> Result<Outcome, Refusal> {
    check_names(name.as_deref(), &groups)?;
    if jid == side.account {
        return Err(Refusal::new(Reason::NotAllowed).say("an account is no contact of its own"));
    }
    room_for(side.roster, jid, items_max)?;
    let mut out = Outcome::default();
    let ((), push) = edit(&mut side, jid, &mut out, |contact| {
        contact.listed = true;
        // §2.4.2: a set is pushed to everybody, even one that changes nothing.
        contact.version = 0;
        contact.name = name.filter(|name| !name.is_empty());
        contact.groups = groups;
    });
    out.told.extend(push);
    Ok(out)
}

/// Removes a contact and all that was between the two (RFC 6121 §2.5.2): towards it this is an `unsubscribe` and an
/// `unsubscribed`, as far as there was something to end.
pub fn remove(mut side: Side<'_>, jid: &BareJid, theirs: Option<Side<'_>>) -> Outcome {
    let mut out = Outcome::default();
    let (was, push) = edit(&mut side, jid, &mut out, |contact| {
        let blank = blank(&contact.jid);
        mem::replace(contact, blank)
    });
    out.told.extend(push);
    let sees = was.subscription.to() || was.pending_out;
    let seen = was.subscription.from() || was.pending_in.is_some();
    if let Some(mut theirs) = theirs {
        for (kind, due) in [
            (Handshake::Unsubscribe, sees),
            (Handshake::Unsubscribed, seen),
        ] {
            if kind == Handshake::Unsubscribed && was.subscription.from() {
                // §3.2.2: before the word that ends the subscription.
                out.told.push(Told::Hide(side.account.clone(), jid.clone()));
            }
            if due {
                let word = SubscriptionStanza::bare(side.account.clone(), jid.clone(), kind);
                receive(&mut theirs, &mut side, word, None, &mut out);
            }
        }
    } else {
        // A contact elsewhere is told; of an account that is gone nobody hears it.
        if was.subscription.from() {
            out.told.push(Told::Hide(side.account.clone(), jid.clone()));
        }
        let words = [
            (Handshake::Unsubscribe, sees),
            (Handshake::Unsubscribed, seen),
        ];
        for (kind, _) in words.into_iter().filter(|(_, due)| *due) {
            let word = SubscriptionStanza::bare(side.account.clone(), jid.clone(), kind);
            out.told.push(Told::Stanza(word));
        }
    }
    out
}

/// What a word did to its sender's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// It goes on to the contact.
    pub route: bool,
    /// The contact sees the account from now on.
    pub granted: bool,
    /// The contact sees the account no longer.
    pub withdrawn: bool,
}

/// RFC 6121 appendix A.2: the sender's side.
pub fn outbound(contact: &mut Contact, kind: Handshake) -> Sent {
    let (to, from) = (contact.subscription.to(), contact.subscription.from());
    let mut sent = Sent {
        route: true,
        ..Sent::default()
    };
    match kind {
        Handshake::Subscribe => {
            // A.2.1; §3.1.2: the entry is made if there is none.
            contact.listed = true;
            contact.pending_out |= !to;
        }
        Handshake::Unsubscribe => {
            // A.2.2.
            contact.pending_out = false;
            contact.subscription = Subscription::of(false, from);
        }
        Handshake::Subscribed if contact.pending_in.take().is_some() => {
            // A.2.3; §3.1.4: who is allowed to see is in the roster.
            contact.listed = true;
            contact.subscription = Subscription::of(to, true);
            sent.granted = true;
        }
        Handshake::Subscribed => {
            // A.2.3, §3.4.2: nothing was asked, so this approves beforehand, unless the contact sees the account anyway.
            sent.route = false;
            if !from {
                contact.listed = true;
                contact.approved = true;
            }
        }
        Handshake::Unsubscribed => {
            // A.2.4; §3.4.2: it also takes a pre-approval back.
            contact.approved = false;
            sent.route = from || contact.pending_in.take().is_some();
            contact.pending_in = None;
            contact.subscription = Subscription::of(to, false);
            sent.withdrawn = from;
        }
    }
    sent
}

/// What a word did to its receiver's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// The receiver's resources are told.
    pub deliver: bool,
    /// The hub answers `subscribed` for the receiver.
    pub approve: bool,
    /// The sender sees the receiver no longer.
    pub withdrawn: bool,
}

/// RFC 6121 appendix A.3: the receiver's side.
pub fn inbound(contact: &mut Contact, word: &SubscriptionStanza) -> Heard {
    let (to, from) = (contact.subscription.to(), contact.subscription.from());
    let mut heard = Heard::default();
    match word.kind {
        // A.3.1; §3.1.3: the sender sees the receiver already.
        Handshake::Subscribe if from => heard.approve = true,
        // §3.4.2: approved beforehand; the receiver is not asked.
        Handshake::Subscribe if contact.approved => {
            contact.subscription = Subscription::of(to, true);
            heard.approve = true;
        }
        Handshake::Subscribe => {
            heard.deliver = contact.pending_in.is_none();
            let fits = word.content.len() <= PENDING_BYTES_MAX;
            contact.pending_in = Some(PendingIn {
                id: word.id.clone().filter(|id| id.len() <= NAME_BYTES_MAX),
                lang: word.lang.clone(),
                content: if fits {
                    word.content.clone()
                } else {
                    bytes::Bytes::new()
                },
            });
        }
        Handshake::Unsubscribe => {
            // A.3.2, which delivers the withdrawal of a request too, where §3.3.3 would not. The `unsubscribed` that the table
            // has the server answer with says nothing new to a sender whose side has changed in the same step.
            heard.deliver = from || contact.pending_in.take().is_some();
            contact.pending_in = None;
            contact.subscription = Subscription::of(to, false);
            heard.withdrawn = from;
        }
        Handshake::Subscribed => {
            // A.3.3: only what was asked for can be granted.
            heard.deliver = contact.pending_out;
            if mem::take(&mut contact.pending_out) {
                contact.subscription = Subscription::of(true, from);
            }
        }
        Handshake::Unsubscribed => {
            // A.3.4.
            heard.deliver = to || contact.pending_out;
            contact.pending_out = false;
            contact.subscription = Subscription::of(false, from);
        }
    }
    heard
}

/// Changes the entry of `jid`, made if need be and dropped if it says nothing any more; notes what to store, and returns the
/// push where the account can see a difference.
fn edit<R>(
    side: &mut Side<'_>,
    jid: &BareJid,
    out: &mut Outcome,
    change: impl FnOnce(&mut Contact) -> R,
) -> (R, Option<Told>) {
    let contacts = &mut side.roster.contacts;
    let place = contacts.binary_search_by(|contact| contact.jid.cmp(jid));
    let mut contact = match place {
        Ok(at) => mem::replace(&mut contacts[at], blank(jid)),
        Err(_) => blank(jid),
    };
    let before = contact.clone();
    let result = change(&mut contact);
    let mut push = None;
    if contact != before {
        if is_visible_change(&before, &contact) {
            side.roster.version += 1;
            contact.version = side.roster.version;
            push = Some(Told::Push(
                side.account.clone(),
                RosterPush {
                    contact: contact.listed.then(|| Box::new(contact.clone())),
                    jid: jid.clone(),
                    version: side.roster.version.to_string().into(),
                },
            ));
        }
        let (account, version) = (side.account.clone(), side.roster.version);
        out.ops.push(if is_void(&contact) {
            StoreOp::RemoveContact {
                account,
                contact: jid.clone(),
                version,
            }
        } else {
            StoreOp::PutContact {
                account,
                contact: Box::new(contact.clone()),
                version,
            }
        });
    }
    match (place, is_void(&contact)) {
        (Ok(at), true) => drop(contacts.remove(at)),
        (Ok(at), false) => contacts[at] = contact,
        (Err(at), false) => contacts.insert(at, contact),
        (Err(_), true) => {}
    }
    (result, push)
}

/// An entry as its account sees it where it also sees the contact by shared groups: what is its own stays.
pub fn with_shared(
    own: Option<&Contact>,
    jid: &BareJid,
    mutual: bool,
    groups: Vec<Box<str>>,
) -> Contact {
    let own = own.filter(|own| own.listed).cloned();
    let mut contact = own.unwrap_or_else(|| blank(jid));
    let from = mutual || contact.subscription.from();
    contact.listed = true;
    contact.subscription = Subscription::of(true, from);
    // What it asked for it has.
    contact.pending_out = false;
    for group in groups {
        if !contact.groups.contains(&group) {
            contact.groups.push(group);
        }
    }
    contact
}

/// Entries that say only that these see the account: what is left of a roster once its account is removed.
pub fn watched_by(mut watchers: Vec<BareJid>) -> Vec<Contact> {
    watchers.sort();
    watchers
        .iter()
        .map(|jid| Contact {
            subscription: Subscription::From,
            ..blank(jid)
        })
        .collect()
}

fn blank(jid: &BareJid) -> Contact {
    Contact {
        jid: jid.clone(),
        name: None,
        groups: Vec::new(),
        subscription: Subscription::None,
        pending_out: false,
        pending_in: None,
        approved: false,
        listed: false,
        version: 0,
    }
}

fn is_void(contact: &Contact) -> bool {
    !contact.listed
        && contact.subscription == Subscription::None
        && !contact.pending_out
        && contact.pending_in.is_none()
        && !contact.approved
}

fn is_visible_change(before: &Contact, after: &Contact) -> bool {
    let seen = |contact: &Contact| {
        contact.listed.then(|| {
            (
                contact.version,
                contact.subscription,
                contact.pending_out,
                contact.approved,
                contact.name.clone(),
                contact.groups.clone(),
            )
        })
    };
    seen(before) != seen(after)
}

fn room_for(roster: &Roster, jid: &BareJid, items_max: usize) -> Result<(), Refusal> {
    if roster.contacts.len() < items_max || find(roster, jid).is_some() {
        Ok(())
    } else {
        Err(Refusal::new(Reason::ResourceConstraint).say("the roster is full"))
    }
}

/// RFC 6121 §2.3.3: the errors of a roster set.
fn check_names(name: Option<&str>, groups: &[Box<str>]) -> Result<(), Refusal> {
    if name.is_some_and(|name| name.len() > NAME_BYTES_MAX) {
        return Err(Refusal::new(Reason::NotAcceptable).say("the name is too long"));
    }
    if groups.len() > GROUPS_MAX {
        return Err(Refusal::new(Reason::NotAcceptable).say("too many groups"));
    }
    for (at, group) in groups.iter().enumerate() {
        if group.is_empty() || group.len() > NAME_BYTES_MAX {
            return Err(
                Refusal::new(Reason::NotAcceptable).say("a group's name is empty or too long")
            );
        }
        if groups[..at].contains(group) {
            return Err(Refusal::new(Reason::BadRequest).say("a group is named twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
