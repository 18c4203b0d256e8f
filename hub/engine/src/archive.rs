//! Archives: what is asked of one, and what it holds (XEP-0313). Whose archive it is, a node's or an account's, is for
//! whoever asks.

use std::sync::Arc;

use crate::{address::Jid, item::Item, time::Timestamp};

/// Which entries are asked for (XEP-0313 §4.1); by default all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArchiveFilter {
    /// Not before this time.
    pub start: Option<Timestamp>,
    /// Not after this time.
    pub end: Option<Timestamp>,
    /// Of this publisher; a bare address stands for all of its sessions.
    pub publisher: Option<Jid>,
    /// After this entry.
    pub after: Option<Box<str>>,
    /// Before this entry.
    pub before: Option<Box<str>>,
    /// Only these.
    pub ids: Vec<Box<str>>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Its id in the archive, which is never another entry's.
    pub id: Box<str>,
    /// The item as it was published; without payload if it was retracted.
    pub item: Arc<Item>,
    /// Whether it was retracted since: then only that it was is told (XEP-0313 §3.2).
    pub retracted: bool,
}

/// Where a page stands in what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArchivePage {
    /// The id of its first entry.
    pub first: Option<Box<str>>,
    /// The id of its last.
    pub last: Option<Box<str>>,
    /// How many entries come before it, if that is cheap to know.
    pub index: Option<u32>,
    /// How many there are in all, if that is cheap to know.
    pub count: Option<u32>,
    /// Nothing comes after it in the direction asked.
    pub complete: bool,
}

/// One end of an archive (XEP-0313 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveEnd {
    /// The entry's id.
    pub id: Box<str>,
    /// When it was published.
    pub published: Timestamp,
}
