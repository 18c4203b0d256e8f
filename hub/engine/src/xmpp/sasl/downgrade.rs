//! The hash by which a client sees that nobody shortened the lists it chose from.
//!
//! Implements: XEP-0474 0.5.0 §5.1. The client's half (§5.2) needs nothing here: the attribute is part of the message
//! that the client's proof signs, so a list or hash that was changed on the way makes the proof wrong.

use crate::credentials::ScramHash;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// Between the entries of a list (%x1E), a character that XML cannot carry.
const BETWEEN_ENTRIES: &str = "\u{1E}";
/// Between the two lists (%x1F).
const BETWEEN_LISTS: &str = "\u{1F}";

/// The value of SCRAM's attribute `h`: `mechanisms` as the carrier advertised them for the profile in use (the others,
/// SASL2's or SASL's, do not count), `bindings` as XEP-0440 advertised them, none if it did not.
pub(super) fn hash<'a>(
    hash: ScramHash,
    mechanisms: impl Iterator<Item = &'a str>,
    bindings: impl Iterator<Item = &'a str>,
) -> String {
    let mut text = sorted(mechanisms);
    let bindings = sorted(bindings);
    if !bindings.is_empty() {
        text.push_str(BETWEEN_LISTS);
        text.push_str(&bindings);
    }
    BASE64.encode(hash.digest(text.as_bytes()))
}

/// In the order of "i;octet" (RFC 4790 §9.3), which is that of the bytes and so that of `str`.
fn sorted<'a>(entries: impl Iterator<Item = &'a str>) -> String {
    let mut entries: Vec<&str> = entries.collect();
    entries.sort_unstable();
    entries.join(BETWEEN_ENTRIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        // XEP-0474 §5.3; the lists are given unsorted, as its stream features print them.
        let mechanisms = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"];
        let bindings = ["tls-server-end-point", "tls-exporter"];
        let value = hash(
            ScramHash::Sha1,
            mechanisms.into_iter(),
            bindings.into_iter(),
        );
        assert_eq!(value, "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    }

    #[test]
    fn without_advertised_bindings_there_is_no_second_list() {
        let value = hash(
            ScramHash::Sha256,
            ["PLAIN", "EXTERNAL"].into_iter(),
            std::iter::empty(),
        );
        assert_eq!(
            value,
            BASE64.encode(ScramHash::Sha256.digest(b"EXTERNAL\x1ePLAIN"))
        );
    }
}
