use super::*;

fn ask(names: &[&str], authzid: &str) -> Step {
    Hub::with_certificate(names).ask(Mechanism::External, authzid.as_bytes())
}

#[test]
fn one_name_needs_no_identity() {
    for authzid in ["", "=", "juliet@example.org", "juliet"] {
        assert_eq!(
            signed_in(ask(&["juliet@example.org"], authzid)),
            "juliet",
            "{authzid:?}"
        );
    }
    let twice = [
        "juliet@example.org",
        "JULIET@example.org",
        "juliet@elsewhere.org",
    ];
    assert_eq!(signed_in(ask(&twice, "")), "juliet");
}

#[test]
fn several_names_need_one() {
    let names = ["romeo@example.org", "juliet@example.org"];
    assert_eq!(failure(ask(&names, "")), Condition::InvalidAuthzid);
    assert_eq!(signed_in(ask(&names, "juliet@example.org")), "juliet");
}

#[test]
fn another_identity_is_refused() {
    for authzid in [
        "romeo@example.org",
        "juliet@elsewhere.org",
        "#",
        "juliet@example.org/r",
    ] {
        assert_eq!(
            failure(ask(&["juliet@example.org"], authzid)),
            Condition::InvalidAuthzid,
            "{authzid:?}"
        );
    }
    assert_eq!(
        failure(ask(&["juliet@example.org"], "a\0b")),
        Condition::MalformedRequest
    );
}

#[test]
fn the_account_must_exist_and_be_enabled() {
    assert_eq!(
        failure(ask(&["nobody@example.org"], "")),
        Condition::NotAuthorized
    );
    assert_eq!(
        failure(ask(&["tybalt@example.org"], "")),
        Condition::AccountDisabled
    );
}
