//! One session and a router that only says what the script of these tests needs.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(unreachable_pub, missing_docs, reason = "a module of test binaries")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::Duration,
};

use leveret_engine::{
    account::{Account, Contact, Role, Subscription},
    address::{BareJid, FullJid, Jid},
    command::{Answer, Command, EndReason, PubsubAction, PubsubReply, Reply, Token},
    credentials::{Credentials, Derivation, Password},
    event::{Event, What},
    limits::Limits,
    mailbox::{Addressed, Entry, MailboxBudget},
    node::NodeId,
    refusal::{Reason, Refusal},
    time::{Instant, Now, Timestamp},
    xmpp::{
        output::{Action, Output},
        sasl::{ChannelBindingType, ChannelBindings},
        session::{LinkSecurity, XmppSession, XmppShared},
        xml::Tree,
    },
};

/// The header that nearly every client sends.
pub const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";

/// `juliet` with the password `secret`.
pub fn auth_plain() -> String {
    plain("juliet", "secret")
}

/// PLAIN with any name and password.
pub fn plain(name: &str, password: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let data = STANDARD.encode(format!("\0{name}\0{password}"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{data}</auth>")
}

/// A request for the resource `balcony`.
pub const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
     <resource>balcony</resource></bind></iq>";

/// Settings of the hub under test.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setting {
    pub require_tls: bool,
    pub registration: bool,
    /// The link is encrypted from the first byte.
    pub tls: bool,
}

/// One session under test.
pub struct Hub {
    pub session: XmppSession,
    tree: Tree,
    pub now: Now,
    /// What was sent to the peer and not looked at.
    pub sent: Vec<u8>,
    /// What was asked of the router.
    pub commands: VecDeque<Command>,
    /// The tokens of those that were not answered.
    pub tokens: Vec<Token>,
    /// Why the link was closed.
    pub closed: Option<EndReason>,
    /// How long answers to sign-ins are to be held back.
    pub wait: Duration,
    /// The stand-in answers nothing.
    pub silent: bool,
}

impl Hub {
    pub fn new(setting: Setting) -> Self {
        let now = Now {
            mono: Instant::from_secs(1_000),
            wall: Timestamp::from_micros(1_795_382_931_000_000),
            wall_trusted: true,
        };
        let shared = Arc::new(XmppShared {
            domain: BareJid::domain_only("localhost").unwrap(),
            service: BareJid::domain_only("pubsub.localhost").unwrap(),
            limits: Limits::default(),
            require_tls: setting.require_tls,
            registration: setting.registration,
            tls_available: true,
            decoy_secret: [3; 32],
            known_passwords: Arc::new(leveret_engine::credentials::KnownPasswords::new([3; 32])),
            software: "Leveret",
            version: "0.1.0",
            contacts: {
                let mut contacts = leveret_engine::xmpp::contact::Contacts::default();
                contacts.set("abuse", vec!["mailto:abuse@localhost".into()]);
                contacts
            },
            budget: MailboxBudget::new(1_000, 1 << 20, 1 << 30),
            started: Now::default(),
        });
        let security = if setting.tls {
            tls()
        } else {
            LinkSecurity::Plain
        };
        Self {
            session: XmppSession::new(shared, security, None, [7; 32], now),
            tree: Tree::new(),
            now,
            sent: Vec::new(),
            commands: VecDeque::new(),
            tokens: Vec::new(),
            closed: None,
            wait: Duration::ZERO,
            silent: false,
        }
    }

    /// A session that is bound as `juliet@localhost/balcony`.
    pub fn bound() -> Self {
        let mut hub = Self::new(Setting::default());
        for step in [HEADER, &auth_plain(), HEADER, BIND] {
            hub.receive(step.as_bytes());
        }
        assert!(hub.session.address().is_some(), "{}", hub.take_sent());
        hub.take_sent();
        hub.commands.clear();
        hub.tokens.clear();
        hub
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        let mut out = Output::default();
        self.session
            .handle_input(bytes, &mut self.tree, self.now, &mut out);
        self.pump(out);
    }

    /// Lets the clock run to `by`, and stops at each deadline on the way.
    pub fn advance(&mut self, by: Duration) {
        let until = self.now.mono + by;
        while let Some(at) = self.session.next_deadline().filter(|at| *at <= until) {
            self.set_clock(at);
            let mut out = Output::default();
            self.session.handle_timeout(self.now, &mut out);
            self.pump(out);
            assert_ne!(
                self.session.next_deadline(),
                Some(at),
                "a deadline that stays"
            );
        }
        self.set_clock(until);
    }

    fn set_clock(&mut self, at: Instant) {
        let passed = at.since(self.now.mono);
        let micros = i64::try_from(passed.as_micros()).unwrap();
        self.now.wall = Timestamp::from_micros(self.now.wall.micros() + micros);
        self.now.mono = at;
    }

    pub fn deliver(&mut self, entry: Entry) {
        let mut out = Output::default();
        self.session
            .handle_entries(&mut vec![entry], self.now, &mut out);
        self.pump(out);
    }

    pub fn deliver_event(&mut self, what: What, to: Addressed, delay: Option<Timestamp>) {
        self.deliver(Entry::Event {
            event: Arc::new(Event::new(what)),
            to,
            tag: None,
            delay,
        });
    }

    pub fn hang_up(&mut self) {
        let mut out = Output::default();
        self.session.handle_eof(self.now, &mut out);
        self.pump(out);
    }

    pub fn take_sent(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.sent)).unwrap()
    }

    /// The commands since the last look, as their names.
    pub fn take_commands(&mut self) -> Vec<Command> {
        self.commands.drain(..).collect()
    }

    fn pump(&mut self, mut out: Output) {
        loop {
            self.sent.append(&mut out.bytes);
            let mut entries = Vec::new();
            for (token, command) in out.commands.drain(..) {
                match self.answer(&command) {
                    Some(result) => entries.push(Entry::Answer(Box::new(Answer { token, result }))),
                    None => self.tokens.push(token),
                }
                self.commands.push_back(command);
            }
            let actions = std::mem::take(&mut out.actions);
            if entries.is_empty() && actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::StartTls => {
                        self.session.handle_tls(tls(), self.now, &mut out);
                    }
                    Action::Work(work) => {
                        let done = (work.0)();
                        self.session.handle_work(done, self.now, &mut out);
                    }
                    Action::Close(reason) => self.closed = Some(reason),
                }
            }
            if !entries.is_empty() {
                self.session
                    .handle_entries(&mut entries, self.now, &mut out);
            }
        }
    }

    fn answer(&self, command: &Command) -> Option<Result<Reply, Refusal>> {
        Some(match command {
            _ if self.silent => return None,
            Command::SignIn { account } => Ok(Reply::Credentials {
                found: (account.as_str() == "juliet@localhost").then(|| Box::new(juliet())),
            }),
            Command::SignedIn { .. } => Ok(Reply::HoldBack { wait: self.wait }),
            Command::Attach {
                account, resource, ..
            } => match resource.as_deref() {
                Some("full-house") => Err(Reason::ResourceConstraint.into()),
                resource => Ok(Reply::Attached {
                    jid: account.with_resource(resource.unwrap_or("made")).unwrap(),
                }),
            },
            Command::GetRoster { version } => Ok(Reply::Roster {
                contacts: (version.as_deref() != Some("7")).then(|| vec![romeo(), knocker()]),
                shared: Default::default(),
                version: "7".into(),
            }),
            Command::Register { account, .. } if account.as_str() == "juliet@localhost" => {
                Err(Reason::Conflict.into())
            }
            Command::GetBlockList => Ok(Reply::BlockList(vec![
                Jid::parse("romeo@montague.net").unwrap(),
                Jid::parse("iago@shakespeare.lit").unwrap(),
            ])),
            Command::GetDocument { of, key } => match (of.local(), key.is_public()) {
                (_, false) => Ok(Reply::Document {
                    key: key.clone(),
                    content: None,
                }),
                (Some("romeo"), true) => Ok(Reply::Document {
                    key: key.clone(),
                    content: Some("<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>".into()),
                }),
                (Some("juliet"), true) => Err(Reason::ItemNotFound.into()),
                _ => Err(Reason::ServiceUnavailable.into()),
            },
            Command::Block(jids) if jids.iter().any(|jid| jid.local() == Some("romeo")) => {
                Err(Refusal::blocked())
            }
            Command::Block(_)
            | Command::Unblock(_)
            | Command::SetCarbons(_)
            | Command::SetDocuments(_)
            | Command::SetContact { .. }
            | Command::RemoveContact { .. }
            | Command::Register { .. }
            | Command::ChangeCredentials(_)
            | Command::Unregister => Ok(Reply::Done),
            Command::Activity { of } if of.as_str() == "romeo@localhost" => Ok(Reply::Activity {
                seconds: 903,
                status: Some("at <home>".into()),
            }),
            Command::Activity { .. } => Err(Reason::Forbidden.into()),
            Command::Describe { account } if account.local() == Some("paris") => {
                Err(Reason::ServiceUnavailable.into())
            }
            Command::ListComponents => Ok(Reply::Components(vec![
                BareJid::parse("sensors.localhost").unwrap(),
            ])),
            Command::Describe { .. } => Ok(Reply::Described {
                role: Role::Device,
                resources: Vec::new(),
            }),
            Command::ListBelongings { account, .. } => Ok(Reply::Belongings {
                resources: Vec::new(),
                nodes: Box::new(PubsubReply::Nodes {
                    list: if account.local() == Some("romeo") {
                        vec![(NodeId::parse("urn:x#y").unwrap(), "".into())]
                    } else {
                        Vec::new()
                    },
                    page: None,
                }),
            }),
            Command::Pubsub(request) => match &request.action {
                PubsubAction::Publish { node, items, .. } => {
                    Ok(Reply::Pubsub(Box::new(PubsubReply::Published {
                        node: node.clone(),
                        items: items.iter().filter_map(|item| item.id.clone()).collect(),
                    })))
                }
                PubsubAction::Browse { .. } => Ok(Reply::Pubsub(Box::new(PubsubReply::Nodes {
                    list: vec![(NodeId::parse("a/b").unwrap(), "A title".into())],
                    page: None,
                }))),
                _ => Err(Reason::ItemNotFound.into()),
            },
            _ => return None,
        })
    }
}

pub fn full(text: &str) -> FullJid {
    FullJid::parse(text).unwrap()
}

fn tls() -> LinkSecurity {
    LinkSecurity::Tls {
        bindings: ChannelBindings::default()
            .with(ChannelBindingType::TlsExporter, &[1; 32])
            .with(ChannelBindingType::TlsServerEndPoint, &[2; 32]),
        certificate: Vec::new(),
    }
}

fn juliet() -> Account {
    static KEYS: OnceLock<Credentials> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let password = Password::prepare("secret").unwrap();
        // With a fast verifier, so that thousands of sign-ins take no time.
        let how = Derivation {
            generated_secret_salt: Some([4; 16]),
            ..Derivation::with_salts([1; 16], [2; 16])
        };
        Credentials::derive(&password, &how)
    });
    Account {
        jid: BareJid::parse("juliet@localhost").unwrap(),
        role: Role::Device,
        enabled: true,
        credentials: keys.clone(),
        created: Timestamp::default(),
        last_seen: None,
    }
}

pub fn romeo() -> Contact {
    Contact {
        jid: BareJid::parse("romeo@localhost").unwrap(),
        name: Some("Romeo & I".into()),
        groups: vec!["Verona".into()],
        subscription: Subscription::To,
        pending_out: true,
        pending_in: None,
        approved: true,
        listed: true,
        version: 7,
    }
}

/// Knocked, and is not in the roster.
fn knocker() -> Contact {
    Contact {
        jid: BareJid::parse("paris@localhost").unwrap(),
        listed: false,
        ..romeo()
    }
}
