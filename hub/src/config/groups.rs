//! `[[roster_group]]`: which accounts see which without a handshake. Who that is the engine works out.

use std::collections::HashSet;

use leveret_engine::access::Who;
use leveret_engine::roster_group::{GROUPS_MAX, RosterGroup, WORDS_MAX};
use toml::Spanned;
use toml::de::DeValue;

use super::error::ConfigError;
use super::form::Form;
use super::keys::quoted;
use super::rules::{Names, Rule, RuleKey, tables, who, who_word};
use super::source::{Field, Source};

const TITLE: &str = "[[roster_group]]";
/// RFC 6121 §2.3.3 leaves the bound to the server: that of the groups which clients make.
const NAME_BYTES_MAX: usize = 1_023;

pub(super) const GROUP_KEYS: [RuleKey; 3] = [
    RuleKey {
        name: "name",
        form: Form::Text("a name such as \"Pendants\""),
        default: None,
        meaning: "What rosters call the group, and `group:` in rules.",
    },
    RuleKey {
        name: "members",
        form: Form::Text(
            "a list of \"all\", \"role:device\", \"account:NAME\" and \"pattern:pendant-*\"",
        ),
        default: None,
        meaning: "Who belongs to it: words as in the `who` of an access rule, but no `group:`.",
    },
    RuleKey {
        name: "seen_by",
        form: Form::Text(
            "a list of \"all\", \"role:operator\", \"group:NAME\", \"account:NAME\" and \"pattern:desk-*\"",
        ),
        default: Some("`[]`"),
        meaning: "Who has the members in the roster, and sees their presence: words as in the `who` of an access rule.",
    },
];

pub(super) fn read(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
    domain: &str,
) -> Result<Vec<RosterGroup>, ConfigError> {
    let tables = tables(source, "roster_group", value)?;
    if tables.len() > GROUPS_MAX {
        return Err(source.fault(
            Some(value.span()),
            format!("there are {} groups", tables.len()),
            Some(format!("expected at most {GROUPS_MAX}")),
        ));
    }
    let mut rules = Vec::new();
    let mut names: Vec<Box<str>> = Vec::new();
    let mut taken = HashSet::new();
    for table in tables {
        let rule = Rule::open(source, TITLE, table, &GROUP_KEYS)?;
        let field = rule.required("name")?;
        let name = field.text()?;
        if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(field.refuse(
                "this cannot be a group of a roster",
                "expected at most 1023 bytes of text without line breaks",
            ));
        }
        if !taken.insert(name.clone()) {
            return Err(field.refuse(
                &format!("the group \"{}\" is defined twice", name.escape_debug()),
                "expected one group of that name, with all members in its list",
            ));
        }
        names.push(name.into());
        rules.push(rule);
    }
    // A group may be seen by one that is defined further down.
    let all = Names {
        domain,
        groups: &names,
    };
    let groups = names.iter().zip(&rules).map(|(name, rule)| {
        Ok(RosterGroup {
            name: name.clone(),
            members: words(&rule.required("members")?, &all, false)?,
            seen_by: match rule.field("seen_by") {
                Some(field) => words(&field, &all, true)?,
                None => Vec::new(),
            },
        })
    });
    groups.collect()
}

fn words(
    field: &Field<'_>,
    names: &Names<'_>,
    may_be_group: bool,
) -> Result<Vec<Who>, ConfigError> {
    let texts = field.texts()?;
    if texts.len() > WORDS_MAX {
        return Err(field.refuse(
            &format!("there are {} words", texts.len()),
            &format!(
                "expected at most {WORDS_MAX}; a pattern or a role names many accounts at once"
            ),
        ));
    }
    let read = |(field, text): (Field<'_>, &str)| {
        // Said of a group that is not defined, too: to define it would not help.
        if !may_be_group && text.starts_with("group:") {
            return Err(field.refuse(
                "a group is no member of another",
                "expected the accounts themselves: roles, accounts or patterns",
            ));
        }
        who(&field, text, names)
    };
    texts.into_iter().map(read).collect()
}

pub(super) fn to_toml(group: &RosterGroup) -> String {
    let list = |words: &[Who]| {
        let words = words.iter().map(|who| quoted(&who_word(who)));
        words.collect::<Vec<_>>().join(", ")
    };
    format!(
        "{TITLE}\nname = {}\nmembers = [{}]\nseen_by = [{}]\n",
        quoted(&group.name),
        list(&group.members),
        list(&group.seen_by)
    )
}
