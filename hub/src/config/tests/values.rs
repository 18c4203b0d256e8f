//! Values: types, ranges, names, and what must hold between keys.

use super::*;

#[test]
fn contacts_are_uris() {
    let config =
        load("[contact]\nabuse = [\"mailto:a@b.example\", \"xmpp:a@b.example\"]\nstatus = []");
    assert_eq!(config.contacts.of("abuse").len(), 2);
    assert!(config.contacts.of("status").is_empty());
    assert_eq!(load(&config.to_toml_with_defaults()), config);
    refused(
        "[contact]\nabuse = [\"abuse@b.example\"]",
        2,
        10,
        &["\"abuse@b.example\" is not a URI", "mailto:"],
    );
    refused("[contact]\nabuze = []", 2, 1, &["did you mean `abuse`?"]);
}

#[test]
fn an_unknown_key_is_shown_with_its_line_and_the_nearest_known_key() {
    assert_eq!(
        complaint("[xmpp]\n\n  lisen = []\n"),
        "leveret.toml, line 3, column 3: unknown key `lisen` in [xmpp]\n  \
           3 |   lisen = []\n    |   ^^^^^\n  did you mean `listen`?"
    );
    refused(
        "domian = \"a\"",
        1,
        1,
        &[
            "unknown key `domian` at the top of the file",
            "did you mean `domain`?",
        ],
    );
    refused(
        "[limit]\n",
        1,
        2,
        &["unknown key `limit`", "did you mean `limits`?"],
    );
    refused(
        "[storage]\nfrequency = 1",
        2,
        1,
        &["known here: durability, flush"],
    );
    refused(
        "\n[[access]]\nhwo = \"all\"",
        3,
        1,
        &["in [[access]]", "did you mean `who`?"],
    );
    refused(
        "[[class]]\non = \"a\"\nclas = \"state\"",
        3,
        1,
        &["in [[class]]", "did you mean `class`?"],
    );
}

#[test]
fn what_later_versions_bring_is_refused_until_then() {
    for section in ["mqtt", "http", "watch"] {
        refused(
            &format!("[{section}]\n"),
            1,
            2,
            &[&format!("unknown key `{section}`")],
        );
    }
    for list in ["bridge", "alarm", "supervise"] {
        refused(
            &format!("[[{list}]]\n"),
            1,
            3,
            &[&format!("unknown key `{list}`")],
        );
    }
    for key in [
        "packet_bytes",
        "session_expiry_max",
        "receive_maximum",
        "topic_aliases",
        "resume_seconds",
        "unacked_events",
        "unacked_bytes",
        "ack_seconds",
        "presence_grace_seconds",
    ] {
        refused(
            &format!("[limits]\n{key} = 1"),
            2,
            1,
            &[&format!("unknown key `{key}` in [limits]")],
        );
    }
}

#[test]
fn what_is_not_toml_is_shown_where_it_stops_being_so() {
    refused("domain = \"a\"\n[xmpp\n", 2, 6, &["not TOML"]);
    refused(
        "domain = \"a\"\ndomain = \"b\"\n",
        2,
        1,
        &["not TOML", "duplicate"],
    );
    refused("a =\n", 1, 4, &["not TOML"]);
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_what_was_expected() {
    refused(
        "domain = 5",
        1,
        10,
        &["`domain`: this is a whole number", "expected a domain name"],
    );
    refused(
        "xmpp = 1",
        1,
        8,
        &["`xmpp`: this is a whole number", "[xmpp]"],
    );
    refused(
        "[xmpp]\nrequire_tls = \"no\"",
        2,
        15,
        &["[xmpp] `require_tls`: this is text", "true or false"],
    );
    refused(
        "[xmpp]\nlisten = \"[::]:5222\"",
        2,
        10,
        &["this is text", "a list of addresses"],
    );
    refused(
        "[xmpp]\nlisten = [5222]",
        2,
        11,
        &["this is a whole number"],
    );
    refused(
        "[limits]\nmailbox_events = 1.5",
        2,
        18,
        &["a number with a fraction", "events"],
    );
    refused(
        "[limits]\nmailbox_events = \"1K\"",
        2,
        18,
        &["this is text"],
    );
    refused(
        "[storage]\nflush = 5",
        2,
        9,
        &["this is a whole number", "a length of time"],
    );
    refused("[tls]\nmax_fragment = []", 2, 16, &["this is a list"]);
    refused(
        "[class]\non = \"a\"",
        1,
        1,
        &["[[class]]: this is a section", "double brackets"],
    );
    refused(
        "access = [1]",
        1,
        11,
        &["[[access]]: this is a whole number"],
    );
    refused("data_dir = \"\"", 1, 12, &["empty"]);
}

#[test]
fn a_value_out_of_range_is_named_with_its_range() {
    refused(
        "[limits]\nstanza_bytes = 9999",
        2,
        16,
        &["9999 is too small", "from 10000"],
    );
    refused("[limits]\nstanza_bytes = -1", 2, 16, &["-1 is too small"]);
    refused(
        "[limits]\nmailbox_memory = \"1000G\"",
        2,
        18,
        &["too large", "64G"],
    );
    refused(
        "[limits]\nmailbox_memory = \"12MB\"",
        2,
        18,
        &["\"12MB\" is not a number of bytes"],
    );
    refused(
        "[limits]\nroster_items = 9223372036854775807",
        2,
        16,
        &["too large", "or 0 for no bound"],
    );
    refused(
        "[tls]\nmax_fragment = 511",
        2,
        16,
        &["511 is too small", "from 512 to 16384"],
    );
    refused("[tls]\nmax_fragment = 16385", 2, 16, &["too large"]);
    refused(
        "[storage]\nflush = \"5\"",
        2,
        9,
        &["\"5\" is not a length of time", "ms, s, m, h, d, w"],
    );
    refused(
        "[storage]\nflush = \"2h\"",
        2,
        9,
        &["too long", "to \"1h\""],
    );
    refused("[storage]\nflush = \"1ms\"", 2, 9, &["too short"]);
    refused(
        "[storage]\ndurability = \"ful\"",
        2,
        14,
        &["there is no \"ful\"", "\"full\", \"normal\", \"off\""],
    );
    refused(
        "[xmpp]\nlisten = [\"[::]:5222\", \"localhost:5222\"]",
        2,
        24,
        &["\"localhost:5222\" is not an IP address"],
    );
}

#[test]
fn zero_lifts_a_bound_only_where_it_may_be_lifted() {
    let lifted = load("[limits]\nroster_items = 0\nstanzas_per_second = 0\noffline_messages = 0");
    assert_eq!(lifted.limits.roster_items, usize::MAX);
    assert_eq!(lifted.limits.stanzas_per_second, u32::MAX);
    assert_eq!(lifted.limits.offline_messages, usize::MAX);
    for key in [
        "stanza_bytes",
        "stanza_bytes_before_login",
        "unauthenticated_seconds",
        "mailbox_events",
        "mailbox_bytes",
        "mailbox_memory",
    ] {
        refused(
            &format!("[limits]\n{key} = 0"),
            2,
            key.len() + 4,
            &["must stand"],
        );
    }
}

#[test]
fn a_domain_is_checked_label_by_label() {
    for right in [
        "localhost",
        "a.b-c.example",
        "192.168.1.7",
        "bücher.example",
    ] {
        assert_eq!(load(&format!("domain = \"{right}\"")).domain, right);
    }
    let config = load("domain = \"iot.example\"");
    assert_eq!(config.domain_jid().as_str(), "iot.example");
    assert_eq!(config.service_jid().as_str(), "pubsub.iot.example");
    let long_label = "a".repeat(64);
    let long_domain = vec!["a".repeat(63); 4].join(".");
    for wrong in [
        ".",
        "a..b",
        "-a",
        "a-.b",
        "a b",
        "a@b",
        "a/b",
        "under_score",
        "a:5222",
        "x#y",
        &long_label,
        &long_domain,
    ] {
        refused(&format!("domain = \"{wrong}\""), 1, 10, &["`domain`"]);
    }
}

#[test]
fn keys_that_contradict_each_other_are_blamed_on_one_that_was_written() {
    refused(
        "[pubsub]\nservice = \"localhost\"",
        2,
        11,
        &["the same as `domain`"],
    );
    refused("[tls]\ncertificate = \"c.pem\"", 2, 15, &["without `key`"]);
    refused("[tls]\nkey = \"k.pem\"", 2, 7, &["without `certificate`"]);
    refused(
        "[limits]\nmailbox_bytes = 300000",
        2,
        17,
        &["less than twice `stanza_bytes`"],
    );
    refused(
        "[limits]\nstanza_bytes = \"1M\"",
        2,
        16,
        &["less than twice `stanza_bytes`"],
    );
    refused(
        "[limits]\nstanza_bytes = 20000",
        2,
        16,
        &["larger than `stanza_bytes`"],
    );
    refused(
        "[limits]\nmailbox_bytes = \"256M\"",
        2,
        17,
        &["`mailbox_memory`"],
    );
    refused(
        "[xmpp]\nlisten_tls = [\"[::]:5222\"]",
        2,
        14,
        &["[::]:5222 is listened on twice"],
    );
    load("[xmpp]\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\nlisten_tls = []");
}

#[test]
fn the_first_fault_of_the_file_is_the_one_told() {
    refused(
        "[limits]\nroster_items = true\nmailbox_events = true\n[xmpp]\na = 1",
        2,
        16,
        &["roster_items"],
    );
}
