//! vCards: an account's own, which it sets, and everybody's, which anybody may read.
//!
//! Implements: XEP-0054 1.3.0 §3.1 to §3.3, §4. Not: a vCard of the hub itself (§3.3, optional); whom to write to is in its
//! disco#info (XEP-0157). What stands in a vCard is not checked (§8): it is the clients' to understand.

use bytes::Bytes;

use crate::{
    address::BareJid,
    command::Command,
    document::DocumentKey,
    message::IqKind,
    refusal::{Reason, Refusal},
    xmpp::{
        private::is_blank,
        xml::{Element, Writer},
    },
};

/// What a request to an account asks; `is_own`: to the sender's.
pub fn read(
    vcard: Element<'_>,
    kind: IqKind,
    of: BareJid,
    is_own: bool,
) -> Result<Command, Refusal> {
    let key = DocumentKey::vcard();
    match (kind, is_own) {
        (IqKind::Get, _) => Ok(Command::GetDocument { of, key }),
        // §3.2.
        (_, false) => {
            Err(Refusal::new(Reason::Forbidden).say("a vCard is its own account's to set"))
        }
        // An empty vCard is none.
        (_, true) => {
            let content = (!is_blank(vcard)).then(|| Bytes::copy_from_slice(&vcard.closed()));
            Ok(Command::SetDocuments(vec![(key, content)]))
        }
    }
}

/// Writes a vCard as it was set.
pub fn write(content: Option<&Bytes>, w: &mut Writer<'_>) {
    if let Some(content) = content {
        w.raw(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::{
        namespace as ns,
        xml::{Scope, Tree},
    };

    fn asked(xml: &str, kind: IqKind, is_own: bool) -> Result<Command, Reason> {
        let (mut tree, scope) = (Tree::new(), Scope::client());
        let of = BareJid::new("juliet", "localhost").unwrap();
        let vcard = tree.parse(xml.as_bytes(), &scope).unwrap();
        read(vcard, kind, of, is_own).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn s3_2_a_vcard_is_set_by_its_account_alone() {
        const CARD: &str = "<vCard xmlns='vcard-temp'><FN>J</FN></vCard>";
        assert_eq!(
            asked(CARD, IqKind::Set, false).unwrap_err(),
            Reason::Forbidden
        );
        let Ok(Command::SetDocuments(changes)) = asked(CARD, IqKind::Set, true) else {
            panic!()
        };
        assert_eq!(changes, [(DocumentKey::vcard(), Some(Bytes::from(CARD)))]);
        let empty = asked("<vCard xmlns='vcard-temp'/>", IqKind::Set, true);
        assert!(matches!(&empty, Ok(Command::SetDocuments(changes)) if changes[0].1.is_none()));
    }

    #[test]
    fn the_key_is_the_name_of_the_element() {
        assert_eq!(DocumentKey::vcard(), DocumentKey::new(ns::VCARD, "vCard"));
        assert!(DocumentKey::vcard().is_public());
        assert!(!DocumentKey::new("storage:bookmarks", "vCard").is_public());
    }
}
