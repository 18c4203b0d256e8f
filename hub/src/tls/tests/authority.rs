//! The local authority over the years.

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

#[test]
fn the_first_run_makes_it_and_only_the_owner_sees_the_keys() {
    let hub = Hub::new();
    hub.load(today());
    assert_eq!(mode(&hub.config.data_dir.join("tls")), 0o700);
    assert_eq!(mode(&hub.tls_file("authority-key.pem")), 0o600);
    assert_eq!(mode(&hub.tls_file("server.pem")), 0o600);
    assert_eq!(mode(&hub.tls_file("authority.pem")), 0o644);
    assert_eq!(
        fs::read_dir(hub.config.data_dir.join("tls"))
            .expect("a folder")
            .count(),
        3
    );
}

#[test]
fn the_second_run_changes_nothing() {
    let hub = Hub::new();
    let first = hub.load(today());
    let second = hub.load(today() + YEAR);
    assert_eq!(first.certificate(), second.certificate());
}

#[test]
fn clients_may_use_every_name_of_the_hub() {
    let hub = Hub::of("localhost");
    let tls = hub.load(today());
    let client = Arc::new(hub.client(TLS13, None));
    for name in ["localhost", "pubsub.localhost", "127.0.0.1", "::1"] {
        Pair::new(&client, tls.starttls(), name).done();
    }
    let hub = Hub::of("bücher.example");
    let tls = hub.load(today());
    let client = Arc::new(hub.client(TLS13, None));
    for name in ["xn--bcher-kva.example", "pubsub.xn--bcher-kva.example"] {
        Pair::new(&client, tls.starttls(), name).done();
    }
    assert!(
        Pair::new(&client, tls.starttls(), "localhost")
            .run()
            .is_err()
    );
}

#[test]
fn the_hub_s_certificate_is_renewed_before_its_end_by_the_same_authority() {
    let hub = Hub::new();
    let first = hub.load(today());
    let authority = hub.authority().certificate().clone();
    let early = today() + 2 * YEAR - Duration::from_secs(61 * 86_400);
    assert!(!first.renewal_due(early));
    assert_eq!(hub.load(early).certificate(), first.certificate());
    let late = today() + 2 * YEAR - Duration::from_secs(59 * 86_400);
    assert!(first.renewal_due(late));
    let second = hub.load(late);
    assert_ne!(second.certificate(), first.certificate());
    assert!(!second.renewal_due(late));
    assert_eq!(*hub.authority().certificate(), authority);
    assert_ne!(
        hub.load(today() + 10 * YEAR).certificate(),
        second.certificate()
    );
}

#[test]
fn another_domain_gets_another_certificate_of_the_same_authority() {
    let mut hub = Hub::new();
    let first = hub.load(today());
    let authority = hub.authority().certificate().clone();
    hub.config.domain = "iot.example".to_owned();
    hub.config.pubsub.service = "pubsub.iot.example".to_owned();
    let second = hub.load(today());
    assert_ne!(first.certificate(), second.certificate());
    Pair::new(
        &Arc::new(hub.client(TLS13, None)),
        second.starttls(),
        "iot.example",
    )
    .done();
    assert_eq!(*hub.authority().certificate(), authority);
    hub.config.pubsub.service = "nodes.iot.example".to_owned();
    assert_ne!(hub.load(today()).certificate(), second.certificate());
}

#[test]
fn an_authority_near_its_end_is_renewed_with_the_same_key() {
    let hub = Hub::new();
    hub.load(today());
    let device = hub
        .authority()
        .issue_device("dev7@localhost", today() + 10 * YEAR)
        .expect("issued");
    let old = hub.authority().certificate().clone();
    let key = fs::read(hub.tls_file("authority-key.pem")).expect("it is there");
    let later = today() + 28 * YEAR;
    let tls = hub.load(later);
    assert_ne!(*hub.authority().certificate(), old);
    assert_eq!(
        fs::read(hub.tls_file("authority-key.pem")).expect("it is there"),
        key
    );
    let client = hub.client(TLS13, Some((&device.certificate_pem, &device.key_pem)));
    let pair = connect(client, &tls);
    let judged = tls.client_certificate(&pair.server, later);
    assert!(
        matches!(judged, ClientCertificate::Trusted(_)),
        "{judged:?}"
    );
}

#[test]
fn a_first_run_cut_short_is_taken_up() {
    let hub = Hub::new();
    hub.load(today());
    fs::remove_file(hub.tls_file("authority.pem")).expect("it was there");
    let key = fs::read(hub.tls_file("authority-key.pem")).expect("it is there");
    connect(hub.client(TLS13, None), &hub.load(today()));
    assert_eq!(
        fs::read(hub.tls_file("authority-key.pem")).expect("it is there"),
        key
    );
}

#[test]
fn a_lost_authority_key_is_told_and_nothing_is_overwritten() {
    let hub = Hub::new();
    hub.load(today());
    fs::remove_file(hub.tls_file("authority-key.pem")).expect("it was there");
    let certificate = fs::read(hub.tls_file("authority.pem")).expect("it is there");
    let refusal = hub.refusal();
    assert!(
        refusal.contains("authority-key.pem is missing"),
        "{refusal}"
    );
    assert_eq!(
        fs::read(hub.tls_file("authority.pem")).expect("it is there"),
        certificate
    );
    assert!(!hub.tls_file("authority-key.pem").exists());
}

#[test]
fn a_broken_authority_is_told_and_a_broken_server_certificate_is_made_anew() {
    let hub = Hub::new();
    hub.load(today());
    fs::write(hub.tls_file("server.pem"), "garbage").expect("written");
    connect(hub.client(TLS13, None), &hub.load(today()));
    let other_key = KeyPair::generate().expect("a key").serialize_pem();
    fs::write(hub.tls_file("authority-key.pem"), &other_key).expect("written");
    assert!(
        hub.refusal().contains("does not belong to"),
        "{}",
        hub.refusal()
    );
    fs::write(hub.tls_file("authority.pem"), "garbage").expect("written");
    assert!(
        hub.refusal().contains("holds no PEM block"),
        "{}",
        hub.refusal()
    );
    assert_eq!(
        fs::read(hub.tls_file("authority.pem")).expect("it is there"),
        b"garbage"
    );
}
