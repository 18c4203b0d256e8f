use super::*;

fn password(raw: &str) -> Password {
    Password::prepare(raw).unwrap()
}

fn derivation() -> Derivation {
    Derivation::with_salts([1; SALT_BYTES], [2; SALT_BYTES])
}

fn generated() -> Derivation {
    Derivation {
        generated_secret_salt: Some([3; SALT_BYTES]),
        ..derivation()
    }
}

mod verify {
    use super::*;

    #[test]
    fn accepts_the_password_and_nothing_else() {
        let credentials = Credentials::derive(&password("pencil"), &derivation());
        assert!(credentials.verify_password("pencil"));
        for wrong in [
            "Pencil",
            "pencil ",
            "penci",
            "",
            "\u{0}",
            &"x".repeat(PASSWORD_BYTES_MAX + 1),
        ] {
            assert!(!credentials.verify_password(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_generated_secret_is_verified_without_its_slow_key() {
        let mut credentials = Credentials::derive(&password("generated"), &generated());
        assert!(credentials.has_verifier());
        credentials.sha256.stored_key = SmallVec::from_slice(&[0; 32]);
        assert!(credentials.verify_password("generated"));
        assert!(!credentials.verify_password("guessed"));
    }

    #[test]
    fn keys_of_the_wrong_hash_are_refused() {
        let credentials = Credentials::derive(&password("pencil"), &derivation());
        assert!(
            Credentials::from_keys(credentials.sha256.clone(), credentials.sha1.clone()).is_none()
        );
        assert_eq!(
            Credentials::from_keys(credentials.sha1.clone(), credentials.sha256.clone()),
            Some(credentials)
        );
    }

    #[test]
    fn too_few_rounds_are_raised_to_the_least_allowed() {
        let how = Derivation {
            sha1_iterations: 1,
            sha256_iterations: 0,
            ..derivation()
        };
        let credentials = Credentials::derive(&password("pencil"), &how);
        assert_eq!(
            credentials.key(ScramHash::Sha1).iterations(),
            ITERATIONS_MIN
        );
        assert_eq!(
            credentials.key(ScramHash::Sha256).iterations(),
            ITERATIONS_MIN
        );
        assert!(ScramKey::derive(ScramHash::Sha1, &password("pencil"), b"salt", 4095).is_none());
        assert!(ScramKey::derive(ScramHash::Sha1, &password("pencil"), b"", 4096).is_none());
    }
}

mod preparation {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        password(a).as_str() == password(b).as_str()
    }

    #[test]
    fn follows_saslprep_where_it_has_an_answer() {
        // RFC 4013 §3, examples 1 to 5.
        assert!(same("I\u{AD}X", "IX"));
        assert!(same("user", "user"));
        assert!(!same("USER", "user"));
        assert!(same("\u{AA}", "a"));
        assert!(same("\u{2168}", "IX"));
        assert!(same("a\u{A0}b", "a b"));
    }

    #[test]
    fn keeps_characters_younger_than_saslprep() {
        assert_eq!(password("🦀\u{2003}crab").as_str(), "🦀 crab");
        assert_eq!(password("🦀e\u{301}").as_str(), "🦀é");
        assert_eq!(
            Password::prepare("🦀\u{85}").unwrap_err(),
            PasswordError::Forbidden
        );
    }

    #[test]
    fn refuses_nothing_too_much_and_controls() {
        assert_eq!(Password::prepare("").unwrap_err(), PasswordError::Empty);
        assert_eq!(
            Password::prepare("\u{AD}").unwrap_err(),
            PasswordError::Empty
        );
        assert_eq!(
            Password::prepare("a\u{7}b").unwrap_err(),
            PasswordError::Forbidden
        );
        assert_eq!(
            Password::prepare(&"x".repeat(PASSWORD_BYTES_MAX + 1)).unwrap_err(),
            PasswordError::TooLong
        );
        assert!(Password::prepare(&"x".repeat(PASSWORD_BYTES_MAX)).is_ok());
    }
}

mod encoding {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote() {
        for how in [derivation(), generated()] {
            let credentials = Credentials::derive(&password("pencil"), &how);
            assert_eq!(Credentials::decode(&credentials.encode()), Ok(credentials));
        }
    }

    #[test]
    fn the_form_on_disk_stays_what_it_is() {
        let key = |hash: ScramHash, fill: u8| {
            let digest = vec![fill; hash.digest_bytes()];
            ScramKey::from_parts(hash, b"salt", 4096, &digest, &digest).unwrap()
        };
        let credentials =
            Credentials::from_keys(key(ScramHash::Sha1, 0xAA), key(ScramHash::Sha256, 0xBB))
                .unwrap();
        let mut expected = b"\x01\x00\x00\x10\x00\x04salt".to_vec();
        expected.extend([0xAA; 40]);
        expected.extend(b"\x00\x00\x10\x00\x04salt");
        expected.extend([0xBB; 64]);
        assert_eq!(credentials.encode(), expected);
    }

    #[test]
    fn refuses_every_cut_every_surplus_and_a_newer_version() {
        let credentials = Credentials::derive(&password("pencil"), &generated());
        let bytes = credentials.encode();
        let without_verifier = bytes.len() - SALT_BYTES - 32;
        for length in (0..bytes.len()).filter(|length| *length != without_verifier) {
            assert_eq!(
                Credentials::decode(&bytes[..length]),
                Err(EncodingError::Damaged),
                "cut at {length}"
            );
        }
        assert_eq!(
            Credentials::decode(&[bytes.as_slice(), b"!"].concat()),
            Err(EncodingError::Damaged)
        );
        assert_eq!(
            Credentials::decode(&[2, 0, 0]),
            Err(EncodingError::Version(2))
        );
    }
}

mod decoy {
    use super::*;

    #[test]
    fn is_stable_per_name_and_hub() {
        let decoy = Credentials::decoy(&[7; 32], "nobody");
        assert_eq!(decoy, Credentials::decoy(&[7; 32], "nobody"));
        for other in [
            Credentials::decoy(&[7; 32], "nobody2"),
            Credentials::decoy(&[8; 32], "nobody"),
        ] {
            assert_ne!(decoy.sha1.salt, other.sha1.salt);
            assert_ne!(decoy.sha256.salt, other.sha256.salt);
            assert_ne!(decoy.sha256.stored_key, other.sha256.stored_key);
        }
        assert_ne!(decoy.sha1.salt, decoy.sha256.salt);
    }

    #[test]
    fn looks_like_an_account_and_admits_nobody() {
        let (decoy, real) = (
            Credentials::decoy(&[7; 32], "nobody"),
            Credentials::derive(&password("x"), &derivation()),
        );
        for hash in [ScramHash::Sha1, ScramHash::Sha256] {
            assert_eq!(decoy.key(hash).salt().len(), real.key(hash).salt().len());
            assert_eq!(decoy.key(hash).iterations(), real.key(hash).iterations());
        }
        assert_eq!(decoy.encode().len(), real.encode().len());
        assert!(!decoy.verify_password("nobody"));
    }
}

#[test]
fn nothing_secret_is_printed() {
    let credentials = Credentials::derive(&password("pencil"), &generated());
    let printed = format!("{credentials:?} {:?}", password("pencil"));
    assert!(
        !printed.contains("pencil") && !printed.contains('['),
        "{printed}"
    );
}
