//! Why TLS cannot be set up, each in one sentence that names the file.

use std::io;
use std::path::{Path, PathBuf};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file of the configuration cannot be read.
    #[error("cannot read the {what} {}: {}", path.display(), plain(cause))]
    Unreadable {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// A file or folder of the local authority cannot be written.
    #[error("cannot write {}: {}", path.display(), plain(cause))]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// The file holds nothing of what it should hold.
    #[error("the {what} {} holds {found}; expected PEM text with {expected}", path.display())]
    WrongPem {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        found: &'static str,
        /// The PEM blocks that it should hold.
        expected: &'static str,
    },
    /// The key is protected by a password, and nobody is there to give it.
    #[error("the key {} is encrypted; write it without a password, readable to the hub alone", path.display())]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key are not a pair.
    #[error("the key {} does not belong to the certificate {}", key.display(), certificate.display())]
    KeyMismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The certificate or key is of a kind that cannot be used.
    #[error("the {what} {} cannot be used: {why}", path.display())]
    Unusable {
        /// What the file holds.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The authority's certificate is there and its key is not: a new key would lock out every device.
    #[error(
        "the local authority's key {} is missing while its certificate {} exists; restore the key, or remove the certificate to begin a new authority",
        key.display(), certificate.display()
    )]
    AuthorityKeyMissing {
        /// Where the key should be.
        key: PathBuf,
        /// The certificate.
        certificate: PathBuf,
    },
    /// A certificate for this name cannot be made.
    #[error("no certificate can be made for \"{name}\": {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Making a certificate or a configuration failed inside the cryptographic library.
    #[error("cannot set up TLS: {0}")]
    Internal(String),
}

impl TlsError {
    pub(super) fn unreadable(what: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Unreadable {
            what,
            path: path.to_owned(),
            cause,
        }
    }

    pub(super) fn unwritable(path: &Path, cause: io::Error) -> Self {
        Self::Unwritable {
            path: path.to_owned(),
            cause,
        }
    }

    pub(super) fn unusable(what: &'static str, path: &Path, why: impl ToString) -> Self {
        Self::Unusable {
            what,
            path: path.to_owned(),
            why: why.to_string(),
        }
    }

    pub(super) fn internal(cause: impl ToString) -> Self {
        Self::Internal(cause.to_string())
    }
}

fn plain(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => cause.to_string(),
    }
}
