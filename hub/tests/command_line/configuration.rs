//! `leveret config`, and what is said of a file that is wrong.

use crate::place::Place;

#[test]
fn that_is_wrong_names_line_key_and_nearest_key_and_exits_2() {
    let place = Place::new("domain = \"localhost\"\n[xmpp]\nlissen = []\n");
    let refused = place.run(&["config", "check"]);
    refused.fails(
        2,
        &["leveret.toml, line 3", "`lissen`", "did you mean `listen`?"],
    );
    place.run(&["serve"]).fails(2, &["lissen"]);
}

#[test]
fn of_what_is_to_come_is_refused_and_not_ignored() {
    for later in [
        "[mqtt]\n",
        "[http]\n",
        "[[bridge]]\nname = \"x\"\n",
        "[[alarm]]\non = \"x\"\n",
    ] {
        Place::new(later)
            .run(&["config", "check"])
            .fails(2, &["unknown"]);
    }
}

#[test]
fn that_is_odd_is_told_and_accepted() {
    let place = Place::new(
        "[[class]]\non = \"a/#\"\nclass = \"event\"\n[[class]]\non = \"a/fall\"\nclass = \"alarm\"\n",
    );
    place
        .run(&["config", "check"])
        .fails(0, &["warning", "[[class]] 2 on \"a/fall\" never decides"]);
}

#[test]
fn names_a_secret_file_that_is_not_there() {
    let place = Place::new("[[component]]\ndomain = \"x.localhost\"\nsecret_file = \"none\"\n");
    place
        .run(&["config", "check"])
        .fails(2, &["none", "cannot be read"]);
}

#[test]
fn with_too_long_a_data_dir_is_refused_before_anything_is_made() {
    let place = Place::new(&format!("data_dir = \"{}\"\n", "d".repeat(120)));
    for command in [&["config", "check"][..], &["serve"]] {
        let refused = place.run(command);
        refused.fails(2, &["`data_dir` is too long"]);
        refused.in_one_line();
    }
}

#[test]
fn that_is_shown_can_be_read_again() {
    let place = Place::local();
    let shown = place.run(&["config", "show"]).ok();
    let again = Place::new(&shown);
    assert_eq!(again.run(&["config", "show"]).ok(), shown);
    assert!(again.run(&["config", "check"]).ok().contains("ok"));
}
