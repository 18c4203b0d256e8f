//! The server's side of TLS: one certificate, the rules of the handshake, and how they are replaced while connections live.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CommonState, Error, InconsistentKeys, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::authority::{Authority, OwnCertificate, SERVER_RENEWED_BEFORE, not_after};
use super::binding::{ChannelBindings, server_end_point};
use super::clients::ClientTrust;
use super::error::TlsError;
use super::files::{read_certificates, read_key};
use super::peer::ClientCertificate;
use super::since_epoch;
use crate::config::Config;

/// The protocol name of client connections on direct TLS (XEP-0368 §3).
pub const ALPN_XMPP_CLIENT: &[u8] = b"xmpp-client";

/// Everything TLS that one accepted connection uses, from its handshake to its end: certificate, rules, trusted authorities.
///
/// Resumption belongs to one `ServerTls` too (its tickets are sealed by keys of its own), so a resumed session never binds to
/// another certificate than the one that its first handshake showed, and never rests on an authority no longer trusted.
pub struct ServerTls {
    starttls: Arc<ServerConfig>,
    direct: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
    end_point: Option<Vec<u8>>,
    trust: ClientTrust,
    not_after: Duration,
    issued_locally: bool,
}

const WHAT_CERTIFICATE: &str = "certificate";
const WHAT_KEY: &str = "key";

impl ServerTls {
    /// Reads or makes the certificate that the configuration asks for.
    pub fn load(config: &Config, now: SystemTime) -> Result<Self, TlsError> {
        // Also beside a given certificate: the local authority issues those of devices.
        let authority = Authority::open_or_create(&config.data_dir, &config.domain, now)?;
        let provider = Arc::new(ring::default_provider());
        let (certified, issued_locally) = match (&config.tls.certificate, &config.tls.key) {
            (Some(certificate), Some(key)) => {
                let certified = configured(certificate, key, &provider)?;
                warn_of_doubts(certificate, &certified, &config.domain, now);
                (certified, false)
            }
            _ => {
                let OwnCertificate { chain, key } =
                    authority.own_certificate(&config.domain, &config.pubsub.service, now)?;
                let certified =
                    CertifiedKey::from_der(chain, key, &provider).map_err(TlsError::internal)?;
                (certified, true)
            }
        };
        let trust = ClientTrust::new(
            authority.certificate(),
            config.tls.client_ca.as_deref(),
            &provider,
        )?;
        let certificate = certified
            .end_entity_cert()
            .map_err(TlsError::internal)?
            .clone()
            .into_owned();
        let not_after = not_after(&certificate).map_err(TlsError::internal)?;
        let starttls = server_config(certified, &trust, config.tls.max_fragment_bytes, provider)?;
        let mut direct = starttls.clone();
        direct.alpn_protocols = vec![ALPN_XMPP_CLIENT.to_vec()];
        Ok(Self {
            starttls: Arc::new(starttls),
            direct: Arc::new(direct),
            end_point: server_end_point(&certificate),
            certificate,
            trust,
            not_after,
            issued_locally,
        })
    }

    /// For a stream that asked for TLS (RFC 6120 §5). No application protocol is negotiated: the stream is known to be XMPP.
    pub fn starttls(&self) -> &Arc<ServerConfig> {
        &self.starttls
    }

    /// For a connection that is TLS from its first byte. A client that offers application protocols must offer `xmpp-client`.
    pub fn direct(&self) -> &Arc<ServerConfig> {
        &self.direct
    }

    /// The certificate that is served.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The channel bindings of a connection made with this `ServerTls` whose handshake is done (S25).
    pub fn channel_bindings(&self, connection: &ServerConnection) -> ChannelBindings {
        ChannelBindings::of(connection, self.end_point.as_deref())
    }

    /// What the client's certificate is worth, once the handshake is done.
    pub fn client_certificate(
        &self,
        connection: &CommonState,
        now: SystemTime,
    ) -> ClientCertificate {
        self.trust.judge(connection.peer_certificates(), now)
    }

    /// Whether a reload would renew the certificate because it nears its end. Only the local authority renews.
    pub fn renewal_due(&self, now: SystemTime) -> bool {
        self.issued_locally && since_epoch(now) + SERVER_RENEWED_BEFORE >= self.not_after
    }
}

/// The present [`ServerTls`], which SIGHUP replaces. Connections keep the one they began with.
///
/// The lock is held for the copy of a pointer only.
pub struct Reloadable {
    current: RwLock<Arc<ServerTls>>,
}

impl Reloadable {
    /// Begins with what the configuration says now.
    pub fn load(config: &Config, now: SystemTime) -> Result<Self, TlsError> {
        Ok(Self {
            current: RwLock::new(Arc::new(ServerTls::load(config, now)?)),
        })
    }

    /// For a connection to take when it is accepted, and to keep.
    pub fn current(&self) -> Arc<ServerTls> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads everything anew. When that fails the old stays in force.
    pub fn reload(&self, config: &Config, now: SystemTime) -> Result<(), TlsError> {
        let fresh = Arc::new(ServerTls::load(config, now)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

fn server_config(
    certified: CertifiedKey,
    trust: &ClientTrust,
    max_fragment_bytes: usize,
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, TlsError> {
    /// rustls counts the record's header as a part of the fragment; RFC 6066 §4 and we do not.
    const RECORD_HEADER_BYTES: usize = 5;
    let verifier = trust.handshake_verifier(&provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::internal)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.max_fragment_size = Some(max_fragment_bytes + RECORD_HEADER_BYTES);
    // RFC 9266 §4: without the extended master secret (RFC 7627), TLS 1.2 has no sound tls-exporter.
    config.require_ems = true;
    // Tickets alone: the client keeps the session, the hub keeps two keys whatever the number of clients.
    config.ticketer = ring::Ticketer::new().map_err(TlsError::internal)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // One ticket a connection: a device resumes once, and gets the next one then.
    config.send_tls13_tickets = 1;
    Ok(config)
}

fn configured(
    certificate_path: &Path,
    key_path: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = read_certificates(WHAT_CERTIFICATE, certificate_path)?;
    let key: PrivateKeyDer<'static> = read_key(WHAT_KEY, key_path)?;
    if let Some(Err(error)) = chain.first().map(ParsedCertificate::try_from) {
        return Err(TlsError::unusable(
            WHAT_CERTIFICATE,
            certificate_path,
            error,
        ));
    }
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::KeyMismatch {
            key: key_path.to_owned(),
            certificate: certificate_path.to_owned(),
        },
        error => TlsError::unusable(WHAT_KEY, key_path, error),
    })
}

/// What does not stop the hub from running, yet will stop careful clients from connecting.
fn warn_of_doubts(path: &Path, certified: &CertifiedKey, domain: &str, now: SystemTime) {
    let Ok(certificate) = certified.end_entity_cert() else {
        return;
    };
    let file = path.display();
    if not_after(certificate).is_ok_and(|end| end <= since_epoch(now)) {
        tracing::warn!(%file, "the certificate has expired; clients will refuse it");
    }
    if server_end_point(certificate).is_none() {
        tracing::warn!(%file, "the certificate's signature has no one hash function, so tls-server-end-point is not offered (RFC 5929)");
    }
    let named = idna::domain_to_ascii(domain)
        .ok()
        .and_then(|name| ServerName::try_from(name).ok())
        .zip(ParsedCertificate::try_from(certificate).ok())
        .is_some_and(|(name, parsed)| verify_server_name(&parsed, &name).is_ok());
    if !named {
        tracing::warn!(%file, %domain, "the certificate does not name the domain; clients will refuse it");
    }
}
