//! A certificate of the configuration, right and wrong.

use super::*;

fn pair_for(name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

fn hub_with(certificate: &str, key: &str) -> Hub {
    let mut hub = Hub::new();
    hub.config.tls.certificate = Some(hub.write("c.pem", certificate));
    hub.config.tls.key = Some(hub.write("k.pem", key));
    hub
}

#[test]
fn it_is_served_and_never_renewed_by_the_hub() {
    let (certificate, key) = pair_for("localhost");
    let tls = hub_with(&certificate, &key).load(today());
    assert_eq!(
        *tls.certificate(),
        CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")
    );
    assert!(!tls.renewal_due(today() + 3_000 * YEAR));
}

#[test]
fn each_mistake_is_one_sentence_that_names_the_file() {
    let (certificate, key) = pair_for("localhost");
    let (_, other_key) = pair_for("localhost");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let broken = certificate.replace("MII", "!!!");
    let cut = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    for (certificate, key, words) in [
        (
            &*certificate,
            &*other_key,
            "k.pem does not belong to the certificate",
        ),
        (&certificate, encrypted, "k.pem is encrypted"),
        (&certificate, &certificate, "k.pem holds a certificate"),
        (&key, &key, "c.pem holds a private key"),
        ("", &key, "c.pem holds nothing"),
        ("\x30\x03\x02\x01\x01", &key, "c.pem holds binary data"),
        ("hello", &key, "c.pem holds no PEM block"),
        (&broken, &key, "c.pem holds broken PEM text"),
        (cut, &key, "c.pem cannot be used"),
    ] {
        let refusal = hub_with(certificate, key).refusal();
        assert!(refusal.contains(words), "{refusal}\nshould hold {words}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let (certificate, key) = pair_for("localhost");
    let mut hub = hub_with(&certificate, &key);
    hub.config.tls.key = Some(hub.folder.path().join("none.pem"));
    assert!(
        hub.refusal().ends_with("none.pem: there is no such file"),
        "{}",
        hub.refusal()
    );
    let mut hub = Hub::new();
    hub.config.tls.client_ca = Some(hub.folder.path().to_owned());
    assert!(
        hub.refusal()
            .starts_with("cannot read the client authorities"),
        "{}",
        hub.refusal()
    );
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let mut hub = Hub::new();
    hub.config.data_dir = hub.write("a-file", "");
    assert!(
        hub.refusal().starts_with("cannot write "),
        "{}",
        hub.refusal()
    );
}
