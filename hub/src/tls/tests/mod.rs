//! Whole handshakes in memory, and the local authority over the years.

mod authority;
mod client_certificates;
mod configured_certificate;
mod handshake;
mod reload;
mod resumption;

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
