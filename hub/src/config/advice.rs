//! What is allowed in a configuration and yet hardly what was meant: told by `leveret config check`, at the start and at a
//! reload, and no reason to refuse the file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use leveret_engine::access::{Action, Who};
use leveret_engine::node::Filter;

use super::Config;
use super::components::SecretSource;
use super::rules::{AccessRule, who_word};

/// Rules beyond these are not compared with each other: each with each would take too long.
const COMPARED_MAX: usize = 1_000;

impl Config {
    /// One sentence for each thing that is odd.
    pub fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        let classes: Vec<&str> = self.classes.iter().map(|rule| &*rule.on).collect();
        let history: Vec<&str> = self.history.iter().map(|rule| &*rule.on).collect();
        advice.extend(shadowed("class", &classes));
        advice.extend(shadowed("history", &history));
        advice.extend(self.shadowed_access());
        advice.extend(self.idle_groups());
        advice.extend(self.odd_components());
        advice
    }

    fn shadowed_access(&self) -> Vec<String> {
        let rules = &self.access[..self.access.len().min(COMPARED_MAX)];
        let filters: Vec<_> = rules.iter().map(|rule| Filter::parse(&rule.on)).collect();
        let covers = |first: usize, later: usize| match (&filters[first], &filters[later]) {
            (Ok(wide), Ok(narrow)) => {
                wide.covers(narrow) && speaks_for(&rules[first], &rules[later])
            }
            _ => false,
        };
        let lost = (0..rules.len()).filter_map(|later| {
            let first = (0..later).find(|first| covers(*first, later))?;
            Some(format!(
                "[[access]] {}, for \"{}\" on \"{}\", never decides: [[access]] {} comes first and matches whatever it matches",
                later + 1,
                who_word(&rules[later].who),
                rules[later].on,
                first + 1,
            ))
        });
        lost.collect()
    }

    /// Groups that nobody sees and that no rule names.
    fn idle_groups(&self) -> Vec<String> {
        let mut advice = Vec::new();
        for group in &self.roster_groups {
            let is_it = |who: &Who| matches!(who, Who::Group(name) if *name == group.name);
            let others = self.roster_groups.iter().flat_map(|other| &other.seen_by);
            let named = self.access.iter().map(|rule| &rule.who).chain(others);
            let name = group.name.escape_debug();
            if group.members.is_empty() {
                advice.push(format!("[[roster_group]] \"{name}\" has no members"));
            } else if group.seen_by.is_empty() && !named.into_iter().any(is_it) {
                advice.push(format!(
                    "[[roster_group]] \"{name}\" does nothing: it has no `seen_by`, and no rule names it"
                ));
            }
        }
        advice
    }

    fn odd_components(&self) -> Vec<String> {
        let mut advice = Vec::new();
        let listen = &self.components.listen;
        if listen.is_empty() && !self.component.is_empty() {
            advice.push("[components] `listen` is empty: no [[component]] can connect".to_owned());
        }
        if !listen.is_empty() && self.component.is_empty() {
            advice.push(
                "[components] `listen` opens a listener, and there is no [[component]] for it"
                    .to_owned(),
            );
        }
        let open = listen
            .iter()
            .filter(|address| !address.ip().to_canonical().is_loopback());
        advice.extend(open.map(|address| {
            format!("[components] {address}: components connect without TLS, so this must be a trusted wire")
        }));
        for component in &self.component {
            if let SecretSource::File(path) = &component.secret
                && fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o007 != 0)
            {
                advice.push(format!(
                    "everybody on this machine can open the secret_file {}",
                    path.display()
                ));
            }
        }
        advice
    }
}

/// The rules after another that matches all that they match. What they say is lost, an alarm's class for one.
fn shadowed(kind: &str, rules: &[&str]) -> Vec<String> {
    let rules = &rules[..rules.len().min(COMPARED_MAX)];
    let filters: Vec<_> = rules.iter().map(|on| Filter::parse(on)).collect();
    let lost = (0..rules.len()).filter_map(|later| {
        let narrow = filters[later].as_ref().ok()?;
        let first = (0..later)
            .find(|first| matches!(&filters[*first], Ok(wide) if wide.covers(narrow)))?;
        Some(format!(
            "[[{kind}]] {} on \"{}\" never decides: [[{kind}]] {} on \"{}\" comes first and matches whatever it matches",
            later + 1,
            rules[later],
            first + 1,
            rules[first],
        ))
    });
    lost.collect()
}

/// Whether `first` is about everybody and everything that `later` is about.
fn speaks_for(first: &AccessRule, later: &AccessRule) -> bool {
    let everybody = match (&first.who, &later.who) {
        (Who::All, _) => true,
        (Who::Pattern(wide), Who::Pattern(narrow) | Who::Account(narrow)) => {
            narrow.starts_with(&**wide)
        }
        (first, later) => first == later,
    };
    let contains =
        |action: &Action| !later.actions.contains(*action) || first.actions.contains(*action);
    everybody && Action::ALL.iter().all(contains)
}
