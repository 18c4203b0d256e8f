//! A small XMPP client that is a value: bytes in, bytes and events out. The simulation and the `kill -9` loop drive it.
//!
//! It shares no code with the hub, so that two readings of the specifications meet.

pub mod scram;
pub mod stanza;
pub mod xml;

use std::collections::VecDeque;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use scram::Scram;
use xml::{Element, Parser, Part, escaped};

/// Who signs in, and how.
#[derive(Debug, Clone)]
pub struct Login {
    /// The localpart.
    pub name: String,
    /// The domain.
    pub domain: String,
    /// The password.
    pub password: String,
    /// The resource to ask for.
    pub resource: String,
    /// SCRAM-SHA-256, or else PLAIN.
    pub scram: bool,
    /// Differs at every sign-in.
    pub nonce: String,
}

/// What the client tells its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Signed in and bound to this full address.
    Bound(String),
    /// A stanza came.
    Stanza(Element),
    /// The stream is over; with the condition, if it was an error.
    Closed(Option<String>),
}

#[derive(Debug)]
enum Phase {
    Opening,
    SigningIn(Option<Scram>),
    Reopening,
    Binding,
    Bound,
    Closed,
}

/// One stream of a client, from its header to its closing tag.
#[derive(Debug)]
pub struct Client {
    login: Login,
    phase: Phase,
    parser: Parser,
    events: VecDeque<Event>,
    output: Vec<u8>,
    last_id: u64,
}

impl Client {
    /// A stream on a link that was just made; its header is ready to be sent.
    pub fn new(login: Login) -> Self {
        let mut client = Self {
            login,
            phase: Phase::Opening,
            parser: Parser::default(),
            events: VecDeque::new(),
            output: Vec::new(),
            last_id: 0,
        };
        client.send_header();
        client
    }

    /// Bytes from the hub. An error is the hub's: it sent what no client can read.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.parser.feed(bytes);
        while !matches!(self.phase, Phase::Closed) {
            match self.parser.next_part()? {
                None => break,
                Some(Part::Open(_)) => {}
                Some(Part::Close) => self.close(None),
                Some(Part::Element(element)) => self.receive(element)?,
            }
        }
        Ok(())
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The next event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends a stanza.
    pub fn send(&mut self, stanza: &str) {
        self.output.extend_from_slice(stanza.as_bytes());
    }

    /// An id that was not used on this stream.
    pub fn fresh_id(&mut self) -> String {
        self.last_id += 1;
        format!("q{}", self.last_id)
    }

    /// Whether stanzas may be sent.
    pub fn is_bound(&self) -> bool {
        matches!(self.phase, Phase::Bound)
    }

    /// Ends the stream politely.
    pub fn say_goodbye(&mut self) {
        self.send("</stream:stream>");
    }

    fn close(&mut self, error: Option<String>) {
        self.phase = Phase::Closed;
        self.events.push_back(Event::Closed(error));
    }

    fn send_header(&mut self) {
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             version='1.0' to='{}'>",
            escaped(&self.login.domain)
        );
        self.send(&header);
    }

    fn receive(&mut self, element: Element) -> Result<(), String> {
        // Stanzas have other names: this one is the stream's.
        if element.name == "error" {
            let condition = element.children.first().map(|child| child.name.clone());
            self.close(Some(condition.unwrap_or_default()));
            return Ok(());
        }
        match (&mut self.phase, element.name.as_str()) {
            (Phase::Opening, "features") => self.sign_in(&element),
            (Phase::SigningIn(Some(scram)), "challenge") => {
                let answer = scram.answer(&decoded(&element.text)?)?;
                self.send_sasl("response", "", &answer);
                Ok(())
            }
            (Phase::SigningIn(scram), "success") => {
                if let Some(scram) = scram
                    && !scram.is_proven_by(&decoded(&element.text)?)
                {
                    return Err("the hub did not prove that it knows the key".into());
                }
                self.phase = Phase::Reopening;
                self.parser.restart();
                self.send_header();
                Ok(())
            }
            (Phase::SigningIn(_), "failure") => {
                let condition = element.children.first().map(|child| child.name.clone());
                self.close(Some(condition.unwrap_or_default()));
                Ok(())
            }
            (Phase::Reopening, "features") => {
                self.phase = Phase::Binding;
                let bind = format!(
                    "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{}</resource>\
                     </bind></iq>",
                    escaped(&self.login.resource)
                );
                self.send(&bind);
                Ok(())
            }
            (Phase::Binding, "iq") => match element.at(&["bind", "jid"]) {
                Some(jid) => {
                    self.phase = Phase::Bound;
                    self.events.push_back(Event::Bound(jid.text.clone()));
                    Ok(())
                }
                None => {
                    let error = element.children.iter().find(|child| child.name == "error");
                    let condition = error.and_then(|error| error.children.first());
                    match condition {
                        Some(condition) => {
                            let name = condition.name.clone();
                            self.close(Some(name));
                            Ok(())
                        }
                        None => Err(format!("not bound: {element:?}")),
                    }
                }
            },
            (Phase::Bound, _) => {
                self.answer(&element);
                self.events.push_back(Event::Stanza(element));
                Ok(())
            }
            _ => Err(format!("out of order: {element:?}")),
        }
    }

    /// Answers what every client answers: a ping, and a roster push.
    fn answer(&mut self, element: &Element) {
        let asks = element.name == "iq" && matches!(element.attribute("type"), "get" | "set");
        if asks {
            let to = match element.attribute("from") {
                "" => String::new(),
                from => format!(" to='{}'", escaped(from)),
            };
            let id = escaped(element.attribute("id"));
            self.send(&format!("<iq type='result' id='{id}'{to}/>"));
        }
    }

    fn sign_in(&mut self, features: &Element) -> Result<(), String> {
        let wanted = if self.login.scram {
            "SCRAM-SHA-256"
        } else {
            "PLAIN"
        };
        let offered = features.child("mechanisms");
        if !offered.is_some_and(|list| list.children.iter().any(|it| it.text == wanted)) {
            return Err(format!("{wanted} is not offered: {features:?}"));
        }
        let (name, password) = (self.login.name.clone(), self.login.password.clone());
        if self.login.scram {
            let (scram, first) = Scram::begin(&name, &password, &self.login.nonce);
            self.phase = Phase::SigningIn(Some(scram));
            self.send_sasl("auth", wanted, &first);
        } else {
            self.phase = Phase::SigningIn(None);
            self.send_sasl("auth", wanted, &format!("\0{name}\0{password}"));
        }
        Ok(())
    }

    fn send_sasl(&mut self, name: &str, mechanism: &str, data: &str) {
        let mechanism = match mechanism {
            "" => String::new(),
            mechanism => format!(" mechanism='{mechanism}'"),
        };
        let element = format!(
            "<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'{mechanism}>{}</{name}>",
            BASE64.encode(data)
        );
        self.send(&element);
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let bytes = BASE64.decode(text).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client::new(Login {
            name: "lamp".into(),
            domain: "localhost".into(),
            password: "secret".into(),
            resource: "r".into(),
            scram: false,
            nonce: "n".into(),
        })
    }

    #[test]
    fn a_sign_in_goes_from_header_to_address() {
        let mut client = client();
        let open = "<stream:stream xmlns='jabber:client' id='1'>";
        for (from_hub, expected) in [
            ("", "<stream:stream"),
            (
                &*format!(
                    "{open}<stream:features><mechanisms><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
                ),
                "AGxhbXAAc2VjcmV0",
            ),
            ("<success/>", "<stream:stream"),
            (
                &*format!("{open}<stream:features><bind/></stream:features>"),
                "<resource>r</resource>",
            ),
            (
                "<iq type='result' id='bind'><bind><jid>lamp@localhost/r</jid></bind></iq>",
                "",
            ),
        ] {
            client.handle_input(from_hub.as_bytes()).unwrap();
            let sent = String::from_utf8(client.take_output()).unwrap();
            assert!(sent.contains(expected), "{from_hub}: {sent}");
        }
        assert_eq!(
            client.next_event(),
            Some(Event::Bound("lamp@localhost/r".into()))
        );
        assert!(client.is_bound());
    }

    #[test]
    fn a_stream_error_closes_with_its_condition() {
        let mut client = client();
        let bytes =
            "<stream:stream><stream:error><conflict xmlns='x'/></stream:error></stream:stream>";
        client.handle_input(bytes.as_bytes()).unwrap();
        assert_eq!(
            client.next_event(),
            Some(Event::Closed(Some("conflict".into())))
        );
        assert_eq!(client.next_event(), None);
    }
}
