//! What a client says it can, as far as the hub needs it: which personal nodes it wants to hear of (XEP-0060 §9.2, XEP-0115).

use crate::node::NodeId;

/// Most personal nodes that one client can want. Those of today's clients want about twenty.
pub const WISHES_MAX: usize = 128;
/// Most bytes of all their names together.
pub const WISHES_BYTES_MAX: usize = 8 * 1024;

/// The personal nodes that a client wants to hear of: in order, each once, within the bounds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes(Box<[NodeId]>);

impl Wishes {
    /// As many of the names as the bounds allow, in the order of the names.
    pub fn new(mut names: Vec<NodeId>) -> Self {
        names.sort();
        names.dedup();
        names.truncate(WISHES_MAX);
        let mut bytes = 0;
        let fit = names.iter().take_while(|name| {
            bytes += name.as_str().len();
            bytes <= WISHES_BYTES_MAX
        });
        let fit = fit.count();
        names.truncate(fit);
        Self(names.into())
    }

    /// Whether the client wants to hear of nodes of this name.
    pub fn include(&self, node: &NodeId) -> bool {
        self.0.binary_search(node).is_ok()
    }

    /// All names, in order.
    pub fn names(&self) -> &[NodeId] {
        &self.0
    }

    /// Whether it wants to hear of nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The verification string of a client's capabilities: a hash of all that it says of itself (XEP-0115 §5.1). Clients with the
/// same one can the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named for the hash")]
pub enum Verification {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

/// A client's capabilities as its presence announces them (XEP-0115 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// What to ask the client for, to learn what they are: `NODE#VER` (§6.2).
    pub node: Box<str>,
    /// Their hash; `None` if it is of a kind that the hub cannot check.
    pub verification: Option<Verification>,
}

/// What a client answered when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosed {
    /// The hashes of the answer; `None` if the answer is not well-formed (XEP-0115 §5.4), so that it has none.
    pub hashes: Option<[Verification; 2]>,
    /// What it says that the client wants to hear of.
    pub wishes: Wishes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::parse(name).unwrap()
    }

    #[test]
    fn wishes_are_in_order_each_once_and_bounded() {
        let wishes = Wishes::new(vec![node("b"), node("a"), node("b")]);
        assert_eq!(wishes.names(), [node("a"), node("b")]);
        assert!(wishes.include(&node("b")) && !wishes.include(&node("c")));
        let many = (0..1_000).map(|number| node(&format!("n{number}")));
        assert_eq!(Wishes::new(many.collect()).names().len(), WISHES_MAX);
        let long = (0..20).map(|number| node(&format!("{number:01000}")));
        assert_eq!(Wishes::new(long.collect()).names().len(), 8);
    }
}
