//! Which account a client means by a name.
//!
//! Implements: RFC 6120 §6.3.7 (simple user name), §6.3.8 (authorization identity); S14.

use super::{Channel, Condition, SaslError};

/// The rules by which a name becomes an account of this hub.
#[derive(Clone, Debug)]
pub(super) struct Names {
    domain: Box<str>,
    prepare: fn(&str) -> Option<String>,
}

impl Names {
    pub(super) fn new(channel: &Channel<'_>) -> Self {
        Self {
            domain: channel.domain.into(),
            prepare: channel.prepare,
        }
    }

    /// The account named by a localpart or a bare JID of our domain. `None`: the text can name no account here, which
    /// is a property of the text, so saying so at once does not tell which accounts exist.
    pub(super) fn account(&self, name: &str) -> Option<String> {
        let local = match name.split_once('@') {
            Some((local, domain)) if self.is_ours(domain) => local,
            Some(_) => return None,
            None => name,
        };
        let account = (self.prepare)(local)?;
        // S14: such an account cannot exist, whatever preparation thinks of it.
        (!account.is_empty() && !account.contains(['\0', '+', '#', '$'])).then_some(account)
    }

    /// RFC 6120 §6.3.8, RFC 4616 §2: may who signs in as `account` act as `authzid`? Only as itself.
    pub(super) fn authorize(&self, authzid: Option<&str>, account: &str) -> Result<(), SaslError> {
        match authzid {
            None => Ok(()),
            Some(authzid) if self.account(authzid).as_deref() == Some(account) => Ok(()),
            Some(_) => Err(SaslError::new(Condition::InvalidAuthzid)),
        }
    }

    /// The configured domain is prepared; what clients send usually is. Letter case and the final dot of an absolute
    /// name (RFC 7622 §3.2) are forgiven here, other spellings are not.
    fn is_ours(&self, domain: &str) -> bool {
        domain
            .strip_suffix('.')
            .unwrap_or(domain)
            .eq_ignore_ascii_case(&self.domain)
    }
}
