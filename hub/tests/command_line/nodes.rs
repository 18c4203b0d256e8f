//! `leveret node`.

use crate::place::Place;

#[test]
fn are_made_filled_read_and_deleted() {
    let place = Place::local();
    place
        .run(&["node", "create", "sites/7/temp", "--set", "max_items=2"])
        .ok();
    for payload in ["{\"celsius\": 1}", "plain words", "<t xmlns='urn:t'>3</t>"] {
        place
            .run(&["node", "publish", "sites/7/temp", payload])
            .ok();
    }
    let items = place.run(&["--json", "node", "items", "sites/7/temp"]).ok();
    let items: serde_json::Value = serde_json::from_str(&items).unwrap();
    assert_eq!(items.as_array().map(Vec::len), Some(2));
    assert!(
        items[0]["payload"].as_str().unwrap().contains("urn:t"),
        "{items}"
    );
    assert!(
        items[1]["payload"]
            .as_str()
            .unwrap()
            .contains("plain words"),
        "{items}"
    );
    let shown = place.run(&["node", "show", "sites/7/temp"]).ok();
    assert!(
        shown.contains("max_items") && shown.contains("items"),
        "{shown}"
    );
    assert!(place.run(&["node", "list"]).ok().contains("sites/7/temp"));
    place.run(&["node", "delete", "sites/7/temp"]).ok();
    place
        .run(&["node", "show", "sites/7/temp"])
        .fails(1, &["there is no node"]);
}

#[test]
fn are_listed_by_subtree_by_prefix_and_page_by_page() {
    let place = Place::local();
    for name in ["a", "a-b", "a/b", "a/b/c", "ab", "b"] {
        place.run(&["node", "create", name, "title=x"]).ok();
    }
    let listed = |arguments: &[&str]| -> Vec<String> {
        let all = [&["--json", "node", "list"], arguments].concat();
        let text = place.run(&all).ok();
        let list: serde_json::Value = serde_json::from_str(&text).expect(&text);
        let name = |one: &serde_json::Value| one["node"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(listed(&[]), ["a", "a-b", "a/b", "a/b/c", "ab", "b"]);
    assert_eq!(listed(&["a"]), ["a", "a/b", "a/b/c"]);
    assert_eq!(listed(&["a/b"]), ["a/b", "a/b/c"]);
    assert_eq!(listed(&["none"]), [""; 0]);
    assert_eq!(
        listed(&["--prefix", "a"]),
        ["a", "a-b", "a/b", "a/b/c", "ab"]
    );
    assert_eq!(listed(&["--prefix", "a/"]), ["a/b", "a/b/c"]);
    assert_eq!(listed(&["--prefix", "a", "--max", "2"]), ["a", "a-b"]);
    assert_eq!(listed(&["--after", "a/b", "--max", "2"]), ["a/b/c", "ab"]);
    assert_eq!(listed(&["a", "--after", "a"]), ["a/b", "a/b/c"]);
    place.run(&["node", "publish", "a/b", "12345"]).ok();
    let long = place.run(&["--json", "node", "list", "a/b", "--long"]).ok();
    let long: serde_json::Value = serde_json::from_str(&long).unwrap();
    assert_eq!(
        (&long[0]["items"], &long[1]["items"]),
        (&1.into(), &0.into())
    );
    assert!(long[0]["payload_bytes"].as_u64().unwrap() >= 5, "{long}");
    assert_eq!(long[0]["class"], "event");
    let table = place.run(&["node", "list", "--long"]).ok();
    assert!(
        table.starts_with("NODE") && table.contains("SUBSCRIBERS"),
        "{table}"
    );
}

#[test]
fn are_given_to_accounts_and_taken_from_them() {
    let place = Place::local();
    place.run(&["account", "add", "panel", "--generate"]).ok();
    place
        .run(&["node", "create", "x", "access_model=whitelist"])
        .ok();
    place
        .run(&["node", "affiliate", "x", "panel", "member"])
        .ok();
    place.run(&["node", "subscribe", "x", "panel"]).ok();
    let shown = || -> serde_json::Value {
        serde_json::from_str(&place.run(&["--json", "node", "show", "x"]).ok()).unwrap()
    };
    let with = shown();
    assert_eq!(with["config"]["access_model"], "whitelist", "{with}");
    assert_eq!(with["affiliations"]["panel@localhost"], "member", "{with}");
    let subscription =
        serde_json::json!({ "jid": "panel@localhost", "subscription": "subscribed" });
    assert_eq!(with["subscriptions"], serde_json::json!([subscription]));
    assert_eq!(with["subscribers"], 1);
    place.run(&["node", "unsubscribe", "x", "panel"]).ok();
    place.run(&["node", "affiliate", "x", "panel", "none"]).ok();
    let without = shown();
    assert!(
        without["affiliations"]["panel@localhost"].is_null(),
        "{without}"
    );
    assert_eq!(without["subscribers"], 0);
}

#[test]
fn refuse_what_makes_no_sense() {
    let place = Place::local();
    place
        .run(&["node", "create", "x", "maxitems=1"])
        .fails(1, &["maxitems", "max_items"]);
    place.run(&["node", "create", "a/+/b"]).fails(1, &[]);
    place.run(&["node", "create", "$SYS/x"]).fails(1, &[]);
    place
        .run(&["node", "create", "x", "--set", "max_items=many"])
        .fails(1, &[]);
    place
        .run(&["node", "publish", "x", "y", "--file", "z"])
        .fails(2, &[]);
}

#[test]
fn an_item_is_retracted_and_a_node_purged() {
    let place = Place::local();
    for id in ["1", "2", "3"] {
        place.run(&["node", "publish", "x", "5", "--id", id]).ok();
    }
    place.run(&["node", "retract", "x", "2"]).ok();
    let ids = || -> Vec<String> {
        let items = place.run(&["--json", "node", "items", "x"]).ok();
        let items: serde_json::Value = serde_json::from_str(&items).unwrap();
        let items = items.as_array().unwrap().iter();
        items
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(), ["3", "1"]);
    let again = place.run(&["node", "retract", "x", "2"]);
    again.fails(1, &["no such item"]);
    place.run(&["node", "purge", "x"]).ok();
    assert!(ids().is_empty());
}

#[test]
fn what_is_mistyped_is_told_by_its_name() {
    let place = Place::local();
    for (words, told) in [
        (vec!["show", "nope"], "there is no node 'nope'"),
        (vec!["purge", "a/#"], "is a filter"),
        (
            vec!["create", "x", "acces_model=open"],
            "did you mean 'access_model'?",
        ),
        (vec!["create", "x", "sauce=hot"], "there are title, "),
    ] {
        place.run(&[vec!["node"], words].concat()).fails(1, &[told]);
    }
}

#[test]
fn options_of_the_hub_go_by_their_short_names() {
    let place = Place::local();
    place
        .run(&["node", "create", "x", "class=event", "history_items=7"])
        .ok();
    let shown = place.run(&["--json", "node", "show", "x"]).ok();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["config"]["leveret#class"], "event");
    assert_eq!(shown["config"]["leveret#history_items"], "7");
}
