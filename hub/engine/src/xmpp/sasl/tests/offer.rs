use super::*;
use Mechanism::*;

#[test]
fn over_tls_all_passwords_mechanisms_the_bound_ones_first() {
    let offered = Hub::over_tls().offered();
    assert_eq!(
        offered,
        [
            ScramSha256Plus,
            ScramSha1Plus,
            ScramSha256,
            ScramSha1,
            Plain
        ]
    );
}

#[test]
fn plus_needs_something_to_bind_to() {
    let hub = Hub {
        bindings: ChannelBindings::NONE,
        ..Hub::over_tls()
    };
    assert_eq!(hub.offered(), [ScramSha256, ScramSha1, Plain]);
    let empty = ChannelBindings::NONE.with(ChannelBindingType::TlsExporter, b"");
    assert!(empty.is_empty());
}

#[test]
fn without_tls_only_where_tls_is_not_required() {
    assert_eq!(Hub::plain().offered(), [ScramSha256, ScramSha1, Plain]);
    assert_eq!(
        Hub {
            require_tls: true,
            ..Hub::plain()
        }
        .offered(),
        []
    );
}

#[test]
fn external_needs_a_certificate_that_names_an_account_here() {
    assert_eq!(
        Hub::with_certificate(&["juliet@example.org"]).offered()[0],
        External
    );
    for names in [
        &[][..],
        &["juliet@elsewhere.org"],
        &["juliet"],
        &["a+b@example.org"],
        &["@example.org"],
    ] {
        assert!(
            !Hub::with_certificate(names).offered().contains(&External),
            "{names:?}"
        );
    }
    let hub = Hub {
        certificate: vec!["juliet@example.org".into()],
        ..Hub::plain()
    };
    assert!(!hub.offered().contains(&External));
}

#[test]
fn both_bindings_are_advertised() {
    let hub = Hub::over_tls();
    let types: Vec<_> = hub.bindings.types().map(ChannelBindingType::name).collect();
    assert_eq!(types, ["tls-exporter", "tls-server-end-point"]);
}

#[test]
fn names_are_exact() {
    for mechanism in Mechanism::ALL {
        assert_eq!(Mechanism::from_name(mechanism.name()), Some(mechanism));
    }
    for name in ["", "plain", "SCRAM-SHA-512", "PLAIN "] {
        assert_eq!(Mechanism::from_name(name), None, "{name:?}");
    }
}

#[test]
fn what_was_not_offered_is_refused_for_its_reason() {
    let ask = |hub: &Hub, mechanism| failure(hub.ask(mechanism, b"n,,n=juliet,r=a"));
    assert_eq!(
        ask(
            &Hub {
                require_tls: true,
                ..Hub::plain()
            },
            Plain
        ),
        Condition::EncryptionRequired
    );
    assert_eq!(
        ask(&Hub::plain(), ScramSha1Plus),
        Condition::EncryptionRequired
    );
    assert_eq!(ask(&Hub::over_tls(), External), Condition::InvalidMechanism);
    let strict = Hub {
        offered: Some(vec![ScramSha256Plus]),
        ..Hub::over_tls()
    };
    assert_eq!(ask(&strict, Plain), Condition::MechanismTooWeak);
    assert_eq!(ask(&strict, ScramSha1Plus), Condition::InvalidMechanism);
}
