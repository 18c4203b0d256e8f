//! Who may do what, where: the access rules of DESIGN §7 and S13 to S15.
//!
//! Rules look at the authenticated account, never at a claimed one, and at the node, never at its spelling.

use std::sync::Arc;

use crate::{
    account::Role,
    address::BareJid,
    node::{Filter, NameError, NodeId},
};

/// What a rule allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name is the config's own word")]
pub enum Action {
    Publish,
    Retain,
    Subscribe,
    Create,
    Configure,
}

impl Action {
    /// All actions; the config's `all`.
    pub const ALL: [Self; 5] = [
        Self::Publish,
        Self::Retain,
        Self::Subscribe,
        Self::Create,
        Self::Configure,
    ];

    /// The word in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Retain => "retain",
            Self::Subscribe => "subscribe",
            Self::Create => "create",
            Self::Configure => "configure",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Actions(u8);

impl Actions {
    /// Every action.
    pub const ALL: Self = Self(0b1_1111);

    /// Whether `action` is in the set.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(
            actions
                .into_iter()
                .fold(0, |set, action| set | action.bit()),
        )
    }
}

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// Every account.
    All,
    /// Accounts of a role.
    Role(Role),
    /// Accounts of a roster group.
    Group(Box<str>),
    /// One account, by localpart.
    Account(Box<str>),
    /// Accounts whose localpart begins so.
    Pattern(Box<str>),
}

/// The authenticated account that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its bare address.
    pub jid: BareJid,
    /// Its role.
    pub role: Role,
    /// The roster groups it belongs to.
    pub groups: Vec<Arc<str>>,
    /// It is an address of a component: `account:NAME` and `%u` speak of the hub's own accounts, and somebody of that name
    /// elsewhere is somebody else.
    pub component: bool,
}

impl Subject {
    /// The name that rules mean; empty, which no account's is, for who has none.
    fn name(&self) -> &str {
        let name = self.jid.local().filter(|_| !self.component);
        name.unwrap_or_default()
    }
}

/// One `[[access]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    who: Who,
    actions: Actions,
    on: Filter,
    /// `on` has a `%u` to be replaced by the account's name.
    named: bool,
    allow: bool,
}

impl Rule {
    /// A rule; `on` is a filter in which `%u` stands for the localpart of the account that asks.
    pub fn new(who: Who, actions: Actions, on: &str, allow: bool) -> Result<Self, NameError> {
        let named = on.split('/').any(|level| level == "%u");
        Ok(Self {
            who,
            actions,
            on: Filter::parse(on)?,
            named,
            allow,
        })
    }

    fn concerns(&self, subject: &Subject) -> bool {
        match &self.who {
            Who::All => true,
            Who::Role(role) => *role == subject.role,
            Who::Group(group) => subject.groups.iter().any(|name| **name == **group),
            Who::Account(name) => **name == *subject.name(),
            Who::Pattern(start) => subject.name().starts_with(&**start),
        }
    }

    /// The filter with `%u` filled in. S14: the name is one literal level; a name that could be read as anything else
    /// (accounts with `+ # $ /` cannot be made, but a rule must not depend on that) makes the rule match nothing.
    fn filter(&self, subject: &Subject) -> Option<Filter> {
        if !self.named {
            return Some(self.on.clone());
        }
        let name = subject.name();
        if name.is_empty() || name.contains(['+', '#', '$', '/', '\0']) {
            return None;
        }
        let levels: Vec<_> = self
            .on
            .levels()
            .map(|level| if level == "%u" { name } else { level })
            .collect();
        Filter::parse(&levels.join("/")).ok()
    }
}

/// What the rules say; where none speaks, the node's own models decide (S13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first rule that matches allows.
    Allow,
    /// The first rule that matches denies: no affiliation helps.
    Deny,
    /// No rule speaks.
    Silent,
}

/// All rules in order: those of the file, then the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRules(Vec<Rule>);

impl AccessRules {
    /// The rules of the file before the defaults (S13). The last default keeps the subtrees that the defaults speak of
    /// to those they name, so that a device cannot read its neighbour (DESIGN §7: "nobody else anything").
    pub fn new(of_file: Vec<Rule>) -> Self {
        let mut rules = of_file;
        let device = || Who::Role(Role::Device);
        let operator = || Who::Role(Role::Operator);
        let subscribe: Actions = [Action::Subscribe].into_iter().collect();
        let write: Actions = [
            Action::Publish,
            Action::Retain,
            Action::Create,
            Action::Configure,
        ]
        .into_iter()
        .collect();
        let defaults = [
            (Who::Role(Role::Admin), Actions::ALL, "#", true),
            (operator(), subscribe, "#", true),
            (operator(), write, "commands/#", true),
            (operator(), write, "alarms/#", true),
            (device(), Actions::ALL, "devices/%u/#", true),
            (device(), subscribe, "commands/%u/#", true),
            (Who::All, Actions::ALL, "devices/#", false),
            (Who::All, Actions::ALL, "commands/#", false),
            (Who::All, Actions::ALL, "alarms/#", false),
        ];
        for (who, actions, on, allow) in defaults {
            if let Ok(rule) = Rule::new(who, actions, on, allow) {
                rules.push(rule);
            }
        }
        Self(rules)
    }

    /// Whether any rule is about a roster group: else nobody needs to know which ones an account belongs to.
    pub fn name_groups(&self) -> bool {
        self.0.iter().any(|rule| matches!(rule.who, Who::Group(_)))
    }

    /// What the rules say of `action` on the node called `node`.
    pub fn on_node(&self, subject: &Subject, action: Action, node: &str) -> Verdict {
        let first = self.0.iter().find(|rule| {
            rule.actions.contains(action)
                && rule.concerns(subject)
                && rule.filter(subject).is_some_and(|on| on.contains(node))
        });
        match first {
            Some(rule) if rule.allow => Verdict::Allow,
            Some(_) => Verdict::Deny,
            None => Verdict::Silent,
        }
    }

    /// Whether `subject` may know of something at `name` or below it: no deny covers all of that before a rule allows some. Where
    /// no rule speaks the nodes' own models decide.
    pub fn reaches(&self, subject: &Subject, name: &NodeId) -> bool {
        // A name that is a filter, or as deep as names can be, is nothing that nodes are below.
        let Ok(all) = Filter::parse(&format!("{name}/#")) else {
            return self.on_node(subject, Action::Subscribe, name.as_str()) != Verdict::Deny;
        };
        for rule in &self.0 {
            if !rule.actions.contains(Action::Subscribe) || !rule.concerns(subject) {
                continue;
            }
            let Some(on) = rule.filter(subject) else {
                continue;
            };
            if rule.allow && on.overlaps(&all) {
                return true;
            }
            if !rule.allow && on.covers(&all) {
                return false;
            }
        }
        true
    }

    /// Whether `subject` may subscribe to every name of `filter` (S15): an allow rule covers it before any deny rule
    /// overlaps it. A union of several rules that only together cover the filter is not tried.
    pub fn on_filter(&self, subject: &Subject, filter: &Filter) -> bool {
        for rule in &self.0 {
            if !rule.actions.contains(Action::Subscribe) || !rule.concerns(subject) {
                continue;
            }
            let Some(on) = rule.filter(subject) else {
                continue;
            };
            if rule.allow && on.covers(filter) {
                return true;
            }
            if !rule.allow && on.overlaps(filter) {
                return false;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str, role: Role) -> Subject {
        Subject {
            jid: BareJid::new(name, "localhost").unwrap(),
            role,
            groups: Vec::new(),
            component: false,
        }
    }

    #[test]
    fn s13_by_default_a_device_owns_its_subtree_and_hears_its_commands_and_nothing_else() {
        let rules = AccessRules::new(Vec::new());
        let dev7 = subject("dev7", Role::Device);
        let on = |action, node| rules.on_node(&dev7, action, node);
        assert_eq!(on(Action::Publish, "devices/dev7/temp"), Verdict::Allow);
        assert_eq!(on(Action::Create, "devices/dev7"), Verdict::Allow);
        assert_eq!(on(Action::Subscribe, "commands/dev7/set"), Verdict::Allow);
        assert_eq!(on(Action::Publish, "commands/dev7/set"), Verdict::Deny);
        assert_eq!(on(Action::Subscribe, "devices/dev8/temp"), Verdict::Deny);
        assert_eq!(on(Action::Subscribe, "weather"), Verdict::Silent);
    }

    #[test]
    fn s17_a_level_is_reached_by_whoever_may_know_of_something_below_it() {
        let rules = AccessRules::new(Vec::new());
        let reaches = |who: &Subject, name| rules.reaches(who, &NodeId::parse(name).unwrap());
        let (dev7, op) = (subject("dev7", Role::Device), subject("op", Role::Operator));
        for (name, is) in [
            ("devices", true),
            ("devices/dev7", true),
            ("devices/dev7/t", true),
            ("devices/dev8", false),
            ("devices/dev8/t", false),
            ("commands", true),
            ("alarms", false),
            ("weather", true),
        ] {
            assert_eq!(reaches(&dev7, name), is, "{name}");
            assert!(reaches(&op, name), "{name}");
        }
    }

    #[test]
    fn s13_rules_of_the_file_come_first_and_one_that_does_not_name_the_action_is_passed_over() {
        let publish = [Action::Publish].into_iter().collect();
        let rules = AccessRules::new(vec![
            Rule::new(
                Who::Account("dev7".into()),
                publish,
                "devices/dev7/locked",
                false,
            )
            .unwrap(),
        ]);
        let dev7 = subject("dev7", Role::Device);
        assert_eq!(
            rules.on_node(&dev7, Action::Publish, "devices/dev7/locked"),
            Verdict::Deny
        );
        assert_eq!(
            rules.on_node(&dev7, Action::Subscribe, "devices/dev7/locked"),
            Verdict::Allow
        );
    }

    #[test]
    fn s13_one_rule_of_the_file_opens_everything_to_everybody() {
        let rules = AccessRules::new(vec![Rule::new(Who::All, Actions::ALL, "#", true).unwrap()]);
        for role in [Role::Device, Role::Operator, Role::Service, Role::Admin] {
            let who = subject("dev7", role);
            for action in Action::ALL {
                for node in [
                    "x",
                    "devices/dev8/temp",
                    "alarms/fire",
                    "$SYS/load",
                    "urn:x#y",
                ] {
                    assert_eq!(
                        rules.on_node(&who, action, node),
                        Verdict::Allow,
                        "{role:?} {action:?} {node}"
                    );
                }
            }
            for filter in ["#", "+/+", "devices/#", "commands/+/set", "$SYS/#"] {
                assert!(
                    rules.on_filter(&who, &Filter::parse(filter).unwrap()),
                    "{role:?} {filter}"
                );
            }
        }
    }

    #[test]
    fn s14_a_name_that_reads_as_a_wildcard_matches_nothing() {
        let rules = AccessRules::new(Vec::new());
        for name in ["+", "#", "a+b"] {
            let Ok(jid) = BareJid::new(name, "localhost") else {
                continue;
            };
            let odd = Subject {
                jid,
                role: Role::Device,
                groups: Vec::new(),
                component: false,
            };
            assert_eq!(
                rules.on_node(&odd, Action::Publish, "devices/dev8/x"),
                Verdict::Deny
            );
        }
    }

    #[test]
    fn s13_an_address_of_a_component_is_not_the_account_of_that_name() {
        let rules = AccessRules::new(vec![
            Rule::new(Who::Account("dev7".into()), Actions::ALL, "vault", true).unwrap(),
            Rule::new(Who::All, Actions::ALL, "home/%u/#", true).unwrap(),
        ]);
        let ours = subject("dev7", Role::Service);
        let theirs = Subject {
            jid: BareJid::new("dev7", "sensors.localhost").unwrap(),
            component: true,
            ..ours.clone()
        };
        for node in ["vault", "home/dev7/lamp"] {
            let verdict = |who| rules.on_node(who, Action::Publish, node);
            assert_eq!(verdict(&ours), Verdict::Allow, "{node}");
            assert_eq!(verdict(&theirs), Verdict::Silent, "{node}");
        }
    }

    #[test]
    fn s15_a_filter_needs_an_allow_that_covers_it_before_a_deny_that_overlaps_it() {
        let rules = AccessRules::new(Vec::new());
        let may =
            |name, role, text| rules.on_filter(&subject(name, role), &Filter::parse(text).unwrap());
        assert!(may("op", Role::Operator, "devices/+/fall"));
        assert!(may("dev7", Role::Device, "commands/dev7/#"));
        assert!(!may("dev7", Role::Device, "commands/+/x"));
        assert!(!may("dev7", Role::Device, "#"));
        assert!(!may("svc", Role::Service, "weather/#"));
    }
}
