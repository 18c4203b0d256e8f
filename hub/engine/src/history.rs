//! Which nodes keep how much of their past: `[[history]]`, and what a node's own option says.

use crate::{
    item::History,
    node::{Filter, NameError},
};

/// One `[[history]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRule {
    /// Which nodes.
    pub on: Filter,
    /// How much they keep.
    pub history: History,
}

impl HistoryRule {
    /// A rule for the nodes of `on`.
    pub fn new(on: &str, history: History) -> Result<Self, NameError> {
        Ok(Self {
            on: Filter::parse(on)?,
            history,
        })
    }
}

/// All rules in the order of the file; the first that matches decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryRules(pub Vec<HistoryRule>);

impl HistoryRules {
    /// What a rule says of `node`.
    pub fn of(&self, node: &str) -> Option<History> {
        let rule = self.0.iter().find(|rule| rule.on.matches(node))?;
        Some(rule.history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_decides() {
        let history = |items| History {
            items,
            ..History::default()
        };
        let rules = HistoryRules(vec![
            HistoryRule::new("devices/+/temp", history(10)).unwrap(),
            HistoryRule::new("devices/#", history(20)).unwrap(),
        ]);
        assert_eq!(rules.of("devices/dev7/temp"), Some(history(10)));
        assert_eq!(rules.of("devices/dev7/door"), Some(history(20)));
        assert_eq!(rules.of("sites/temp"), None);
    }
}
