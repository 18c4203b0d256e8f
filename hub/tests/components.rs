//! XEP-0114 as a component meets it: the hub as a process, a secret in a file, a socket.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sha1::{Digest, Sha1};

const CONFIG: &str = "[xmpp]\nlisten = []\nlisten_tls = []\n[components]\nlisten = [\"127.0.0.1:0\"]\n\
    [[component]]\ndomain = \"sensors.localhost\"\nsecret_file = \"sensors.secret\"\n";
const SECRET: &str = "correct horse battery staple";

/// A hub that runs, and what it logs.
struct Hub {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Hub {
    fn start(folder: &Path) -> (Self, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_leveret"))
            .arg("serve")
            .current_dir(folder)
            .env_remove("RUST_LOG")
            .env("LEVERET_CONFIG", folder.join("leveret.toml"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut hub = Self { child, log };
        let line = hub.wait_for("listening: components");
        let at = line.find("127.0.0.1:").unwrap();
        let address = line[at..].split_whitespace().next().unwrap().to_owned();
        (hub, address)
    }

    fn wait_for(&mut self, word: &str) -> String {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "no {word:?}");
        }
        line
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A component's stream, read as text.
struct Stream(TcpStream);

impl Stream {
    fn open(address: &str, secret: &str) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut stream = Self(socket);
        stream.say(
            "<stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='sensors.localhost'>",
        );
        let header = stream.hear("<stream:stream", '>');
        let id = header.split("id='").nth(1).unwrap();
        let id = id.split('\'').next().unwrap();
        let hash = Sha1::digest(format!("{id}{secret}"));
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        stream.say(&format!("<handshake>{hex}</handshake>"));
        stream
    }

    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Everything up to this word and the sign after it.
    fn hear(&mut self, word: &str, end: char) -> String {
        let mut heard = String::new();
        let mut byte = [0];
        while !(heard.contains(word) && heard.ends_with(end)) {
            self.0
                .read_exact(&mut byte)
                .unwrap_or_else(|error| panic!("{word:?}: {error}, after {heard}"));
            heard.push(char::from(byte[0]));
        }
        heard
    }

    fn attached(mut self) -> Self {
        self.hear("<handshake/>", '>');
        self
    }
}

#[test]
fn attaches_by_the_secret_of_its_file_is_told_of_another_one_and_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("leveret.toml"), CONFIG).unwrap();
    let secret = |text: &str| fs::write(folder.path().join("sensors.secret"), text).unwrap();
    secret(&format!("{SECRET}\n"));
    let (mut hub, address) = Hub::start(folder.path());
    let mut first = Stream::open(&address, SECRET).attached();
    first.say(
        "<iq type='get' id='1' from='x@sensors.localhost' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    let pong = first.hear("<iq", '>');
    assert!(
        pong.contains("type='result'") && pong.contains("to='x@sensors.localhost'"),
        "{pong}"
    );
    Stream::open(&address, "a guess that does not fit").hear("<not-authorized ", '>');
    Stream::open(&address, SECRET).hear("<conflict ", '>');

    // SIGHUP: the file has another secret now, so who came with the old one must come again.
    secret("another secret, long enough");
    hub.signal("HUP");
    hub.wait_for("reloaded");
    first.hear("<not-authorized ", '>');
    Stream::open(&address, SECRET).hear("<not-authorized ", '>');
    let mut second = Stream::open(&address, "another secret, long enough").attached();

    // A file that cannot be read changes nothing.
    fs::remove_file(folder.path().join("sensors.secret")).unwrap();
    hub.signal("HUP");
    assert!(hub.wait_for("refused").contains("sensors.secret"));
    second.say("<iq type='get' id='2' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
    second.hear("type='result'", '>');

    hub.signal("TERM");
    second.hear("<system-shutdown ", '>');
    second.hear("</stream:stream>", '>');
    assert_eq!(hub.child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_its_secret_the_hub_does_not_start_and_says_why_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("leveret.toml"), CONFIG).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_leveret"))
        .args(["--log-level", "error", "serve"])
        .current_dir(folder.path())
        .env("LEVERET_CONFIG", folder.path().join("leveret.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(
        said.contains("sensors.secret") && said.trim_end().lines().count() == 1,
        "{said}"
    );
}
