//! Gathers the `Implements:` lines of the code, and its table of pubsub features, into `docs/conformance.md`.
//!
//! A line names documents, each with its version where it has one and the sections: `Implements: XEP-0198 1.6.3 §3,
//! §4; RFC 6120 §8. Not: location hints (§5).` What stands in brackets belongs to the document before it.

use std::{collections::BTreeMap, fmt::Write as _};

use leveret_engine::xmpp::pubsub::{Feature, Offer, Place};

use crate::source::Source;

/// What one file says of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// `RFC 6120`, `XEP-0198`.
    pub document: String,
    /// The document's version, where it was named.
    pub version: Option<String>,
    /// Which part of it.
    pub part: String,
}

/// Titles of the documents, for those who do not know them by number.
const TITLES: &[(&str, &str)] = &[
    ("Namespaces in XML 1.0", "third edition"),
    ("RFC 4013", "SASLprep"),
    ("RFC 4422", "Simple Authentication and Security Layer"),
    ("RFC 4505", "SASL ANONYMOUS"),
    ("RFC 4616", "SASL PLAIN"),
    ("RFC 5056", "Channel bindings"),
    ("RFC 5802", "SCRAM"),
    ("RFC 5929", "Channel bindings for TLS"),
    ("RFC 6120", "XMPP: Core"),
    ("RFC 6121", "XMPP: Instant Messaging and Presence"),
    ("RFC 7590", "Use of TLS in XMPP"),
    ("RFC 7622", "XMPP: Address Format"),
    ("RFC 7677", "SCRAM-SHA-256"),
    ("RFC 8264", "PRECIS framework"),
    ("RFC 8265", "PRECIS: usernames and passwords"),
    ("RFC 9266", "Channel bindings for TLS 1.3"),
    ("XEP-0004", "Data Forms"),
    ("XEP-0012", "Last Activity"),
    ("XEP-0030", "Service Discovery"),
    ("XEP-0033", "Extended Stanza Addressing"),
    ("XEP-0049", "Private XML Storage"),
    ("XEP-0050", "Ad-Hoc Commands"),
    ("XEP-0054", "vcard-temp"),
    ("XEP-0059", "Result Set Management"),
    ("XEP-0060", "Publish-Subscribe"),
    ("XEP-0068", "Field Standardization for Data Forms"),
    ("XEP-0077", "In-Band Registration"),
    ("XEP-0082", "Date and Time Profiles"),
    ("XEP-0085", "Chat State Notifications"),
    ("XEP-0092", "Software Version"),
    ("XEP-0114", "Jabber Component Protocol"),
    ("XEP-0115", "Entity Capabilities"),
    ("XEP-0122", "Data Forms Validation"),
    ("XEP-0128", "Service Discovery Extensions"),
    ("XEP-0131", "Stanza Headers and Internet Metadata"),
    ("XEP-0157", "Contact Addresses for XMPP Services"),
    ("XEP-0160", "Best Practices for Handling Offline Messages"),
    ("XEP-0163", "Personal Eventing Protocol"),
    (
        "XEP-0178",
        "Best Practices for Use of SASL EXTERNAL with Certificates",
    ),
    ("XEP-0191", "Blocking Command"),
    ("XEP-0198", "Stream Management"),
    ("XEP-0199", "XMPP Ping"),
    ("XEP-0202", "Entity Time"),
    ("XEP-0203", "Delayed Delivery"),
    ("XEP-0248", "PubSub Collection Nodes"),
    ("XEP-0280", "Message Carbons"),
    ("XEP-0297", "Stanza Forwarding"),
    ("XEP-0313", "Message Archive Management"),
    ("XEP-0334", "Message Processing Hints"),
    ("XEP-0368", "SRV records for XMPP over TLS"),
    ("XEP-0386", "Bind 2"),
    ("XEP-0413", "Order-By"),
    ("XEP-0440", "SASL Channel-Binding Type Capability"),
    ("XEP-0442", "Pubsub Message Archive Management"),
    ("XEP-0474", "SASL SCRAM Downgrade Protection"),
    ("XML 1.0", "fifth edition"),
];

/// Splits an `Implements:` text into its claims and what it leaves out.
pub fn claims(text: &str) -> (Vec<Claim>, Option<String>) {
    let (text, not) = match text.split_once("Not: ") {
        Some((text, not)) => (text, Some(not.trim().to_owned())),
        None => (text, None),
    };
    let mut claims: Vec<Claim> = Vec::new();
    let mut rest = text;
    let mut depth = 0_u32;
    let mut before = String::new();
    while let Some(first) = rest.chars().next() {
        let starts_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '-');
        if depth == 0
            && starts_word
            && let Some((document, version, length)) = document(rest)
        {
            if let Some(last) = claims.last_mut() {
                last.part = tidy(&before);
            }
            before.clear();
            rest = &rest[length..];
            claims.push(Claim {
                document,
                version,
                part: String::new(),
            });
            continue;
        }
        match first {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before.push(first);
        rest = &rest[first.len_utf8()..];
    }
    if let Some(last) = claims.last_mut() {
        last.part = tidy(&before);
    }
    (claims, not)
}

/// Drops what only joined a part to the next one.
fn tidy(part: &str) -> String {
    let mut part = part.trim();
    loop {
        let shorter = part
            .trim_end_matches([',', ';', '.', ' '])
            .trim_end_matches(" and")
            .trim_start_matches([',', ';', ' ']);
        if shorter == part {
            return part.to_owned();
        }
        part = shorter;
    }
}

/// The document named at the start of `text`, its version, and how long both are in bytes.
fn document(text: &str) -> Option<(String, Option<String>, usize)> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    if let Some(number) = text.strip_prefix("RFC ") {
        let length = digits(number);
        return (length > 0).then(|| (format!("RFC {}", &number[..length]), None, 4 + length));
    }
    if let Some(number) = text.strip_prefix("XEP-") {
        if digits(number) != 4 {
            return None;
        }
        let after = &number[4..];
        let version: String = after
            .strip_prefix(' ')
            .unwrap_or_default()
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let version = version.trim_end_matches('.');
        let known = version.contains('.');
        let length = 8 + if known { 1 + version.len() } else { 0 };
        return Some((
            format!("XEP-{}", &number[..4]),
            known.then(|| version.to_owned()),
            length,
        ));
    }
    ["Namespaces in XML 1.0", "XML 1.0"]
        .into_iter()
        .find(|name| text.starts_with(name))
        .map(|name| (name.to_owned(), None, name.len()))
}

/// The page, from the files of the hub.
pub fn page<'a>(files: impl IntoIterator<Item = &'a Source>) -> String {
    /// Of one document: its version, and which file has which part.
    type Of = (Option<String>, Vec<(String, String)>);
    let mut documents: BTreeMap<String, Of> = BTreeMap::new();
    let mut left_out = Vec::new();
    for file in files {
        let Some(text) = file.implements() else {
            continue;
        };
        let (claims, not) = claims(&text);
        for claim in claims {
            let (version, parts) = documents.entry(claim.document).or_default();
            *version = version.take().max(claim.version);
            parts.push((file.path.clone(), claim.part));
        }
        if let Some(not) = not {
            left_out.push((file.path.clone(), not));
        }
    }
    let link = |path: &str| {
        let short = path
            .strip_prefix("hub/engine/src/")
            .or_else(|| path.strip_prefix("hub/src/"))
            .unwrap_or(path);
        format!("[`{short}`](../{path})")
    };
    let cell = |text: &str| text.replace('|', "\\|");
    let mut page = String::from(
        "# Conformance\n\n\
         Which document is implemented where, and what is left out. Made from the `Implements:` lines of the code by\n\
         `LEVERET_BLESS=1 cargo test -p leveret-tests --test conformance`; a test fails when it is stale.\n\n\
         ## Documents\n\n\
         | document | version | where | what |\n|---|---|---|---|\n",
    );
    for (document, (version, parts)) in &documents {
        let title = TITLES.iter().find(|(name, _)| name == document);
        for (index, (path, part)) in parts.iter().enumerate() {
            let (name, version) = match index {
                0 => (
                    title.map_or_else(
                        || document.clone(),
                        |(_, title)| format!("{document} {title}"),
                    ),
                    version.clone().unwrap_or_default(),
                ),
                _ => Default::default(),
            };
            let part = if part.is_empty() { "whole" } else { part };
            let _ = writeln!(
                page,
                "| {name} | {version} | {} | {} |",
                link(path),
                cell(part)
            );
        }
    }
    page.push_str("\n## Left out\n\n");
    for (path, not) in &left_out {
        let _ = writeln!(page, "- {}: {not}", link(path));
    }
    page
}

/// Which file has the test of this name.
pub fn file_of_test<'a>(name: &str, files: &'a [Source]) -> Option<&'a Source> {
    let head = format!("fn {name}(");
    files.iter().find(|file| {
        let mut before = file.text.split(&head);
        let ends: Vec<_> = before.by_ref().collect();
        let starts = ends.split_last().map_or(&[][..], |(_, starts)| starts);
        starts
            .iter()
            .any(|text| text.trim_end().ends_with("#[test]"))
    })
}

/// The part of the page that lists the features of XEP-0060, with the test that shows each.
pub fn features(table: &[Feature], files: &[Source]) -> String {
    let mut part = String::from(
        "\n## XEP-0060 features\n\n\
         The summary of XEP-0060 §10. What is there is announced by disco, and nothing else is.\n\n\
         | feature | level | section | where | shown by, or why not |\n|---|---|---|---|---|\n",
    );
    for feature in table {
        let name = feature
            .var
            .strip_prefix("http://jabber.org/protocol/pubsub#")
            .unwrap_or(feature.var);
        let (place, shown) = match feature.offer {
            Offer::Tested(place, test) => {
                let place = match place {
                    Place::Service => "service",
                    Place::Personal => "personal nodes",
                    Place::Everywhere => "service, personal nodes",
                };
                let file = file_of_test(test, files).map_or("", |file| &file.path);
                (place, format!("[`{test}`](../{file})"))
            }
            Offer::Not(why) => ("", why.to_owned()),
        };
        let (level, section) = (feature.level.name(), feature.section);
        let _ = writeln!(
            part,
            "| `{name}` | {level} | {section} | {place} | {shown} |"
        );
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_by_its_name_and_a_mere_function_is_none() {
        let files = [Source {
            path: "a.rs".into(),
            text: "fn s1_a() {}\n#[test]\n    fn s1_b() {}\n".into(),
        }];
        assert!(file_of_test("s1_b", &files).is_some());
        assert!(file_of_test("s1_a", &files).is_none());
        assert!(file_of_test("s1", &files).is_none());
    }

    fn claim(document: &str, version: Option<&str>, part: &str) -> Claim {
        Claim {
            document: document.into(),
            version: version.map(Into::into),
            part: part.into(),
        }
    }

    #[test]
    fn a_line_is_split_at_its_documents() {
        let (claims, not) = claims(
            "RFC 5802 §3, §5 and RFC 7677 (as RFC 6120 asks); XEP-0474 0.5.0 §5.1. Not: hashes beyond these.",
        );
        assert_eq!(
            claims,
            [
                claim("RFC 5802", None, "§3, §5"),
                claim("RFC 7677", None, "(as RFC 6120 asks)"),
                claim("XEP-0474", Some("0.5.0"), "§5.1"),
            ]
        );
        assert_eq!(not.as_deref(), Some("hashes beyond these."));
    }

    #[test]
    fn a_number_that_ends_the_sentence_is_no_version() {
        let (claims, _) = claims("XEP-0199. XEP-0060 1.25.0.");
        assert_eq!(
            claims,
            [
                claim("XEP-0199", None, ""),
                claim("XEP-0060", Some("1.25.0"), "")
            ]
        );
    }

    #[test]
    fn the_page_names_each_document_once() {
        let file = |path: &str, text: &str| Source {
            path: path.into(),
            text: format!("//! T.\n//!\n//! Implements: {text}\n"),
        };
        let files = [
            file("hub/engine/src/a.rs", "XEP-0199 2.0.1 §4."),
            file("hub/engine/src/b.rs", "XEP-0199 §5. Not: x."),
        ];
        let page = page(&files);
        assert_eq!(page.matches("XEP-0199 XMPP Ping | 2.0.1").count(), 1);
        assert!(page.contains("| [`b.rs`](../hub/engine/src/b.rs) | §5 |"));
        assert!(page.contains("- [`b.rs`](../hub/engine/src/b.rs): x."));
    }
}
