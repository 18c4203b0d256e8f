//! The handshake where only one side is an account of this hub: the other's roster is a component's own affair.
//!
//! Implements: RFC 6121 §3, appendix A, each side by itself.

use crate::{
    message::{Handshake, SubscriptionStanza},
    refusal::Refusal,
};

use super::{Outcome, Side, Told, edit, inbound, outbound, room_for};

/// A word from the account of `side` to a contact elsewhere.
pub fn say(
    mut side: Side<'_>,
    word: SubscriptionStanza,
    items_max: usize,
) -> Result<Outcome, Refusal> {
    let mut out = Outcome::default();
    let (account, contact, kind) = (word.from.clone(), word.to.clone(), word.kind);
    if matches!(kind, Handshake::Subscribe | Handshake::Subscribed) {
        room_for(side.roster, &contact, items_max)?;
    }
    let (sent, push) = edit(&mut side, &contact, &mut out, |entry| outbound(entry, kind));
    if sent.withdrawn {
        // §3.2.2: the resources go before the word that ends the subscription.
        out.told.push(Told::Hide(account.clone(), contact.clone()));
    }
    if sent.route {
        out.told.push(Told::Stanza(word));
    }
    out.told.extend(push);
    if sent.granted {
        out.told.push(Told::Show(account, contact));
    }
    Ok(out)
}

/// A word from a contact elsewhere to the account of `side`.
pub fn hear(
    mut side: Side<'_>,
    word: SubscriptionStanza,
    items_max: usize,
) -> Result<Outcome, Refusal> {
    let mut out = Outcome::default();
    let (contact, account) = (word.from.clone(), word.to.clone());
    if word.kind == Handshake::Subscribe {
        room_for(side.roster, &contact, items_max)?;
    }
    let (heard, push) = edit(&mut side, &contact, &mut out, |entry| inbound(entry, &word));
    if heard.deliver {
        out.told.push(Told::Stanza(word));
    }
    out.told.extend(push);
    if heard.withdrawn {
        out.told.push(Told::Hide(account.clone(), contact.clone()));
    }
    if heard.approve {
        let answer =
            SubscriptionStanza::bare(account.clone(), contact.clone(), Handshake::Subscribed);
        out.told.push(Told::Stanza(answer));
        out.told.push(Told::Show(account, contact));
    }
    Ok(out)
}
