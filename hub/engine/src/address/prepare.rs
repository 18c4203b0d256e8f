//! Preparing the parts of an address, so that equal addresses have equal bytes.
//!
//! Implements: RFC 7622 §3.2 domainpart (IDNA), §3.3 localpart (UsernameCaseMapped), §3.4 resourcepart (OpaqueString).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use precis_core::profile::PrecisFastInvocation;
use precis_core::{DerivedPropertyValue, IdentifierClass, StringClass};
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use super::{JidError, PART_BYTES_MAX, Part};

/// Characters that UsernameCaseMapped would allow and an address must not hold (RFC 7622 §3.3.1).
const LOCAL_FORBIDDEN: &str = "\"&'/:<>@";

/// How often a preparation may change its own result before the text is refused: RFC 8264 §7 asks
/// that preparing be repeated until nothing changes, and that a text which never settles be rejected.
const PREPARE_ROUNDS_MAX: usize = 4;

pub(super) fn local_part(text: &str) -> Result<Cow<'_, str>, JidError> {
    bounded_input(Part::Local, text)?;
    let prepared = if !text.is_ascii() {
        settle(Part::Local, text, |t| UsernameCaseMapped::enforce(t))?
    } else if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(JidError::Forbidden(Part::Local, c));
    } else if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    };
    // Looked at after mapping: the full-width form of `@` has become `@` by now.
    match prepared.chars().find(|c| LOCAL_FORBIDDEN.contains(*c)) {
        Some(c) => Err(JidError::Forbidden(Part::Local, c)),
        None => bounded(Part::Local, prepared),
    }
}

pub(super) fn resource_part(text: &str) -> Result<Cow<'_, str>, JidError> {
    bounded_input(Part::Resource, text)?;
    let prepared = if !text.is_ascii() {
        settle(Part::Resource, text, |t| OpaqueString::enforce(t))?
    } else if let Some(c) = text.chars().find(char::is_ascii_control) {
        return Err(JidError::Forbidden(Part::Resource, c));
    } else {
        Cow::Borrowed(text)
    };
    bounded(Part::Resource, prepared)
}

pub(super) fn domain_part(text: &str) -> Result<Cow<'_, str>, JidError> {
    bounded_input(Part::Domain, text)?;
    if let Some(literal) = text.strip_prefix('[') {
        let literal = literal
            .strip_suffix(']')
            .ok_or(JidError::Invalid(Part::Domain))?;
        let address: Ipv6Addr = literal
            .parse()
            .map_err(|_| JidError::Invalid(Part::Domain))?;
        return Ok(Cow::Owned(format!("[{address}]")));
    }
    // RFC 7622 §3.2: a final dot is dropped before anything else is looked at.
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(JidError::Empty(Part::Domain));
    }
    let prepared = match plain_host(text) {
        Host::Prepared => Cow::Borrowed(text),
        Host::Lowercase => Cow::Owned(text.to_ascii_lowercase()),
        Host::Forbidden(c) => return Err(JidError::Forbidden(Part::Domain, c)),
        Host::NeedsTables => international_host(text)?,
    };
    bounded(Part::Domain, prepared)
}

enum Host {
    Prepared,
    Lowercase,
    Forbidden(char),
    NeedsTables,
}

/// Decides hosts of letters, digits and inner hyphens without IDNA; IPv4 addresses are among them.
fn plain_host(text: &str) -> Host {
    let (mut label, mut upper) = (0, false);
    let bytes = text.as_bytes();
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            b'a'..=b'z' | b'0'..=b'9' => label += 1,
            b'A'..=b'Z' => (label, upper) = (label + 1, true),
            // A hyphen at the edge of a label is an error; at its third and fourth place it may begin
            // an A-label. Both are IDNA's to judge.
            b'-' if label > 0
                && !(label == 2 && bytes.get(i + 1) == Some(&b'-'))
                && bytes.get(i + 1).is_some_and(|&next| next != b'.') =>
            {
                label += 1;
            }
            b'-' => return Host::NeedsTables,
            b'.' if label > 0 => label = 0,
            0x80.. | b'.' => return Host::NeedsTables,
            _ => return Host::Forbidden(char::from(b)),
        }
        if label > 63 {
            return Host::NeedsTables;
        }
    }
    if bytes.len() > 253 || label == 0 {
        Host::NeedsTables
    } else if upper {
        Host::Lowercase
    } else {
        Host::Prepared
    }
}

/// IDNA: labels end as U-labels, in lower case and NFC (RFC 7622 §3.2.1).
fn international_host(text: &str) -> Result<Cow<'_, str>, JidError> {
    const INVALID: JidError = JidError::Invalid(Part::Domain);
    let uts46 = Uts46::new();
    uts46
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Check,
            DnsLength::Verify,
        )
        .map_err(|_| INVALID)?;
    let (host, verdict) = uts46.to_unicode(text.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
    verdict.map_err(|_| INVALID)?;
    // UTS 46 lets symbols through for the web's sake; IDNA2008 (RFC 5892) does not.
    let class = IdentifierClass::default();
    let symbol = host.chars().find(|c| {
        !c.is_ascii()
            && matches!(
                class.get_value_from_char(*c),
                DerivedPropertyValue::Disallowed
                    | DerivedPropertyValue::Unassigned
                    | DerivedPropertyValue::SpecClassDis
            )
    });
    match symbol {
        Some(c) => Err(JidError::Forbidden(Part::Domain, c)),
        None => Ok(host),
    }
}

/// Repeats a PRECIS preparation until it changes nothing.
fn settle<'a>(
    part: Part,
    text: &'a str,
    enforce: impl for<'t> Fn(&'t str) -> Result<Cow<'t, str>, precis_core::Error>,
) -> Result<Cow<'a, str>, JidError> {
    let explain = |error| match error {
        precis_core::Error::BadCodepoint(info) => match char::from_u32(info.cp) {
            Some(c) => JidError::Forbidden(part, c),
            None => JidError::Invalid(part),
        },
        _ => JidError::Invalid(part),
    };
    let mut current = enforce(text).map_err(explain)?;
    for _ in 0..PREPARE_ROUNDS_MAX {
        let next = enforce(&current).map_err(explain)?;
        if next == current {
            return Ok(current);
        }
        current = Cow::Owned(next.into_owned());
    }
    Err(JidError::Invalid(part))
}

/// Bounds the work of preparing. Preparing shrinks text at most threefold (a full-width letter of three bytes
/// becomes one), so a longer text cannot come out valid.
fn bounded_input(part: Part, text: &str) -> Result<(), JidError> {
    if text.is_empty() {
        Err(JidError::Empty(part))
    } else if text.len() > 4 * PART_BYTES_MAX {
        Err(JidError::TooLong(part))
    } else {
        Ok(())
    }
}

fn bounded(part: Part, text: Cow<'_, str>) -> Result<Cow<'_, str>, JidError> {
    match text.len() {
        0 => Err(JidError::Empty(part)),
        1..=PART_BYTES_MAX => Ok(text),
        _ => Err(JidError::TooLong(part)),
    }
}
