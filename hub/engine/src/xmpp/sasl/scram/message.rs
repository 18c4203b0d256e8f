//! The grammar of SCRAM's two client messages.
//!
//! Implements: RFC 5802 §5.1 attributes, §7 formal syntax. Strict: what the grammar does not derive is refused.

use super::super::{Condition, SaslError, ScramError};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::borrow::Cow;

/// Longest nonce accepted from a client; it comes back twice.
pub(super) const CLIENT_NONCE_BYTES_MAX: usize = 256;

/// What the client says about channel binding: gs2-cbind-flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: it cannot.
    CannotBind,
    /// `y`: it can, and believes that the hub cannot.
    SawNoOffer,
    /// `p=`: it binds, with this type.
    Binds(&'a str),
}

/// client-first-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    /// gs2-header, its final comma included: part of what the client-final-message repeats.
    pub(super) header: &'a str,
    pub(super) binding: BindingFlag<'a>,
    pub(super) authzid: Option<Cow<'a, str>>,
    /// client-first-message-bare: the beginning of AuthMessage.
    pub(super) bare: &'a str,
    pub(super) username: Cow<'a, str>,
    pub(super) nonce: &'a str,
}

/// client-final-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// cbind-input: gs2-header and channel binding data.
    pub(super) binding_input: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: Vec<u8>,
    /// client-final-message-without-proof: the end of AuthMessage.
    pub(super) without_proof: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, SaslError> {
        let message = text(data)?;
        // gs2-header = gs2-cbind-flag "," [ authzid ] ","
        let (flag, rest) = message.split_once(',').ok_or(MALFORMED)?;
        let (authzid, bare) = rest.split_once(',').ok_or(MALFORMED)?;
        let binding = match flag {
            "n" => BindingFlag::CannotBind,
            "y" => BindingFlag::SawNoOffer,
            _ => BindingFlag::Binds(
                flag.strip_prefix("p=")
                    .filter(|name| is_binding_name(name))
                    .ok_or(MALFORMED)?,
            ),
        };
        let authzid = match authzid {
            "" => None,
            _ => Some(saslname(authzid.strip_prefix("a=").ok_or(MALFORMED)?)?),
        };
        let mut attributes = bare.split(',');
        let username = saslname(expect(&mut attributes, "n=")?)?;
        let nonce = expect(&mut attributes, "r=")?;
        if nonce.is_empty()
            || nonce.len() > CLIENT_NONCE_BYTES_MAX
            || !nonce.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(MALFORMED);
        }
        attributes.try_for_each(extension)?;
        let header = &message[..message.len() - bare.len()];
        Ok(Self {
            header,
            binding,
            authzid,
            bare,
            username,
            nonce,
        })
    }
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, SaslError> {
        let message = text(data)?;
        // The proof is the last attribute, and the only one that AuthMessage leaves out.
        let (without_proof, proof) = message.rsplit_once(',').ok_or(MALFORMED)?;
        let mut attributes = without_proof.split(',');
        let binding_input = base64(expect(&mut attributes, "c=")?)?;
        let nonce = expect(&mut attributes, "r=")?;
        attributes.try_for_each(extension)?;
        let proof = base64(proof.strip_prefix("p=").ok_or(MALFORMED)?)?;
        Ok(Self {
            binding_input,
            nonce,
            proof,
            without_proof,
        })
    }
}

const MALFORMED: SaslError = SaslError::scram(Condition::MalformedRequest, ScramError::OtherError);
const BAD_ENCODING: SaslError =
    SaslError::scram(Condition::MalformedRequest, ScramError::InvalidEncoding);

fn text(data: &[u8]) -> Result<&str, SaslError> {
    let text = std::str::from_utf8(data).map_err(|_| BAD_ENCODING)?;
    // Every value of the grammar excludes NUL.
    if text.contains('\0') {
        Err(MALFORMED)
    } else {
        Ok(text)
    }
}

/// The value of the attribute that must come next.
fn expect<'a>(
    attributes: &mut impl Iterator<Item = &'a str>,
    name: &str,
) -> Result<&'a str, SaslError> {
    let attribute = attributes.next().ok_or(MALFORMED)?;
    attribute
        .strip_prefix(name)
        .ok_or_else(|| extension(attribute).err().unwrap_or(MALFORMED))
}

/// RFC 5802 §5.1: an unknown attribute is passed over, except "m", whose mere presence fails the exchange.
fn extension(attribute: &str) -> Result<(), SaslError> {
    match attribute.as_bytes() {
        [b'm', b'=', ..] => Err(SaslError::scram(
            Condition::MalformedRequest,
            ScramError::ExtensionsNotSupported,
        )),
        [name, b'=', _, ..] if name.is_ascii_alphabetic() => Ok(()),
        _ => Err(MALFORMED),
    }
}

/// saslname: `=2C` is a comma, `=3D` an equals sign, and any other `=` fails (RFC 5802 §5.1, "n").
fn saslname(escaped: &str) -> Result<Cow<'_, str>, SaslError> {
    const BAD_NAME: SaslError = SaslError::scram(
        Condition::MalformedRequest,
        ScramError::InvalidUsernameEncoding,
    );
    let mut parts = escaped.split('=');
    let head = parts.next().unwrap_or_default();
    if escaped.is_empty() {
        return Err(BAD_NAME);
    }
    if head.len() == escaped.len() {
        return Ok(Cow::Borrowed(escaped));
    }
    let mut name = head.to_owned();
    for part in parts {
        // ABNF literals ignore case (RFC 5234 §2.3).
        let (character, rest) = match part.as_bytes() {
            [b'2', b'C' | b'c', ..] => (',', &part[2..]),
            [b'3', b'D' | b'd', ..] => ('=', &part[2..]),
            _ => return Err(BAD_NAME),
        };
        name.push(character);
        name.push_str(rest);
    }
    Ok(Cow::Owned(name))
}

/// cb-name = 1*(ALPHA / DIGIT / "." / "-")
fn is_binding_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

fn base64(value: &str) -> Result<Vec<u8>, SaslError> {
    BASE64
        .decode(value)
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .ok_or(BAD_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(message: &str) -> Result<ClientFirst<'_>, SaslError> {
        ClientFirst::parse(message.as_bytes())
    }

    fn scram_error<T: std::fmt::Debug>(result: Result<T, SaslError>) -> ScramError {
        let error = result.unwrap_err();
        assert_eq!(error.condition, Condition::MalformedRequest);
        error.scram.unwrap()
    }

    #[test]
    fn header_and_bare_part_divide_the_message() {
        let message = first("p=tls-exporter,a=a=2Cb,n=us=3Der,r=abc,x=1").unwrap();
        assert_eq!(message.header, "p=tls-exporter,a=a=2Cb,");
        assert_eq!(message.bare, "n=us=3Der,r=abc,x=1");
        assert_eq!(message.binding, BindingFlag::Binds("tls-exporter"));
        assert_eq!(message.authzid.as_deref(), Some("a,b"));
        assert_eq!((message.username.as_ref(), message.nonce), ("us=er", "abc"));
        assert_eq!(
            first("n,,n=u,r=a").unwrap().binding,
            BindingFlag::CannotBind
        );
        assert_eq!(
            first("y,,n=u,r=a").unwrap().binding,
            BindingFlag::SawNoOffer
        );
    }

    #[test]
    fn what_the_grammar_does_not_derive_is_refused() {
        let long_nonce = format!("n,,n=u,r={}", "x".repeat(CLIENT_NONCE_BYTES_MAX + 1));
        for message in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=u",
            "n,,r=a,n=u",
            "n,,n=u,r=",
            "n,,n=u,r=a b",
            "n,,n=u,r=é",
            "N,,n=u,r=a",
            "p=,,n=u,r=a",
            "p=tls_x,,n=u,r=a",
            "x,,n=u,r=a",
            "n,b=z,n=u,r=a",
            "n,,n=u,r=a,",
            "n,,n=u,r=a,1=x",
            "n,,n=u,r=a,x",
            "n,,n=u,r=a,x=",
            "n,,n=u\0,r=a",
            &long_nonce,
        ] {
            assert_eq!(
                scram_error(first(message)),
                ScramError::OtherError,
                "{message:?}"
            );
        }
        assert_eq!(
            scram_error(ClientFirst::parse(b"n,,n=\xFF,r=a")),
            ScramError::InvalidEncoding
        );
    }

    #[test]
    fn an_equals_sign_that_escapes_nothing_fails() {
        for message in [
            "n,,n=a=b,r=a",
            "n,,n==,r=a",
            "n,,n=a=2,r=a",
            "n,,n=,r=a",
            "n,a=,n=u,r=a",
            "n,,n=a=2É,r=a",
        ] {
            assert_eq!(
                scram_error(first(message)),
                ScramError::InvalidUsernameEncoding,
                "{message:?}"
            );
        }
        assert_eq!(first("n,,n==2c=3d=3D,r=a").unwrap().username, ",==");
    }

    #[test]
    fn a_mandatory_extension_fails_wherever_it_stands() {
        for message in ["n,,m=x,n=u,r=a", "n,,n=u,m=x,r=a", "n,,n=u,r=a,m=x"] {
            assert_eq!(
                scram_error(first(message)),
                ScramError::ExtensionsNotSupported,
                "{message:?}"
            );
        }
        for message in ["m=x,c=biws,r=a,p=AA==", "c=biws,r=a,m=x,p=AA=="] {
            let result = ClientFinal::parse(message.as_bytes());
            assert_eq!(
                scram_error(result),
                ScramError::ExtensionsNotSupported,
                "{message:?}"
            );
        }
    }

    #[test]
    fn the_final_message_ends_with_its_proof() {
        let message = ClientFinal::parse(b"c=biws,r=abc,x=1,p=AAE=").unwrap();
        assert_eq!(message.binding_input, b"n,,");
        assert_eq!(
            (message.nonce, message.proof.as_slice()),
            ("abc", &[0, 1][..])
        );
        assert_eq!(message.without_proof, "c=biws,r=abc,x=1");
        for message in [
            "",
            "c=biws",
            "c=biws,r=a",
            "r=a,c=biws,p=AA==",
            "c=biws,r=a,p=AA==,x=1",
            "p=AA==",
            "c=biws,p=AA==",
        ] {
            assert_eq!(
                scram_error(ClientFinal::parse(message.as_bytes())),
                ScramError::OtherError,
                "{message:?}"
            );
        }
        for message in [
            "c=biw,r=a,p=AA==",
            "c=,r=a,p=AA==",
            "c=biws,r=a,p=AA",
            "c=biws,r=a,p=",
            "c=biws,r=a,p=?",
        ] {
            assert_eq!(
                scram_error(ClientFinal::parse(message.as_bytes())),
                ScramError::InvalidEncoding,
                "{message:?}"
            );
        }
    }
}
