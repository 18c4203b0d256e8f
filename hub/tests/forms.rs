//! XEP-0060 §8.2, §6.3: whoever sends a form back as it was shown has changed nothing and is not refused, field by field and as a
//! whole; through a socket, for a node of the service and a personal one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tempfile::TempDir;

const OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

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

/// A hub that runs, and one client.
struct Client {
    hub: Child,
    stream: TcpStream,
    seen: String,
    asked: u32,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.hub.kill();
        let _ = self.hub.wait();
    }
}

impl Client {
    fn sign_in(dir: &TempDir) -> Self {
        let mut hub = leveret(dir, &["serve"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(hub.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().unwrap().unwrap();
            let at = line.find("127.0.0.1:");
            if let Some(at) = at.filter(|_| line.contains("listening")) {
                let address = line[at..].split_whitespace().next();
                break address.unwrap().to_owned();
            }
        };
        thread::spawn(move || lines.for_each(drop));
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut client = Self {
            hub,
            stream,
            seen: String::new(),
            asked: 0,
        };
        let header = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
        let proof = BASE64.encode("\0dev7\0secret");
        let auth = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>"
        );
        let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        for (said, mark) in [
            (header, "</stream:features>"),
            (&auth, "<success"),
            (header, "</stream:features>"),
            (bind, "</iq>"),
        ] {
            client.say(said);
            client.wait_for(mark);
        }
        client
    }

    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Reads up to and including `mark`; what came before it.
    fn wait_for(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(mark) {
                let rest = self.seen.split_off(at + mark.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).unwrap();
            assert_ne!(count, 0, "the stream has ended: {}", self.seen);
            self.seen
                .push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
    }

    /// The answer to a request.
    fn ask(&mut self, to: &str, kind: &str, namespace: &str, content: &str) -> String {
        self.asked += 1;
        let id = self.asked;
        self.say(&format!(
            "<iq type='{kind}' id='q{id}' to='{to}'><pubsub xmlns='{namespace}'>{content}</pubsub></iq>"
        ));
        self.wait_for(&format!("id='q{id}'"));
        let tag = self.wait_for(">");
        if tag.ends_with("/>") {
            return tag;
        }
        tag + &self.wait_for("</iq>")
    }

    /// A form as it is shown, sent back in every way, is accepted and changes nothing.
    fn send_back(&mut self, to: &str, namespace: &str, about: &str, least: usize) {
        let (name, attributes) = about.split_once(' ').unwrap();
        let get = format!("<{name} {attributes}/>");
        let shown = self.ask(to, "get", namespace, &get);
        let fields = fields(&shown);
        assert!(fields.len() > least, "{shown}");
        let kind = fields
            .iter()
            .find(|field| field.contains("var='FORM_TYPE'"))
            .unwrap();
        let mut ways: Vec<(String, String)> = fields
            .iter()
            .map(|field| (field.clone(), format!("{kind}{field}")))
            .collect();
        ways.push(("all".to_owned(), fields.concat()));
        for (way, inside) in ways {
            let form = format!("<x xmlns='jabber:x:data' type='submit'>{inside}</x>");
            let set = format!("<{name} {attributes}>{form}</{name}>");
            let answer = self.ask(to, "set", namespace, &set);
            assert!(!answer.contains("<error"), "{to} {way}: {answer}");
        }
        assert_eq!(self::fields(&self.ask(to, "get", namespace, &get)), fields);
    }
}

/// The fields of the form in an answer, without what there is to choose.
fn fields(answer: &str) -> Vec<String> {
    let mut fields = Vec::new();
    for part in answer.split("<field ").skip(1) {
        let part = part.split("</x>").next().unwrap();
        let (attributes, content) = match part.split_once("</field>") {
            Some((field, _)) => field.split_once('>').unwrap(),
            None => (part.split_once("/>").unwrap().0, ""),
        };
        let values: String = content
            .split("<option")
            .enumerate()
            .map(|(at, text)| match at {
                0 => text,
                _ => text.rsplit_once("</option>").unwrap().1,
            })
            .collect();
        let values: String = values
            .split("<value>")
            .skip(1)
            .map(|value| format!("<value>{}</value>", value.split("</value>").next().unwrap()))
            .chain(values.contains("<value/>").then(|| "<value/>".to_owned()))
            .collect();
        fields.push(format!("<field {attributes}>{values}</field>"));
    }
    fields
}

#[test]
fn xep_0060_s8_2_s6_3_a_form_that_is_sent_back_as_it_was_shown_is_accepted() {
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
    assert!(added.status.success());
    let mut client = Client::sign_in(&dir);
    for (to, node) in [
        ("pubsub.localhost", "devices/dev7/log"),
        ("dev7@localhost", "urn:mood"),
    ] {
        let created = client.ask(to, "set", PUBSUB, &format!("<create node='{node}'/>"));
        assert!(!created.contains("<error"), "{created}");
        let configure = format!("configure node='{node}'");
        client.send_back(to, OWNER, &configure, 30);
        let jid = "dev7@localhost";
        let subscribe = format!("<subscribe node='{node}' jid='{jid}'/>");
        let subscribed = client.ask(to, "set", PUBSUB, &subscribe);
        assert!(!subscribed.contains("<error"), "{subscribed}");
        let options = format!("options node='{node}' jid='{jid}'");
        client.send_back(to, PUBSUB, &options, 7);
    }
}
