//! DESIGN §4: the command line as people and scripts meet it, with its exit status and its words.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod configuration;
mod nodes;
mod place;
mod serving;

use self::place::Place;

#[test]
fn wrong_usage_is_status_2_and_help_is_0() {
    let place = Place::local();
    for words in [
        &["fly"][..],
        &[],
        &["account", "add", "dev7"],
        &["session", "kick"],
    ] {
        assert_eq!(place.run(words).status, 2, "{words:?}");
    }
    for words in [
        &["--help"][..],
        &["account", "import", "--help"],
        &["--version"],
    ] {
        place.run(words).ok();
    }
}
