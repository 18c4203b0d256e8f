//! Plays the dialogues of `transcripts/` against a session.
//!
//! `> ` is sent by the client, `< ` expected from the hub (`${any}` matches up to what follows it), `@ +30s` moves the clock,
//! `! Name` expects a command by the beginning of its debug form, `% end Reason` ends the session from the router's side,
//! `% setting name` changes a setting before the first line, `% closed` expects the link to be closed. Lines with `#` explain.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::{fs, path::Path, time::Duration};

use leveret_engine::{command::EndReason, mailbox::Entry};
use support::{Hub, Setting};

#[test]
fn every_dialogue_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    assert!(files.len() > 5, "the dialogues are missing");
    let failed: Vec<_> = files
        .iter()
        .filter(|file| {
            let name = file.file_name().unwrap().to_string_lossy();
            let text = fs::read_to_string(file).unwrap();
            // One dialogue that goes wrong does not hide the others.
            std::panic::catch_unwind(|| play(&name, &text)).is_err()
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

fn play(name: &str, text: &str) {
    let mut hub: Option<Hub> = None;
    let mut setting = Setting::default();
    let mut unread = String::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        let (sign, rest) = line.split_at(line.len().min(2));
        if let ("% ", Some(name)) = (sign, rest.strip_prefix("setting ")) {
            match name {
                "tls" => setting.tls = true,
                "require_tls" => setting.require_tls = true,
                "registration" => setting.registration = true,
                "bound" => hub = Some(Hub::bound()),
                other => panic!("{place}: no setting {other}"),
            }
            continue;
        }
        if sign.trim().is_empty() || sign.starts_with('#') {
            continue;
        }
        let hub = hub.get_or_insert_with(|| Hub::new(setting));
        if matches!(sign, "> " | "@ ") || rest.starts_with("end ") {
            assert!(
                unread.is_empty(),
                "{place}: before this the hub said {unread}"
            );
        }
        match sign {
            "> " => hub.receive(rest.as_bytes()),
            "< " => {
                let end = matched(rest, &unread)
                    .unwrap_or_else(|| panic!("{place}: the hub said\n{unread}"));
                unread.drain(..end);
            }
            "@ " => hub.advance(span(rest)),
            "! " => {
                let mut seen = String::new();
                loop {
                    let command = hub
                        .commands
                        .pop_front()
                        .unwrap_or_else(|| panic!("{place}: the commands were{seen}"));
                    let text = plain_addresses(&format!("{command:?}"));
                    if text.starts_with(rest) {
                        break;
                    }
                    seen.push('\n');
                    seen.push_str(&text);
                }
            }
            "% " if rest == "closed" => assert!(hub.closed.is_some(), "{place}: still open"),
            "% " => hub.deliver(Entry::End(reason(rest.strip_prefix("end ").unwrap()))),
            other => panic!("{place}: what is {other:?}?"),
        }
        unread.push_str(&hub.take_sent());
    }
    assert!(
        unread.is_empty(),
        "{name}: at its end the hub said {unread}"
    );
}

/// Addresses in debug forms without the name of their type.
fn plain_addresses(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("Jid(") {
        let before = &rest[..at];
        plain.push_str(
            before
                .strip_suffix("Full")
                .or(before.strip_suffix("Bare"))
                .unwrap_or(before),
        );
        let (address, after) = rest[at + "Jid(".len()..].split_once(')').unwrap();
        plain.push_str(address);
        rest = after;
    }
    plain + rest
}

/// How much of `text` a pattern matches, from its start.
fn matched(pattern: &str, text: &str) -> Option<usize> {
    let mut at = 0;
    let mut parts = pattern.split("${any}");
    at += text
        .strip_prefix(parts.next()?)
        .map(|rest| text.len() - rest.len())?;
    for part in parts {
        at += text[at..].find(part)? + part.len();
    }
    Some(at)
}

fn span(text: &str) -> Duration {
    let text = text.trim_start_matches('+');
    match text.strip_suffix("ms") {
        Some(millis) => Duration::from_millis(millis.parse().unwrap()),
        None => Duration::from_secs(text.trim_end_matches('s').parse().unwrap()),
    }
}

fn reason(name: &str) -> EndReason {
    match name {
        "Replaced" => EndReason::Replaced,
        "Kicked" => EndReason::Kicked,
        "AccountChanged" => EndReason::AccountChanged,
        "Overflow" => EndReason::Overflow,
        "Shutdown" => EndReason::Shutdown,
        other => panic!("no reason {other}"),
    }
}
