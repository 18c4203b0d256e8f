//! What is odd and yet accepted.

use super::*;

fn advice(text: &str) -> Vec<String> {
    load(text).advice()
}

#[track_caller]
fn one(text: &str, words: &str) {
    let advice = advice(text);
    assert!(
        matches!(&advice[..], [only] if only.contains(words)),
        "{words:?} is not what {advice:?} says"
    );
}

fn class(on: &str) -> String {
    format!("[[class]]\non = \"{on}\"\nclass = \"alarm\"\n")
}

fn access(who: &str, actions: &str, on: &str) -> String {
    format!("[[access]]\nwho = \"{who}\"\ndo = [{actions}]\non = \"{on}\"\n")
}

#[test]
fn the_defaults_are_not_odd() {
    assert!(advice("").is_empty());
}

#[test]
fn a_rule_behind_one_that_matches_all_of_its_nodes_never_decides() {
    one(
        &(class("devices/#") + &class("devices/+/fall")),
        "[[class]] 2 on \"devices/+/fall\" never decides",
    );
    assert!(advice(&(class("devices/+/fall") + &class("devices/#"))).is_empty());
    one(
        "[[history]]\non = \"#\"\nitems = 1\n[[history]]\non = \"a\"\nitems = 2",
        "[[history]] 2 on \"a\" never decides",
    );
}

#[test]
fn an_access_rule_is_lost_only_where_who_and_do_are_covered_too() {
    let wide = access("all", "\"publish\", \"create\"", "sites/#");
    one(
        &(wide.clone() + &access("role:device", "\"publish\"", "sites/%u/#")),
        "[[access]] 2, for \"role:device\" on \"sites/%u/#\", never decides",
    );
    one(
        &(access("pattern:dev-*", "\"all\"", "#") + &access("account:dev-7", "\"publish\"", "x")),
        "[[access]] 2, for \"account:dev-7\"",
    );
    for other in [
        access("role:device", "\"subscribe\"", "sites/%u/#"),
        access("role:device", "\"publish\"", "#"),
    ] {
        assert!(advice(&(wide.clone() + &other)).is_empty(), "{other}");
    }
    let narrow = access("role:device", "\"publish\"", "x") + &access("all", "\"publish\"", "x");
    assert!(advice(&narrow).is_empty());
}

#[test]
fn a_group_that_nothing_comes_of_is_odd() {
    let group = |more: &str| format!("[[roster_group]]\nname = \"A\"\n{more}\n");
    one(&group("members = []"), "has no members");
    let unseen = group("members = [\"account:x\"]");
    one(&unseen, "does nothing");
    assert!(advice(&(unseen + &access("group:A", "\"publish\"", "x"))).is_empty());
    let seen = group("members = [\"account:x\"]\nseen_by = [\"group:A\"]");
    assert!(advice(&seen).is_empty());
}

#[test]
fn components_that_cannot_connect_and_wires_that_must_be_trusted_are_told() {
    let component = "[[component]]\ndomain = \"x.localhost\"\nsecret = \"sixteen bytes or more\"\n";
    let listen = |at: &str| format!("[components]\nlisten = [\"{at}\"]\n");
    one(component, "no [[component]] can connect");
    one(&listen("127.0.0.1:1"), "there is no [[component]]");
    one(&(listen("192.0.2.1:1") + component), "192.0.2.1:1");
    assert!(advice(&(listen("[::1]:1") + component)).is_empty());
}
