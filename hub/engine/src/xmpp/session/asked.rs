//! What a session needs to know to render an answer: the kind in its [`Token`], private to XMPP.
//!
//! Implements: RFC 6120 §8.2.3 as far as an answer belongs to its question.

use crate::{
    address::Jid,
    command::{Command, Token},
    xmpp::{output::Output, stanza::Stanza},
};

use super::shared::Surroundings;

/// How the answer to a command is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(in crate::xmpp) enum Asked {
    /// There is no answer.
    Nothing,
    /// Keys for a sign-in.
    SignIn,
    /// An account for a stranger.
    Register,
    /// A resource.
    Bind,
    /// Something that is answered by an empty result.
    Done,
    /// The roster.
    Roster,
    /// Last activity.
    Activity,
    /// disco#info of an account.
    AccountInfo,
    /// disco#items of an account.
    AccountItems,
    /// disco#items of the hub.
    HubItems,
    /// The block list.
    BlockList,
    /// Something that the account keeps for itself.
    Private,
    /// A vCard.
    VCard,
    /// Something of pubsub.
    Pubsub,
    /// The same, in the owner's namespace.
    PubsubOwner,
    /// A step of a command of the pubsub service.
    PubsubCommand,
    /// What an owner answered in a message: only an error comes back.
    Approval,
}

impl Asked {
    const ALL: [Self; 17] = [
        Self::Nothing,
        Self::SignIn,
        Self::Register,
        Self::Bind,
        Self::Done,
        Self::Roster,
        Self::Activity,
        Self::AccountInfo,
        Self::AccountItems,
        Self::HubItems,
        Self::BlockList,
        Self::Private,
        Self::VCard,
        Self::Pubsub,
        Self::PubsubOwner,
        Self::PubsubCommand,
        Self::Approval,
    ];

    /// The kind that a token carries.
    pub(super) fn of(token: &Token) -> Self {
        usize::try_from(token.kind)
            .ok()
            .and_then(|at| Self::ALL.get(at).copied())
            .unwrap_or(Self::Nothing)
    }

    /// A token for a request.
    pub(super) fn token(self, stanza: &Stanza<'_>, to: Option<Jid>) -> Token {
        Token {
            id: stanza.id.unwrap_or_default().into(),
            to,
            kind: self as u32,
        }
    }

    /// A token for something that is no stanza.
    pub(super) fn bare_token(self) -> Token {
        Token {
            kind: self as u32,
            ..Token::default()
        }
    }
}

/// Hands a command to the router.
pub(in crate::xmpp) fn ask(
    token: Token,
    command: Command,
    around: &mut Surroundings,
    out: &mut Output,
) {
    around.need_mailbox();
    out.commands.push((token, command));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_brings_back_what_was_asked() {
        for asked in Asked::ALL {
            assert_eq!(Asked::of(&asked.bare_token()), asked);
        }
    }
}
