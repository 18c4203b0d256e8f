//! Copies of messages for the other resources of those who send and get them.
//!
//! Implements: XEP-0280 1.0.1 §4, §5, §7, §8, §11.1, §11.3; what is copied is decided by [`crate::service::carbons`].
//! A message to the sender's own account is both sent and received; each of its resources gets it, or one copy of it as sent.

use std::sync::Arc;

use crate::{
    address::BareJid,
    command::{Reply, SessionId},
    event::{Carbon, Event, Way, What},
    message::Message,
    router::{Router, directory::Session, fanout::Reach, pipeline::Ask},
    service::{Recipient, carbons},
};

/// Who has got the message itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This session alone.
    To(SessionId),
    /// All resources that take messages to the bare address.
    ToAll,
    /// Nobody.
    ToNobody,
    /// It came back to its sender: for the addressee it never was.
    Refused,
}

impl Outcome {
    fn reached(self, id: SessionId, session: &Session) -> bool {
        match self {
            Self::To(one) => one == id,
            Self::ToAll => session.availability.is_reachable(),
            Self::ToNobody | Self::Refused => false,
        }
    }
}

impl Router {
    /// §4, §5, §11.1: as often as the client likes.
    pub(super) fn set_carbons(&mut self, ask: Ask, enabled: bool) {
        self.directory.set_carbons(ask.session, enabled);
        self.answer(ask, Ok(Reply::Done));
    }

    /// The message as it is to be copied once it is on its way; `None` where nobody wants copies, which is what most pay for.
    pub(super) fn to_copy(&self, message: &Message) -> Option<Box<Message>> {
        let wanted = self.directory.has_carbons()
            && (carbons::is_eligible(message, Way::Sent)
                || carbons::is_eligible(message, Way::Received));
        wanted.then(|| Box::new(message.clone()))
    }

    /// Copies a message of `sender`'s to both sides' other resources.
    pub(super) fn copy(&mut self, sender: SessionId, message: &Message, outcome: Outcome) {
        let (own, theirs) = (message.from.bare(), message.to.bare());
        let to_itself = own == theirs;
        if carbons::is_eligible(message, Way::Sent) {
            self.copy_to(&own, &own, Way::Sent, message, |id, session| {
                id != sender && !(to_itself && outcome.reached(id, session))
            });
        }
        if outcome != Outcome::Refused && !to_itself && carbons::is_eligible(message, Way::Received)
        {
            self.copy_to(&own, &theirs, Way::Received, message, |id, session| {
                !outcome.reached(id, session)
            });
        }
    }

    /// §6.1: the hub's error in answer to a message that was copied is copied too.
    pub(super) fn copy_error(&mut self, sender: SessionId, refused: &Message, error: &Event) {
        let What::Message(error) = &error.what else {
            return;
        };
        if self.directory.has_carbons() && carbons::is_error_eligible(refused) {
            let own = refused.from.bare();
            self.copy_to(&own, &own, Way::Received, error, |id, _| id != sender);
        }
    }

    /// A copy goes where the message went, behind it: so it is sent as the sender's account.
    fn copy_to(
        &mut self,
        sender: &BareJid,
        account: &BareJid,
        way: Way,
        message: &Message,
        wants: impl Fn(SessionId, &Session) -> bool,
    ) {
        let sessions = self.directory.sessions(account).iter().copied();
        let to: Vec<SessionId> = sessions
            .filter(|&id| {
                let session = self.directory.get(id);
                session.is_some_and(|session| session.carbons && wants(id, session))
            })
            .collect();
        if to.is_empty() {
            return;
        }
        let event = Arc::new(Event::new(What::Carbon(Box::new(Carbon {
            account: account.clone(),
            way,
            message: message.clone(),
        }))));
        for id in to {
            self.send_from(sender, Recipient::Session(id), &event, Reach::Available);
        }
    }
}
