//! Contacts of a roster as bytes.

use leveret_engine::{
    account::{Contact, PendingIn, Subscription},
    address::BareJid,
};

use super::{Code as _, Encoded, Reader, put_bytes, put_flags, put_maybe, put_number, put_text};

/// A contact without its address, which is its key.
pub(in crate::store) struct ContactBody {
    name: Option<Box<str>>,
    groups: Vec<Box<str>>,
    subscription: Subscription,
    pending_out: bool,
    pending_in: Option<PendingIn>,
    approved: bool,
    listed: bool,
    version: u64,
}

impl ContactBody {
    /// Splits a contact.
    pub(in crate::store) fn of(contact: &Contact) -> Self {
        let Contact {
            jid: _,
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        } = contact.clone();
        Self {
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        }
    }

    /// Puts a contact together.
    pub(in crate::store) fn with(self, jid: BareJid) -> Contact {
        let Self {
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        } = self;
        Contact {
            jid,
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        }
    }
}

impl Encoded for ContactBody {
    const WHAT: &'static str = "contact";
    const VERSION: u8 = 1;

    fn put(&self, out: &mut Vec<u8>) {
        put_flags(out, [self.pending_out, self.approved, self.listed]);
        out.push(self.subscription.code());
        put_number(out, self.version);
        put_maybe(out, self.name.as_deref(), put_text);
        put_number(out, self.groups.len() as u64);
        for group in &self.groups {
            put_text(out, group);
        }
        put_maybe(out, self.pending_in.as_ref(), |out, pending| {
            put_maybe(out, pending.id.as_deref(), put_text);
            put_maybe(out, pending.lang.as_deref(), put_text);
            put_bytes(out, &pending.content);
        });
    }

    fn take(input: &mut Reader<'_>) -> Option<Self> {
        let [pending_out, approved, listed] = input.flags()?;
        let subscription = input.code()?;
        let version = input.number()?;
        let name = input.maybe(Reader::boxed)?;
        let count = input.number()?;
        let groups = (0..count).map(|_| input.boxed()).collect::<Option<_>>()?;
        let pending_in = input.maybe(|input| {
            Some(PendingIn {
                id: input.maybe(Reader::boxed)?,
                lang: input.maybe(Reader::boxed)?,
                content: input.shared()?,
            })
        })?;
        Some(Self {
            name,
            groups,
            subscription,
            pending_out,
            pending_in,
            approved,
            listed,
            version,
        })
    }
}
