use super::*;

#[test]
fn each_mechanism_signs_in_and_shows_that_the_hub_knows_the_account() {
    for mechanism in SCRAM {
        assert_eq!(
            Client::new(mechanism)
                .sign_in(&Hub::over_tls())
                .1
                .as_deref(),
            Ok("juliet"),
            "{mechanism:?}"
        );
    }
    assert!(
        Client::new(Mechanism::ScramSha1)
            .sign_in(&Hub::plain())
            .1
            .is_ok()
    );
}

#[test]
fn either_binding_will_do() {
    let header = "p=tls-server-end-point,,";
    let client = Client {
        header,
        binding_data: END_POINT,
        ..Client::new(Mechanism::ScramSha256Plus)
    };
    assert!(client.sign_in(&Hub::over_tls()).1.is_ok());
}

#[test]
fn the_user_is_a_localpart_or_a_bare_jid_of_this_domain() {
    for user in [
        "juliet",
        "JULIET",
        "juliet@example.org",
        "juliet@EXAMPLE.org.",
    ] {
        let client = Client {
            user,
            ..Client::new(Mechanism::ScramSha256)
        };
        assert_eq!(
            client.sign_in(&Hub::over_tls()).1.as_deref(),
            Ok("juliet"),
            "{user}"
        );
    }
    for user in [
        "juliet@elsewhere.org",
        "juliet@example.org/r",
        "a b",
        "juliet+",
        "a#",
        "$SYS",
        "@example.org",
    ] {
        let client = Client {
            user,
            ..Client::new(Mechanism::ScramSha256)
        };
        let expected = (
            Condition::NotAuthorized,
            Some(ScramError::InvalidUsernameEncoding),
        );
        assert_eq!(client.error(&Hub::over_tls()), expected, "{user}");
    }
}

#[test]
fn one_acts_as_oneself_only() {
    for header in ["n,a=juliet,", "n,a=juliet@example.org,"] {
        let client = Client {
            header,
            ..Client::new(Mechanism::ScramSha256)
        };
        assert!(client.sign_in(&Hub::over_tls()).1.is_ok(), "{header}");
    }
    for header in [
        "n,a=romeo,",
        "n,a=juliet@elsewhere.org,",
        "n,a=juliet@example.org/r,",
        "n,a=#,",
    ] {
        let client = Client {
            header,
            ..Client::new(Mechanism::ScramSha256)
        };
        assert_eq!(
            client.error(&Hub::over_tls()).0,
            Condition::InvalidAuthzid,
            "{header}"
        );
    }
}

#[test]
fn wrong_password_and_unknown_account_look_the_same() {
    for mechanism in SCRAM {
        let honest = Client::new(mechanism);
        let wrong = Client {
            password: "wrong",
            ..honest.clone()
        }
        .sign_in(&Hub::over_tls());
        let unknown = Client {
            user: "nobody",
            ..honest.clone()
        }
        .sign_in(&Hub::over_tls());
        assert_eq!(wrong.1, unknown.1);
        assert_eq!(
            wrong.1,
            Err(SaslError::scram(
                Condition::NotAuthorized,
                ScramError::InvalidProof
            ))
        );
        // Apart from the salt, which is the account's own, byte by byte; and the salt stays.
        let without_salt = |messages: &[String]| -> Vec<String> {
            messages[0]
                .split(',')
                .filter(|field| !field.starts_with("s="))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(without_salt(&wrong.0), without_salt(&unknown.0));
        assert_eq!(wrong.0[0].len(), unknown.0[0].len());
        assert_eq!(
            unknown.0,
            Client {
                user: "nobody",
                ..honest
            }
            .sign_in(&Hub::over_tls())
            .0
        );
    }
}

#[test]
fn a_disabled_account_says_so_to_its_owner_only() {
    let owner = Client {
        user: "tybalt",
        ..Client::new(Mechanism::ScramSha256)
    };
    assert_eq!(owner.error(&Hub::over_tls()).0, Condition::AccountDisabled);
    let stranger = Client {
        password: "wrong",
        ..owner
    };
    assert_eq!(stranger.error(&Hub::over_tls()).0, Condition::NotAuthorized);
}

#[test]
fn s6_a_binding_to_another_channel_fails() {
    for mechanism in [Mechanism::ScramSha256Plus, Mechanism::ScramSha1Plus] {
        for binding_data in [END_POINT, b"", &EXPORTER[1..]] {
            let client = Client {
                binding_data,
                ..Client::new(mechanism)
            };
            let expected = (
                Condition::NotAuthorized,
                Some(ScramError::ChannelBindingsDontMatch),
            );
            assert_eq!(client.error(&Hub::over_tls()), expected);
        }
    }
}

#[test]
fn s6_y_fails_where_plus_was_offered_and_passes_where_not() {
    let client = Client {
        header: "y,,",
        ..Client::new(Mechanism::ScramSha256)
    };
    let expected = (
        Condition::NotAuthorized,
        Some(ScramError::ServerDoesSupportChannelBinding),
    );
    assert_eq!(client.error(&Hub::over_tls()), expected);
    let bound = Client {
        header: "y,,",
        ..Client::new(Mechanism::ScramSha256Plus)
    };
    assert_eq!(bound.error(&Hub::over_tls()), expected);
    assert!(client.sign_in(&Hub::plain()).1.is_ok());
}

#[test]
fn s6_flag_and_mechanism_must_agree() {
    let hub = Hub::over_tls();
    let without = Client {
        header: "n,,",
        ..Client::new(Mechanism::ScramSha256Plus)
    };
    assert_eq!(
        without.error(&hub),
        (Condition::MalformedRequest, Some(ScramError::OtherError))
    );
    let with = Client {
        header: "p=tls-exporter,,",
        ..Client::new(Mechanism::ScramSha256)
    };
    assert_eq!(
        with.error(&hub),
        (
            Condition::MalformedRequest,
            Some(ScramError::ChannelBindingNotSupported)
        )
    );
    for header in ["p=tls-unique,,", "p=TLS-EXPORTER,,"] {
        let client = Client {
            header,
            ..Client::new(Mechanism::ScramSha256Plus)
        };
        let expected = (
            Condition::NotAuthorized,
            Some(ScramError::UnsupportedChannelBindingType),
        );
        assert_eq!(client.error(&hub), expected, "{header}");
    }
}

#[test]
fn s5_1_the_final_message_repeats_nonce_and_header() {
    let hub = Hub::over_tls();
    let tampered = |tamper| {
        Client {
            tamper,
            ..Client::new(Mechanism::ScramSha256)
        }
        .error(&hub)
    };
    let nonce = (Condition::NotAuthorized, Some(ScramError::OtherError));
    assert_eq!(tampered(|message| message + "x"), nonce);
    assert_eq!(
        tampered(|message| message[..message.len() - 1].to_owned()),
        nonce
    );
    assert_eq!(
        tampered(|_| "c=biws,r=fyko+d2lbbFgONRv9qkxdawL".to_owned()),
        nonce
    );
    let header = (
        Condition::NotAuthorized,
        Some(ScramError::ChannelBindingsDontMatch),
    );
    assert_eq!(
        tampered(|message| message.replace("c=biws", "c=eSws")),
        header
    );
    let mandatory = (
        Condition::MalformedRequest,
        Some(ScramError::ExtensionsNotSupported),
    );
    assert_eq!(tampered(|message| message + ",m=x"), mandatory);
}

#[test]
fn s5_1_an_optional_extension_is_signed_and_otherwise_ignored() {
    let client = Client {
        tamper: |message| message + ",x=1",
        ..Client::new(Mechanism::ScramSha256)
    };
    assert!(client.sign_in(&Hub::over_tls()).1.is_ok());
}

#[test]
fn a_proof_of_another_length_is_a_wrong_proof() {
    let (mut exchange, step) =
        Hub::over_tls().start(Mechanism::ScramSha256, Some(b"n,,n=juliet,r=a"));
    let Step::Challenge(_) = Hub::settle(&mut exchange, step) else {
        panic!("no challenge")
    };
    let nonce = BASE64.encode(NONCE);
    let error = SaslError::scram(Condition::NotAuthorized, ScramError::InvalidProof);
    let step = exchange.respond(format!("c=biws,r=a{nonce},p=AAAA").as_bytes());
    assert!(
        matches!(step, Step::Failure(found) if found == error),
        "{step:?}"
    );
    assert_eq!(error.server_final().as_deref(), Some("e=invalid-proof"));
    assert!(error.counts_as_failed_login());
}

#[test]
fn xep0474_the_hash_covers_what_was_advertised_and_only_if_it_is_asked_for() {
    let list = b"PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1eSCRAM-SHA-256\x1eSCRAM-SHA-256-PLUS\
                 \x1ftls-exporter\x1etls-server-end-point";
    let (sent, _) = Client::new(Mechanism::ScramSha256).sign_in(&Hub::over_tls());
    assert!(
        sent[0].ends_with(&format!(
            ",i=4096,h={}",
            BASE64.encode(Sha256::digest(list))
        )),
        "{}",
        sent[0]
    );
    let (sent, _) = Client::new(Mechanism::ScramSha1Plus).sign_in(&Hub::over_tls());
    assert!(
        sent[0].ends_with(&format!(",h={}", BASE64.encode(Sha1::digest(list)))),
        "{}",
        sent[0]
    );
    let without = Hub {
        downgrade_protection: false,
        ..Hub::over_tls()
    };
    let (sent, end) = Client::new(Mechanism::ScramSha256).sign_in(&without);
    assert!(sent[0].ends_with(",i=4096") && end.is_ok());
}

#[test]
fn without_an_initial_response_the_hub_asks_for_one() {
    let (mut exchange, step) = Hub::over_tls().start(Mechanism::ScramSha256, None);
    assert!(matches!(step, Step::Challenge(data) if data.is_empty()));
    assert!(
        matches!(exchange.respond(b"n,,n=juliet,r=a"), Step::Lookup { account } if account == "juliet")
    );
}
