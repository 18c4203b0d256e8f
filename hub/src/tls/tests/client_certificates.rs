//! Whom a client's certificate names, and what becomes of one that is worth nothing.

use super::*;

fn trusted(certificate: ClientCertificate) -> ClientIdentity {
    match certificate {
        ClientCertificate::Trusted(identity) => identity,
        other => panic!("{other:?}"),
    }
}

/// An authority of somebody else, and a client certificate of it with this common name.
fn foreign(name: &str) -> (String, String, String) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("params");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_pem = authority
        .self_signed(&authority_key)
        .expect("an authority")
        .pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::new(Vec::new()).expect("params");
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let certificate = leaf.signed_by(&key, &issuer).expect("a certificate").pem();
    (authority_pem, certificate, key.serialize_pem())
}

#[test]
fn a_device_is_known_by_its_address() {
    let hub = Hub::new();
    let tls = hub.load(today());
    let device = hub
        .authority()
        .issue_device("dev7@localhost", today())
        .expect("issued");
    for version in [TLS12, TLS13] {
        let client = hub.client(version, Some((&device.certificate_pem, &device.key_pem)));
        let pair = connect(client, &tls);
        let identity = trusted(tls.client_certificate(&pair.server, today()));
        assert_eq!(identity.addresses, ["dev7@localhost"]);
        assert_eq!(identity.common_name, None);
        assert_eq!(identity.issuer, Issuer::Local);
        let der = CertificateDer::from_pem_slice(device.certificate_pem.as_bytes()).expect("PEM");
        assert_eq!(identity.fingerprint, <[u8; 32]>::from(Sha256::digest(&der)));
        assert_eq!(
            tls.channel_bindings(&pair.server).exporter,
            tls_exporter(&pair.client)
        );
    }
}

#[test]
fn no_certificate_is_no_fault() {
    let hub = Hub::new();
    let tls = hub.load(today());
    for version in [TLS12, TLS13] {
        let pair = connect(hub.client(version, None), &tls);
        assert_eq!(
            tls.client_certificate(&pair.server, today()),
            ClientCertificate::None
        );
    }
}

#[test]
fn a_stranger_s_certificate_connects_and_is_worth_nothing() {
    let hub = Hub::new();
    let tls = hub.load(today());
    let (_, certificate, key) = foreign("dev7");
    for version in [TLS12, TLS13] {
        let pair = connect(hub.client(version, Some((&certificate, &key))), &tls);
        let judged = tls.client_certificate(&pair.server, today());
        assert!(
            matches!(judged, ClientCertificate::Unusable(_)),
            "{judged:?}"
        );
    }
}

#[test]
fn an_authority_of_the_configuration_is_accepted_but_its_common_names_are_not() {
    // S27: the subject counts for the local authority only.
    let mut hub = Hub::new();
    let (authority, certificate, key) = foreign("dev7");
    hub.config.tls.client_ca = Some(hub.write("client-ca.pem", &authority));
    let tls = hub.load(today());
    let pair = connect(hub.client(TLS13, Some((&certificate, &key))), &tls);
    let identity = trusted(tls.client_certificate(&pair.server, today()));
    assert_eq!(
        (identity.issuer, identity.addresses.len()),
        (Issuer::Configured, 0)
    );
    assert_eq!(identity.common_name, None);
}

#[test]
fn an_expired_certificate_connects_and_is_worth_nothing() {
    let hub = Hub::new();
    let tls = hub.load(today());
    let device = hub
        .authority()
        .issue_device("dev7@localhost", today())
        .expect("issued");
    let pair = connect(
        hub.client(TLS13, Some((&device.certificate_pem, &device.key_pem))),
        &tls,
    );
    let judged = tls.client_certificate(&pair.server, today() + 21 * YEAR);
    assert!(
        matches!(judged, ClientCertificate::Unusable(_)),
        "{judged:?}"
    );
}

#[test]
fn a_certificate_that_cannot_even_be_read_connects_and_is_worth_nothing() {
    let hub = Hub::new();
    let tls = hub.load(today());
    let key = PrivateKeyDer::try_from(KeyPair::generate().expect("a key").serialize_der())
        .expect("a key");
    let signing_key = ring::sign::any_supported_type(&key).expect("a key");
    for version in [TLS12, TLS13] {
        let nonsense = CertificateDer::from(b"\x30\x03\x02\x01\x07".to_vec());
        let certified = rustls::sign::CertifiedKey::new(vec![nonsense], signing_key.clone());
        let mut client = hub.client(version, None);
        client.client_auth_cert_resolver =
            Arc::new(rustls::sign::SingleCertAndKey::from(certified));
        let pair = connect(client, &tls);
        let judged = tls.client_certificate(&pair.server, today());
        assert!(
            matches!(judged, ClientCertificate::Unusable(_)),
            "{judged:?}"
        );
    }
}

#[test]
fn a_certificate_without_its_key_does_not_connect() {
    let hub = Hub::new();
    let tls = hub.load(today());
    let device = hub
        .authority()
        .issue_device("dev7@localhost", today())
        .expect("issued");
    let stolen = CertificateDer::from_pem_slice(device.certificate_pem.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::try_from(KeyPair::generate().expect("a key").serialize_der())
        .expect("a key");
    let signing_key = ring::sign::any_supported_type(&key).expect("a key");
    for version in [TLS12, TLS13] {
        let certified = rustls::sign::CertifiedKey::new(vec![stolen.clone()], signing_key.clone());
        let mut client = hub.client(version, None);
        client.client_auth_cert_resolver =
            Arc::new(rustls::sign::SingleCertAndKey::from(certified));
        let mut pair = Pair::new(&Arc::new(client), tls.starttls(), "localhost");
        assert!(pair.run().is_err());
    }
}

#[test]
fn the_hub_s_own_certificate_signs_nobody_in() {
    let hub = Hub::new();
    let tls = hub.load(today());
    let own = fs::read_to_string(hub.tls_file("server.pem")).expect("it is there");
    let pair = connect(hub.client(TLS13, Some((&own, &own))), &tls);
    let judged = tls.client_certificate(&pair.server, today());
    assert!(
        matches!(judged, ClientCertificate::Unusable(_)),
        "{judged:?}"
    );
}

#[test]
fn an_unset_clock_does_not_lock_devices_out() {
    // S28
    let hub = Hub::new();
    let tls = hub.load(UNIX_EPOCH);
    let device = hub
        .authority()
        .issue_device("dev7@localhost", UNIX_EPOCH)
        .expect("issued");
    let pair = connect(
        hub.client(TLS13, Some((&device.certificate_pem, &device.key_pem))),
        &tls,
    );
    for now in [UNIX_EPOCH, today()] {
        trusted(tls.client_certificate(&pair.server, now));
    }
}

#[test]
fn only_accounts_get_certificates() {
    let authority = Hub::new().authority();
    for wrong in [
        "dev7",
        "@localhost",
        "dev7@",
        "dev7@localhost/phone",
        "a\0@b",
    ] {
        assert!(authority.issue_device(wrong, today()).is_err(), "{wrong:?}");
    }
}
