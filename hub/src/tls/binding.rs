//! Channel binding: values that both ends of one TLS connection know, and no man in the middle can make equal.
//!
//! Implements: RFC 5929 §4 (tls-server-end-point), RFC 9266 (tls-exporter). Not: tls-unique, which TLS 1.3 does not have and
//! TLS 1.2 had to lose (RFC 9266 §1).

use rustls::{ConnectionCommon, ServerConnection};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use x509_parser::der_parser::{Oid, oid};
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

/// The channel binding data of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelBindings {
    /// `tls-server-end-point`; `None` where RFC 5929 leaves it undefined, as for an Ed25519 certificate.
    pub server_end_point: Option<Vec<u8>>,
    /// `tls-exporter`.
    pub exporter: Option<[u8; 32]>,
}

/// RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

impl ChannelBindings {
    pub(super) fn of(connection: &ServerConnection, server_end_point: Option<&[u8]>) -> Self {
        Self {
            server_end_point: server_end_point.map(<[u8]>::to_vec),
            exporter: tls_exporter(connection),
        }
    }
}

/// `tls-exporter` of a connection whose handshake is done; `None` while it is not.
///
/// On TLS 1.2 it is unique only with the extended master secret (RFC 9266 §4 demands it): our server refuses a handshake without.
pub fn tls_exporter<Data>(connection: &ConnectionCommon<Data>) -> Option<[u8; 32]> {
    // The context is present and empty, which to TLS 1.2 differs from absent (RFC 5705 §4).
    connection
        .export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]))
        .ok()
}

/// `tls-server-end-point` for a server's certificate: its digest by the hash of its own signature, with SHA-256 in place of MD5 and
/// SHA-1 (RFC 5929 §4.1). `None` where the signature has no one hash, so that the type is undefined.
pub fn server_end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    match signature_hash(&parsed.signature_algorithm)? {
        Hash::Sha224 => Some(Sha224::digest(certificate).to_vec()),
        Hash::Sha256 => Some(Sha256::digest(certificate).to_vec()),
        Hash::Sha384 => Some(Sha384::digest(certificate).to_vec()),
        Hash::Sha512 => Some(Sha512::digest(certificate).to_vec()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

fn signature_hash(algorithm: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    if let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(algorithm)
    {
        return plain_hash(parameters.hash_algorithm_oid());
    }
    let table = [
        (oid!(1.2.840.113549.1.1.4), Hash::Sha256), // md5WithRSAEncryption
        (oid!(1.2.840.113549.1.1.5), Hash::Sha256), // sha1WithRSAEncryption
        (oid!(1.2.840.113549.1.1.14), Hash::Sha224), // sha224WithRSAEncryption
        (oid!(1.2.840.113549.1.1.11), Hash::Sha256), // sha256WithRSAEncryption
        (oid!(1.2.840.113549.1.1.12), Hash::Sha384), // sha384WithRSAEncryption
        (oid!(1.2.840.113549.1.1.13), Hash::Sha512), // sha512WithRSAEncryption
        (oid!(1.2.840.10045.4.1), Hash::Sha256),    // ecdsa-with-SHA1
        (oid!(1.2.840.10045.4.3.1), Hash::Sha224),  // ecdsa-with-SHA224
        (oid!(1.2.840.10045.4.3.2), Hash::Sha256),  // ecdsa-with-SHA256
        (oid!(1.2.840.10045.4.3.3), Hash::Sha384),  // ecdsa-with-SHA384
        (oid!(1.2.840.10045.4.3.4), Hash::Sha512),  // ecdsa-with-SHA512
    ];
    table
        .into_iter()
        .find(|(oid, _)| *oid == algorithm.algorithm)
        .map(|(_, hash)| hash)
}

/// The hash that RSASSA-PSS parameters name, with the replacement of RFC 5929 §4.1.
fn plain_hash(oid: &Oid<'_>) -> Option<Hash> {
    let table = [
        (oid!(1.2.840.113549.2.5), Hash::Sha256), // MD5
        (oid!(1.3.14.3.2.26), Hash::Sha256),      // SHA-1
        (oid!(2.16.840.1.101.3.4.2.4), Hash::Sha224),
        (oid!(2.16.840.1.101.3.4.2.1), Hash::Sha256),
        (oid!(2.16.840.1.101.3.4.2.2), Hash::Sha384),
        (oid!(2.16.840.1.101.3.4.2.3), Hash::Sha512),
    ];
    table
        .into_iter()
        .find(|(known, _)| known == oid)
        .map(|(_, hash)| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(oid: Oid<'static>) -> Option<Hash> {
        signature_hash(&AlgorithmIdentifier::new(oid, None))
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        assert_eq!(hash_of(oid!(1.2.840.10045.4.3.3)), Some(Hash::Sha384));
        assert_eq!(hash_of(oid!(1.2.840.113549.1.1.13)), Some(Hash::Sha512));
        assert_eq!(
            plain_hash(&oid!(2.16.840.1.101.3.4.2.2)),
            Some(Hash::Sha384)
        );
    }

    #[test]
    fn md5_and_sha1_give_way_to_sha256() {
        // RFC 5929 §4.1
        for weak in [
            oid!(1.2.840.113549.1.1.4),
            oid!(1.2.840.113549.1.1.5),
            oid!(1.2.840.10045.4.1),
        ] {
            assert_eq!(hash_of(weak), Some(Hash::Sha256));
        }
        assert_eq!(plain_hash(&oid!(1.3.14.3.2.26)), Some(Hash::Sha256));
    }

    #[test]
    fn a_signature_without_one_hash_defines_no_end_point() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        assert_eq!(server_end_point(certificate.der()), None);
    }

    #[test]
    fn an_ecdsa_p384_certificate_is_digested_by_sha384() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        assert_eq!(
            server_end_point(certificate.der()),
            Some(Sha384::digest(certificate.der()).to_vec())
        );
    }
}
