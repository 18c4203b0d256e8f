//! XML that an account keeps at the hub and fetches again as it was: its vCard (XEP-0054), and what its clients like to
//! remember (XEP-0049). The hub does not look into it.

/// Under which name an account keeps a document: the expanded name of its root element.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentKey {
    /// The namespace.
    pub namespace: Box<str>,
    /// The local name.
    pub name: Box<str>,
}

impl DocumentKey {
    /// The key of a root element.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The account's vCard.
    pub fn vcard() -> Self {
        Self::new("vcard-temp", "vCard")
    }

    /// Whether others may read it: XEP-0054 §5, the vCard is for the world; all else is for its account alone (XEP-0049 §4).
    pub fn is_public(&self) -> bool {
        (&*self.namespace, &*self.name) == ("vcard-temp", "vCard")
    }

    /// Its share of what the account may keep, in bytes.
    pub fn weight(&self) -> usize {
        self.namespace.len() + self.name.len()
    }
}
