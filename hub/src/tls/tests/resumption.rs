//! Resumed sessions.

use super::*;

#[test]
fn a_client_resumes_and_keeps_its_identity_and_bindings() {
    let hub = Hub::new();
    let tls = hub.load(today());
    let device = hub
        .authority()
        .issue_device("dev7@localhost", today())
        .expect("issued");
    for version in [TLS12, TLS13] {
        let mut client = hub.client(version, Some((&device.certificate_pem, &device.key_pem)));
        client.resumption = Resumption::in_memory_sessions(4);
        let client = Arc::new(client);
        let first = Pair::new(&client, tls.starttls(), "localhost").done();
        assert_eq!(first.server.handshake_kind(), Some(HandshakeKind::Full));
        let second = Pair::new(&client, tls.starttls(), "localhost").done();
        assert_eq!(
            second.server.handshake_kind(),
            Some(HandshakeKind::Resumed),
            "{version:?}"
        );
        assert_eq!(
            tls.client_certificate(&second.server, today()),
            tls.client_certificate(&first.server, today())
        );
        assert!(matches!(
            tls.client_certificate(&second.server, today()),
            ClientCertificate::Trusted(_)
        ));
        let bindings = tls.channel_bindings(&second.server);
        assert_eq!(bindings.exporter, tls_exporter(&second.client));
        assert_ne!(bindings.exporter, tls_exporter(&first.client));
    }
}

#[test]
fn a_reload_ends_resumption_so_that_bindings_stay_true() {
    let hub = Hub::new();
    let reloadable = Reloadable::load(&hub.config, today()).expect("loaded");
    let mut client = hub.client(TLS13, None);
    client.resumption = Resumption::in_memory_sessions(4);
    let client = Arc::new(client);
    Pair::new(&client, reloadable.current().starttls(), "localhost").done();
    reloadable.reload(&hub.config, today()).expect("reloaded");
    let after = Pair::new(&client, reloadable.current().starttls(), "localhost").done();
    assert_eq!(after.server.handshake_kind(), Some(HandshakeKind::Full));
}
