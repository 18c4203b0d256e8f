//! RFC 7622 §3.5 gives most of these examples.

use super::*;

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap_or_else(|e| panic!("{text:?} should be an address: {e}"))
}

fn prepared(text: &str) -> String {
    jid(text).as_str().to_owned()
}

#[test]
fn parts_are_told_apart() {
    let full = jid("juliet@example.com/foo@bar/baz");
    assert_eq!(full.local(), Some("juliet"));
    assert_eq!(full.domain(), "example.com");
    assert_eq!(
        full.resource(),
        Some("foo@bar/baz"),
        "only the first separators count"
    );
    assert_eq!(full.bare().as_str(), "juliet@example.com");
    assert_eq!(
        full.as_full().map(|f| f.resource().to_owned()).as_deref(),
        Some("foo@bar/baz")
    );
    let host = jid("example.com");
    assert_eq!(
        (host.local(), host.domain(), host.resource()),
        (None, "example.com", None)
    );
    assert!(host.is_bare() && host.as_full().is_none());
    let service = jid("example.com/x");
    assert_eq!(
        (service.local(), service.domain(), service.resource()),
        (None, "example.com", Some("x"))
    );
}

#[test]
fn the_document_s_valid_examples_are_taken() {
    for text in [
        "juliet@example.com/foo",
        "juliet@example.com/foo bar",
        "juliet@example.com/foo@bar",
        "foo\\20bar@example.com",
        "fussball@example.com",
        "fu\u{df}ball@example.com",
        "\u{3c0}@example.com",
        "king@example.com/\u{265a}",
        "example.com",
        "example.com/foobar",
        "a.example.com/b@example.net",
    ] {
        assert_eq!(prepared(text), text);
    }
    assert_eq!(prepared("\u{3a3}@example.com"), "\u{3c3}@example.com");
    assert_eq!(
        prepared("\u{3a3}@example.com/foo"),
        "\u{3c3}@example.com/foo"
    );
}

#[test]
fn the_document_s_broken_examples_are_refused_with_the_part_at_fault() {
    use JidError::{Empty, Forbidden};
    for (text, why) in [
        ("\"juliet\"@example.com", Forbidden(Part::Local, '"')),
        ("foo bar@example.com", Forbidden(Part::Local, ' ')),
        ("juliet@example.com/", Empty(Part::Resource)),
        ("@example.com/", Empty(Part::Resource)),
        ("@example.com", Empty(Part::Local)),
        (
            "henry\u{2163}@example.com",
            Forbidden(Part::Local, '\u{2163}'),
        ),
        ("\u{265a}@example.com", Forbidden(Part::Local, '\u{265a}')),
        ("juliet@", Empty(Part::Domain)),
        ("/foobar", Empty(Part::Domain)),
        ("", Empty(Part::Domain)),
        (".", Empty(Part::Domain)),
        ("a@b@c", Forbidden(Part::Domain, '@')),
        ("a\u{0}b@c", Forbidden(Part::Local, '\0')),
        ("a@b/c\u{7}", Forbidden(Part::Resource, '\u{7}')),
    ] {
        assert_eq!(Jid::parse(text), Err(why), "{text:?}");
    }
}

#[test]
fn case_is_folded_where_the_document_folds_it() {
    assert_eq!(
        prepared("Juliet@EXAMPLE.com/Balcony"),
        "juliet@example.com/Balcony"
    );
    assert_eq!(
        prepared("\u{ff21}bc@example.com"),
        "abc@example.com",
        "full-width letters become plain"
    );
}

#[test]
fn a_full_width_separator_cannot_be_smuggled_in() {
    assert_eq!(
        Jid::parse("a\u{ff20}b@host"),
        Err(JidError::Forbidden(Part::Local, '@'))
    );
    assert_eq!(
        Jid::parse("a\u{ff0f}b@host"),
        Err(JidError::Forbidden(Part::Local, '/'))
    );
}

#[test]
fn hosts() {
    assert_eq!(prepared("a@example.com."), "a@example.com");
    assert_eq!(prepared("a@192.0.2.7"), "a@192.0.2.7");
    assert_eq!(prepared("a@[::1]"), "a@[::1]");
    assert_eq!(prepared("a@[2001:DB8:0:0:0:0:0:1]"), "a@[2001:db8::1]");
    assert_eq!(prepared("a@B\u{dc}CHER.example"), "a@b\u{fc}cher.example");
    assert_eq!(
        prepared("a@xn--bcher-kva.example"),
        "a@b\u{fc}cher.example",
        "one host, one spelling"
    );
    for broken in [
        "-a.example",
        "a-.example",
        "a..b",
        ".a",
        "a..",
        "[::1",
        "[::g]",
        "::1",
        "xn--a",
        "ab--cd.example",
        "a_b",
        "\u{2603}.example",
        "a b",
    ] {
        assert!(Jid::parse(broken).is_err(), "{broken:?} should be no host");
    }
    assert!(Jid::parse(&format!("{}.example", "a".repeat(63))).is_ok());
    assert!(Jid::parse(&format!("{}.example", "a".repeat(64))).is_err());
}

#[test]
fn lengths_count_bytes_after_preparing() {
    let most = "a".repeat(PART_BYTES_MAX);
    assert!(Jid::parse(&format!("{most}@h/{most}")).is_ok());
    assert_eq!(
        Jid::parse(&format!("{most}a@h")),
        Err(JidError::TooLong(Part::Local))
    );
    assert_eq!(
        Jid::parse(&format!("h/{most}a")),
        Err(JidError::TooLong(Part::Resource))
    );
    let wide = "\u{ff41}".repeat(PART_BYTES_MAX);
    assert_eq!(jid(&format!("{wide}@h")).local(), Some(most.as_str()));
    assert!(Jid::parse(&"a".repeat(10_000_000)).is_err());
}

#[test]
fn bare_and_full_insist() {
    assert_eq!(BareJid::parse("a@b/c"), Err(JidError::ResourceNotAllowed));
    assert_eq!(FullJid::parse("a@b"), Err(JidError::ResourceMissing));
    let bare = BareJid::new("Sensor", "Hub.local").unwrap();
    let full = bare.with_resource("r 1").unwrap();
    assert_eq!(full.to_string(), "sensor@hub.local/r 1");
    assert_eq!(full.bare(), bare);
    assert!(full.is_session_of(&bare));
    assert_eq!(Jid::from(full.clone()), full);
    assert_eq!(BareJid::domain_only("hub.local").unwrap().local(), None);
    assert!(BareJid::new("a@b", "c").is_err() && BareJid::new("a", "b/c").is_err());
    assert!(BareJid::new("", "c").is_err());
}

#[test]
fn preparing_twice_changes_nothing() {
    for text in [
        "\u{3a3}\u{3c2}@\u{3a3}.example/\u{3000}x",
        "\u{1e9e}@h",
        "e\u{301}@h/e\u{301}",
        "\u{130}@h",
    ] {
        if let Ok(once) = Jid::parse(text) {
            assert_eq!(Jid::parse(once.as_str()).as_ref(), Ok(&once), "{text:?}");
        }
    }
}

#[test]
fn an_address_is_small() {
    assert!(size_of::<Jid>() <= 24);
    assert_eq!(size_of::<Option<Jid>>(), size_of::<Jid>());
}
