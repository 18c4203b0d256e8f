//! Whole handshakes in memory, and the local authority over the years.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::config::Config;

const TLS12: &SupportedProtocolVersion = &rustls::version::TLS12;
const TLS13: &SupportedProtocolVersion = &rustls::version::TLS13;
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A hub's data folder, and the configuration that points there.
struct Hub {
    folder: TempDir,
    config: Config,
}

impl Hub {
    fn new() -> Self {
        Self::of("localhost")
    }

    fn of(domain: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let text = format!("domain = \"{domain}\"");
        let mut config = Config::parse(&text, "test").expect("a right configuration");
        config.data_dir = folder.path().join("data");
        Self { folder, config }
    }

    fn load(&self, now: SystemTime) -> ServerTls {
        ServerTls::load(&self.config, now).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refusal(&self) -> String {
        match ServerTls::load(&self.config, today()) {
            Ok(_) => panic!("this must be refused"),
            Err(error) => error.to_string(),
        }
    }

    fn authority(&self) -> Authority {
        Authority::open_or_create(&self.config.data_dir, &self.config.domain, today())
            .expect("an authority")
    }

    fn tls_file(&self, name: &str) -> std::path::PathBuf {
        self.config.data_dir.join("tls").join(name)
    }

    fn write(&self, name: &str, content: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("written");
        path
    }

    /// A client that trusts this hub's authority, with a certificate or without.
    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        identity: Option<(&str, &str)>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.authority().certificate().clone())
            .expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("a known version")
            .with_root_certificates(roots);
        match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate =
                    CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
                builder
                    .with_client_auth_cert(vec![certificate], key)
                    .expect("a pair")
            }
        }
    }
}

fn today() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// The two ends of a connection, with the wire between them.
struct Pair {
    client: ClientConnection,
    server: ServerConnection,
}

impl Pair {
    fn new(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, name: &str) -> Self {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        Self {
            client: ClientConnection::new(client.clone(), name).expect("a client"),
            server: ServerConnection::new(server.clone()).expect("a server"),
        }
    }

    /// Carries bytes until both ends are silent.
    fn run(&mut self) -> Result<(), rustls::Error> {
        while self.client.wants_write() || self.server.wants_write() {
            let mut wire = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut wire).expect("memory takes all");
            }
            while !wire.is_empty() {
                let taken = self
                    .server
                    .read_tls(&mut &wire[..])
                    .expect("memory gives all");
                wire.drain(..taken);
                self.server.process_new_packets()?;
            }
            while self.server.wants_write() {
                self.server.write_tls(&mut wire).expect("memory takes all");
            }
            while !wire.is_empty() {
                let taken = self
                    .client
                    .read_tls(&mut &wire[..])
                    .expect("memory gives all");
                wire.drain(..taken);
                self.client.process_new_packets()?;
            }
        }
        Ok(())
    }

    fn done(mut self) -> Self {
        self.run().expect("the handshake succeeds");
        assert!(!self.client.is_handshaking() && !self.server.is_handshaking());
        self
    }
}

fn connect(client: ClientConfig, tls: &ServerTls) -> Pair {
    Pair::new(&Arc::new(client), tls.starttls(), "localhost").done()
}

mod handshake {
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
        // RFC 9266 §4.2. rustls's client always offers it, so only the setting can be seen.
        let tls = Hub::new().load(today());
        assert!(tls.starttls().require_ems && tls.direct().require_ems);
    }

    #[test]
    fn direct_tls_speaks_xmpp_client_and_nothing_else() {
        // XEP-0368 §4
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
}

mod client_certificates {
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
            let der =
                CertificateDer::from_pem_slice(device.certificate_pem.as_bytes()).expect("PEM");
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
        let stolen =
            CertificateDer::from_pem_slice(device.certificate_pem.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::try_from(KeyPair::generate().expect("a key").serialize_der())
            .expect("a key");
        let signing_key = ring::sign::any_supported_type(&key).expect("a key");
        for version in [TLS12, TLS13] {
            let certified =
                rustls::sign::CertifiedKey::new(vec![stolen.clone()], signing_key.clone());
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
}

mod resumption {
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
}

mod reload {
    use super::*;

    #[test]
    fn a_live_connection_keeps_the_certificate_that_it_saw() {
        // S25
        use std::io::{Read, Write};
        let hub = Hub::new();
        let reloadable = Reloadable::load(&hub.config, today()).expect("loaded");
        let old = reloadable.current();
        let mut live = connect(hub.client(TLS13, None), &old);
        let before = old.channel_bindings(&live.server);

        fs::remove_file(hub.tls_file("server.pem")).expect("it was there");
        reloadable.reload(&hub.config, today()).expect("reloaded");

        let new = reloadable.current();
        assert_ne!(new.certificate(), old.certificate());
        let fresh = connect(hub.client(TLS13, None), &new);
        assert_ne!(
            new.channel_bindings(&fresh.server).server_end_point,
            before.server_end_point
        );
        assert_eq!(old.channel_bindings(&live.server), before);
        live.client
            .writer()
            .write_all(b"still here")
            .expect("memory takes all");
        live.run().expect("the connection lives on");
        let mut heard = [0; 10];
        live.server
            .reader()
            .read_exact(&mut heard)
            .expect("all came through");
        assert_eq!(&heard, b"still here");
    }

    #[test]
    fn a_reload_that_fails_changes_nothing() {
        let mut hub = Hub::new();
        let reloadable = Reloadable::load(&hub.config, today()).expect("loaded");
        let old = reloadable.current();
        hub.config.tls.certificate = Some(hub.folder.path().join("none.pem"));
        hub.config.tls.key = Some(hub.folder.path().join("none.pem"));
        assert!(reloadable.reload(&hub.config, today()).is_err());
        assert!(Arc::ptr_eq(&old, &reloadable.current()));
    }
}

mod authority {
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
}

mod configured_certificate {
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
}
