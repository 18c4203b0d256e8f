//! Files as people write them: right, slightly wrong, very wrong.

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
        flush = "250ms"
        conflate = true
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
    assert_eq!(config.classes[1].flush, Some(Duration::from_millis(250)));
    assert!(config.classes[1].conflate);
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
    for list in ["bridge", "alarm", "history", "supervise", "roster_group"] {
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
fn a_rule_needs_its_keys_and_each_must_make_sense() {
    refused(
        "\n[[access]]\nwho = \"all\"\non = \"#\"",
        2,
        1,
        &["this [[access]] has no `do`"],
    );
    let access = |who: &str, actions: &str, on: &str| {
        format!("[[access]]\nwho = {who}\ndo = {actions}\non = {on}")
    };
    load(&access(
        "\"group:ward-3\"",
        "[\"retain\", \"configure\"]",
        "\"urn:x#y/a+b\"",
    ));
    refused(
        &access("\"everybody\"", "[\"all\"]", "\"#\""),
        2,
        7,
        &["\"everybody\" names nobody"],
    );
    refused(
        &access("\"role:root\"", "[\"all\"]", "\"#\""),
        2,
        7,
        &["no role \"root\""],
    );
    refused(
        &access("\"account:\"", "[\"all\"]", "\"#\""),
        2,
        7,
        &["names nobody"],
    );
    refused(
        &access("\"all\"", "[\"publsh\"]", "\"#\""),
        3,
        7,
        &["did you mean \"publish\"?"],
    );
    refused(
        &access("\"all\"", "\"all\"", "\"#\""),
        3,
        6,
        &["this is text"],
    );
    refused(&access("\"all\"", "[]", "\"#\""), 3, 6, &["empty"]);
    refused(
        &access("\"all\"", "[\"all\"]", "\"a/#/b\""),
        4,
        6,
        &["`#` is not the last level"],
    );
    refused(
        &access("\"all\"", "[\"all\"]", "\"a/x%u/b\""),
        4,
        6,
        &["only a part of the level `x%u`"],
    );
    let class = |rest: &str| format!("[[class]]\non = \"a\"\n{rest}");
    refused(
        &class("class = \"alarm\"\nflush = \"5s\""),
        4,
        9,
        &["always written at once"],
    );
    refused(
        &class("class = \"event\"\nconflate = true"),
        4,
        12,
        &["only a state"],
    );
    refused(
        "[[class]]\non = \"a/%u\"\nclass = \"state\"",
        2,
        6,
        &["the same for every account"],
    );
}

#[test]
fn an_account_in_a_rule_is_one_of_this_hub_in_its_one_spelling() {
    let rule = |name: &str| {
        format!(
            "domain = \"iot.example\"\n[[access]]\nwho = \"account:{name}\"\ndo = [\"all\"]\non = \"#\""
        )
    };
    for name in ["Dev7", "dev7@IoT.example"] {
        assert_eq!(
            load(&rule(name)).access[0].who,
            Who::Account("dev7".into()),
            "{name}"
        );
    }
    refused(
        &rule("dev7@elsewhere.example"),
        3,
        7,
        &["not of this hub's domain iot.example"],
    );
    refused(&rule("a b"), 3, 7, &["cannot be an account"]);
}

#[test]
fn the_rules_of_the_file_reach_the_engine_in_their_order() {
    let config = load(
        "[[access]]\nwho = \"account:dev7\"\ndo = [\"publish\"]\non = \"devices/%u/locked\"\nallow = false\n\
         [[class]]\non = \"devices/+/fall\"\nclass = \"alarm\"\n[[class]]\non = \"devices/#\"\nclass = \"state\"",
    );
    let dev7 = Subject {
        jid: BareJid::new("dev7", "localhost").expect("an address"),
        role: Role::Device,
        groups: Vec::new(),
    };
    let access = config.access_rules().expect("checked when read");
    assert_eq!(
        access.on_node(&dev7, Action::Publish, "devices/dev7/locked"),
        Verdict::Deny
    );
    assert_eq!(
        access.on_node(&dev7, Action::Publish, "devices/dev7/temp"),
        Verdict::Allow
    );
    let classes = config.class_rules().expect("checked when read");
    assert_eq!(classes.of("devices/dev7/fall", 10), Class::Alarm);
    assert_eq!(classes.of("devices/dev7/temp", 10), Class::State);
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

#[test]
fn relative_paths_are_relative_to_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("leveret.toml");
    std::fs::write(
        &path,
        "data_dir = \"data\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"/etc/k.pem\"",
    )
    .expect("written");
    let config = Config::load(Some(&path)).expect("a right file");
    assert_eq!(config.data_dir, folder.path().join("data"));
    assert_eq!(config.tls.certificate, Some(folder.path().join("c.pem")));
    assert_eq!(config.tls.key, Some(PathBuf::from("/etc/k.pem")));
}

#[test]
fn a_file_that_cannot_be_read_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let missing = folder.path().join("none.toml");
    let error = Config::load(Some(&missing))
        .expect_err("there is none")
        .to_string();
    assert_eq!(
        error,
        format!(
            "cannot read the configuration file {}: there is no such file",
            missing.display()
        )
    );
    let error = Config::load(Some(folder.path()))
        .expect_err("a folder is no file")
        .to_string();
    assert!(error.ends_with("it is a folder"), "{error}");
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe]).expect("written");
    let error = Config::load(Some(&binary))
        .expect_err("not text")
        .to_string();
    assert!(error.ends_with("it is not UTF-8 text"), "{error}");
}

#[test]
fn what_config_show_prints_loads_as_the_same_configuration() {
    let mut config = Config::default();
    assert_eq!(load(&config.to_toml_with_defaults()), config);
    config = load(
        "domain = \"iot.example.org\"\ndata_dir = 'C:\\a \"b\"\u{9}'\n[xmpp]\nlisten = []\n[limits]\nroster_items = 0\n\
         mailbox_memory = 1500000\n[[class]]\non = \"a\"\nclass = \"state\"\nflush = \"90s\"\nconflate = true\n\
         [[access]]\nwho = \"group:x\"\ndo = [\"publish\"]\non = \"#\"\nallow = false",
    );
    assert_eq!(load(&config.to_toml_with_defaults()), config);
}

#[test]
fn every_key_is_shown_by_config_show() {
    let shown = Config::default().to_toml_with_defaults();
    for key in keys::KEYS {
        let (set, unset) = (
            format!("\n{} = ", key.name),
            format!("\n# {} is not set", key.name),
        );
        let shown = format!("\n{shown}");
        assert!(
            shown.contains(&set) || shown.contains(&unset),
            "{} is missing",
            key.name
        );
    }
}

/// Fails when `docs/configuration.md` lacks a key, or says anything else than the table of keys.
#[test]
fn the_configuration_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("LEVERET_WRITE_DOCS").is_some() {
        std::fs::write(&path, Config::reference()).expect("the page is writable");
    }
    let page = std::fs::read_to_string(&path).expect("the page exists");
    for key in keys::KEYS {
        assert!(
            page.contains(&format!("| `{}` |", key.name)),
            "{} is missing in {}",
            key.name,
            path.display()
        );
    }
    assert!(
        page == Config::reference(),
        "{} is stale: run this test with LEVERET_WRITE_DOCS=1",
        path.display()
    );
}
