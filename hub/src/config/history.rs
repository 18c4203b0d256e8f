//! `[[history]]`: how much of their past nodes keep beyond the items that they show.

use std::time::Duration;

use leveret_engine::history::HistoryRule as EngineRule;
use leveret_engine::item::History;
use leveret_engine::node::NameError;
use toml::Spanned;
use toml::de::DeValue;

use super::error::ConfigError;
use super::form::{Form, Lift, render_bytes, render_span};
use super::keys::quoted;
use super::rules::{PATTERN, Rule, RuleKey, pattern, tables};
use super::source::Source;

/// One `[[history]]`: nodes that match `on` keep this much. At least one bound is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRule {
    /// A node name or filter: `+` is any one level, a last `#` any number of them.
    pub on: String,
    /// Most items.
    pub items: Option<u32>,
    /// Oldest; whole seconds.
    pub age: Option<Duration>,
    /// Most payload bytes.
    pub bytes: Option<u64>,
}

/// More would be a database of its own, which SQLite on a small board is not.
const ITEMS_MAX: u64 = 10_000_000;
const AGE_MIN: Duration = Duration::from_secs(60);
const AGE_MAX: Duration = Duration::from_secs(3_650 * 86_400);
const BYTES_MIN: u64 = 1_024;
const BYTES_MAX: u64 = 1 << 40;

pub(super) const HISTORY_KEYS: [RuleKey; 4] = [
    RuleKey {
        name: "on",
        form: PATTERN,
        default: None,
        meaning: "The nodes, as in a class.",
    },
    RuleKey {
        name: "items",
        form: Form::Count {
            unit: "items",
            min: 1,
            max: ITEMS_MAX,
            lift: Lift::Never,
        },
        default: Some("no bound"),
        meaning: "Most items of one node, those that it shows among them. They are removed in batches: for a moment there may be a sixteenth more, at most 64.",
    },
    RuleKey {
        name: "age",
        form: Form::Span {
            min: AGE_MIN,
            max: AGE_MAX,
        },
        default: Some("no bound"),
        meaning: "What was published longer ago is not there any more.",
    },
    RuleKey {
        name: "bytes",
        form: Form::Bytes {
            min: BYTES_MIN,
            max: BYTES_MAX,
            lift: Lift::Never,
        },
        default: Some("no bound"),
        meaning: "Most bytes of payload of one node. For a moment there may be a sixteenth more.",
    },
];

pub(super) fn read_history(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<HistoryRule>, ConfigError> {
    tables(source, "history", value)?
        .into_iter()
        .map(|table| {
            let rule = Rule::open(source, "[[history]]", table, &HISTORY_KEYS)?;
            let on = pattern(&rule.required("on")?, false)?;
            let items = rule.field("items").map(|field| field.bound()).transpose()?;
            let age = rule.field("age").map(|field| {
                let age = field.span()?;
                if age.subsec_millis() == 0 {
                    Ok(age)
                } else {
                    Err(field.wrong("this is no whole number of seconds"))
                }
            });
            let bytes = rule.field("bytes").map(|field| field.bound()).transpose()?;
            let read = HistoryRule {
                on,
                items: items.map(|items| u32::try_from(items).unwrap_or(u32::MAX)),
                age: age.transpose()?,
                bytes,
            };
            if (read.items, read.age, read.bytes) == (None, None, None) {
                // Without a bound a node would grow until the disk is full.
                return Err(source.fault(
                    Some(table.span()),
                    "this [[history]] has no bound".to_owned(),
                    Some("expected `items`, `age` or `bytes`, or several of them".to_owned()),
                ));
            }
            Ok(read)
        })
        .collect()
}

impl HistoryRule {
    pub(super) fn to_rule(&self) -> Result<EngineRule, NameError> {
        let history = History {
            items: self.items.unwrap_or(u32::MAX),
            age_seconds: self
                .age
                .map(|age| u32::try_from(age.as_secs()).unwrap_or(u32::MAX)),
            bytes: self.bytes,
        };
        EngineRule::new(&self.on, history)
    }

    pub(super) fn to_toml(&self) -> String {
        let mut toml = format!("[[history]]\non = {}\n", quoted(&self.on));
        if let Some(items) = self.items {
            toml.push_str(&format!("items = {items}\n"));
        }
        if let Some(age) = self.age {
            toml.push_str(&format!("age = \"{}\"\n", render_span(age)));
        }
        if let Some(bytes) = self.bytes {
            toml.push_str(&format!("bytes = {}\n", render_bytes(bytes)));
        }
        toml
    }
}
