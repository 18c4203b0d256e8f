use super::*;

fn ask(message: &str) -> Step {
    Hub::over_tls().ask(Mechanism::Plain, message.as_bytes())
}

#[test]
fn the_password_signs_in() {
    for names in [
        "\0juliet",
        "\0juliet@example.org",
        "juliet\0Juliet",
        "juliet@example.org\0juliet",
    ] {
        assert_eq!(
            signed_in(ask(&format!("{names}\0{PASSWORD}"))),
            "juliet",
            "{names:?}"
        );
    }
    let message = format!("\0juliet\0{PASSWORD}");
    assert_eq!(
        signed_in(Hub::plain().ask(Mechanism::Plain, message.as_bytes())),
        "juliet"
    );
}

#[test]
fn wrong_password_and_unknown_account_take_the_same_steps() {
    for user in ["juliet", "nobody"] {
        let message = format!("\0{user}\0wrong");
        let (mut exchange, step) =
            Hub::over_tls().start(Mechanism::Plain, Some(message.as_bytes()));
        let Step::Lookup { account } = step else {
            panic!("{step:?}")
        };
        let Step::Derive(check) = exchange.account_found(Hub::record(&account)) else {
            panic!("no check")
        };
        let step = exchange.derived(check.run(&KnownPasswords::new([4; 32])));
        assert!(
            matches!(step, Step::Failure(error) if error == SaslError::new(Condition::NotAuthorized))
        );
    }
}

#[test]
fn a_disabled_account_says_so_to_its_owner_only() {
    assert_eq!(
        failure(ask(&format!("\0tybalt\0{PASSWORD}"))),
        Condition::AccountDisabled
    );
    assert_eq!(failure(ask("\0tybalt\0wrong")), Condition::NotAuthorized);
}

#[test]
fn one_acts_as_oneself_only() {
    assert_eq!(
        failure(ask(&format!("romeo\0juliet\0{PASSWORD}"))),
        Condition::InvalidAuthzid
    );
}

#[test]
fn what_the_grammar_does_not_derive_is_refused() {
    for message in [
        "",
        "\0",
        "\0\0",
        "\0juliet",
        "\0juliet\0",
        "\0\0secret",
        "\0juliet\0a\0b",
        "juliet",
    ] {
        assert_eq!(
            failure(ask(message)),
            Condition::MalformedRequest,
            "{message:?}"
        );
    }
    assert_eq!(
        failure(Hub::over_tls().ask(Mechanism::Plain, b"\0juliet\0\xFF")),
        Condition::MalformedRequest
    );
    assert_eq!(
        failure(ask("\0juliet@elsewhere.org\0x")),
        Condition::NotAuthorized
    );
    assert_eq!(failure(ask("\0a+b\0x")), Condition::NotAuthorized);
}

#[test]
fn a_pending_password_is_not_printed() {
    let check = PasswordCheck::new("secret".to_owned(), KEYS.clone());
    assert!(!format!("{check:?}").contains("secret"));
}
