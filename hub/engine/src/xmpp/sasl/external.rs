//! EXTERNAL: the client's certificate has said who it is; the message at most chooses among its names.
//!
//! Implements: RFC 4422 appendix A, XEP-0178 1.2 §3, S27.

use super::{AccountRecord, Condition, SaslError, names::Names};

/// The account meant by `data`, the authorization identity (empty for none), out of those that the certificate names.
pub(super) fn receive(
    accounts: &[String],
    data: &[u8],
    names: &Names,
) -> Result<String, SaslError> {
    const INVALID_AUTHZID: SaslError = SaslError::new(Condition::InvalidAuthzid);
    const MALFORMED: SaslError = SaslError::new(Condition::MalformedRequest);
    let authzid = std::str::from_utf8(data).map_err(|_| MALFORMED)?;
    // RFC 4422 §A.1: UTF-8 without NUL.
    if authzid.contains('\0') {
        return Err(MALFORMED);
    }
    // XEP-0178 writes "no identity" as `=`, which the carrier understands. Some clients encode it like data.
    if authzid.is_empty() || authzid == "=" {
        return match accounts {
            // XEP-0178 §3 step 11: the mapping of certificate to account failed.
            [] => Err(SaslError::new(Condition::NotAuthorized)),
            [only] => Ok(only.clone()),
            // §3 step 11: several names and no choice.
            [_, _, ..] => Err(INVALID_AUTHZID),
        };
    }
    // §3 step 11: the identity must be among those of the certificate.
    names
        .account(authzid)
        .filter(|account| accounts.contains(account))
        .ok_or(INVALID_AUTHZID)
}

/// The certificate is proof enough: the account must exist and be enabled, its password does not matter.
pub(super) fn found(account: String, record: Option<AccountRecord>) -> Result<String, SaslError> {
    match record {
        Some(record) if record.enabled => Ok(account),
        Some(_) => Err(SaslError::new(Condition::AccountDisabled)),
        None => Err(SaslError::new(Condition::NotAuthorized)),
    }
}
