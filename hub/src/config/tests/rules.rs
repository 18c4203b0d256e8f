//! `[[class]]`, `[[history]]` and `[[access]]`.

use super::*;

#[test]
fn a_rule_needs_its_keys_and_each_must_make_sense() {
    refused(
        "\n[[access]]\nwho = \"all\"\non = \"#\"",
        2,
        1,
        &["this [[access]] has no `do`"],
    );
    let access = |who: &str, actions: &str, on: &str| {
        format!("[[access]]\nwho = {who}\ndo = {actions}\non = {on}")
    };
    load(&access(
        "\"account:ward-3\"",
        "[\"retain\", \"configure\"]",
        "\"urn:x#y/a+b\"",
    ));
    refused(
        &access("\"everybody\"", "[\"all\"]", "\"#\""),
        2,
        7,
        &["\"everybody\" names nobody"],
    );
    refused(
        &access("\"role:root\"", "[\"all\"]", "\"#\""),
        2,
        7,
        &["no role \"root\""],
    );
    refused(
        &access("\"account:\"", "[\"all\"]", "\"#\""),
        2,
        7,
        &["names nobody"],
    );
    refused(
        &access("\"all\"", "[\"publsh\"]", "\"#\""),
        3,
        7,
        &["did you mean \"publish\"?"],
    );
    refused(
        &access("\"all\"", "\"all\"", "\"#\""),
        3,
        6,
        &["this is text"],
    );
    refused(&access("\"all\"", "[]", "\"#\""), 3, 6, &["empty"]);
    refused(
        &access("\"all\"", "[\"all\"]", "\"a/#/b\""),
        4,
        6,
        &["`#` is not the last level"],
    );
    refused(
        &access("\"all\"", "[\"all\"]", "\"a/x%u/b\""),
        4,
        6,
        &["only a part of the level `x%u`"],
    );
    let class = |rest: &str| format!("[[class]]\non = \"a\"\n{rest}");
    for later in ["flush = \"5s\"", "conflate = true"] {
        refused(
            &class(&format!("class = \"state\"\n{later}")),
            4,
            1,
            &["known here: on, class"],
        );
    }
    refused(
        &access("\"group:ward-3\"", "[\"all\"]", "\"#\""),
        2,
        7,
        &["no roster group \"ward-3\" is defined"],
    );
    refused(
        "[[class]]\non = \"a/%u\"\nclass = \"state\"",
        2,
        6,
        &["the same for every account"],
    );
}

#[test]
fn an_account_in_a_rule_is_one_of_this_hub_in_its_one_spelling() {
    let rule = |name: &str| {
        format!(
            "domain = \"iot.example\"\n[[access]]\nwho = \"account:{name}\"\ndo = [\"all\"]\non = \"#\""
        )
    };
    for name in ["Dev7", "dev7@IoT.example"] {
        assert_eq!(
            load(&rule(name)).access[0].who,
            Who::Account("dev7".into()),
            "{name}"
        );
    }
    refused(
        &rule("dev7@elsewhere.example"),
        3,
        7,
        &["not of this hub's domain iot.example"],
    );
    refused(&rule("a b"), 3, 7, &["cannot be an account"]);
}

#[test]
fn the_rules_of_the_file_reach_the_engine_in_their_order() {
    let config = load(
        "[[access]]\nwho = \"account:dev7\"\ndo = [\"publish\"]\non = \"devices/%u/locked\"\nallow = false\n\
         [[class]]\non = \"devices/+/fall\"\nclass = \"alarm\"\n[[class]]\non = \"devices/#\"\nclass = \"state\"",
    );
    let dev7 = Subject {
        component: false,
        jid: BareJid::new("dev7", "localhost").expect("an address"),
        role: Role::Device,
        groups: Vec::new(),
    };
    let access = config.access_rules();
    assert_eq!(
        access.on_node(&dev7, Action::Publish, "devices/dev7/locked"),
        Verdict::Deny
    );
    assert_eq!(
        access.on_node(&dev7, Action::Publish, "devices/dev7/temp"),
        Verdict::Allow
    );
    let classes = config.class_rules();
    assert_eq!(classes.of("devices/dev7/fall", None, 10), Class::Alarm);
    assert_eq!(classes.of("devices/dev7/temp", None, 10), Class::State);
}

#[test]
fn a_history_has_at_least_one_bound_and_each_makes_sense() {
    let config = load(
        "[[history]]\non = \"devices/+/temp\"\nitems = 10000\nage = \"30d\"\nbytes = \"10M\"\n\
         [[history]]\non = \"devices/#\"\nage = \"90s\"",
    );
    let rules = config.history_rules();
    let both = rules.of("devices/dev7/temp").expect("a rule matches");
    assert_eq!(
        (both.items, both.age_seconds, both.bytes),
        (10_000, Some(2_592_000), Some(10 << 20))
    );
    // A bound that is not given is none.
    let aged = rules.of("devices/dev7/door").expect("a rule matches");
    assert_eq!(
        (aged.items, aged.age_seconds, aged.bytes),
        (u32::MAX, Some(90), None)
    );
    assert_eq!(rules.of("sites/1"), None);
    let history = |bounds: &str| format!("[[history]]\non = \"#\"\n{bounds}");
    refused(
        &history(""),
        1,
        1,
        &["this [[history]] has no bound", "`items`, `age` or `bytes`"],
    );
    refused(
        "[[history]]\nitems = 5",
        1,
        1,
        &["this [[history]] has no `on`"],
    );
    refused(&history("items = 0"), 3, 9, &["0"]);
    refused(&history("items = -1"), 3, 9, &["too small"]);
    refused(&history("items = 100000000"), 3, 9, &["too large"]);
    refused(&history("age = \"5s\""), 3, 7, &["too short"]);
    refused(&history("age = \"100000d\""), 3, 7, &["too long"]);
    refused(
        &history("age = \"61500ms\""),
        3,
        7,
        &["whole number of seconds"],
    );
    refused(&history("bytes = 10"), 3, 9, &["too small"]);
    refused(&history("keep = 1"), 3, 1, &["in [[history]]"]);
    refused(
        "[[history]]\non = \"devices/%u/#\"\nitems = 5",
        2,
        6,
        &["the same for every account"],
    );
}
