//! Keys of an account.

/// Keys, never the password.
#[derive(Debug, Clone, PartialEq)]
pub struct Credentials {}
