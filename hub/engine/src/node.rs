//! Names of the tree: nodes, items, and filters over nodes. A topic is a node; a wildcard is a filter over nodes.

use std::{fmt, sync::Arc};

use crate::address::BareJid;

/// Longest node name, in bytes of UTF-8. Generous for a topic, and short enough to be a key everywhere.
pub const NODE_ID_BYTES_MAX: usize = 1024;
/// Longest item id, in bytes of UTF-8.
pub const ITEM_ID_BYTES_MAX: usize = 512;
/// Most levels of a node name that a filter can be matched against.
pub const NODE_LEVELS_MAX: usize = 64;

/// Why a text names no node, item or filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum NameError {
    #[error("the name is empty")]
    Empty,
    #[error("the name is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("the name holds a control character")]
    Control,
    #[error("the name has more than {NODE_LEVELS_MAX} levels")]
    TooDeep,
    #[error("'#' must be the last level of a filter, alone in its level")]
    MisplacedWildcard,
}

/// Names one pubsub node (XEP-0060 §4.6). Invariant: 1..=[`NODE_ID_BYTES_MAX`] bytes, no control characters,
/// at most [`NODE_LEVELS_MAX`] levels.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, NODE_ID_BYTES_MAX)?;
        if text.bytes().filter(|&byte| byte == b'/').count() >= NODE_LEVELS_MAX {
            return Err(NameError::TooDeep);
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `+` or `#` fills a whole level: then the name is a filter and no node can have it (S16).
    pub fn is_filter(&self) -> bool {
        self.0.split('/').any(|level| level == "+" || level == "#")
    }

    /// Whether the name belongs to the hub (S16): nobody may create it.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

/// Names one item within its node. Invariant: 1..=[`ITEM_ID_BYTES_MAX`] bytes, no control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(Arc<str>);

impl ItemId {
    /// Checks an id.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, ITEM_ID_BYTES_MAX)?;
        Ok(Self(text.into()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str, max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.len() > max {
        Err(NameError::TooLong { max })
    } else if text.chars().any(char::is_control) {
        Err(NameError::Control)
    } else {
        Ok(())
    }
}

/// One node of one service: the hub's own tree, or the personal nodes of an account (XEP-0163).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeAddress {
    /// The account whose personal node it is; `None` for the hub's pubsub service.
    pub host: Option<BareJid>,
    /// Its name there.
    pub node: NodeId,
}

impl NodeAddress {
    /// A node of the hub's own service.
    pub const fn of_service(node: NodeId) -> Self {
        Self { host: None, node }
    }

    /// Whether it is a filter over the service's nodes (S16). Personal nodes have no tree: `#` is a name there.
    pub fn is_filter(&self) -> bool {
        self.host.is_none() && self.node.is_filter()
    }
}

/// A set of node names, as MQTT 5 §4.7 writes it: `+` is one level, `#` is the rest and the parent itself.
/// A filter whose first level is a wildcard does not reach names that begin with `$` ([MQTT-4.7.2-1]).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(Arc<str>);

impl Filter {
    /// Checks a filter; a plain node name is one too.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = NodeId::parse(text)?;
        let levels = text.split('/').count();
        if text
            .split('/')
            .enumerate()
            .any(|(at, level)| level == "#" && at + 1 < levels)
        {
            return Err(NameError::MisplacedWildcard);
        }
        Ok(Self(name.0))
    }

    /// The filter that a name is (see [`NodeId::is_filter`]), or the name alone.
    pub fn of(node: &NodeId) -> Result<Self, NameError> {
        Self::parse(node.as_str())
    }

    /// The filter's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The levels, in order.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether a subscription to the filter reaches `node`.
    pub fn matches(&self, node: &str) -> bool {
        !(node.starts_with('$') && self.starts_with_wildcard()) && self.contains(node)
    }

    /// Whether `node` is in the set, names that begin with `$` like all others: the `on` of a rule is read so (S13).
    pub fn contains(&self, node: &str) -> bool {
        let mut names = node.split('/');
        for level in self.levels() {
            if level == "#" {
                return true;
            }
            match names.next() {
                Some(name) if level == "+" || level == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    fn starts_with_wildcard(&self) -> bool {
        matches!(self.levels().next(), Some("+" | "#"))
    }

    /// Whether this set [contains](Self::contains) every name in `other` (S15).
    pub fn covers(&self, other: &Self) -> bool {
        let (mut mine, mut theirs) = (self.levels(), other.levels());
        loop {
            match (mine.next(), theirs.next()) {
                (Some("#"), _) => return true,
                (None, None) => return true,
                (Some("+"), Some(level)) if level != "#" => {}
                (Some(a), Some(b)) if a == b && b != "#" => {}
                _ => return false,
            }
        }
    }

    /// Whether both sets [contain](Self::contains) some name (S15).
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut mine, mut theirs) = (self.levels(), other.levels());
        loop {
            match (mine.next(), theirs.next()) {
                (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
                (Some(a), Some(b)) if a == b || a == "+" || b == "+" => {}
                _ => return false,
            }
        }
    }
}

macro_rules! show {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}
show!(NodeId, ItemId, Filter);

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).unwrap()
    }

    #[test]
    fn wildcards_match_as_mqtt_5_s4_7_says() {
        for (set, name, is) in [
            ("sport/#", "sport", true),
            ("sport/#", "sport/tennis/1", true),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "a/b", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("urn:x#y", "urn:x#y", true),
        ] {
            assert_eq!(filter(set).matches(name), is, "{set} {name}");
        }
    }

    #[test]
    fn s15_a_set_covers_another_only_if_every_name_is_in_it() {
        for (wide, narrow, is) in [
            ("a/#", "a/b/c", true),
            ("a/#", "a/#", true),
            ("a/#", "a/+/c", true),
            ("a/#", "a", true),
            ("a/+", "a/#", false),
            ("a/+", "a/+", true),
            ("a/b", "a/+", false),
            ("#", "$SYS/#", true),
            ("#", "#", true),
            ("+/b", "a/b", true),
        ] {
            assert_eq!(filter(wide).covers(&filter(narrow)), is, "{wide} {narrow}");
        }
    }

    #[test]
    fn s15_sets_overlap_if_one_name_is_in_both() {
        for (one, two, is) in [
            ("a/+", "+/b", true),
            ("a/#", "a", true),
            ("a/b", "a/c", false),
            ("a/+/c", "a/b/#", true),
            ("a/+", "a/b/c", false),
            ("#", "$SYS/#", true),
        ] {
            assert_eq!(filter(one).overlaps(&filter(two)), is, "{one} {two}");
            assert_eq!(filter(two).overlaps(&filter(one)), is, "{two} {one}");
        }
    }

    #[test]
    fn s16_a_wildcard_level_makes_a_filter_and_a_sign_within_a_level_does_not() {
        for (name, is) in [
            ("a/+/b", true),
            ("#", true),
            ("urn:x#y", false),
            ("a+b/c", false),
        ] {
            assert_eq!(NodeId::parse(name).unwrap().is_filter(), is, "{name}");
        }
        assert_eq!(Filter::parse("a/#/b"), Err(NameError::MisplacedWildcard));
    }
}
