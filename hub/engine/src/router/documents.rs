//! Documents of accounts: kept, and given back as they were.
//!
//! Implements: XEP-0049 1.2 §2 to §4; XEP-0054 1.3.0 §3, §5. How much an account may keep is decided by
//! [`crate::service::documents`]. Nothing of them is in memory but, where an account has changed some, their sizes.

use bytes::Bytes;

use crate::{
    address::{BareJid, FullJid, Jid},
    command::Reply,
    document::DocumentKey,
    effect::{StoreAnswer, StoreQuery, Urgency},
    refusal::Reason,
    router::{Router, commit::After, pipeline::Ask, stored::Asked},
    service::documents,
};

impl Router {
    pub(super) fn get_document(&mut self, ask: Ask, own: &Jid, of: BareJid, key: DocumentKey) {
        let is_own = own.bare() == of;
        if !is_own && !key.is_public() {
            // XEP-0049 §2.3.
            self.refuse(ask, Reason::Forbidden.into());
            return;
        }
        if let Err(refusal) = self.directory.check_blocks(own, of.as_jid()) {
            self.refuse(ask, refusal);
            return;
        }
        self.defer(&ask);
        let query = StoreQuery::Document {
            account: of,
            key: key.clone(),
        };
        let then = Box::new(move |answer| match answer {
            StoreAnswer::Document(content) => {
                match (content, key.is_public()) {
                    // XEP-0054 §3.1: no vCard of one's own.
                    (None, true) if is_own => Err(Reason::ItemNotFound.into()),
                    // §3.3: an account that has none looks like one that does not exist.
                    (None, _) if !is_own => Err(Reason::ServiceUnavailable.into()),
                    (content, _) => Ok(Reply::Document { key, content }),
                }
            }
            _ => Err(Reason::InternalServerError.into()),
        });
        self.query(query, Asked::Read { ask, then });
    }

    pub(super) fn set_documents(
        &mut self,
        ask: Ask,
        own: &FullJid,
        changes: Vec<(DocumentKey, Option<Bytes>)>,
    ) {
        let account = own.bare();
        // The account was removed while the command waited.
        if self.residency.facts(&account).is_none() {
            self.refuse(ask, Reason::NotAuthorized.into());
            return;
        }
        let Some(kept) = self.residency.documents_mut(&account) else {
            self.refuse(ask, Reason::InternalServerError.into());
            return;
        };
        match documents::put(&account, kept, changes, &self.limits) {
            Ok(ops) => {
                let after = After {
                    ask: Some(ask),
                    reply: Some(Ok(Reply::Done)),
                    ..After::default()
                };
                self.carry_out(ops, Urgency::Group, after);
            }
            Err(refusal) => self.refuse(ask, refusal),
        }
    }
}
