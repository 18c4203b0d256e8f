//! What can go wrong: when a database is opened, and while it is used.

use std::{io, path::PathBuf};

use leveret_engine::effect::StoreFault;
use rusqlite::ErrorCode;

use super::schema::SCHEMA_VERSION;

/// Why a database could not be opened. Nothing was changed in it. Each message is one sentence for the person who
/// started the hub.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
#[non_exhaustive]
pub enum OpenError {
    #[error("another leveret{} runs on the data in {}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), dir.display())]
    InUse { dir: PathBuf, pid: Option<u32> },
    #[error("the data directory {} cannot be written: {source}", dir.display())]
    Unwritable { dir: PathBuf, source: io::Error },
    #[error("the database {} was written by a newer leveret (schema {found}; this one knows {SCHEMA_VERSION})", file.display())]
    Newer { file: PathBuf, found: i64 },
    #[error("{} is a database of another program", file.display())]
    Foreign { file: PathBuf },
    #[error("the database {} belongs to the domain '{theirs}', and this hub is configured for '{ours}'", file.display())]
    OtherDomain {
        file: PathBuf,
        theirs: String,
        ours: String,
    },
    #[error("the database {} is damaged: {detail}", file.display())]
    Damaged { file: PathBuf, detail: String },
    #[error("the database {} cannot be opened: {source}", file.display())]
    Sqlite {
        file: PathBuf,
        source: rusqlite::Error,
    },
}

/// Why a group of commits or a query was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// From SQLite.
    #[error("store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A stored value cannot be read.
    #[error("store: a stored {0} is damaged")]
    Damaged(&'static str),
    /// A commit names a node that is not there.
    #[error("store: no node '{0}'")]
    NoSuchNode(String),
    /// A page was asked from an entry that is not there (XEP-0059 §2.4).
    #[error("store: the entry that the page was asked from is not there")]
    NotFound,
}

impl Fault {
    /// Whether the fault lies in the commit itself, so that its neighbours would succeed without it. Otherwise it is the
    /// disk's or the database's, and trying one by one would only fail many times.
    pub fn is_of_one_commit(&self) -> bool {
        match self {
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(code) => matches!(
                    code,
                    ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig
                ),
                // Not from the engine of SQLite: a value that did not convert.
                None => true,
            },
            Self::Damaged(_) | Self::NoSuchNode(_) | Self::NotFound => true,
        }
    }
}

impl From<Fault> for StoreFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotFound => Self::NotFound,
            other => Self::Failed(other.to_string()),
        }
    }
}
