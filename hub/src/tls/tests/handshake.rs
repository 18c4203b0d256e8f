//! Handshakes of both versions, and the channel bindings at their ends.

use super::*;

#[test]
fn both_ends_have_the_same_bindings_on_both_versions() {
    let hub = Hub::new();
    let tls = hub.load(today());
    for (version, number) in [
        (TLS12, ProtocolVersion::TLSv1_2),
        (TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let pair = connect(hub.client(version, None), &tls);
        assert_eq!(pair.server.protocol_version(), Some(number));
        let bindings = tls.channel_bindings(&pair.server);
        let seen = pair
            .client
            .peer_certificates()
            .expect("the server showed one");
        assert_eq!(bindings.server_end_point, server_end_point(&seen[0]));
        assert_eq!(
            bindings.server_end_point,
            Some(Sha256::digest(&seen[0]).to_vec())
        );
        assert!(bindings.exporter.is_some());
        assert_eq!(bindings.exporter, tls_exporter(&pair.client));
    }
}

#[test]
fn two_connections_never_export_the_same() {
    let hub = Hub::new();
    let tls = hub.load(today());
    let one = connect(hub.client(TLS13, None), &tls);
    let two = connect(hub.client(TLS13, None), &tls);
    assert_ne!(tls_exporter(&one.server), tls_exporter(&two.server));
}

#[test]
fn nothing_is_exported_before_the_handshake_is_done() {
    let hub = Hub::new();
    let tls = hub.load(today());
    let pair = Pair::new(
        &Arc::new(hub.client(TLS13, None)),
        tls.starttls(),
        "localhost",
    );
    assert_eq!(tls.channel_bindings(&pair.server).exporter, None);
}

#[test]
fn tls_1_2_without_the_extended_master_secret_is_refused() {
    // RFC 9266 §4. rustls's client always offers it, so only the setting can be seen.
    let tls = Hub::new().load(today());
    assert!(tls.starttls().require_ems && tls.direct().require_ems);
}

#[test]
fn direct_tls_speaks_xmpp_client_and_nothing_else() {
    // XEP-0368 §3
    let hub = Hub::new();
    let tls = hub.load(today());
    let offer = |protocol: &[u8], server: &Arc<ServerConfig>| {
        let mut client = hub.client(TLS13, None);
        client.alpn_protocols = vec![protocol.to_vec()];
        let mut pair = Pair::new(&Arc::new(client), server, "localhost");
        pair.run()
            .map(|()| pair.server.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(
        offer(b"xmpp-client", tls.direct()),
        Ok(Some(b"xmpp-client".to_vec()))
    );
    assert!(offer(b"h2", tls.direct()).is_err());
    assert_eq!(offer(b"xmpp-client", tls.starttls()), Ok(None));
    Pair::new(
        &Arc::new(hub.client(TLS13, None)),
        tls.direct(),
        "localhost",
    )
    .done();
}

#[test]
fn no_record_carries_more_than_max_fragment() {
    use std::io::Write;
    let hub = Hub::new();
    let tls = hub.load(today());
    for version in [TLS12, TLS13] {
        let mut pair = connect(hub.client(version, None), &tls);
        pair.server
            .writer()
            .write_all(&[7; 5_000])
            .expect("memory takes all");
        let mut wire = Vec::new();
        while pair.server.wants_write() {
            pair.server.write_tls(&mut wire).expect("memory takes all");
        }
        let (mut at, mut longest) = (0, 0);
        while at < wire.len() {
            let length = usize::from(u16::from_be_bytes([wire[at + 3], wire[at + 4]]));
            longest = longest.max(length);
            at += 5 + length;
        }
        // The plaintext, its type (TLS 1.3) or explicit nonce (TLS 1.2), and the tag.
        assert!((1_024..=1_024 + 24).contains(&longest), "{longest}");
    }
}
