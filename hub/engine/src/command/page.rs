//! Pages of lists (XEP-0059), as asked and as answered.

/// A page of a list (XEP-0059), as asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageRequest {
    /// Most entries wanted; 0 asks for the count alone.
    pub max: Option<u32>,
    /// After this entry; an empty text asks for the first page.
    pub after: Option<Box<str>>,
    /// Before this entry; an empty text asks for the last page.
    pub before: Option<Box<str>>,
    /// From this index.
    pub index: Option<u32>,
}

/// Where a page stands in its list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageInfo {
    /// Key of the first entry.
    pub first: Option<Box<str>>,
    /// Its index.
    pub index: Option<u32>,
    /// Key of the last entry.
    pub last: Option<Box<str>>,
    /// Entries in the whole list.
    pub count: u32,
}
