//! `leveret account`, while a hub runs and while none does.

use std::fs;

use crate::place::Place;

#[test]
fn are_added_listed_changed_and_removed_while_no_hub_runs() {
    let place = Place::local();
    let out = place.run(&["account", "add", "dev7", "--generate"]).ok();
    assert!(
        out.contains("dev7@localhost: added") && out.contains("password: "),
        "{out}"
    );
    place
        .run_with_input(
            &[
                "account",
                "add",
                "panel",
                "--password-stdin",
                "--role",
                "operator",
            ],
            "secret\n",
        )
        .ok();
    place.run(&["account", "disable", "dev7"]).ok();
    let list = place.run(&["--json", "account", "list"]).ok();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let of = |at: usize, key: &str| list[at][key].clone();
    assert_eq!(
        (of(0, "jid"), of(0, "role"), of(0, "enabled")),
        ("dev7@localhost".into(), "device".into(), false.into())
    );
    assert_eq!(
        (of(1, "jid"), of(1, "role"), of(1, "enabled")),
        ("panel@localhost".into(), "operator".into(), true.into())
    );
    place.run(&["account", "remove", "dev7"]).ok();
    assert!(!place.run(&["account", "list"]).ok().contains("dev7"));
}

#[test]
fn that_exist_already_or_do_not_are_told_apart() {
    let place = Place::local();
    place.run(&["account", "add", "dev7", "--generate"]).ok();
    let again = place.run(&["account", "add", "dev7", "--generate"]);
    again.fails(1, &["dev7@localhost", "exists"]);
    again.in_one_line();
    for words in [
        ["account", "remove", "nobody"],
        ["account", "disable", "nobody"],
    ] {
        let refused = place.run(&words);
        refused.fails(1, &[]);
        refused.in_one_line();
    }
}

#[test]
fn s14_cannot_have_names_that_read_as_filters() {
    let place = Place::local();
    for name in ["+", "dev#7", "a+b", "$SYS", "a/b", "", "x@elsewhere"] {
        let refused = place.run(&["account", "add", name, "--generate"]);
        assert!(matches!(refused.status, 1 | 2), "{name}: {refused:?}");
    }
    assert_eq!(place.run(&["--json", "account", "list"]).ok().trim(), "[]");
}

#[test]
fn are_imported_from_csv_all_lines_or_none_that_cannot_be_read() {
    let place = Place::local();
    fs::write(place.path("bad.csv"), "dev1,pw\ndev2\n").unwrap();
    place
        .run(&["account", "import", "bad.csv"])
        .fails(2, &["line 2", "nothing was added"]);
    let lines: String = (0..300).map(|n| format!("dev{n},pw{n},device\n")).collect();
    fs::write(
        place.path("good.csv"),
        format!("name,password,role\n{lines}"),
    )
    .unwrap();
    assert!(
        place
            .run(&["account", "import", "good.csv"])
            .ok()
            .contains("300 accounts added")
    );
    place
        .run(&["account", "import", "good.csv"])
        .fails(1, &["300 of 300", "exists"]);
}

#[test]
fn are_added_while_the_hub_runs() {
    let place = Place::local();
    let hub = place.serve();
    place.run(&["account", "add", "dev7", "--generate"]).ok();
    assert!(
        place
            .run(&["account", "list"])
            .ok()
            .contains("dev7@localhost")
    );
    assert_eq!(hub.terminate(), 0);
    assert!(
        place
            .run(&["account", "list"])
            .ok()
            .contains("dev7@localhost")
    );
}
