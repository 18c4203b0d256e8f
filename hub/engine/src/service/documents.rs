//! What an account may keep at the hub, and how much of it.
//!
//! Implements: XEP-0049 1.2 §2, XEP-0054 1.3.0 §3, as far as they are policy: the bounds.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    address::BareJid,
    document::DocumentKey,
    effect::StoreOp,
    limits::Limits,
    refusal::{Reason, Refusal},
};

/// Which documents an account keeps, and how many bytes each has.
pub type Sizes = BTreeMap<DocumentKey, u64>;

/// Longest name of a document, namespace and all, in bytes.
pub const KEY_BYTES_MAX: usize = 1_024;

/// Keeps documents, or removes those without content: all or none.
pub fn put(
    account: &BareJid,
    kept: &mut Sizes,
    changes: Vec<(DocumentKey, Option<Bytes>)>,
    limits: &Limits,
) -> Result<Vec<StoreOp>, Refusal> {
    let mut after = kept.clone();
    let mut ops = Vec::new();
    for (key, content) in changes {
        if key.weight() > KEY_BYTES_MAX {
            return Err(Refusal::new(Reason::NotAcceptable).say("the name is too long"));
        }
        match &content {
            Some(content) => drop(after.insert(key.clone(), content.len() as u64)),
            // What is not there need not be removed.
            None if after.remove(&key).is_none() => continue,
            None => {}
        }
        ops.push(StoreOp::PutDocument {
            account: account.clone(),
            key,
            content,
        });
    }
    let full = |what: &'static str| Err(Refusal::new(Reason::ResourceConstraint).say(what));
    // Who lowers a limit takes nothing away, and an account that is over it may still become smaller.
    if after.len() > limits.documents_per_account && after.len() > kept.len() {
        return full("the account keeps too many documents");
    }
    if weight(&after) > limits.document_bytes as u64 && weight(&after) > weight(kept) {
        return full("the account's documents are too large");
    }
    *kept = after;
    Ok(ops)
}

fn weight(sizes: &Sizes) -> u64 {
    let each = sizes.iter().map(|(key, bytes)| key.weight() as u64 + bytes);
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(documents_per_account: usize, document_bytes: usize) -> Limits {
        Limits {
            documents_per_account,
            document_bytes,
            ..Limits::default()
        }
    }

    fn change(name: &str, bytes: Option<usize>) -> (DocumentKey, Option<Bytes>) {
        let content = bytes.map(|bytes| Bytes::from(vec![b'x'; bytes]));
        (DocumentKey::new("ns", name), content)
    }

    fn try_put(
        kept: &mut Sizes,
        changes: Vec<(DocumentKey, Option<Bytes>)>,
        limits: &Limits,
    ) -> Result<usize, Reason> {
        let account = BareJid::new("juliet", "localhost").unwrap();
        match put(&account, kept, changes, limits) {
            Ok(ops) => Ok(ops.len()),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn documents_are_bounded_in_number_and_bytes_and_a_refused_set_changes_nothing() {
        let mut kept = Sizes::new();
        let limits = limits(2, 20);
        // Each name weighs three bytes.
        assert_eq!(
            try_put(
                &mut kept,
                vec![change("a", Some(7)), change("b", Some(7))],
                &limits
            ),
            Ok(2)
        );
        let before = kept.clone();
        for changes in [
            vec![change("c", Some(1))],
            vec![change("a", Some(8))],
            vec![change("a", None), change("b", Some(100))],
        ] {
            assert_eq!(
                try_put(&mut kept, changes, &limits),
                Err(Reason::ResourceConstraint)
            );
            assert_eq!(kept, before);
        }
        assert_eq!(
            try_put(
                &mut kept,
                vec![change("b", None), change("a", Some(17))],
                &limits
            ),
            Ok(2)
        );
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn who_is_over_a_lowered_limit_may_become_smaller() {
        let mut kept = Sizes::new();
        let generous = limits(9, 900);
        let all = vec![change("a", Some(90)), change("b", Some(90))];
        assert_eq!(try_put(&mut kept, all, &generous), Ok(2));
        let strict = limits(1, 10);
        assert_eq!(
            try_put(&mut kept, vec![change("a", Some(91))], &strict),
            Err(Reason::ResourceConstraint)
        );
        assert_eq!(
            try_put(&mut kept, vec![change("a", Some(80))], &strict),
            Ok(1)
        );
        assert_eq!(try_put(&mut kept, vec![change("b", None)], &strict), Ok(1));
    }

    #[test]
    fn what_is_not_there_is_removed_without_a_write_and_a_name_is_bounded() {
        let mut kept = Sizes::new();
        let limits = limits(9, 9_000);
        assert_eq!(try_put(&mut kept, vec![change("a", None)], &limits), Ok(0));
        let long = "n".repeat(KEY_BYTES_MAX);
        assert_eq!(
            try_put(&mut kept, vec![change(&long, Some(1))], &limits),
            Err(Reason::NotAcceptable)
        );
    }
}
