//! A component's session answers whatever it is sent with well-formed XML, speaks for its own domain alone, asks nothing after
//! its end, and ends once.

use std::{sync::Arc, time::Duration};

use leveret_engine::{
    account::Role,
    address::BareJid,
    command::{Answer, Command, Cursor, PubsubAction, PubsubReply, Reply},
    component::{Component, ComponentSecret},
    limits::Limits,
    mailbox::{Entry, MailboxBudget},
    refusal::{Reason, Refusal},
    time::Now,
    xmpp::{
        component::{ComponentSession, ComponentShared},
        framing::Content,
        output::{Action, Output},
        session::XmppShared,
        xml::Tree,
    },
};
use sha1::{Digest, Sha1};

const SECRET: &str = "correct horse battery staple";
const DOMAIN: &str = "sensors.localhost";
const HEADER: &str =
    "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='sensors.localhost'>";

/// What a component says.
pub const DICTIONARY: &[&str] = &[
    HEADER,
    "</stream:stream>",
    "<handshake/>",
    "<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>",
    "<message from='a@sensors.localhost' to='romeo@localhost'><body>x</body></message>",
    "<message xmlns='jabber:component:accept' to='romeo@localhost'/>",
    "<presence from='a@sensors.localhost/r' to='romeo@localhost'/>",
    "<presence type='subscribe' from='a@sensors.localhost' to='romeo@localhost'/>",
    "<presence type='probe' to='romeo@localhost'/>",
    "<iq type='get' id='1' to='localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq type='get' id='1' to='romeo@localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    "<iq type='set' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n'><item/></publish></pubsub></iq>",
    "<iq type='result' id='hub-1' to='localhost'/>",
    " from='a@localhost'",
    " from='@'",
    " to='",
    " id='&lt;'",
    "&amp;",
];

/// The first byte says how far the session has come, the second how large the pieces are.
pub fn run(data: &[u8]) {
    let [begin, piece, bytes @ ..] = data else { return };
    let mut peer = Peer::new();
    if begin & 1 != 0 {
        peer.receive(HEADER.as_bytes());
    }
    if begin & 3 == 3 {
        peer.shake();
    }
    if begin & 7 == 7 {
        peer.enter(Entry::Continue(Cursor::PROVE));
    }
    for part in bytes.chunks(usize::from(*piece) + 1) {
        peer.receive(part);
        if peer.closed {
            break;
        }
    }
    // Time passes: whatever waits is told, whoever is silent is asked and given up.
    for _ in 0..8 {
        peer.pass(Duration::from_secs(120));
    }
    assert!(peer.closed, "a silent peer is let go");
    assert!(peer.session.next_deadline().is_none() && !peer.session.wants_input());
    super::session::assert_well_formed(Content::Component, &peer.said);
}

struct Peer {
    session: ComponentSession,
    tree: Tree,
    now: Now,
    said: Vec<u8>,
    detached: bool,
    closed: bool,
}

impl Peer {
    fn new() -> Self {
        let domain = |name| BareJid::domain_only(name).expect("a domain");
        let xmpp = XmppShared {
            domain: domain("localhost"),
            service: domain("pubsub.localhost"),
            limits: Limits::default(),
            require_tls: false,
            registration: false,
            tls_available: true,
            decoy_secret: [3; 32],
            known_passwords: Arc::new(leveret_engine::credentials::KnownPasswords::new([3; 32])),
            software: "Leveret",
            version: "0",
            contacts: Default::default(),
            budget: MailboxBudget::new(100, 1 << 20, 1 << 24),
            started: Now::default(),
        };
        let component = Component {
            domain: domain(DOMAIN),
            role: Role::Service,
            secret: ComponentSecret::new(SECRET).expect("long enough"),
        };
        let shared = ComponentShared {
            xmpp: Arc::new(xmpp),
            components: vec![Arc::new(component)],
        };
        let now = Now::default();
        Self {
            session: ComponentSession::new(Arc::new(shared), None, [7; 32], now),
            tree: Tree::new(),
            now,
            said: Vec::new(),
            detached: false,
            closed: false,
        }
    }

    /// The right handshake for the header that the hub has sent.
    fn shake(&mut self) {
        let said = String::from_utf8_lossy(&self.said).into_owned();
        let id = said.split("id='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or_default();
        let hash = Sha1::digest(format!("{id}{SECRET}"));
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.receive(format!("<handshake>{hex}</handshake>").as_bytes());
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut out = Output::default();
        self.session.handle_input(bytes, &mut self.tree, self.now, &mut out);
        self.pump(out);
    }

    fn enter(&mut self, entry: Entry) {
        let mut out = Output::default();
        self.session.handle_entries(&mut vec![entry], self.now, &mut out);
        self.pump(out);
    }

    fn pass(&mut self, span: Duration) {
        self.now.mono = self.now.mono + span;
        let mut out = Output::default();
        self.session.handle_timeout(self.now, &mut out);
        self.pump(out);
    }

    fn pump(&mut self, mut out: Output) {
        loop {
            let closes = out.actions.iter().any(|action| matches!(action, Action::Close(_)));
            assert!(!self.closed || out.bytes.is_empty() || closes, "words after the end");
            self.said.append(&mut out.bytes);
            let mut entries = Vec::new();
            for (token, command) in out.commands.drain(..) {
                assert!(!self.detached, "a command after the end: {command:?}");
                self.detached = matches!(command, Command::Detach(_));
                if let Some(result) = answer(&command) {
                    entries.push(Entry::Answer(Box::new(Answer { token, result })));
                }
            }
            for action in out.actions.drain(..) {
                let Action::Close(_) = action else {
                    panic!("a component's session asks for nothing else");
                };
                assert!(!self.closed, "closed twice");
                self.closed = true;
            }
            if entries.is_empty() {
                return;
            }
            self.session.handle_entries(&mut entries, self.now, &mut out);
        }
    }
}

fn answer(command: &Command) -> Option<Result<Reply, Refusal>> {
    Some(match command {
        Command::SignedIn { .. } => Ok(Reply::HoldBack { wait: Duration::ZERO }),
        Command::AttachComponent { .. } => Ok(Reply::Done),
        Command::As { from, command } => {
            assert_eq!(from.domain(), DOMAIN, "it speaks for another domain");
            return answer_as(command);
        }
        _ => return None,
    })
}

fn answer_as(command: &Command) -> Option<Result<Reply, Refusal>> {
    Some(match command {
        Command::ListComponents => Ok(Reply::Components(BareJid::domain_only(DOMAIN).into_iter().collect())),
        Command::Activity { .. } => Ok(Reply::Activity { seconds: 1, status: Some("<".into()) }),
        Command::Describe { .. } => Ok(Reply::Described { role: Role::Device, resources: Vec::new() }),
        Command::ListBelongings { .. } => Err(Reason::ServiceUnavailable.into()),
        Command::Pubsub(request) => match &request.action {
            PubsubAction::Publish { node, .. } => {
                Ok(Reply::Pubsub(Box::new(PubsubReply::Published { node: node.clone(), items: Vec::new() })))
            }
            _ => Err(Refusal::new(Reason::ItemNotFound).say("<&>")),
        },
        _ => return None,
    })
}
