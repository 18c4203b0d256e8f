//! Who may be made an account.
//!
//! Implements: XEP-0077 2.4 §3.1 registration, §3.2 cancellation, §3.3 password change, as far as they are policy.

use crate::{
    account::{Account, Role},
    address::BareJid,
    credentials::Credentials,
    refusal::{Reason, Refusal},
    time::Timestamp,
};

/// A new account, enabled and never seen.
pub fn new_account(
    jid: BareJid,
    role: Role,
    credentials: Credentials,
    created: Timestamp,
) -> Box<Account> {
    Box::new(Account {
        jid,
        role,
        enabled: true,
        credentials,
        created,
        last_seen: None,
    })
}

/// Whether `jid` can be an account of `domain`. S14: `+ # $` and NUL are refused, since the name is a level of topics and
/// rules; `/` cannot be in a localpart (RFC 7622 §3.3.1).
pub fn check_name(jid: &BareJid, domain: &BareJid) -> Result<(), Refusal> {
    let Some(local) = jid.local() else {
        return Err(Refusal::new(Reason::NotAcceptable).say("an account has a name before the @"));
    };
    if jid.domain() != domain.as_str() {
        return Err(Refusal::new(Reason::NotAcceptable).say("this hub serves another domain"));
    }
    if local.contains(['+', '#', '$', '\0']) {
        return Err(Refusal::new(Reason::NotAcceptable)
            .say("an account's name must not contain + # $ or NUL"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_names_that_read_as_wildcards_are_refused() {
        let domain = BareJid::parse("localhost").unwrap();
        for name in ["a+b", "#", "$sys", "x\0"] {
            let Ok(jid) = BareJid::new(name, "localhost") else {
                continue;
            };
            assert_eq!(
                check_name(&jid, &domain).unwrap_err().reason,
                Reason::NotAcceptable,
                "{name}"
            );
        }
        assert!(check_name(&BareJid::new("dev-7", "localhost").unwrap(), &domain).is_ok());
        assert!(check_name(&BareJid::new("dev-7", "elsewhere").unwrap(), &domain).is_err());
        assert!(check_name(&domain, &domain).is_err());
    }
}
