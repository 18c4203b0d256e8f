//! Client certificates: asked for, never demanded, judged after the handshake.
//!
//! A client whose certificate we cannot trust has done nothing wrong: RFC 6120 §6.3.4 makes it a reason not to offer EXTERNAL, not to refuse
//! the connection. TLS knows only yes and no, so here the handshake says yes to every certificate whose key the client
//! proves to hold, and [`ClientTrust::judge`] decides afterwards what it is worth.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::error::TlsError;
use super::files::read_certificates;
use super::peer::{ClientCertificate, Issuer, identity};
use super::since_epoch;

const WHAT_CLIENT_CA: &str = "client authorities";

/// The authorities whose client certificates are accepted.
pub(super) struct ClientTrust {
    authorities: Vec<(Issuer, Arc<dyn ClientCertVerifier>)>,
}

impl ClientTrust {
    pub(super) fn new(
        local: &CertificateDer<'static>,
        client_ca: Option<&Path>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(local.clone()).map_err(TlsError::internal)?;
        let mut authorities = vec![(Issuer::Local, verifier(roots, provider)?)];
        if let Some(path) = client_ca {
            let mut roots = RootCertStore::empty();
            for certificate in read_certificates(WHAT_CLIENT_CA, path)? {
                roots
                    .add(certificate)
                    .map_err(|why| TlsError::unusable(WHAT_CLIENT_CA, path, why))?;
            }
            authorities.push((Issuer::Configured, verifier(roots, provider)?));
        }
        Ok(Self { authorities })
    }

    /// What the handshake asks with. The names of the accepted authorities help a client to choose among its certificates.
    pub(super) fn handshake_verifier(
        &self,
        provider: &CryptoProvider,
    ) -> Arc<dyn ClientCertVerifier> {
        Arc::new(AskAndAccept {
            algorithms: provider.signature_verification_algorithms,
            hints: self
                .authorities
                .iter()
                .flat_map(|(_, verifier)| verifier.root_hint_subjects().to_vec())
                .collect(),
        })
    }

    /// What the certificate of a finished handshake is worth now. Also for a resumed session, which shows none anew.
    pub(super) fn judge(
        &self,
        chain: Option<&[CertificateDer<'_>]>,
        now: SystemTime,
    ) -> ClientCertificate {
        let Some((own, intermediates)) = chain.and_then(<[_]>::split_first) else {
            return ClientCertificate::None;
        };
        // The handshake took no proof of possession for a certificate it could not read: it must not pass here either.
        if let Err(error) = ParsedCertificate::try_from(own) {
            return ClientCertificate::Unusable(error.to_string());
        }
        let now = UnixTime::since_unix_epoch(since_epoch(now));
        let mut why = String::from("no authority is accepted");
        for (issuer, verifier) in &self.authorities {
            match verifier.verify_client_cert(own, intermediates, now) {
                Ok(_) => {
                    return match identity(own, *issuer) {
                        Ok(identity) => ClientCertificate::Trusted(identity),
                        Err(why) => ClientCertificate::Unusable(why),
                    };
                }
                Err(error) => why = error.to_string(),
            }
        }
        ClientCertificate::Unusable(why)
    }
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(TlsError::internal)
}

/// Asks for a certificate and takes any whose private key the client proves to hold.
#[derive(Debug)]
struct AskAndAccept {
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for AskAndAccept {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if unreadable(certificate) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if unreadable(certificate) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A certificate we cannot parse (version 1, say) has no key to check a signature by. [`ClientTrust::judge`] refuses it by the same test,
/// so nothing is ever granted for it.
fn unreadable(certificate: &CertificateDer<'_>) -> bool {
    ParsedCertificate::try_from(certificate).is_err()
}
