//! `[[class]]` and `[[access]]`: read and checked here as text; matching them to nodes is the engine's work.

use leveret_engine::access::{Action, Actions, Rule as EngineRule, Who};
use leveret_engine::account::Role;
use leveret_engine::address::BareJid;
use leveret_engine::class::Class;
use leveret_engine::node::{Filter, NameError};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::form::Form;
use super::keys::quoted;
use super::source::{Field, Source, entries, type_name};

/// One `[[class]]`: what is published to nodes that match `on` has this delivery class (S1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRule {
    /// A node name or filter: `+` is any one level, a last `#` any number of them.
    pub on: String,
    /// The delivery class.
    pub class: Class,
}

/// One `[[access]]`: whether these accounts may do these things on these nodes (S13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Whom the rule is about.
    pub who: Who,
    /// What it is about.
    pub actions: Actions,
    /// A node name or filter; a level `%u` is the account's localpart, literally (S14).
    pub on: String,
    /// Whether it allows or denies.
    pub allow: bool,
}

/// A key of a rule: what it expects, its default or `None` where it must be given, and its meaning.
pub(super) struct RuleKey {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) default: Option<&'static str>,
    pub(super) meaning: &'static str,
}

pub(super) const PATTERN: Form =
    Form::Text("a node name or a filter such as \"devices/+/fall\" or \"sites/#\"");

pub(super) const WHO: Form = Form::Text(
    "\"all\", \"role:device\" (operator, service, admin), \"group:NAME\", \"account:NAME\" or \"pattern:pendant-*\"",
);

pub(super) const CLASS_KEYS: [RuleKey; 2] = [
    RuleKey {
        name: "on",
        form: PATTERN,
        default: None,
        meaning: "The nodes: a name, or a filter in which `+` is any one level and a last `#` any number of levels.",
    },
    RuleKey {
        name: "class",
        form: Form::Choice(&["state", "event", "alarm"]),
        default: None,
        meaning: "state: a slow or absent subscriber gets the newest value only. event: items are queued to a bound. alarm: never dropped, and synced to the disk before the publisher hears \"yes\".",
    },
];

pub(super) const ACCESS_KEYS: [RuleKey; 4] = [
    RuleKey {
        name: "who",
        form: WHO,
        default: None,
        meaning: "Whom the rule is about: `all`, `role:` and a role, `group:` and the name of a roster group, `account:` and a localpart or bare address, `pattern:` and how localparts begin, with `*` at the end.",
    },
    RuleKey {
        name: "do",
        form: Form::Text("a list of publish, retain, subscribe, create, configure, or all"),
        default: None,
        meaning: "What it is about: a list of `publish`, `retain`, `subscribe`, `create`, `configure`, or `all`.",
    },
    RuleKey {
        name: "on",
        form: PATTERN,
        default: None,
        meaning: "The nodes, as in a class; a level `%u` is the account's own localpart.",
    },
    RuleKey {
        name: "allow",
        form: Form::Switch,
        default: Some("`true`"),
        meaning: "Whether the rule allows or denies.",
    },
];

/// The most rules of one kind: a rule is tried in order, so the list must stay short enough to walk.
const RULES_MAX: usize = 10_000;

pub(super) fn read_classes(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<ClassRule>, ConfigError> {
    tables(source, "class", value)?
        .into_iter()
        .map(|table| {
            let rule = Rule::open(source, "[[class]]", table, &CLASS_KEYS)?;
            let class_field = rule.required("class")?;
            let class = match class_field.choice()? {
                "state" => Class::State,
                "event" => Class::Event,
                _ => Class::Alarm,
            };
            Ok(ClassRule {
                on: pattern(&rule.required("on")?, false)?,
                class,
            })
        })
        .collect()
}

pub(super) fn read_access(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
    names: &Names<'_>,
) -> Result<Vec<AccessRule>, ConfigError> {
    tables(source, "access", value)?
        .into_iter()
        .map(|table| {
            let rule = Rule::open(source, "[[access]]", table, &ACCESS_KEYS)?;
            let field = rule.required("who")?;
            Ok(AccessRule {
                who: who(&field, &field.text()?, names)?,
                actions: actions(&rule.required("do")?)?,
                on: pattern(&rule.required("on")?, true)?,
                allow: rule
                    .field("allow")
                    .map_or(Ok(true), |field| field.switch())?,
            })
        })
        .collect()
}

/// One table of an array of tables, its keys known to be known.
pub(super) struct Rule<'t> {
    source: &'t Source<'t>,
    title: &'static str,
    table: &'t Spanned<DeValue<'t>>,
    entries: &'t DeTable<'t>,
    keys: &'static [RuleKey],
}

impl<'t> Rule<'t> {
    pub(super) fn open(
        source: &'t Source<'t>,
        title: &'static str,
        table: &'t Spanned<DeValue<'t>>,
        keys: &'static [RuleKey],
    ) -> Result<Self, ConfigError> {
        let Some(table_entries) = table.get_ref().as_table() else {
            return Err(not_tables(source, title, table));
        };
        let names: Vec<&'static str> = keys.iter().map(|key| key.name).collect();
        for (span, key, _) in entries(table_entries) {
            if !names.contains(&key) {
                return Err(source.unknown_key(span, key, title, &names));
            }
        }
        Ok(Self {
            source,
            title,
            table,
            entries: table_entries,
            keys,
        })
    }

    pub(super) fn field(&self, name: &'static str) -> Option<Field<'t>> {
        let key = self.keys.iter().find(|key| key.name == name)?;
        let value = self.entries.get(name)?;
        Some(Field::new(self.source, self.title, name, key.form, value))
    }

    pub(super) fn required(&self, name: &'static str) -> Result<Field<'t>, ConfigError> {
        self.field(name).ok_or_else(|| {
            let expected = self
                .keys
                .iter()
                .find(|key| key.name == name)
                .map(|key| format!("expected `{name}` = {}", key.form));
            self.source.fault(
                Some(self.table.span()),
                format!("this {} has no `{name}`", self.title),
                expected,
            )
        })
    }
}

pub(super) fn tables<'t>(
    source: &Source<'_>,
    name: &'static str,
    value: &'t Spanned<DeValue<'t>>,
) -> Result<Vec<&'t Spanned<DeValue<'t>>>, ConfigError> {
    let title = format!("[[{name}]]");
    let Some(items) = value.get_ref().as_array() else {
        return Err(not_tables(source, &title, value));
    };
    if items.len() > RULES_MAX {
        return Err(source.fault(
            Some(value.span()),
            format!("there are {} {title} rules", items.len()),
            Some(format!("expected at most {RULES_MAX}")),
        ));
    }
    Ok(items.iter().collect())
}

fn not_tables(source: &Source<'_>, title: &str, value: &Spanned<DeValue<'_>>) -> ConfigError {
    source.fault(
        Some(value.span()),
        format!("{title}: this is {}", type_name(value.get_ref())),
        Some(format!(
            "expected rules that each begin with {title}, in double brackets"
        )),
    )
}

/// S16: `+` and `#` are wildcards only where they fill a level; elsewhere they are characters of a name.
pub(super) fn pattern(field: &Field<'_>, may_name_user: bool) -> Result<String, ConfigError> {
    let pattern = field.text()?;
    let mut levels = pattern.split('/').peekable();
    while let Some(level) = levels.next() {
        if level == "#" && levels.peek().is_some() {
            return Err(field.refuse(
                "`#` is not the last level",
                "expected `#` at the end only, `+` for a level between",
            ));
        }
        if !level.contains("%u") {
            continue;
        }
        if !may_name_user {
            return Err(field.refuse(
                "such a rule is the same for every account",
                "expected `+` in place of `%u`",
            ));
        }
        // S14: one literal level, so that no name can reach into another's.
        if level != "%u" {
            return Err(field.refuse(
                &format!("`%u` is only a part of the level `{level}`"),
                "expected `%u` as a whole level, as in \"devices/%u/#\"",
            ));
        }
    }
    match Filter::parse(&pattern) {
        Ok(_) => Ok(pattern),
        Err(error) => Err(field.wrong(&error.to_string())),
    }
}

/// What a word can name besides roles.
pub(super) struct Names<'n> {
    /// Accounts of this domain.
    pub(super) domain: &'n str,
    /// The roster groups of the file.
    pub(super) groups: &'n [Box<str>],
}

/// Reads one word that names accounts; `field` is where it stands.
pub(super) fn who(field: &Field<'_>, text: &str, names: &Names<'_>) -> Result<Who, ConfigError> {
    let domain = names.domain;
    match text.split_once(':') {
        None if text == "all" => Ok(Who::All),
        Some(("role", name)) => Role::by_name(name)
            .map(Who::Role)
            .ok_or_else(|| field.wrong(&format!("there is no role \"{}\"", name.escape_debug()))),
        // A rule that no account can ever match is a mistake.
        Some(("group", name)) if !name.is_empty() => {
            let group = names.groups.iter().find(|group| ***group == *name);
            group.cloned().map(Who::Group).ok_or_else(|| {
                field.wrong(&format!(
                    "no roster group \"{}\" is defined",
                    name.escape_debug()
                ))
            })
        }
        Some(("account", name)) if !name.is_empty() => {
            let (name, named_domain) = name.split_once('@').unwrap_or((name, domain));
            let address = BareJid::new(name, named_domain).map_err(|_| {
                field.wrong(&format!("\"{}\" cannot be an account", text.escape_debug()))
            })?;
            if address.domain() != domain {
                return Err(field.wrong(&format!(
                    "{address} is not of this hub's domain {domain}",
                    address = address.as_str()
                )));
            }
            // Its one spelling, in which accounts are compared.
            Ok(Who::Account(address.local().unwrap_or_default().into()))
        }
        Some(("pattern", pattern)) => {
            // Only starts: they are found in the order of names, without a look at every account.
            let start = pattern
                .strip_suffix('*')
                .filter(|start| !start.contains('*'));
            let start = start.and_then(|start| BareJid::new(start, domain).ok());
            let start = start
                .as_ref()
                .and_then(|start| start.local())
                .ok_or_else(|| {
                    field.wrong(&format!(
                        "\"{}\" is not how accounts begin, with `*` at the end and nowhere else",
                        pattern.escape_debug()
                    ))
                })?;
            Ok(Who::Pattern(start.into()))
        }
        _ => Err(field.wrong(&format!("\"{}\" names nobody", text.escape_debug()))),
    }
}

/// The word that is read as `who`.
pub(super) fn who_word(who: &Who) -> String {
    match who {
        Who::All => "all".to_owned(),
        Who::Role(role) => format!("role:{}", role.name()),
        Who::Group(name) => format!("group:{name}"),
        Who::Account(name) => format!("account:{name}"),
        Who::Pattern(start) => format!("pattern:{start}*"),
    }
}

fn actions(field: &Field<'_>) -> Result<Actions, ConfigError> {
    const WORDS: [&str; 6] = [
        "publish",
        "retain",
        "subscribe",
        "create",
        "configure",
        "all",
    ];
    let words = field.words(&WORDS)?;
    if words.is_empty() {
        return Err(field.wrong("this is empty"));
    }
    Ok(Action::ALL
        .into_iter()
        .filter(|action| words.contains(&action.name()) || words.contains(&"all"))
        .collect())
}

impl ClassRule {
    pub(super) fn to_toml(&self) -> String {
        format!(
            "[[class]]\non = {}\nclass = \"{}\"\n",
            quoted(&self.on),
            self.class.name()
        )
    }
}

impl AccessRule {
    pub(super) fn to_rule(&self) -> Result<EngineRule, NameError> {
        EngineRule::new(self.who.clone(), self.actions, &self.on, self.allow)
    }

    pub(super) fn to_toml(&self) -> String {
        let actions: Vec<String> = Action::ALL
            .into_iter()
            .filter(|action| self.actions.contains(*action))
            .map(|action| format!("\"{}\"", action.name()))
            .collect();
        format!(
            "[[access]]\nwho = {}\ndo = [{}]\non = {}\nallow = {}\n",
            quoted(&who_word(&self.who)),
            actions.join(", "),
            quoted(&self.on),
            self.allow
        )
    }
}
