//! The configuration as text: `config show`, and the reference of all keys, `docs/configuration.md`.

use super::components::COMPONENT_KEYS;
use super::groups::{self, GROUP_KEYS};
use super::history::HISTORY_KEYS;
use super::keys::{KEYS, Key, SECTIONS};
use super::rules::{ACCESS_KEYS, CLASS_KEYS, RuleKey};
use super::{AccessRule, ClassRule, ComponentConfig, Config, HistoryRule};

impl Config {
    /// The effective configuration, defaults filled in, as TOML that loads again as the same configuration; secrets are left out.
    pub fn to_toml_with_defaults(&self) -> String {
        let mut toml = String::new();
        let sections = SECTIONS.iter().map(|(section, _)| *section);
        for section in [""].into_iter().chain(sections) {
            if !section.is_empty() {
                toml.push_str(&format!("\n[{section}]\n"));
            }
            for key in keys_of(section) {
                match (key.show)(self) {
                    Some(value) => toml.push_str(&format!("{} = {value}\n", key.name)),
                    None => toml.push_str(&format!("# {} is not set\n", key.name)),
                }
            }
        }
        let classes = self.classes.iter().map(ClassRule::to_toml);
        let access = self.access.iter().map(AccessRule::to_toml);
        let history = self.history.iter().map(HistoryRule::to_toml);
        let groups = self.roster_groups.iter().map(groups::to_toml);
        let components = self.component.iter().map(ComponentConfig::to_toml);
        let rules = classes
            .chain(history)
            .chain(access)
            .chain(groups)
            .chain(components);
        for rule in rules {
            toml.push('\n');
            toml.push_str(&rule);
        }
        toml
    }

    /// The reference of all keys in Markdown, as it stands in `docs/configuration.md`.
    pub fn reference() -> String {
        let defaults = Config::default();
        let mut page = String::from(PREFACE);
        page.push_str("\n## At the top of the file\n\n");
        key_table(&mut page, "", &defaults);
        for (section, about) in SECTIONS {
            page.push_str(&format!("\n## [{section}]\n\n{about}\n\n"));
            key_table(&mut page, section, &defaults);
        }
        page.push_str(&format!("\n## [[class]]\n\n{CLASS_PREFACE}\n\n"));
        rule_table(&mut page, &CLASS_KEYS);
        page.push_str(&format!("\n## [[history]]\n\n{HISTORY_PREFACE}\n\n"));
        rule_table(&mut page, &HISTORY_KEYS);
        page.push_str(&format!("\n## [[access]]\n\n{ACCESS_PREFACE}\n\n"));
        rule_table(&mut page, &ACCESS_KEYS);
        page.push_str(&format!("\n## [[roster_group]]\n\n{GROUP_PREFACE}\n\n"));
        rule_table(&mut page, &GROUP_KEYS);
        page.push_str(&format!("\n## [[component]]\n\n{COMPONENT_PREFACE}\n\n"));
        rule_table(&mut page, &COMPONENT_KEYS);
        page
    }
}

const PREFACE: &str = "\
# Configuration

<!-- Made from hub/src/config/keys.rs, rules.rs, history.rs and components.rs: a test compares. To write it anew:
     LEVERET_WRITE_DOCS=1 cargo test -p leveret-hub configuration_page -->

One TOML file, named by `leveret --config FILE` or by `LEVERET_CONFIG`. Every key is optional, and without a file all have
their defaults. A key that is not on this page is an error, told with its line and the nearest known key.
`leveret config check` validates a file, `leveret config show` prints what is in force.

Relative paths are relative to the folder of the file. A number of bytes is an integer, or text with one of the units K, M
and G (of 1024): `\"128M\"`. A length of time is text with one of the units ms, s, m, h, d and w: `\"5s\"`.
";

const CLASS_PREFACE: &str = "\
Delivery classes by node: what happens to a slow or absent subscriber, and how soon the disk is touched. Any number of rules; the
first whose `on` matches decides. Where none does, a node that keeps one item is state, and all else is event.

```toml
[[class]]
on = \"devices/+/fall\"
class = \"alarm\"
```";

const HISTORY_PREFACE: &str = "\
How much of its past a node keeps. A node shows its newest `max_items`; what is behind them is history, for archive queries
(XEP-0313, XEP-0442) alone. Any number of rules; the first whose `on` matches decides, unless the node's own options do. At least
one bound must be given, and all that are given hold. Without a rule a node keeps what it shows.

```toml
[[history]]
on = \"devices/+/temp\"
items = 10000
age = \"30d\"
bytes = \"10M\"
```";

const ACCESS_PREFACE: &str = "\
Who may do what, where. Any number of rules, tried in order before the defaults; the first whose `who`, `do` and `on` all match
decides. The defaults: a device owns `devices/<its name>/#` and hears `commands/<its name>/#`, operators read all and write `commands/#` and
`alarms/#`, nobody else anything.

```toml
[[access]]
who = \"role:device\"
do = [\"publish\", \"subscribe\", \"create\"]
on = \"sites/%u/#\"
```";

const GROUP_PREFACE: &str = "\
Shared rosters: which accounts see which without a handshake. Who sees a group has its members as contacts in a roster group of its
name, with the subscription `to`, or `both` where they see each other, and hears their presence. Nothing is stored for it, and nobody
can end it but this file. Accounts that are made, removed, disabled or given another role come and go in the rosters of those who
are connected, and so do the members of groups that a reload (SIGHUP) changes.

A roster lists at most `roster_items` shared contacts besides those of the account's own; the presence of all members is told. Each
presence of a member costs a delivery to each of those who see it and are connected, with no look at the store. A roster that lists
many waits as a whole in its session's mailbox: with a larger `roster_items` give `mailbox_bytes` 64 bytes for each contact.

```toml
[[roster_group]]
name = \"Pendants\"
members = [\"pattern:pendant-*\"]
seen_by = [\"role:operator\"]

[[roster_group]]
name = \"Night shift\"
members = [\"account:nora\", \"account:nils\"]
seen_by = [\"group:Night shift\"]

[[access]]
who = \"group:Night shift\"
do = [\"publish\"]
on = \"doors/#\"
```";

const COMPONENT_PREFACE: &str = "\
External components: programs beside the hub that speak for a domain of their own, such as gateways to other networks and bots.
Each has one connection at a time; a second one is refused while the first one answers. SIGHUP takes changes: a component that is
gone, or has another secret or role, loses its connection.

```toml
[components]
listen = [\"127.0.0.1:5347\"]

[[component]]
domain = \"sensors.localhost\"
secret_file = \"sensors.secret\"
```";

fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

fn key_table(page: &mut String, section: &str, defaults: &Config) {
    page.push_str("| key | default | expects | meaning |\n|---|---|---|---|\n");
    for key in keys_of(section) {
        let default = match (key.show)(defaults) {
            Some(value) => format!("`{value}`"),
            None => "not set".to_owned(),
        };
        table_row(page, key.name, &default, &key.form.to_string(), key.meaning);
    }
}

fn rule_table(page: &mut String, keys: &[RuleKey]) {
    page.push_str("| key | default | expects | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let default = key.default.unwrap_or("must be given");
        table_row(page, key.name, default, &key.form.to_string(), key.meaning);
    }
}

fn table_row(page: &mut String, name: &str, default: &str, form: &str, meaning: &str) {
    let meaning = meaning.replace('|', "\\|");
    page.push_str(&format!("| `{name}` | {default} | {form} | {meaning} |\n"));
}
