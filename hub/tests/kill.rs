//! DESIGN §9: a `kill -9` at any moment loses nothing that was answered, under `durability = "full"`.
//!
//! The whole hub, over a real socket: a device publishes in a pipeline, the hub is killed at a moment that a seed
//! chooses, started again on the same data, and must have every item whose publish was answered with a result.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tempfile::TempDir;

const NODE: &str = "devices/dev7/log";
const PIPELINE: u32 = 16;

fn leveret(dir: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leveret"));
    command
        .args(words)
        .current_dir(dir.path())
        .env_remove("RUST_LOG")
        .env("LEVERET_CONFIG", dir.path().join("leveret.toml"))
        .stdin(Stdio::null());
    command
}

fn serve(dir: &TempDir) -> (Child, String) {
    let mut hub = leveret(dir, &["serve"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(hub.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines
            .next()
            .expect("the hub says where it listens")
            .unwrap();
        if let Some(at) = line
            .find("127.0.0.1:")
            .filter(|_| line.contains("listening"))
        {
            break line[at..]
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned();
        }
    };
    // Its log must not block it.
    thread::spawn(move || lines.for_each(drop));
    (hub, address)
}

/// As much of an XMPP client as a publish needs.
struct Device {
    stream: TcpStream,
    seen: String,
}

impl Device {
    fn sign_in(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut device = Self {
            stream,
            seen: String::new(),
        };
        let header = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
        device.send(header)?;
        device.wait_for("</stream:features>")?;
        let proof = BASE64.encode("\0dev7\0secret");
        device.send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>"
        ))?;
        device.wait_for("<success")?;
        device.send(header)?;
        device.wait_for("</stream:features>")?;
        device.send(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        )?;
        device.wait_for("</iq>")?;
        Ok(device)
    }

    fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    fn publish(&mut self, id: &str) -> io::Result<()> {
        self.send(&format!(
            "<iq type='set' id='{id}' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <publish node='{NODE}'><item id='{id}'><n xmlns='urn:n'>{id}</n></item></publish></pubsub></iq>"
        ))
    }

    /// Reads up to and including `mark`; what came before it.
    fn wait_for(&mut self, mark: &str) -> io::Result<String> {
        loop {
            if let Some(at) = self.seen.find(mark) {
                let rest = self.seen.split_off(at + mark.len());
                return Ok(std::mem::replace(&mut self.seen, rest));
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.seen
                .push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
    }
}

/// Publishes until the hub dies; the ids that were answered with a result.
fn publish_until_killed(address: &str, from: u32, warm: &AtomicBool) -> BTreeSet<String> {
    let mut answered = BTreeSet::new();
    let Ok(mut device) = Device::sign_in(address) else {
        return answered;
    };
    let mut next = from;
    for _ in 0..PIPELINE {
        if device.publish(&format!("p{next}")).is_err() {
            return answered;
        }
        next += 1;
    }
    while let Ok(answer) = device.wait_for("</iq>") {
        assert!(
            answer.contains("result") && !answer.contains("<error"),
            "{answer}"
        );
        let at = answer.find("item id=").expect("the item's id") + "item id=".len() + 1;
        let id: String = answer[at..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric())
            .collect();
        answered.insert(id);
        warm.store(true, Ordering::Release);
        if device.publish(&format!("p{next}")).is_err() {
            break;
        }
        next += 1;
    }
    answered
}

fn stored(dir: &TempDir) -> BTreeSet<String> {
    let output = leveret(dir, &["--json", "node", "items", NODE, "--max", "10000"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let items: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids = items.as_array().unwrap().iter();
    ids.map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_answered() {
    let rounds: u32 = std::env::var("LEVERET_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12);
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("leveret.toml"),
        "[xmpp]\nlisten = [\"127.0.0.1:0\"]\nlisten_tls = []\nrequire_tls = false\n\
         [limits]\nstanzas_per_second = 0\nbytes_per_second = 0\n",
    )
    .unwrap();
    let added = leveret(&dir, &["account", "add", "dev7", "--password", "secret"])
        .output()
        .unwrap();
    assert!(
        added.status.success(),
        "{}",
        String::from_utf8_lossy(&added.stderr)
    );
    let made = leveret(&dir, &["node", "create", NODE, "--set", "max_items=max"])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );

    let mut all = BTreeSet::new();
    for round in 0..rounds {
        let (mut hub, address) = serve(&dir);
        let warm = Arc::new(AtomicBool::new(false));
        let signal = Arc::clone(&warm);
        let publisher =
            thread::spawn(move || publish_until_killed(&address, round * 100_000, &signal));
        while !warm.load(Ordering::Acquire) && !publisher.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        // A few milliseconds more each round, so that the kill falls at every stage of a commit.
        thread::sleep(Duration::from_micros(u64::from(round * 7_919 % 40_000)));
        hub.kill().unwrap();
        hub.wait().unwrap();
        let answered = publisher.join().unwrap();
        assert!(!answered.is_empty(), "round {round}: nothing was published");
        all.extend(answered);
        let kept = stored(&dir);
        let lost: Vec<_> = all.difference(&kept).collect();
        assert!(
            lost.is_empty(),
            "round {round}: answered and lost: {lost:?}"
        );
        if all.len() > 8_000 {
            break;
        }
    }
}
