//! In-band registration: an account for a stranger, a new password, the end of an account.
//!
//! Implements: XEP-0077 2.4 §3.1 registration, §3.2 removal, §3.3 password change. Not: §4 forms beyond the two
//! fields, §5 redirection.

use zeroize::Zeroizing;

use crate::{
    message::IqKind,
    refusal::{Reason, Refusal},
    xmpp::{
        namespace as ns,
        xml::{Element, Writer},
    },
};

/// What a register request asks.
pub enum Request {
    /// Which fields are wanted (§3.1, example 1).
    Fields,
    /// The account is to be made, or its password changed: the name as given.
    Account {
        /// `None` only where the asker is signed in, and means itself.
        username: Option<String>,
        /// The password as given; wiped when dropped.
        password: Zeroizing<String>,
    },
    /// The account is to be removed (§3.2).
    Remove,
}

/// Reads a request.
pub fn read(query: Element<'_>, kind: IqKind) -> Result<Request, Refusal> {
    if kind == IqKind::Get {
        return Ok(Request::Fields);
    }
    if query.child("remove", ns::REGISTER).is_some() {
        // §3.2: `<remove/>` stands alone.
        return if query.children().count() == 1 {
            Ok(Request::Remove)
        } else {
            Err(Refusal::new(Reason::BadRequest).say("remove stands alone"))
        };
    }
    let text = |name| {
        query
            .child(name, ns::REGISTER)
            .map(|field| field.text().into_owned())
            .filter(|text| !text.is_empty())
    };
    match text("password") {
        Some(password) => Ok(Request::Account {
            username: text("username"),
            password: Zeroizing::new(password),
        }),
        // §3.1, §3.3: an empty password is never taken for one.
        None => Err(Refusal::new(Reason::NotAcceptable).say("a password is needed")),
    }
}

/// Writes the fields; `account` is the name of one who is registered already.
pub fn write_fields(account: Option<&str>, w: &mut Writer<'_>) {
    w.open("query").attr("xmlns", ns::REGISTER);
    match account {
        Some(name) => {
            w.open("registered").close("registered");
            w.element("instructions", "Set a new password, or remove the account.");
            w.element("username", name);
        }
        None => {
            w.element(
                "instructions",
                "Choose a name and a password for the account.",
            );
            w.open("username").close("username");
        }
    }
    w.open("password").close("password").close("query");
}
