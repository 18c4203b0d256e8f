//! `docs/conformance.md` says what the code says of itself.

use std::fs;

use leveret_engine::xmpp::pubsub::{FEATURES, Offer};
use leveret_tests::{conformance, source};

#[test]
fn the_page_is_what_the_code_says() {
    let files: Vec<_> = source::rust()
        .into_iter()
        .filter(|file| file.path.starts_with("hub/") && !file.is_test())
        .collect();
    let all = source::rust();
    let page = conformance::page(&files) + &conformance::features(FEATURES, &all);
    let path = source::root().join("docs/conformance.md");
    if std::env::var_os("LEVERET_BLESS").is_some() {
        fs::write(&path, page).unwrap();
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/conformance.md is stale: run `LEVERET_BLESS=1 cargo test -p leveret-tests --test conformance`"
    );
}

#[test]
fn every_feature_is_shown_by_a_test_that_exists() {
    let files = source::rust();
    for feature in FEATURES {
        if let Offer::Tested(_, test) = feature.offer {
            assert!(
                conformance::file_of_test(test, &files).is_some(),
                "{}: there is no test {test}",
                feature.var
            );
        }
    }
}
