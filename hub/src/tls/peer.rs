//! Whom a client's certificate names.
//!
//! Implements: RFC 6120 §13.7.1.4 (id-on-xmppAddr), XEP-0178 1.2 §2 as far as it is about certificates. SASL decides what they
//! are good for.

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::der_parser::oid;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

/// What a client showed of itself in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Nothing. Most clients do.
    None,
    /// A certificate that cannot be trusted: EXTERNAL is not offered (RFC 6120 §6.3.4), all else goes on. The text says why, for the log.
    Unusable(String),
    /// A certificate that one of the accepted authorities vouches for.
    Trusted(ClientIdentity),
}

/// Whom a trusted certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Its id-on-xmppAddr names as they stand there: not yet prepared, perhaps not even addresses (XEP-0178 §2).
    pub addresses: Vec<String>,
    /// The common name of the subject, where `addresses` is empty and the local authority vouches for it (S27).
    pub common_name: Option<String>,
    /// Who vouches for it.
    pub issuer: Issuer,
    /// SHA-256 of the certificate, by which it can be revoked.
    pub fingerprint: [u8; 32],
}

/// Who vouches for a client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The hub's own authority.
    Local,
    /// An authority of `[tls] client_ca`.
    Configured,
}

/// At most this many names of one certificate are looked at.
const ADDRESSES_MAX: usize = 32;

/// Reads whom a certificate names. The caller has verified it.
pub(super) fn identity(
    certificate: &CertificateDer<'_>,
    issuer: Issuer,
) -> Result<ClientIdentity, String> {
    let (rest, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if !rest.is_empty() {
        return Err("bytes follow the certificate".to_owned());
    }
    let addresses = xmpp_addresses(&parsed)?;
    let common_name = match issuer {
        Issuer::Local if addresses.is_empty() => {
            let mut names = parsed.subject().iter_common_name();
            match (names.next(), names.next()) {
                (Some(name), None) => name.as_str().ok().map(str::to_owned),
                _ => None,
            }
        }
        _ => None,
    };
    Ok(ClientIdentity {
        addresses,
        common_name,
        issuer,
        fingerprint: Sha256::digest(certificate).into(),
    })
}

fn xmpp_addresses(certificate: &X509Certificate<'_>) -> Result<Vec<String>, String> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| format!("its alternative names cannot be read: {error}"))?;
    let Some(names) = names else {
        return Ok(Vec::new());
    };
    let mut addresses = Vec::new();
    for name in &names.value.general_names {
        let GeneralName::OtherName(kind, value) = name else {
            continue;
        };
        if *kind != oid!(1.3.6.1.5.5.7.8.5) {
            continue;
        }
        let address = utf8_in_explicit_tag(value)
            .ok_or_else(|| "its XMPP address is not a UTF8String".to_owned())?;
        if addresses.len() == ADDRESSES_MAX {
            return Err(format!("it names more than {ADDRESSES_MAX} XMPP addresses"));
        }
        addresses.push(address.to_owned());
    }
    Ok(addresses)
}

/// The text of `[0] EXPLICIT UTF8String`, which RFC 6120 §13.7.1.4 prescribes. Nothing may follow it.
fn utf8_in_explicit_tag(der: &[u8]) -> Option<&str> {
    const CONTEXT_0_CONSTRUCTED: u8 = 0xa0;
    const UTF8_STRING: u8 = 0x0c;
    let text = element(element(der, CONTEXT_0_CONSTRUCTED)?, UTF8_STRING)?;
    std::str::from_utf8(text).ok()
}

/// The content of the one DER element that `der` consists of. An address has at most 3071 bytes (RFC 7622 §3.1), so two bytes of length do.
fn element(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (&found, rest) = der.split_first()?;
    let (length, content) = match rest {
        [short @ 0..=0x7f, content @ ..] => (usize::from(*short), content),
        [0x81, length @ 0x80..=0xff, content @ ..] => (usize::from(*length), content),
        [0x82, high @ 1..=0xff, low, content @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), content)
        }
        _ => return None,
    };
    (found == tag && content.len() == length).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(text: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| {
            let mut der = vec![tag];
            match u16::try_from(content.len()).expect("short") {
                short @ 0..=0x7f => der.push(short as u8),
                one @ 0x80..=0xff => der.extend([0x81, one as u8]),
                two => {
                    der.push(0x82);
                    der.extend(two.to_be_bytes());
                }
            }
            der.extend(content);
            der
        };
        wrap(0xa0, &wrap(0x0c, text))
    }

    #[test]
    fn an_address_of_any_length_is_read_whole() {
        for length in [1, 100, 127, 128, 200, 255, 256, 3_071] {
            let address = "a".repeat(length);
            assert_eq!(
                utf8_in_explicit_tag(&explicit(address.as_bytes())),
                Some(&*address)
            );
        }
    }

    #[test]
    fn what_is_not_exactly_one_utf8_string_is_no_address() {
        let right = explicit("a@b".as_bytes());
        let mut trailing = right.clone();
        trailing.push(0);
        let mut other_tag = right.clone();
        other_tag[2] = 0x16; // IA5String
        assert_eq!(utf8_in_explicit_tag(&trailing), None);
        assert_eq!(utf8_in_explicit_tag(&other_tag), None);
        assert_eq!(utf8_in_explicit_tag(&explicit(&[0xff, 0xfe])), None);
        for cut in 0..right.len() {
            assert_eq!(utf8_in_explicit_tag(&right[..cut]), None, "cut at {cut}");
        }
        assert_eq!(
            utf8_in_explicit_tag(&[0xa0, 0x81, 0x05, 0x0c, 0x81, 0x02, b'a', b'b']),
            None,
            "lengths are minimal in DER"
        );
    }
}
