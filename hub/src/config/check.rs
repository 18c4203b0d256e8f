//! What must hold within a name and between keys. A fault is blamed on a key that the file does hold.

use std::collections::HashSet;
use std::ops::Range;

use leveret_engine::address::BareJid;
use toml::de::DeTable;

use super::error::ConfigError;
use super::source::{Field, Source};
use super::{Config, keys};

/// Reads a domain as a domainpart (RFC 7622 §3.2) that can also stand in a certificate and in DNS: labels of letters, digits
/// and inner hyphens, at most 63 bytes each and 253 together, in lower case, without the root's dot.
pub(super) fn domain(field: &Field<'_>) -> Result<String, ConfigError> {
    let given = field.text()?;
    let wrong = |why: &str| Err(field.wrong(&format!("\"{}\" {why}", given.escape_debug())));
    // RFC 7622 §3.2: a trailing dot is stripped before anything else.
    let domain = given.strip_suffix('.').unwrap_or(&given).to_lowercase();
    if domain.len() > DOMAIN_BYTES_MAX {
        return wrong("is longer than 253 bytes");
    }
    for label in domain.split('.') {
        if label.is_empty() {
            return wrong("has an empty label");
        }
        if label.len() > LABEL_BYTES_MAX {
            return wrong("has a label longer than 63 bytes");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return wrong("has a label that begins or ends with a hyphen");
        }
        if let Some(c) = label.chars().find(|c| !(c.is_alphanumeric() || *c == '-')) {
            return wrong(&format!("holds {c:?}, which no domain name may"));
        }
    }
    // Its one spelling, in which all addresses are compared.
    match BareJid::parse(&domain) {
        Ok(address) => Ok(address.domain().to_owned()),
        Err(_) => wrong("cannot be the domain of an address"),
    }
}

const DOMAIN_BYTES_MAX: usize = 253; // RFC 1035 §2.3.4, without the length bytes of DNS
const LABEL_BYTES_MAX: usize = 63; // RFC 1035 §2.3.4

/// Checks what no key can see alone.
pub(super) fn check(
    config: &Config,
    source: &Source<'_>,
    document: &DeTable<'_>,
) -> Result<(), ConfigError> {
    // The first of these keys that the file holds is blamed; a default alone is never wrong.
    let blame = |keys: &[(&str, &str)], what: String, advice: &str| {
        let span = keys
            .iter()
            .find_map(|(section, key)| span_of(document, section, key));
        Err(source.fault(span, what, Some(advice.to_owned())))
    };

    if config.pubsub.service == config.domain {
        return blame(
            &[("pubsub", "service"), ("", "domain")],
            "[pubsub] `service` is the same as `domain`".to_owned(),
            "expected an address of its own, such as pubsub. and the domain",
        );
    }
    match (&config.tls.certificate, &config.tls.key) {
        (Some(_), None) => {
            return blame(
                &[("tls", "certificate")],
                "[tls] `certificate` is given without `key`".to_owned(),
                "expected both, or neither for a certificate of the local authority",
            );
        }
        (None, Some(_)) => {
            return blame(
                &[("tls", "key")],
                "[tls] `key` is given without `certificate`".to_owned(),
                "expected both, or neither for a certificate of the local authority",
            );
        }
        _ => {}
    }
    let mut taken = HashSet::new();
    for (section, key, addresses) in [
        ("xmpp", "listen", &config.xmpp.listen),
        ("xmpp", "listen_tls", &config.xmpp.listen_tls),
        ("components", "listen", &config.components.listen),
    ] {
        // Port 0 asks the system for any free port, so two of them do not collide.
        if let Some(twice) = addresses
            .iter()
            .find(|a| a.port() != 0 && !taken.insert(**a))
        {
            return blame(
                &[(section, key), ("xmpp", "listen")],
                format!("[{section}] `{key}`: {twice} is listened on twice"),
                "expected each address once in all `listen` and `listen_tls` together",
            );
        }
    }
    let limits = &config.limits;
    if limits.stanza_bytes_before_login > limits.stanza_bytes {
        return blame(
            &[
                ("limits", "stanza_bytes_before_login"),
                ("limits", "stanza_bytes"),
            ],
            format!(
                "[limits] `stanza_bytes_before_login` ({}) is larger than `stanza_bytes` ({})",
                limits.stanza_bytes_before_login, limits.stanza_bytes
            ),
            "expected a stranger to be allowed no more than an account",
        );
    }
    if limits.mailbox_bytes < 2 * limits.stanza_bytes {
        return blame(
            &[("limits", "mailbox_bytes"), ("limits", "stanza_bytes")],
            format!(
                "[limits] `mailbox_bytes` ({}) is less than twice `stanza_bytes` ({})",
                limits.mailbox_bytes, limits.stanza_bytes
            ),
            "expected a mailbox to hold at least two of the largest stanzas",
        );
    }
    if limits.mailbox_memory < limits.mailbox_bytes {
        return blame(
            &[("limits", "mailbox_memory"), ("limits", "mailbox_bytes")],
            format!(
                "[limits] `mailbox_memory` ({}) is less than `mailbox_bytes` ({})",
                limits.mailbox_memory, limits.mailbox_bytes
            ),
            "expected all mailboxes together to hold at least one full mailbox",
        );
    }
    Ok(())
}

fn span_of(document: &DeTable<'_>, section: &str, key: &str) -> Option<Range<usize>> {
    debug_assert!(
        keys::find(section, key).is_some(),
        "{section}.{key} is not a key"
    );
    let table = match section {
        "" => document,
        section => document.get(section)?.get_ref().as_table()?,
    };
    table.get(key).map(|value| value.span())
}
