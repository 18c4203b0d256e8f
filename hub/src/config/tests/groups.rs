//! `[[roster_group]]`.

use super::*;

const PENDANTS: &str = "[[roster_group]]\nname = \"Pendants\"\nmembers = [\"pattern:Pendant-*\"]\nseen_by = [\"role:operator\"]\n";

fn group(key: &str) -> String {
    format!("[[roster_group]]\nname = \"Doors\"\n{key}\n")
}

#[test]
fn who_is_in_a_group_and_who_sees_it_reach_the_engine() {
    let config = load(PENDANTS);
    let groups = config.roster_groups();
    let account = |name| BareJid::new(name, "localhost").expect("an address");
    let (operator, pendant) = (account("olga"), account("pendant-7"));
    let seen = |from: Role| groups.sees((&operator, from), (&pendant, Role::Device));
    assert!(seen(Role::Operator));
    assert!(!seen(Role::Device));
    assert!(load("").roster_groups().is_empty());
}

#[test]
fn an_access_rule_may_name_a_group_that_is_defined_and_no_other() {
    let rule = |who: &str| {
        format!("[[access]]\nwho = \"{who}\"\ndo = [\"publish\"]\non = \"doors/#\"\n{PENDANTS}")
    };
    let config = load(&rule("group:Pendants"));
    assert_eq!(config.access[0].who, Who::Group("Pendants".into()));
    let subject = |groups| Subject {
        jid: BareJid::new("x", "localhost").expect("an address"),
        role: Role::Device,
        groups,
        component: false,
    };
    let rules = config.access_rules();
    let publish = |groups| rules.on_node(&subject(groups), Action::Publish, "doors/1");
    assert_eq!(publish(vec!["Pendants".into()]), Verdict::Allow);
    assert_eq!(publish(vec!["Doors".into()]), Verdict::Silent);
    refused(
        &rule("group:pendants"),
        2,
        7,
        &["no roster group \"pendants\" is defined"],
    );
    let config = load(&rule("pattern:Pendant-*"));
    assert_eq!(config.access[0].who, Who::Pattern("pendant-".into()));
}

#[test]
fn a_group_needs_its_keys_and_each_must_make_sense() {
    refused(
        &group(""),
        1,
        1,
        &["this [[roster_group]] has no `members`"],
    );
    refused(
        "[[roster_group]]\nmembers = []",
        1,
        1,
        &["this [[roster_group]] has no `name`"],
    );
    refused(&group("member = []"), 3, 1, &["did you mean `members`?"]);
    refused(&group("members = \"all\""), 3, 11, &["this is text"]);
    refused(
        &group("members = [\"role:device\", \"everybody\"]"),
        3,
        27,
        &["\"everybody\" names nobody"],
    );
    for pattern in ["*", "", "pendant-", "p*-1*", "p*x", "a b*"] {
        refused(
            &group(&format!("members = [\"pattern:{pattern}\"]")),
            3,
            12,
            &["is not how accounts begin"],
        );
    }
    refused(
        &group("members = [\"group:Doors\"]"),
        3,
        12,
        &["a group is no member of another"],
    );
    refused(
        &group("members = [\"group:Windows\"]"),
        3,
        12,
        &["a group is no member of another"],
    );
    refused(
        &group("members = []\nseen_by = [\"group:Windows\"]"),
        4,
        12,
        &["no roster group \"Windows\" is defined"],
    );
    refused(
        &format!("{}{}", group("members = []"), group("members = []")),
        5,
        8,
        &["the group \"Doors\" is defined twice"],
    );
    refused(
        "[[roster_group]]\nname = \"a\\nb\"\nmembers = []",
        2,
        8,
        &["cannot be a group of a roster"],
    );
}

#[test]
fn groups_and_their_words_are_bounded() {
    use leveret_engine::roster_group::{GROUPS_MAX, WORDS_MAX};
    let many: String = (0..=GROUPS_MAX)
        .map(|number| format!("[[roster_group]]\nname = \"{number}\"\nmembers = []\n"))
        .collect();
    assert!(complaint(&many).contains("there are 1001 groups"));
    let words = vec!["\"all\""; WORDS_MAX + 1].join(", ");
    assert!(complaint(&group(&format!("members = [{words}]"))).contains("there are 10001 words"));
}
