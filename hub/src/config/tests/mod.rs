//! Files as people write them: right, slightly wrong, very wrong.

mod advice;
mod components;
mod groups;
mod pages;
mod rules;
mod values;

use leveret_engine::access::{Action, Actions, Subject, Verdict, Who};
use leveret_engine::account::Role;
use leveret_engine::address::BareJid;
use leveret_engine::class::Class;

use super::*;

fn load(text: &str) -> Config {
    Config::parse(text, "leveret.toml").unwrap_or_else(|error| panic!("{error}"))
}

/// The whole complaint about a text that must be refused.
fn complaint(text: &str) -> String {
    let error = Config::parse(text, "leveret.toml").expect_err("this must be refused");
    let complaint = error.to_string();
    assert!((1..=4).contains(&complaint.lines().count()), "{complaint}");
    complaint
}

/// Asserts that a text is refused at this line and column, with all of these words.
fn refused(text: &str, line: usize, column: usize, words: &[&str]) {
    let complaint = complaint(text);
    let place = format!("leveret.toml, line {line}, column {column}: ");
    assert!(
        complaint.starts_with(&place),
        "{complaint}\nshould begin with {place}"
    );
    for word in words {
        assert!(complaint.contains(word), "{complaint}\nshould hold {word}");
    }
}

#[test]
fn an_empty_file_and_no_file_mean_the_defaults() {
    assert_eq!(load(""), Config::default());
    assert_eq!(load("\u{feff}# only a comment\n"), Config::default());
    assert_eq!(
        Config::load(None).expect("no file is right"),
        Config::default()
    );
}

#[test]
fn every_section_is_read() {
    let config = load(
        r##"
        domain = "IoT.Example.org."
        data_dir = "/var/lib/leveret"
        xmpp.require_tls = false
        [tls]
        certificate = "c.pem"
        key = "k.pem"
        client_ca = "ca.pem"
        max_fragment = 0x1000
        [registration]
        enabled = true
        [storage]
        durability = "normal"
        flush = "90s"
        [limits]
        stanza_bytes = "64K"
        stanza_bytes_before_login = 10_000
        sessions_per_account = 0
        mailbox_memory = "1G"
        ping_seconds = 30
        [[class]]
        on = "devices/+/fall"
        class = "alarm"
        [[class]]
        on = "devices/+/temp"
        class = "state"
        [[access]]
        who = "role:device"
        do = ["publish", "create"]
        on = "sites/%u/#"
        [[access]]
        who = "account:dev7@iot.example.org"
        do = ["all"]
        on = "$SYS/#"
        allow = false
        "##,
    );
    assert_eq!(config.domain, "iot.example.org");
    assert_eq!(config.pubsub.service, "pubsub.iot.example.org");
    assert!(!config.xmpp.require_tls);
    assert_eq!(config.tls.max_fragment_bytes, 4096);
    assert_eq!(config.storage.durability, Durability::Normal);
    assert_eq!(config.storage.flush, Duration::from_secs(90));
    assert_eq!(config.limits.stanza_bytes, 65_536);
    assert_eq!(config.limits.stanza_bytes_before_login, 10_000);
    assert_eq!(config.limits.sessions_per_account, usize::MAX);
    assert_eq!(config.limits.mailbox_memory, 1 << 30);
    assert_eq!(config.limits.ping, Duration::from_secs(30));
    assert_eq!(config.classes[0].class, Class::Alarm);
    assert_eq!(config.classes[1].class, Class::State);
    assert_eq!(config.access[0].who, Who::Role(Role::Device));
    assert_eq!(
        config.access[0].actions,
        Actions::from_iter([Action::Publish, Action::Create])
    );
    assert!(config.access[0].allow);
    assert_eq!(config.access[1].who, Who::Account("dev7".into()));
    assert_eq!(config.access[1].actions, Actions::ALL);
    assert!(!config.access[1].allow);
}
