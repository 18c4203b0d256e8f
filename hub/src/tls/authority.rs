//! The local certificate authority: made on the first run, it issues the hub's own certificate and those of devices.
//!
//! In `data_dir/tls/`: `authority.pem` (give this one to clients), `authority-key.pem` (nobody's but the hub's) and `server.pem`
//! (the hub's certificate and its key together, so that one rename replaces both).
//!
//! Certificates are valid from 1970 on, since a chip or a Pi whose clock is not yet set must be able to connect (S28): to a device
//! the beginning says nothing, the end and the signature do.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, OtherNameValue, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};

use super::error::TlsError;
use super::files::{PUBLIC, SECRET, read_certificates, read_key, secret_folder, write_atomically};
use super::since_epoch;

/// The local authority of one hub.
pub struct Authority {
    folder: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: rcgen::Issuer<'static, KeyPair>,
    not_after: Duration,
}

/// A client certificate for a device, with its key; both PEM.
pub struct DeviceCertificate {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key (PKCS #8), which the hub does not keep.
    pub key_pem: String,
}

/// The hub's own certificate with its key.
pub(super) struct OwnCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

const DAY: Duration = Duration::from_secs(86_400);
const AUTHORITY_LIFETIME: Duration = DAY.saturating_mul(30 * 365);
const AUTHORITY_RENEWED_BEFORE: Duration = DAY.saturating_mul(3 * 365);
const SERVER_LIFETIME: Duration = DAY.saturating_mul(2 * 365);
/// How long before its end the hub's certificate is made anew, at a start, a reload or a daily look.
pub(super) const SERVER_RENEWED_BEFORE: Duration = DAY.saturating_mul(60);
/// A device is installed once and may be out of reach for years.
const DEVICE_LIFETIME: Duration = DAY.saturating_mul(20 * 365);
/// RFC 5280 appendix A.1, ub-common-name.
const COMMON_NAME_CHARS_MAX: usize = 64;

const WHAT_AUTHORITY: &str = "local authority's certificate";
const WHAT_AUTHORITY_KEY: &str = "local authority's key";
const WHAT_SERVER: &str = "certificate of the local authority for this hub";

/// id-on-xmppAddr (RFC 6120 §13.7.1.4).
pub(super) const ID_ON_XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];

impl Authority {
    /// Opens the authority in `data_dir/tls/`; makes it on the first run, and renews its certificate with the same key when it nears its
    /// end, so that what it issued stays good.
    pub fn open_or_create(
        data_dir: &Path,
        domain: &str,
        now: SystemTime,
    ) -> Result<Self, TlsError> {
        let folder = data_dir.join("tls");
        secret_folder(&folder)?;
        let certificate_path = folder.join("authority.pem");
        let key_path = folder.join("authority-key.pem");
        let key_pair = match (exists(&certificate_path)?, exists(&key_path)?) {
            (true, false) => {
                return Err(TlsError::AuthorityKeyMissing {
                    key: key_path,
                    certificate: certificate_path,
                });
            }
            (false, false) => {
                let key_pair = generate_key()?;
                write_atomically(&key_path, key_pair.serialize_pem().as_bytes(), SECRET)?;
                tracing::info!(folder = %folder.display(), "making a local certificate authority");
                key_pair
            }
            // A key alone is a first run that was cut short before the certificate, or a wish for a new certificate.
            (_, true) => read_key_pair(&key_path)?,
        };
        let made_anew = match exists(&certificate_path)? {
            true => {
                let der = read_authority_certificate(&certificate_path)?;
                let not_after = not_after(&der)
                    .map_err(|why| TlsError::unusable(WHAT_AUTHORITY, &certificate_path, why))?;
                let parsed = ParsedCertificate::try_from(&der)
                    .map_err(|why| TlsError::unusable(WHAT_AUTHORITY, &certificate_path, why))?;
                if parsed.subject_public_key_info().as_ref() != key_pair_spki(&key_pair) {
                    return Err(TlsError::KeyMismatch {
                        key: key_path,
                        certificate: certificate_path,
                    });
                }
                let due = since_epoch(now) + AUTHORITY_RENEWED_BEFORE >= not_after;
                if due {
                    tracing::warn!(file = %certificate_path.display(), "the local authority's certificate nears its end and is renewed; give the new one to clients");
                }
                due
            }
            false => true,
        };
        if made_anew {
            let params = authority_params(domain, now)?;
            let certificate = params.self_signed(&key_pair).map_err(TlsError::internal)?;
            write_atomically(&certificate_path, certificate.pem().as_bytes(), PUBLIC)?;
        }
        let certificate = read_authority_certificate(&certificate_path)?;
        let issuer = rcgen::Issuer::from_ca_cert_der(&certificate, key_pair)
            .map_err(|why| TlsError::unusable(WHAT_AUTHORITY, &certificate_path, why))?;
        let not_after = not_after(&certificate).map_err(TlsError::internal)?;
        Ok(Self {
            folder,
            certificate,
            issuer,
            not_after,
        })
    }

    /// The authority's own certificate, which clients need to trust the hub.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Where that certificate lies as PEM.
    pub fn certificate_path(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Issues a client certificate that signs in as `address`, a bare address (XEP-0178). Who may have one is the caller's question.
    pub fn issue_device(
        &self,
        address: &str,
        now: SystemTime,
    ) -> Result<DeviceCertificate, TlsError> {
        let wrong = |why: &str| TlsError::Name {
            name: address.to_owned(),
            why: why.to_owned(),
        };
        let Some((name, domain)) = address.split_once('@') else {
            return Err(wrong("it is not an account's address"));
        };
        if name.is_empty() || domain.is_empty() || address.contains(['/', '\0']) {
            return Err(wrong("it is not an account's address"));
        }
        let key_pair = generate_key()?;
        let mut params = self.leaf_params(now, DEVICE_LIFETIME, name)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![xmpp_addr(address)];
        let certificate = params
            .signed_by(&key_pair, &self.issuer)
            .map_err(TlsError::internal)?;
        Ok(DeviceCertificate {
            certificate_pem: certificate.pem(),
            key_pem: key_pair.serialize_pem(),
        })
    }

    /// The hub's certificate for these names: the one that is there if it is good for them and for some time, else a new one.
    pub(super) fn own_certificate(
        &self,
        domain: &str,
        service: &str,
        now: SystemTime,
    ) -> Result<OwnCertificate, TlsError> {
        let path = self.folder.join("server.pem");
        let names = certificate_names(domain, service)?;
        if exists(&path)? {
            match self.usable(&path, &names, domain, now) {
                Ok(own) => return Ok(own),
                Err(why) => {
                    tracing::info!(file = %path.display(), %why, "making a new certificate for this hub")
                }
            }
        }
        let key_pair = generate_key()?;
        let mut params = self.leaf_params(now, SERVER_LIFETIME, domain)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for name in &names {
            params.subject_alt_names.push(match name {
                ServerName::DnsName(name) => {
                    SanType::DnsName(name.as_ref().try_into().map_err(TlsError::internal)?)
                }
                ServerName::IpAddress(address) => SanType::IpAddress(IpAddr::from(*address)),
                _ => continue,
            });
        }
        // RFC 6120 §13.7.1.2.1: besides the DNS names. SRVName is left out: no client of today asks for it alone.
        params.subject_alt_names.push(xmpp_addr(domain));
        params.subject_alt_names.push(xmpp_addr(service));
        let certificate = params
            .signed_by(&key_pair, &self.issuer)
            .map_err(TlsError::internal)?;
        let both = certificate.pem() + &key_pair.serialize_pem();
        write_atomically(&path, both.as_bytes(), SECRET)?;
        Ok(OwnCertificate {
            chain: vec![certificate.into()],
            key: PrivatePkcs8KeyDer::from(key_pair.serialize_der()).into(),
        })
    }

    /// The stored certificate, or why another one is needed.
    fn usable(
        &self,
        path: &Path,
        names: &[ServerName<'static>],
        domain: &str,
        now: SystemTime,
    ) -> Result<OwnCertificate, String> {
        let chain = read_certificates(WHAT_SERVER, path).map_err(|error| error.to_string())?;
        let key = read_key(WHAT_SERVER, path).map_err(|error| error.to_string())?;
        let certificate = chain
            .first()
            .ok_or_else(|| "it holds no certificate".to_owned())?;
        let parsed = ParsedCertificate::try_from(certificate).map_err(|error| error.to_string())?;
        let provider = ring::default_provider();
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .map_err(|error| error.to_string())?;
        let then = UnixTime::since_unix_epoch(since_epoch(now) + SERVER_RENEWED_BEFORE);
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &roots,
            &[],
            then,
            provider.signature_verification_algorithms.all,
        )
        .map_err(|error| {
            format!(
                "the present one is not good for {} days more: {error}",
                SERVER_RENEWED_BEFORE.as_secs() / 86_400
            )
        })?;
        for name in names {
            verify_server_name(&parsed, name)
                .map_err(|_| format!("the present one does not name {}", name.to_str()))?;
        }
        // `localhost` is in every certificate of a hub that was once called so; the subject tells which domain it was made for.
        if subject_common_name(certificate).as_deref() != Some(&*common_name(domain)) {
            return Err(format!("the present one was not made for {domain}"));
        }
        rustls::sign::CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider)
            .map_err(|error| error.to_string())?;
        Ok(OwnCertificate { chain, key })
    }

    fn leaf_params(
        &self,
        now: SystemTime,
        lifetime: Duration,
        name: &str,
    ) -> Result<CertificateParams, TlsError> {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(1970, 1, 1);
        // No certificate outlives the one that vouches for it.
        params.not_after =
            date_time_ymd(1970, 1, 1) + (since_epoch(now) + lifetime).min(self.not_after);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name(name));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

/// The names that clients may know the hub by, in the form certificates hold.
fn certificate_names(domain: &str, service: &str) -> Result<Vec<ServerName<'static>>, TlsError> {
    let mut names = Vec::new();
    for name in [domain, service] {
        let wrong = |why: String| TlsError::Name {
            name: name.to_owned(),
            why,
        };
        // A certificate holds the A-label of an internationalised name (RFC 5280 §7.2).
        let ascii = idna::domain_to_ascii(name).map_err(|error| wrong(error.to_string()))?;
        names.push(ServerName::try_from(ascii).map_err(|error| wrong(error.to_string()))?);
    }
    if domain == "localhost" {
        for loopback in ["127.0.0.1", "::1"] {
            names.push(ServerName::try_from(loopback).map_err(TlsError::internal)?);
        }
    }
    Ok(names)
}

fn authority_params(domain: &str, now: SystemTime) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(now) + AUTHORITY_LIFETIME;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        common_name(&format!("Leveret local authority of {domain}")),
    );
    // It issues leaves only: an authority below it would be one that nobody made.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// ECDSA P-256 with SHA-256 (S25): small, quick on chips, and its hash is the one `tls-server-end-point` is defined by.
fn generate_key() -> Result<KeyPair, TlsError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::internal)
}

fn xmpp_addr(address: &str) -> SanType {
    SanType::OtherName((
        ID_ON_XMPP_ADDR.to_vec(),
        OtherNameValue::Utf8String(address.to_owned()),
    ))
}

fn common_name(name: &str) -> String {
    name.chars().take(COMMON_NAME_CHARS_MAX).collect()
}

fn subject_common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

/// The end of a certificate's validity, since 1970.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Result<Duration, String> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp())
        .map_err(|_| "it ended before 1970".to_owned())?;
    Ok(Duration::from_secs(seconds))
}

fn read_authority_certificate(path: &Path) -> Result<CertificateDer<'static>, TlsError> {
    let mut certificates = read_certificates(WHAT_AUTHORITY, path)?;
    match certificates.len() {
        1 => Ok(certificates.remove(0)),
        _ => Err(TlsError::unusable(
            WHAT_AUTHORITY,
            path,
            "it holds more than one certificate",
        )),
    }
}

fn read_key_pair(path: &Path) -> Result<KeyPair, TlsError> {
    let PrivateKeyDer::Pkcs8(der) = read_key(WHAT_AUTHORITY_KEY, path)? else {
        return Err(TlsError::unusable(
            WHAT_AUTHORITY_KEY,
            path,
            "it is not in PKCS #8 form",
        ));
    };
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
        .map_err(|why| TlsError::unusable(WHAT_AUTHORITY_KEY, path, why))
}

fn key_pair_spki(key_pair: &KeyPair) -> Vec<u8> {
    use rcgen::PublicKeyData;
    key_pair.subject_public_key_info()
}

fn exists(path: &Path) -> Result<bool, TlsError> {
    path.try_exists()
        .map_err(|cause| TlsError::unreadable("file", path, cause))
}
