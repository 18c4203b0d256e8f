//! Delivery classes (DESIGN §2, S1, S2): what happens to a slow or absent subscriber, and how soon the disk is touched.

use crate::node::{Filter, NameError};

/// The class of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Class {
    /// Only the newest value matters.
    State,
    /// Each one matters, up to a bound.
    #[default]
    Event,
    /// Never dropped; synced before the publisher hears "yes"; owed until acknowledged.
    Alarm,
}

impl Class {
    /// The word in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Event => "event",
            Self::Alarm => "alarm",
        }
    }
}

/// One `[[class]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassRule {
    /// Which nodes.
    pub on: Filter,
    /// Their class.
    pub class: Class,
}

impl ClassRule {
    /// A rule for the nodes of `on`.
    pub fn new(on: &str, class: Class) -> Result<Self, NameError> {
        Ok(Self {
            on: Filter::parse(on)?,
            class,
        })
    }
}

/// All rules in the order of the file; the first that matches decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassRules(pub Vec<ClassRule>);

impl ClassRules {
    /// The class of an item published to `node` (S1): a rule's, else what the node's owner chose, else `state` where the node
    /// keeps one item only, else `event`.
    pub fn of(&self, node: &str, chosen: Option<Class>, max_items: u32) -> Class {
        match self.0.iter().find(|rule| rule.on.matches(node)) {
            Some(rule) => rule.class,
            None => chosen.unwrap_or(if max_items == 1 {
                Class::State
            } else {
                Class::Event
            }),
        }
    }
}
