//! Our reading of XML against expat's, on documents broken in thousands of ways (S24).
//!
//! Both must take and refuse the same documents, except where RFC 6120 §11.1 bans what XML allows, and read the
//! same names, namespaces, attributes and text.

#![allow(clippy::unwrap_used)] // the whole file is a test

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use leveret_engine::xmpp::stream_error::{Condition, StreamError};
use leveret_engine::xmpp::xml::{Element, Scope, Tree};
use leveret_fuzz::Mutator;
use leveret_fuzz::targets::xml::{DICTIONARY, meaning};

const DOCUMENTS: usize = 20_000;
const SEED: u64 = 6120;

#[test]
fn expat_takes_refuses_and_reads_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/xml");
    let mut seeds: Vec<Vec<u8>> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        // Expat knows no stream around the document.
        .filter(|seed| !String::from_utf8_lossy(seed).contains("stream:"))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty());
    let mut mutator = Mutator::seeded(SEED);
    let mut documents = seeds.clone();
    documents.extend((0..DOCUMENTS).map(|_| mutator.input(&seeds, DICTIONARY, 2)));

    let theirs = ask_expat(&documents);
    let (mut both_take, mut both_refuse) = (0, 0);
    for (document, theirs) in documents.iter().zip(&theirs) {
        let alone = Scope::empty();
        let mut tree = Tree::new();
        let shown = String::from_utf8_lossy(document);
        match (tree.parse(document, &alone), theirs.is_empty()) {
            (Ok(element), false) => {
                assert_eq!(
                    &meaning(&element, false),
                    theirs,
                    "read differently (seed {SEED}): {shown:?}"
                );
                both_take += 1;
            }
            (Err(_), true) => both_refuse += 1,
            (Ok(element), true) => {
                // Expat still has the names of XML's fourth edition.
                assert!(
                    has_foreign_name(&element),
                    "only we take (seed {SEED}): {shown:?}"
                );
            }
            (Err(error), false) => {
                assert!(
                    is_ban(document, &error),
                    "only we refuse (seed {SEED}), {error}: {shown:?}"
                );
            }
        }
    }
    // The comparison says something only if both answers are common.
    assert!(both_take > DOCUMENTS / 20, "{both_take} taken by both");
    assert!(
        both_refuse > DOCUMENTS / 20,
        "{both_refuse} refused by both"
    );
}

/// Whether we refuse by a rule that is not XML's.
fn is_ban(document: &[u8], error: &StreamError) -> bool {
    // An element is cut from the stream without anything around it.
    let not_bare = document.first() != Some(&b'<') || document.last() != Some(&b'>');
    not_bare || matches!(error.condition(), Condition::RestrictedXml | Condition::PolicyViolation)
        // What follows the element is a comment or the like, which we do not look into.
        || matches!(error, StreamError::Peer(_, "more than one element"))
            && [&b"-->"[..], b"?>"].iter().any(|end| document.ends_with(end))
}

fn has_foreign_name(element: &Element<'_>) -> bool {
    !element.name().is_ascii()
        || element.attributes().any(|a| !a.name.is_ascii())
        // Prefixes show in no other place.
        || element.raw().split(|b| *b == b'<').any(|tag| {
            tag.split(|b| matches!(b, b'>' | b'\'' | b'"')).step_by(2).any(|part| !part.is_ascii())
        })
        || element.children().any(|c| has_foreign_name(&c))
}

fn ask_expat(documents: &[Vec<u8>]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expat.py");
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed: it carries expat");
    let mut stdin = python.stdin.take().unwrap();
    let mut stdout = python.stdout.take().unwrap();
    let mut answers = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for document in documents {
                stdin
                    .write_all(&(document.len() as u32).to_be_bytes())
                    .unwrap();
                stdin.write_all(document).unwrap();
            }
        });
        stdout.read_to_end(&mut answers).unwrap();
    });
    assert!(python.wait().unwrap().success());
    let mut rest = answers.as_slice();
    let mut texts = Vec::with_capacity(documents.len());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (answer, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        texts.push(String::from_utf8(answer.to_vec()).unwrap());
        rest = after;
    }
    assert_eq!(texts.len(), documents.len());
    texts
}
