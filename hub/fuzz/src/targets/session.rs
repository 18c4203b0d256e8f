//! A session answers whatever it is sent with well-formed XML, asks nothing after its end, and ends once.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use leveret_engine::{
    account::{Account, Role},
    address::{BareJid, Jid},
    command::{Answer, Command, PubsubAction, PubsubReply, Reply},
    credentials::{Credentials, Derivation, Password},
    limits::Limits,
    mailbox::{Entry, MailboxBudget},
    refusal::{Reason, Refusal},
    time::{Now, Timestamp},
    xmpp::{
        framing::{Content, Frame, FrameLimits, Framer},
        output::{Action, Output, WorkDone},
        sasl::{ChannelBindingType, ChannelBindings},
        session::{LinkSecurity, XmppSession, XmppShared},
        xml::{Scope, Tree},
    },
};

pub(super) const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
pub(super) const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>";
pub(super) const AUTH_ROMEO: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHNlY3JldA==</auth>";
pub(super) const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>";

/// What a client says.
pub const DICTIONARY: &[&str] = &[
    HEADER,
    AUTH,
    BIND,
    "</stream:stream>",
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<message to='romeo@localhost'><body>x</body></message>",
    "<presence><priority>1</priority></presence>",
    "<presence type='subscribe' to='romeo@localhost'/>",
    "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>juliet</username><password>p</password></query></iq>",
    "<iq type='get' id='1' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    "<iq type='set' id='1' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n'><item/></publish></pubsub></iq>",
    " type='",
    " to='",
    " from='juliet@localhost/r'",
    " id='&lt;'",
    "&amp;",
    "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:c' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
    "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block></iq>",
    "<iq type='set' id='1'><unblock xmlns='urn:xmpp:blocking'/></iq>",
    "<iq type='get' id='1'><blocklist xmlns='urn:xmpp:blocking'/></iq>",
    "<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:private'><n xmlns='urn:n'>1</n></query></iq>",
    "<iq type='get' id='1'><query xmlns='jabber:iq:private'><n xmlns='urn:n'/></query></iq>",
    "<iq type='set' id='1'><vCard xmlns='vcard-temp'><FN>J</FN></vCard></iq>",
    "<iq type='get' id='1' to='romeo@localhost'><vCard xmlns='vcard-temp'/></iq>",
    "<iq type='set' id='1' to='pubsub.localhost'><command xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/pubsub#get-pending' sessionid='0-1' action='",
    "<iq type='set' id='1' to='pubsub.localhost'><query xmlns='urn:xmpp:mam:2' node='n'/></iq>",
];

/// The first byte says how far the session has come, the second how large the pieces are.
pub fn run(data: &[u8]) {
    let [begin, piece, bytes @ ..] = data else { return };
    let mut peer = Peer::new(begin & 4 != 0, begin & 8 != 0);
    let steps: &[&str] = match begin % 3 {
        0 => &[],
        1 => &[HEADER],
        _ => &[HEADER, AUTH, HEADER, BIND],
    };
    for step in steps {
        peer.receive(step.as_bytes());
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
    assert_well_formed(Content::Client, &peer.said);
}

struct Peer {
    session: XmppSession,
    tree: Tree,
    now: Now,
    said: Vec<u8>,
    detached: bool,
    closed: bool,
}

impl Peer {
    fn new(tls: bool, registration: bool) -> Self {
        let domain = |name| BareJid::domain_only(name).expect("a domain");
        let shared = XmppShared {
            domain: domain("localhost"),
            service: domain("pubsub.localhost"),
            limits: Limits::default(),
            require_tls: false,
            registration,
            tls_available: true,
            decoy_secret: [3; 32],
            known_passwords: Arc::new(leveret_engine::credentials::KnownPasswords::new([3; 32])),
            software: "Leveret",
            version: "0",
            contacts: Default::default(),
            budget: MailboxBudget::new(100, 1 << 20, 1 << 24),
            started: Now::default(),
        };
        let security = if tls { secure() } else { LinkSecurity::Plain };
        let now = Now::default();
        Self {
            session: XmppSession::new(Arc::new(shared), security, None, [7; 32], now),
            tree: Tree::new(),
            now,
            said: Vec::new(),
            detached: false,
            closed: false,
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut out = Output::default();
        self.session.handle_input(bytes, &mut self.tree, self.now, &mut out);
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
            assert!(!self.closed || out.bytes.is_empty() || out.actions.iter().any(is_close), "words after the end");
            self.said.append(&mut out.bytes);
            let mut entries = Vec::new();
            for (token, command) in out.commands.drain(..) {
                assert!(!self.detached, "a command after the end: {command:?}");
                self.detached = matches!(command, Command::Detach(_));
                if let Some(result) = answer(&command) {
                    entries.push(Entry::Answer(Box::new(Answer { token, result })));
                }
            }
            let actions = std::mem::take(&mut out.actions);
            if entries.is_empty() && actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::StartTls => self.session.handle_tls(secure(), self.now, &mut out),
                    Action::Work(work) => {
                        let done: WorkDone = (work.0)();
                        self.session.handle_work(done, self.now, &mut out);
                    }
                    Action::Close(_) => {
                        assert!(!self.closed, "closed twice");
                        self.closed = true;
                    }
                }
            }
            self.session.handle_entries(&mut entries, self.now, &mut out);
        }
    }
}

fn is_close(action: &Action) -> bool {
    matches!(action, Action::Close(_))
}

fn secure() -> LinkSecurity {
    LinkSecurity::Tls {
        bindings: ChannelBindings::default().with(ChannelBindingType::TlsExporter, &[1; 32]),
        certificate: BareJid::parse("juliet@localhost").into_iter().collect(),
    }
}

fn answer(command: &Command) -> Option<Result<Reply, Refusal>> {
    Some(match command {
        Command::SignIn { account } => Ok(Reply::Credentials {
            found: (account.local() == Some("juliet")).then(|| Box::new(account_of(account))),
        }),
        Command::SignedIn { .. } => Ok(Reply::HoldBack { wait: Duration::ZERO }),
        Command::Attach { account, resource, .. } => match account.with_resource(resource.as_deref().unwrap_or("x")) {
            Ok(jid) => Ok(Reply::Attached { jid }),
            Err(_) => Err(Reason::BadRequest.into()),
        },
        Command::GetRoster { .. } => Ok(Reply::Roster {
            contacts: Some(Vec::new()),
            shared: Default::default(),
            version: "1".into(),
        }),
        Command::Activity { .. } => Ok(Reply::Activity { seconds: 1, status: Some("<".into()) }),
        Command::ListComponents => Ok(Reply::Components(BareJid::domain_only("sms.localhost").into_iter().collect())),
        Command::Describe { .. } => Ok(Reply::Described { role: Role::Device, resources: Vec::new() }),
        Command::Pubsub(request) => match &request.action {
            PubsubAction::Publish { node, .. } => {
                Ok(Reply::Pubsub(Box::new(PubsubReply::Published { node: node.clone(), items: Vec::new() })))
            }
            PubsubAction::GetPending { node, execution } => Ok(Reply::Pubsub(Box::new(PubsubReply::Pending {
                execution: execution.clone(),
                nodes: node.is_none().then(Vec::new),
            }))),
            PubsubAction::ArchiveEnds { .. } => Ok(Reply::Pubsub(Box::new(PubsubReply::ArchiveEnds(None)))),
            PubsubAction::Authorize { .. } => Ok(Reply::Done),
            PubsubAction::List { .. } => Ok(Reply::Pubsub(Box::new(PubsubReply::Nodes { list: Vec::new(), page: None }))),
            _ => Err(Refusal::new(Reason::ItemNotFound).say("<&>")),
        },
        Command::GetBlockList => Ok(Reply::BlockList(Jid::parse("romeo@localhost/<").into_iter().collect())),
        // What is kept was said by somebody, and is one element.
        Command::GetDocument { key, .. } => Ok(Reply::Document { key: key.clone(), content: None }),
        Command::Block(_) | Command::Unblock(_) | Command::SetCarbons(_) | Command::SetDocuments(_) => Ok(Reply::Done),
        Command::SetContact { .. } | Command::RemoveContact { .. } | Command::Register { .. } => Ok(Reply::Done),
        Command::ChangeCredentials(_) | Command::Unregister => Ok(Reply::Done),
        _ => return None,
    })
}

pub(super) fn account_of(jid: &BareJid) -> Account {
    static KEYS: OnceLock<Credentials> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let password = Password::prepare("secret").expect("a password");
        // With a fast verifier: thousands of sign-ins a second.
        let how = Derivation {
            generated_secret_salt: Some([4; 16]),
            ..Derivation::with_salts([1; 16], [2; 16])
        };
        Credentials::derive(&password, &how)
    });
    Account {
        jid: jid.clone(),
        role: Role::Device,
        enabled: true,
        credentials: keys.clone(),
        created: Timestamp::default(),
        last_seen: None,
    }
}

/// Reads what the hub said as a client would.
pub(super) fn assert_well_formed(content: Content, said: &[u8]) {
    const DECLARATION: &str = "<?xml version='1.0'?>";
    let said = std::str::from_utf8(said).expect("UTF-8");
    let limits = FrameLimits { stanza_bytes: u32::MAX, depth: u16::MAX, attributes: u16::MAX };
    let (mut tree, scope) = (Tree::new(), Scope::client());
    for stream in said.split(DECLARATION) {
        let mut framer = Framer::of(content, limits);
        let mut input = stream.as_bytes();
        loop {
            match framer.next(&mut input) {
                Ok(Some(Frame::Element(bytes))) => {
                    tree.parse(bytes, &scope).map(|_| ()).expect("a well-formed element");
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => panic!("{error} in {stream}"),
            }
        }
        assert!(!framer.has_partial(), "half an element in {stream}");
    }
}
