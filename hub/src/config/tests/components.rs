//! `[components]` and `[[component]]`.

use leveret_engine::{account::Role, component::ComponentSecret};

use super::*;

const ONE: &str =
    "[[component]]\ndomain = \"Sensors.localhost\"\nsecret = \"correct horse battery\"\n";

#[test]
fn a_component_has_a_domain_a_secret_and_a_role() {
    let config = load(&format!(
        "[components]\nlisten = [\"127.0.0.1:5347\"]\n{ONE}\n[[component]]\ndomain = \"sms.localhost\"\nsecret_file = \"s\"\nrole = \"admin\""
    ));
    let [one, two] = &config.component[..] else {
        panic!("two components");
    };
    assert_eq!(
        (&*one.domain, one.role),
        ("sensors.localhost", Role::Service)
    );
    let secret = ComponentSecret::new("correct horse battery").expect("long enough");
    assert_eq!(one.secret, SecretSource::Given(secret));
    assert_eq!(two.role, Role::Admin);
    assert_eq!(two.secret, SecretSource::File("s".into()));
    assert!(Config::default().components.listen.is_empty());
}

#[test]
fn what_is_wrong_with_a_component_is_told_without_its_secret() {
    let with = |lines: &str| format!("\n[[component]]\n{lines}");
    for (text, line, words) in [
        (
            with("domain = \"localhost\"\nsecret = \"0123456789abcdef\""),
            3,
            "is the hub's own",
        ),
        (
            with("domain = \"pubsub.localhost\"\nsecret = \"0123456789abcdef\""),
            3,
            "is the hub's own",
        ),
        (format!("{ONE}{ONE}"), 5, "belongs to another"),
        (with("domain = \"a.b\""), 2, "has no secret"),
        (with("secret = \"0123456789abcdef\""), 2, "has no `domain`"),
        (
            with("domain = \"a.b\"\nsecret = \"0123456789abcdef\"\nsecret_file = \"x\""),
            2,
            "has two secrets",
        ),
        (
            with("domain = \"a.b\"\nsecret = \"hunter2\""),
            2,
            "too short or too long",
        ),
        (
            with("domain = \"a.b\"\nsecret_file = \"x\"\nrole = \"king\""),
            5,
            "king",
        ),
    ] {
        let complaint = complaint(&text);
        assert!(complaint.contains(words), "{complaint}");
        assert!(complaint.contains(&format!("line {line},")), "{complaint}");
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
    refused(
        "[components]\nlisten = [\"[::]:5222\"]\n[xmpp]\nlisten = [\"[::]:5222\"]",
        2,
        10,
        &["is listened on twice"],
    );
}

#[test]
fn config_show_tells_of_a_component_and_not_its_secret() {
    let config = load(&format!(
        "{ONE}[[component]]\ndomain = \"sms.localhost\"\nsecret_file = \"s\""
    ));
    let shown = config.to_toml_with_defaults();
    assert!(!shown.contains("horse"), "{shown}");
    assert!(!format!("{config:?}").contains("horse"));
    assert!(shown.contains("domain = \"sensors.localhost\"\n# secret is set and not shown"));
    assert!(shown.contains("secret_file = \"s\""));
}

#[test]
fn a_secret_file_is_relative_to_the_configuration_and_its_last_line_end_does_not_count() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("leveret.toml");
    let text = "[[component]]\ndomain = \"sms.localhost\"\nsecret_file = \"sms.secret\"";
    std::fs::write(&path, text).expect("written");
    let component = |text: &str| {
        std::fs::write(folder.path().join("sms.secret"), text).expect("written");
        Config::load(Some(&path)).expect("a right file").component[0].load()
    };
    for ending in ["", "\n", "\r\n"] {
        let loaded = component(&format!("0123456789abcdef{ending}")).expect("a secret");
        assert_eq!(loaded.secret.reveal(), "0123456789abcdef");
    }
    let error = component("hunter2\n").expect_err("too short").to_string();
    assert!(
        error.contains("sms.secret") && !error.contains("hunter2"),
        "{error}"
    );
    std::fs::remove_file(folder.path().join("sms.secret")).expect("removed");
    let config = Config::load(Some(&path)).expect("the file itself is right");
    let error = config.component[0].load().expect_err("no file").to_string();
    assert!(error.contains("cannot be read"), "{error}");
}
